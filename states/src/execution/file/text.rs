//! `file.*`: what is written in files.
// Effects: reads files below the root of the machine.
#![allow(clippy::disallowed_methods)]

use super::super::asked::{Asked, expand, flag, text};
use super::super::{Answer, Table, map, number, str_of, string};
use super::matching;
use crate::python::glob::fnmatch;
use crate::value::Value;

pub(crate) const FUNCTIONS: Table = &[
    ("file.contains", contains),
    ("file.contains_glob", contains_glob),
    ("file.contains_regex", contains_regex),
    ("file.diskusage", diskusage),
    ("file.grep", grep),
    ("file.read", read),
    ("file.search", search),
];

fn read(asked: &Asked<'_>) -> Answer {
    let [path, binary] = asked.bind(["path", "binary"])?;
    let path = text("path", path)?;
    if flag(binary, false) {
        return Err("templates hold text: `binary` is not supported".to_owned());
    }
    asked.read(&path).map(string)
}

/// The text of a file that may be absent.
fn present(asked: &Asked<'_>, path: Option<&Value>) -> Result<Option<String>, String> {
    let path = text("path", path)?;
    if !asked.path(&path).is_file() {
        return Ok(None);
    }
    asked.read(&path).map(Some)
}

fn contains(asked: &Asked<'_>) -> Answer {
    let [path, wanted] = asked.bind(["path", "text"])?;
    let wanted = wanted.map(str_of).ok_or("missing required argument: 'text'")?;
    let found = present(asked, path)?.is_some_and(|content| content.contains(wanted.trim()));
    Ok(Value::Bool(found))
}

fn contains_glob(asked: &Asked<'_>) -> Answer {
    let [path, pattern] = asked.bind(["path", "glob_expr"])?;
    let pattern = text("glob_expr", pattern)?;
    Ok(Value::Bool(present(asked, path)?.is_some_and(|content| fnmatch(&content, &pattern))))
}

/// A regular expression of the tree, bounded in size.
pub(in crate::execution) fn regex(pattern: &str, flags: &str) -> Result<regex::Regex, String> {
    let with_flags = if flags.is_empty() { pattern.to_owned() } else { format!("(?{flags}){pattern}") };
    let built = regex::RegexBuilder::new(&with_flags).size_limit(1 << 22).build();
    built.map_err(|e| format!("the regular expression '{pattern}' cannot be used: {e}"))
}

fn contains_regex(asked: &Asked<'_>) -> Answer {
    let [path, pattern, left] = asked.bind(["path", "regex", "lchar"])?;
    let pattern = regex(&text("regex", pattern)?, "")?;
    let left = left.map(str_of).unwrap_or_default();
    let Some(content) = present(asked, path)? else { return Ok(Value::Bool(false)) };
    let bare = |line: &'_ str| line.len() - line.trim_start_matches(|c| left.contains(c)).len();
    // Python reads lines with their ends, which `$` passes over and `\n` or `\s` see.
    let fits = |line: &str| {
        let line = &line[bare(line)..];
        pattern.is_match(line) || pattern.is_match(line.trim_end_matches('\n'))
    };
    Ok(Value::Bool(content.split_inclusive('\n').any(fits)))
}

/// Python's flags as letters: IGNORECASE 2, MULTILINE 8 (Salt's default), DOTALL 16, VERBOSE 64.
fn flags(value: Option<&Value>, multiline: bool) -> String {
    let mut letters = String::new();
    match value {
        None | Some(Value::Null) => letters.push('m'),
        Some(Value::Int(bits)) => {
            let known = [(2, 'i'), (8, 'm'), (16, 's'), (64, 'x')];
            letters.extend(known.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, l)| *l));
        }
        Some(names) => {
            let names: Vec<String> = super::super::asked::split(Some(names));
            let known = [("IGNORECASE", 'i'), ("MULTILINE", 'm'), ("DOTALL", 's'), ("VERBOSE", 'x')];
            let has = |name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
            letters.extend(known.iter().filter(|(name, _)| has(name)).map(|(_, l)| *l));
        }
    }
    if multiline && !letters.contains('m') {
        letters.push('m');
    }
    letters
}

