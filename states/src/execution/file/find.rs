//! `file.find`: files by name, kind, owner, size, age or content.
// Effects: walks through directories below the root of the machine.
#![allow(clippy::disallowed_methods)]

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::super::asked::{Asked, text, truth};
use super::super::{Answer, Table, number, str_of, string};
use super::text::regex;
use super::{matching, owner, sum};
use crate::modules::accounts;
use crate::value::Value;

pub(crate) const FUNCTIONS: Table = &[("file.find", find)];

/// More than this is no list that a template could use.
const MAX_FOUND: usize = 100_000;

/// What a file must be.
enum Criterion {
    Name(regex::Regex),
    Kinds(Vec<char>),
    Users(Vec<u32>),
    Groups(Vec<u32>),
    Size(u64, u64),
    Modified { since: f64, newer: bool },
    Content(regex::Regex),
}

fn find(asked: &Asked<'_>) -> Answer {
    let path = text("path", asked.args.first().or_else(|| asked.kwargs.get("path")))?;
    let depth = |name: &str| asked.kwargs.get(name).map(str_of).and_then(|d| d.parse::<usize>().ok());
    let (min, max) = (depth("mindepth").unwrap_or(0), depth("maxdepth").unwrap_or(64));
    let mut criteria = Vec::new();
    let mut print = vec!["path".to_owned()];
    for (name, value) in asked.kwargs {
        match name.as_str() {
            "path" | "mindepth" | "maxdepth" | "test" => {}
            "delete" | "exec" => return Err(format!("a template finds files; `{name}` is not supported")),
            _ if !truth(Some(value)) => {
                return Ok(string(format!("error: missing value for \"{name}\" option")));
            }
            "print" => {
                print = str_of(value).replace(',', " ").split_whitespace().map(str::to_owned).collect()
            }
            _ => match criterion(asked, name, &str_of(value)) {
                Ok(criterion) => criteria.push(criterion),
                Err(cause) => return Ok(string(format!("error: {cause}"))),
            },
        }
    }
    let mut found = Vec::new();
    for start in matching(asked, &path) {
        let walk = walkdir::WalkDir::new(asked.path(&start)).min_depth(min).max_depth(max);
        for entry in walk.into_iter().flatten().take(1_000_000) {
            let below = entry.path().strip_prefix(asked.path(&start)).unwrap_or(entry.path()).to_owned();
            let name = match below.as_os_str().is_empty() {
                true => start.clone(),
                false => format!("{}/{}", start.trim_end_matches('/'), below.display()),
            };
            let Ok(metadata) = entry.path().metadata().or_else(|_| entry.path().symlink_metadata()) else {
                continue;
            };
            if criteria.iter().all(|c| c.fits(asked, &name, &metadata)) {
                if found.len() >= MAX_FOUND {
                    return Err(format!("more than {MAX_FOUND} files fit"));
                }
                found.push(printed(asked, &print, &name, &metadata));
            }
        }
    }
    found.sort_by_key(str_of);
    Ok(Value::List(found))
}

/// Salt's patterns of names: `*` and `?` are turned into a regular expression that the name begins with.
fn name_pattern(glob: &str) -> String {
    format!(r"\A(?:{})$", glob.replace('.', r"\.").replace('?', ".?").replace('*', ".*"))
}

fn criterion(asked: &Asked<'_>, name: &str, value: &str) -> Result<Criterion, String> {
    let begins = |pattern: &str| format!(r"\A(?:{pattern})");
    Ok(match name {
        "name" => Criterion::Name(regex(&name_pattern(value), "")?),
        "iname" => Criterion::Name(regex(&name_pattern(value), "i")?),
        "regex" => Criterion::Name(regex(&begins(value), "")?),
        "iregex" => Criterion::Name(regex(&begins(value), "i")?),
        "type" => Criterion::Kinds(kinds(value)?),
        "owner" => Criterion::Users(ids(value, "user", |n| accounts::uid(asked.host.root(), n))?),
        "group" => Criterion::Groups(ids(value, "group", |n| accounts::gid(asked.host.root(), n))?),
        "size" => size(value)?,
        "mtime" => modified(asked, value)?,
        "grep" => Criterion::Content(regex(value, "")?),
        other => return Err(format!("invalid option \"{other}\"")),
    })
}

