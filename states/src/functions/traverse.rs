//! Walking a path such as `a:b:0` through mappings and sequences, as Salt's `traverse_dict_and_list` does.

use crate::jinja::{Key, Py};
use crate::yaml;

/// The value at a path.
pub(crate) fn traverse(data: &Py, path: &str, delimiter: &str) -> Option<Py> {
    let parts: Vec<&str> = if delimiter.is_empty() { vec![path] } else { path.split(delimiter).collect() };
    parts.into_iter().try_fold(data.clone(), |at, part| step(&at, &Py::str(part)))
}

/// The value at a path that a template gave: a text, a number, or a list of parts.
pub(super) fn traverse_key(data: &Py, key: &Py, delimiter: &str) -> Option<Py> {
    match key {
        Py::Str(path) => traverse(data, path, delimiter),
        Py::Int(_) => step(data, key),
        key => key.elements()?.iter().try_fold(data.clone(), |at, part| step(&at, part)),
    }
}

fn step(at: &Py, part: &Py) -> Option<Py> {
    match at {
        Py::Dict(d) => {
            let found = Key::new(part.clone()).ok().and_then(|key| d.borrow().get(&key).cloned());
            found.or_else(|| {
                let key = Key::new(as_yaml(part.as_str()?)?).ok()?;
                d.borrow().get(&key).cloned()
            })
        }
        Py::List(items) => {
            let index = index(part);
            let key = Key::new(index.map_or_else(|| part.clone(), Py::Int)).ok()?;
            let of_dict = |item: &Py| match item {
                Py::Dict(d) => d.borrow().get(&key).cloned(),
                _ => None,
            };
            let embedded = items.borrow().iter().find_map(of_dict);
            embedded.or_else(|| nth(&items.borrow(), index?))
        }
        _ => None,
    }
}

/// Python's `int()` of a part.
fn index(part: &Py) -> Option<i64> {
    match part {
        Py::Str(text) => text.trim().parse().ok(),
        #[allow(clippy::cast_possible_truncation)] // As Python's `int()` of a float.
        Py::Float(f) => Some(*f as i64),
        other => other.as_int(),
    }
}

fn nth(items: &[Py], index: i64) -> Option<Py> {
    let length = i64::try_from(items.len()).ok()?;
    let index = if index < 0 { index.checked_add(length)? } else { index };
    items.get(usize::try_from(index).ok()?).cloned()
}

/// A part that is no key as text is tried as the number or truth value that YAML reads in it.
fn as_yaml(part: &str) -> Option<Py> {
    let plain = !part.is_empty() && part.len() < 100 && !part.contains(['_', '#', '\n', ':', '[', '{']);
    let value = plain.then(|| yaml::load(part, "key").ok())?.map(|node| node.to_py())?;
    (!matches!(value, Py::Str(_))).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::{traverse, traverse_key};
    use crate::jinja::{Key, Py, text};

    fn data() -> Py {
        let inner = Py::dict([(Key::str("port"), Py::Int(80))].into_iter().collect());
        let by_number = (Key::new(Py::Int(7)).unwrap(), Py::str("seven"));
        let list = (Key::str("list"), Py::list(vec![Py::str("a"), inner]));
        Py::dict([by_number, list].into_iter().collect())
    }

    #[test]
    fn paths_go_through_mappings_lists_and_the_mappings_in_lists() {
        let at = |path| traverse(&data(), path, ":").map(|v| text(&v));
        assert_eq!(at("list:0").as_deref(), Some("a"));
        assert_eq!(at("list:-2").as_deref(), Some("a"));
        assert_eq!(at("list:port").as_deref(), Some("80"));
        assert_eq!(at("7").as_deref(), Some("seven"));
        assert_eq!(at("list:9"), None);
        assert_eq!(at("list:0:x"), None);
    }

    #[test]
    fn a_list_of_parts_is_a_path_too() {
        let path = Py::list(vec![Py::str("list"), Py::Int(0)]);
        assert_eq!(traverse_key(&data(), &path, ":").map(|v| text(&v)).as_deref(), Some("a"));
    }
}
