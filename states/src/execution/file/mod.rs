//! `file.*` questions about what is there.
// Effects: looks at files below the root of the machine.
#![allow(clippy::disallowed_methods)]

pub(super) mod find;
pub(super) mod owner;
pub(super) mod sum;
pub(super) mod text;

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::asked::{Asked, expand, text as text_of};
use super::{Answer, Table, list, string};
use crate::python::glob::{fnmatch, is_pattern};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: Table = &[
    ("file.access", access),
    ("file.directory_exists", directory_exists),
    ("file.file_exists", file_exists),
    ("file.is_blkdev", is_blkdev),
    ("file.is_chrdev", is_chrdev),
    ("file.is_fifo", is_fifo),
    ("file.is_hardlink", is_hardlink),
    ("file.is_link", is_link),
    ("file.path_exists_glob", path_exists_glob),
    ("file.readdir", readdir),
    ("file.readlink", readlink),
];

fn file_exists(asked: &Asked<'_>) -> Answer {
    let path = asked.only("path")?;
    Ok(Value::Bool(asked.path(&path).is_file()))
}

fn directory_exists(asked: &Asked<'_>) -> Answer {
    let path = asked.only("path")?;
    Ok(Value::Bool(asked.path(&path).is_dir()))
}

fn is_link(asked: &Asked<'_>) -> Answer {
    let [path, _] = asked.bind(["path", "nostat"])?;
    Ok(Value::Bool(asked.path(&text_of("path", path)?).is_symlink()))
}

fn is_hardlink(asked: &Asked<'_>) -> Answer {
    let path = absolute(&asked.only("path")?, "Path to file must be absolute.")?;
    // Of what is not there Salt answers an empty mapping, which is as false.
    let found = asked.path(&path).symlink_metadata();
    Ok(found.map_or_else(|_| Value::Map(Map::new()), |m| Value::Bool(m.nlink() > 1)))
}

fn kind(asked: &Asked<'_>, is: impl Fn(&std::fs::FileType) -> bool) -> Answer {
    let path = asked.only("name")?;
    Ok(Value::Bool(asked.path(&path).metadata().is_ok_and(|m| is(&m.file_type()))))
}

fn is_blkdev(asked: &Asked<'_>) -> Answer {
    kind(asked, FileTypeExt::is_block_device)
}

fn is_chrdev(asked: &Asked<'_>) -> Answer {
    kind(asked, FileTypeExt::is_char_device)
}

fn is_fifo(asked: &Asked<'_>) -> Answer {
    kind(asked, FileTypeExt::is_fifo)
}

fn path_exists_glob(asked: &Asked<'_>) -> Answer {
    let path = asked.only("path")?;
    Ok(Value::Bool(!matching(asked, &path).is_empty()))
}

/// The paths of the machine that a pattern means, as Python's `glob` finds them; sorted.
pub(super) fn matching(asked: &Asked<'_>, pattern: &str) -> Vec<String> {
    let pattern = expand(pattern);
    let mut found = vec![if pattern.starts_with('/') { "/".to_owned() } else { String::new() }];
    for part in pattern.split('/').filter(|p| !p.is_empty()) {
        found = found.iter().flat_map(|base| children(asked, base, part)).take(100_000).collect();
    }
    // A pattern that ends with a slash means directories alone.
    let wanted_dir = pattern.ends_with('/');
    found.retain(|path| !wanted_dir || asked.path(path).is_dir());
    found.sort();
    found
}

fn children(asked: &Asked<'_>, base: &str, part: &str) -> Vec<String> {
    let joined = |name: &str| match base {
        "" => name.to_owned(),
        base => format!("{}/{name}", base.trim_end_matches('/')),
    };
    if !is_pattern(part) {
        let path = joined(part);
        let there = asked.path(&path).symlink_metadata().is_ok();
        return if there { vec![path] } else { Vec::new() };
    }
    let hidden = |name: &str| name.starts_with('.') && !part.starts_with('.');
    let names = asked.entries(base).into_iter().filter(|name| !hidden(name) && fnmatch(name, part));
    names.map(|name| joined(&name)).collect()
}