fn kinds(value: &str) -> Result<Vec<char>, String> {
    let letters: Vec<char> = value.chars().filter(|c| *c != ',' && !c.is_whitespace()).collect();
    match letters.iter().find(|c| !"bcdflps".contains(**c)) {
        Some(other) => Err(format!("invalid file type \"{other}\"")),
        None => Ok(letters),
    }
}

fn ids(
    value: &str,
    kind: &str,
    id: impl Fn(&str) -> std::io::Result<Option<u32>>,
) -> Result<Vec<u32>, String> {
    let names = value.replace(',', " ");
    let known = |name: &str| id(name).ok().flatten().ok_or_else(|| format!("no such {kind} \"{name}\""));
    names.split_whitespace().map(known).collect()
}

fn size(value: &str) -> Result<Criterion, String> {
    let invalid = || format!("invalid size: \"{value}\"");
    let trimmed = value.trim();
    let (style, scalar) = match trimmed.chars().next() {
        Some(c @ ('+' | '-')) => (c, &trimmed[1..]),
        _ => ('=', trimmed),
    };
    let units = [('b', 1_u64), ('k', 1 << 10), ('m', 1 << 20), ('g', 1 << 30), ('t', 1 << 40)];
    let last = scalar.chars().last().map(|c| c.to_ascii_lowercase());
    let unit = units.iter().find(|(letter, _)| Some(*letter) == last);
    let digits = if unit.is_some() { &scalar[..scalar.len() - 1] } else { scalar };
    let unit = unit.map_or(1, |(_, unit)| *unit);
    let number: f64 = digits.trim().parse().map_err(|_| invalid())?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    // Saturates.
    let bytes = (number * unit as f64) as u64;
    Ok(match style {
        '-' => Criterion::Size(0, bytes),
        '+' => Criterion::Size(bytes, u64::MAX),
        _ => Criterion::Size(bytes, bytes.saturating_add(unit - 1)),
    })
}

/// `-1d12h`: changed within that time; `1d`: longer ago.
fn modified(asked: &Asked<'_>, value: &str) -> Result<Criterion, String> {
    let invalid = || format!("invalid time interval: '{value}'");
    let form = r"^\s*(?P<modifier>[+-]?)(?:\s*(?P<w>\d+(?:\.\d*)?)\s*w)?(?:\s*(?P<d>\d+(?:\.\d*)?)\s*d?)?(?:\s*(?P<h>\d+(?:\.\d*)?)\s*h)?(?:\s*(?P<m>\d+(?:\.\d*)?)\s*m)?(?:\s*(?P<s>\d+(?:\.\d*)?)\s*s)?\s*$";
    let lower = value.to_lowercase();
    let parts = regex(form, "")?.captures(&lower).map(|captures| {
        let part = |name: &str| captures.name(name).and_then(|m| m.as_str().parse::<f64>().ok());
        let newer = captures.name("modifier").is_some_and(|m| m.as_str() == "-");
        (["s", "m", "h", "d", "w"].map(part), newer)
    });
    let (parts, newer) = parts.ok_or_else(invalid)?;
    let units = [1.0, 60.0, 3600.0, 86_400.0, 604_800.0];
    let seconds: f64 = parts.iter().zip(units).filter_map(|(part, unit)| part.map(|p| p * unit)).sum();
    // The finest unit that is named is the resolution.
    let resolution =
        parts.iter().zip(units).find_map(|(part, unit)| part.map(|_| unit)).ok_or_else(invalid)?;
    Ok(Criterion::Modified { since: asked.host.now() - (seconds / resolution).trunc() * resolution, newer })
}