fn search(asked: &Asked<'_>) -> Answer {
    let names = ["path", "pattern", "flags", "bufsize", "ignore_if_missing", "multiline"];
    let [path, pattern, wanted, _, ignore, multiline] = asked.bind(names)?;
    let path = text("path", path)?;
    let pattern = regex(&text("pattern", pattern)?, &flags(wanted, flag(multiline, false)))?;
    if asked.path(&path).metadata().is_err() {
        let missing = || Err(format!("File not found: {path}"));
        return if flag(ignore, false) { Ok(Value::Bool(false)) } else { missing() };
    }
    let content = asked.read(&path)?;
    if content.contains('\0') {
        return Err(format!("Cannot perform string replacements on a binary file: {path}"));
    }
    Ok(Value::Bool(pattern.is_match(&content)))
}

/// The program `grep` on the files that a pattern means.
fn grep(asked: &Asked<'_>) -> Answer {
    let given = |at: usize, name: &str| asked.args.get(at).or_else(|| asked.kwargs.get(name));
    let (path, pattern) = (text("path", given(0, "path"))?, text("pattern", given(1, "pattern"))?);
    let mut argv = vec!["grep".to_owned()];
    for option in asked.args.iter().skip(2).map(str_of) {
        let words = shell_words::split(&option).map_err(|_| format!("No closing quotation in {option:?}"))?;
        if words.len() > 1 {
            return Err(format!("options of grep must be given one by one, not as {option:?}"));
        }
        argv.extend(words);
    }
    argv.push(pattern);
    let found = matching(asked, &path);
    let paths = if found.is_empty() { vec![expand(&path)] } else { found };
    argv.extend(paths.iter().map(|p| asked.path(p).display().to_string()));
    let output = asked.run(&argv.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(map([
        ("pid", number(output.pid)),
        ("retcode", number(output.code)),
        ("stdout", string(output.out().trim_end())),
        ("stderr", string(output.err().trim_end())),
    ]))
}

/// Bytes of a file, or of all files below a directory.
fn diskusage(asked: &Asked<'_>) -> Answer {
    use std::os::unix::fs::MetadataExt;
    let path = asked.only("path")?;
    let walk = walkdir::WalkDir::new(asked.path(&path)).max_depth(64).into_iter().flatten().take(1_000_000);
    let mut seen = std::collections::HashSet::new();
    let files = walk.filter(|e| !e.path().is_dir()).filter_map(|e| std::fs::metadata(e.path()).ok());
    Ok(number(files.filter(|m| seen.insert(m.ino())).map(|m| m.len()).sum::<u64>()))
}

#[cfg(test)]
mod tests {
    use super::super::super::bench::Bench;

    #[test]
    fn what_is_written_in_a_file() {
        let bench = Bench::new(&[("/etc/a.conf", "# Port 1\nPort 22\nUser web\n")]);
        let path = "/etc/a.conf";
        for (name, wanted, answer) in [
            ("file.contains", "Port 22", "true"),
            ("file.contains", "Port 23", "false"),
            ("file.contains_regex", "^User\\s+web$", "true"),
            ("file.contains_regex", "^web", "false"),
            ("file.contains_glob", "*Port 2?*", "true"),
            ("file.search", "^port", "false"),
            ("file.search", "^User", "true"),
        ] {
            assert_eq!(bench.json(name, &[path, wanted]), answer, "{name} {wanted}");
        }
        assert_eq!(bench.json("file.contains", &["/etc/b", "x"]), "false");
        assert!(bench.call("file.search", &["/etc/b", "x"]).unwrap_err().contains("File not found"));
        assert_eq!(bench.json("file.contains_regex", &[path, "^Port 1", "# "]), "true");
        let grep = bench.json("file.grep", &[path, "Port", "-c"]);
        assert!(grep.contains("\"retcode\":0,\"stdout\":\"2\""), "{grep}");
        assert!(bench.call("file.read", &["/etc/b"]).unwrap_err().contains("No such file"));
        assert_eq!(bench.json("file.diskusage", &["/etc"]), "26");
    }
}