/// An absolute path, or the words of Salt about it.
fn absolute(path: &str, refusal: &str) -> Result<String, String> {
    let path = expand(path);
    if path.starts_with('/') { Ok(path) } else { Err(refusal.to_owned()) }
}

fn access(asked: &Asked<'_>) -> Answer {
    use rustix::fs::Access;
    let [path, mode] = asked.bind(["path", "mode"])?;
    let path = absolute(&text_of("path", path)?, "Path to link must be absolute.")?;
    let wanted = match mode {
        Some(Value::Int(0)) => Access::EXISTS,
        Some(Value::Int(4)) => Access::READ_OK,
        Some(Value::Int(2)) => Access::WRITE_OK,
        Some(Value::Int(1)) => Access::EXEC_OK,
        Some(Value::Str(mode)) => match mode.as_str() {
            "f" => Access::EXISTS,
            "r" => Access::READ_OK,
            "w" => Access::WRITE_OK,
            "x" => Access::EXEC_OK,
            _ => return Err("Invalid mode specified.".to_owned()),
        },
        _ => return Err("Invalid mode specified.".to_owned()),
    };
    Ok(Value::Bool(rustix::fs::access(asked.path(&path), wanted).is_ok()))
}

fn readdir(asked: &Asked<'_>) -> Answer {
    let path = absolute(&asked.only("path")?, "Dir path must be absolute.")?;
    if !asked.path(&path).is_dir() {
        return Err(format!("A valid directory was not specified: {path}"));
    }
    let own = [".".to_owned(), "..".to_owned()];
    Ok(list(own.into_iter().chain(asked.entries(&path))))
}

fn readlink(asked: &Asked<'_>) -> Answer {
    let [path, canonicalize] = asked.bind(["path", "canonicalize"])?;
    let path = text_of("path", path)?;
    let path = absolute(&path, &format!("Path to link must be absolute: {path}"))?;
    let full = asked.path(&path);
    if !full.is_symlink() {
        return Err(format!("A valid link was not specified: {path}"));
    }
    let target = match super::asked::truth(canonicalize) {
        true => full.canonicalize().map(|target| below_root(asked, &target)),
        false => std::fs::read_link(&full).map(|target| target.display().to_string()),
    };
    target.map(string).map_err(|e| e.to_string())
}

/// A path of this machine as the tree names it.
fn below_root(asked: &Asked<'_>, path: &Path) -> String {
    let below = path.strip_prefix(asked.host.root()).unwrap_or(path).display().to_string();
    if below.starts_with('/') { below } else { format!("/{below}") }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn what_is_there_below_the_root() {
        let bench = Bench::new(&[("/etc/app/a.conf", "x"), ("/etc/app/.hidden", "")]);
        std::os::unix::fs::symlink("a.conf", bench.root.path().join("etc/app/link")).unwrap();
        for (name, path, answer) in [
            ("file.file_exists", "/etc/app/a.conf", "true"),
            ("file.file_exists", "/etc/app", "false"),
            ("file.file_exists", "/etc/passwd", "false"),
            ("file.directory_exists", "/etc/app", "true"),
            ("file.is_link", "/etc/app/link", "true"),
            ("file.path_exists_glob", "/etc/*/*.conf", "true"),
            ("file.path_exists_glob", "/etc/*/*.cfg", "false"),
            ("file.readlink", "/etc/app/link", "\"a.conf\""),
            ("file.readdir", "/etc/app", "[\".\",\"..\",\".hidden\",\"a.conf\",\"link\"]"),
        ] {
            assert_eq!(bench.json(name, &[path]), answer, "{name} {path}");
        }
        assert!(bench.call("file.readdir", &["etc"]).unwrap_err().contains("absolute"));
        assert_eq!(bench.json("file.access", &["/etc/app/a.conf", "r"]), "true");
        assert_eq!(bench.json("file.access", &["/etc/app/nothing", "f"]), "false");
    }
}
