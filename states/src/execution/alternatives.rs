//! `alternatives.*`: which of several programs a name stands for.
// Effects: reads links below the root of the machine.
#![allow(clippy::disallowed_methods)]

use super::asked::{Asked, text};
use super::{Answer, Table, string};
use crate::value::Value;

pub(super) const FUNCTIONS: Table = &[
    ("alternatives.check_exists", check_exists),
    ("alternatives.check_installed", check_installed),
    ("alternatives.display", display),
    ("alternatives.show_current", show_current),
    ("alternatives.show_link", show_link),
];

fn link(asked: &Asked<'_>, name: &str) -> Option<String> {
    let path = asked.host.path(&format!("/etc/alternatives/{name}"));
    std::fs::read_link(path).ok().map(|target| target.display().to_string())
}

fn show_current(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    Ok(link(asked, &name).map_or(Value::Bool(false), Value::Str))
}

fn check_installed(asked: &Asked<'_>) -> Answer {
    let [name, path] = asked.bind(["name", "path"])?;
    let (name, path) = (text("name", name)?, text("path", path)?);
    Ok(Value::Bool(link(asked, &name).is_some_and(|target| target == path)))
}

/// The program of the distribution.
fn program(asked: &Asked<'_>) -> &'static str {
    if asked.which("update-alternatives").is_some() { "update-alternatives" } else { "alternatives" }
}

fn display(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    let output = asked.run(&[program(asked), "--display", &name])?;
    let said = if output.code > 0 && !output.err().is_empty() { output.err() } else { output.out() };
    Ok(string(said))
}

fn check_exists(asked: &Asked<'_>) -> Answer {
    let [name, path] = asked.bind(["name", "path"])?;
    let (name, path) = (text("name", name)?, text("path", path)?);
    let output = asked.run(&[program(asked), "--display", &name])?;
    let failed = output.code > 0 && !output.err().is_empty();
    Ok(Value::Bool(!failed && output.out().lines().any(|line| line.starts_with(&path))))
}

/// The path that the name is linked from: the second line of what the database keeps.
fn show_link(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    let places = ["/var/lib/dpkg/alternatives", "/var/lib/alternatives", "/var/lib/rpm/alternatives"];
    let found = places.iter().find_map(|place| asked.read(&format!("{place}/{name}")).ok());
    let line = found.as_deref().and_then(|text| text.lines().nth(1));
    Ok(line.map_or(Value::Bool(false), string))
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn links_of_the_database() {
        let bench = Bench::new(&[
            ("/etc/alternatives/README", ""),
            ("/var/lib/dpkg/alternatives/awk", "auto\n/usr/bin/awk\n"),
        ]);
        std::os::unix::fs::symlink("/usr/bin/mawk", bench.root.path().join("etc/alternatives/awk")).unwrap();
        assert_eq!(bench.json("alternatives.show_current", &["awk"]), "\"/usr/bin/mawk\"");
        assert_eq!(bench.json("alternatives.show_current", &["vi"]), "false");
        assert_eq!(bench.json("alternatives.check_installed", &["awk", "/usr/bin/mawk"]), "true");
        assert_eq!(bench.json("alternatives.check_installed", &["awk", "/usr/bin/gawk"]), "false");
        assert_eq!(bench.json("alternatives.show_link", &["awk"]), "\"/usr/bin/awk\"");
    }
}