fn letter(metadata: &Metadata) -> char {
    let kind = metadata.file_type();
    match () {
        () if kind.is_dir() => 'd',
        () if kind.is_symlink() => 'l',
        () if kind.is_char_device() => 'c',
        () if kind.is_block_device() => 'b',
        () if kind.is_fifo() => 'p',
        () if kind.is_socket() => 's',
        () => 'f',
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Criterion {
    fn fits(&self, asked: &Asked<'_>, path: &str, metadata: &Metadata) -> bool {
        #[allow(clippy::cast_precision_loss)] // Seconds fit.
        let mtime = metadata.mtime() as f64;
        match self {
            Criterion::Name(pattern) => pattern.is_match(base(path)),
            Criterion::Kinds(letters) => letters.contains(&letter(metadata)),
            Criterion::Users(uids) => uids.contains(&metadata.uid()),
            Criterion::Groups(gids) => gids.contains(&metadata.gid()),
            Criterion::Size(min, max) => (*min..=*max).contains(&metadata.len()),
            Criterion::Modified { since, newer } => {
                if *newer {
                    mtime >= *since
                } else {
                    mtime <= *since
                }
            }
            Criterion::Content(pattern) => {
                metadata.is_file() && asked.read(path).is_ok_and(|content| pattern.is_match(&content))
            }
        }
    }
}

fn printed(asked: &Asked<'_>, wanted: &[String], path: &str, metadata: &Metadata) -> Value {
    let one = |what: &String| match what.as_str() {
        "path" => Some(string(path)),
        "name" => Some(string(base(path))),
        "size" => Some(number(metadata.len())),
        "type" => Some(string(letter(metadata))),
        "mode" => Some(number(metadata.mode() & 0o777)),
        "mtime" => Some(number(metadata.mtime())),
        "user" => Some(owner::user_name(asked, metadata.uid())),
        "group" => Some(owner::group_name(asked, metadata.gid())),
        "md5" => Some(string(sum::of_file(asked, path, "md5").unwrap_or_default())),
        _ => None,
    };
    let mut all: Vec<Value> = wanted.iter().filter_map(one).collect();
    if all.len() == 1 { all.remove(0) } else { Value::List(all) }
}

#[cfg(test)]
mod tests {
    use super::super::super::bench::Bench;
    use crate::value::Value;

    fn found(bench: &Bench, kwargs: &[(&str, &str)]) -> String {
        let kwargs: Vec<(&str, Value)> = kwargs.iter().map(|(k, v)| (*k, Value::Str((*v).into()))).collect();
        serde_json::to_string(&bench.with("file.find", &["/srv"], &kwargs).unwrap()).unwrap()
    }

    #[test]
    fn files_are_found_by_what_they_are() {
        let bench =
            Bench::new(&[("/srv/a.conf", "hello"), ("/srv/d/b.conf", ""), ("/srv/d/c.txt", "0123456789")]);
        assert_eq!(found(&bench, &[("type", "f"), ("name", "*.conf")]), r#"["/srv/a.conf","/srv/d/b.conf"]"#);
        assert_eq!(found(&bench, &[("type", "d")]), r#"["/srv","/srv/d"]"#);
        assert_eq!(found(&bench, &[("type", "f"), ("maxdepth", "1")]), r#"["/srv/a.conf"]"#);
        assert_eq!(found(&bench, &[("type", "f"), ("size", "+6b")]), r#"["/srv/d/c.txt"]"#);
        assert_eq!(found(&bench, &[("grep", "^hel"), ("print", "name,size")]), r#"[["a.conf",5]]"#);
        assert_eq!(found(&bench, &[("type", "f"), ("mtime", "1d")]), "[]");
        assert_eq!(found(&bench, &[("nope", "x")]), r#""error: invalid option \"nope\"""#);
    }
}
