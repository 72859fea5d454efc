//! `file.*` functions that look at the text of a path alone.

use super::{Call, Table};
use crate::jinja::{Py, Res, runtime, text_arg};
use crate::python::paths::normal;

pub(super) const FUNCTIONS: Table = &[
    ("file.basename", basename),
    ("file.dirname", dirname),
    ("file.join", join),
    ("file.normpath", normpath),
    ("file.pardir", pardir),
];

fn path(call: &mut Call<'_>) -> Res<std::rc::Rc<str>> {
    let [path] = call.bind(["path"])?;
    text_arg(call.name, "path", path)
}

fn basename(call: &mut Call<'_>) -> Res<Py> {
    let path = path(call)?;
    Ok(Py::str(path.rsplit_once('/').map_or(&*path, |(_, base)| base)))
}

fn dirname(call: &mut Call<'_>) -> Res<Py> {
    let path = path(call)?;
    Ok(Py::str(parent(&path)))
}

/// Python's `os.path.dirname`: a directory of slashes alone stays as it is.
pub(super) fn parent(path: &str) -> &str {
    let head = path.rfind('/').map_or("", |at| &path[..=at]);
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() { head } else { trimmed }
}

fn join(call: &mut Call<'_>) -> Res<Py> {
    let mut whole: Option<String> = None;
    for part in &call.args.positional {
        let Py::Str(part) = part else {
            return runtime(format!("a part of a path must be text, not {}", part.type_name()));
        };
        whole = Some(match whole {
            Some(base) if !part.starts_with('/') => {
                let slash = if base.is_empty() || base.ends_with('/') { "" } else { "/" };
                format!("{base}{slash}{part}")
            }
            _ => part.to_string(),
        });
    }
    match whole {
        Some(whole) => Ok(Py::str(whole)),
        None => runtime("join() missing 1 required positional argument"),
    }
}

fn normpath(call: &mut Call<'_>) -> Res<Py> {
    let path = path(call)?;
    Ok(Py::str(normal(&path)))
}

fn pardir(call: &mut Call<'_>) -> Res<Py> {
    let [] = call.bind([])?;
    Ok(Py::str(".."))
}

#[cfg(test)]
mod tests {
    use super::{normal, parent};

    #[test]
    fn paths_as_python_has_them() {
        for (path, dir, norm) in [
            ("/a/b", "/a", "/a/b"),
            ("/a/b/", "/a/b", "/a/b"),
            ("a", "", "a"),
            ("/a", "/", "/a"),
            ("//a", "//", "//a"),
            ("///a//b/../c/.", "///a//b/../c", "/a/c"),
            ("../../x/..", "../../x", "../.."),
            ("/../x", "/..", "/x"),
            ("", "", "."),
        ] {
            assert_eq!((parent(path), normal(path).as_str()), (dir, norm), "{path}");
        }
    }
}
