//! The comment field of passwd(5): the full name, and where its owner is found.

use crate::engine::step::Failure;
use crate::modules::args::Args;
use crate::value::{Map, Value};

/// Salt's names of the parts, in their order.
const PARTS: [&str; 5] = ["fullname", "roomnumber", "workphone", "homephone", "other"];

/// The parts that are asked for; the others stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gecos([Option<String>; PARTS.len()]);

impl Gecos {
    /// From the arguments.
    pub(crate) fn read(args: &Args<'_>) -> Result<Self, Failure> {
        let mut wanted = Self::default();
        for (name, part) in PARTS.iter().zip(&mut wanted.0) {
            *part = args.text(name)?;
            let odd = |text: &String| text.contains([':', '\n']) || (*name != "other" && text.contains(','));
            if part.as_ref().is_some_and(odd) {
                return Err(Failure::declaration(format!("`{name}` must not hold `:`, `,` or a line end")));
            }
        }
        Ok(wanted)
    }

    /// The field with what is asked in it, and what changes by that; none where it is so already.
    pub(crate) fn over(&self, now: &str) -> Option<(String, Map)> {
        let mut parts = parts(now);
        let mut changes = Map::new();
        for ((name, part), wanted) in PARTS.iter().zip(&mut parts).zip(&self.0) {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != part) {
                part.clone_from(wanted);
                changes.insert((*name).to_owned(), Value::Str(wanted.clone()));
            }
        }
        let field = parts.join(",").trim_end_matches(',').to_owned();
        (!changes.is_empty()).then_some((field, changes))
    }
}

/// The parts of a field, by Salt's names.
pub(crate) fn told(field: &str) -> Map {
    let pairs = PARTS.iter().zip(parts(field));
    pairs.map(|(name, part)| ((*name).to_owned(), Value::Str(part))).collect()
}

fn parts(field: &str) -> [String; PARTS.len()] {
    let mut parts = field.splitn(PARTS.len(), ',').map(str::to_owned);
    PARTS.map(|_| parts.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pairs: &[(&str, &str)]) -> Gecos {
        let map = pairs.iter().map(|(k, v)| ((*k).to_owned(), Value::Str((*v).to_owned()))).collect();
        Gecos::read(&Args::new(&map)).unwrap()
    }

    #[test]
    fn parts_that_nobody_asks_for_stay() {
        let (field, changes) =
            wanted(&[("fullname", "Ben"), ("workphone", "5")]).over("Old,B-2,,,x,y").unwrap();
        assert_eq!(field, "Ben,B-2,5,,x,y");
        assert_eq!(changes.keys().collect::<Vec<_>>(), ["fullname", "workphone"]);
        assert_eq!(wanted(&[("fullname", "Ben")]).over("Ben,B-2"), None);
        assert_eq!(wanted(&[("roomnumber", "")]).over("Ben,B-2").unwrap().0, "Ben");
    }

    #[test]
    fn separators_cannot_slip_in() {
        let map = Map::from([("fullname".into(), Value::Str("Ben,root".into()))]);
        assert!(Gecos::read(&Args::new(&map)).is_err());
    }
}
