//! `alternatives.install`, `set`, `remove` and `auto`, with update-alternatives.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::modules::args::Args;
use crate::modules::cmd::{TOOL_TIMEOUT, tool};
use crate::value::{Map, Value};

pub(crate) const INSTALL: &[&str] = &["link", "path", "priority"];
pub(crate) const PATH: &[&str] = &["path"];

const ADMIN: &str = "/var/lib/dpkg/alternatives";
const LIMIT: usize = 4 << 20;

/// A group of alternatives as its administrative file has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Group {
    auto: bool,
    link: String,
    /// Path and priority.
    paths: Vec<(String, i64)>,
}

impl Group {
    /// Status, link, slaves up to an empty line; then path, priority and the slaves' paths of each.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let auto = lines.next()? == "auto";
        let link = lines.next()?.to_owned();
        let mut slaves = 0;
        while lines.next().is_some_and(|l| !l.is_empty()) {
            lines.next();
            slaves += 1;
        }
        let mut paths = Vec::new();
        while let Some(path) = lines.next().filter(|l| !l.is_empty()) {
            paths.push((path.to_owned(), lines.next()?.trim().parse().ok()?));
            lines.by_ref().take(slaves).for_each(drop);
        }
        Some(Self { auto, link, paths })
    }

    fn has(&self, path: &str) -> bool {
        self.paths.iter().any(|(p, _)| p == path)
    }
}

/// The group, and what is in use.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Observed {
    group: Option<Group>,
    current: Option<String>,
}

fn name(call: &Call<'_>) -> Result<String, Failure> {
    let name = call.chunk.name.clone();
    match name.is_empty() || name.starts_with('-') || name.contains(|c: char| c == '/' || c.is_whitespace()) {
        true => Err(Failure::declaration(format!("{name:?} cannot be the name of an alternative"))),
        false => Ok(name),
    }
}

fn path(key: &str, args: &Args<'_>) -> Result<String, Failure> {
    let path = args.text(key)?.filter(|p| p.starts_with('/') && !p.contains('\n'));
    path.ok_or_else(|| Failure::declaration(format!("`{key}` must be an absolute path")))
}

fn observe(name: &str, call: &Call<'_>) -> Result<Observed, Failure> {
    let host = call.context.host;
    let (admin, link) = (host.path(ADMIN).join(name), host.path("/etc/alternatives").join(name));
    let group = match fsys::stat(&admin)?.kind {
        Kind::File => Group::parse(&fsys::read_text(&admin, LIMIT)?),
        _ => None,
    };
    let current = match fsys::stat(&link)?.kind {
        Kind::Symlink => Some(fsys::read_link(&link)?.display().to_string()),
        _ => None,
    };
    Ok(Observed { group, current })
}

fn run(args: &[&str], call: &Call<'_>) -> Result<(), Failure> {
    let mut argv = vec!["update-alternatives".to_owned(), "--quiet".to_owned()];
    let root = call.context.host.root();
    if root != std::path::Path::new("/") {
        argv.extend(["--root".to_owned(), root.display().to_string()]);
    }
    argv.extend(args.iter().map(|a| (*a).to_owned()));
    tool(call, &argv, TOOL_TIMEOUT).map(drop)
}

fn told(pairs: &[(&str, Value)]) -> Map {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

fn text(s: &str) -> Value {
    Value::Str(s.to_owned())
}

/// A new member of a group.
pub(crate) struct New {
    name: String,
    link: String,
    path: String,
    priority: i64,
}

/// `alternatives.install`.
pub(crate) struct Install;

impl StateFn for Install {
    type Want = New;
    type Observed = Observed;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<New, Failure> {
        let priority = args.text("priority")?.and_then(|p| p.parse().ok());
        let priority = priority.ok_or_else(|| Failure::declaration("`priority` must be a whole number"))?;
        Ok(New { name: name(call)?, link: path("link", args)?, path: path("path", args)?, priority })
    }

    fn observe(want: &New, call: &Call<'_>) -> Result<Observed, Failure> {
        observe(&want.name, call)
    }

    fn diff(want: &New, now: &Observed) -> Diff<()> {
        let New { name, link, path, priority } = want;
        let known = |g: &Group| g.link == *link && g.paths.contains(&(path.clone(), *priority));
        if now.group.as_ref().is_some_and(known) {
            return Diff::Same(format!("Alternative {path} for {name} is already registered"));
        }
        let changes = [
            ("name", text(name)),
            ("link", text(link)),
            ("path", text(path)),
            ("priority", Value::Int(*priority)),
        ];
        let would = format!("Alternative {path} for {name} would be set with priority {priority}");
        Diff::Change { plan: (), changes: told(&changes), would }
    }

    fn apply(want: &New, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        run(&["--install", &want.link, &want.name, &want.path, &want.priority.to_string()], call)?;
        let New { name, path, priority, .. } = want;
        Ok(Applied::done(format!("Alternative for {name} set to path {path} with priority {priority}")))
    }
}

/// `alternatives.set`.
pub(crate) struct Set;

impl StateFn for Set {
    type Want = (String, String);
    type Observed = Observed;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        Ok((name(call)?, path("path", args)?))
    }

    fn observe((name, _): &Self::Want, call: &Call<'_>) -> Result<Observed, Failure> {
        observe(name, call)
    }

    fn diff((name, path): &Self::Want, now: &Observed) -> Diff<()> {
        if now.current.as_ref() == Some(path) {
            return Diff::Same(format!("Alternative for {name} already set to {path}"));
        }
        if !now.group.as_ref().is_some_and(|g| g.has(path)) {
            return Diff::Refuse(format!("Alternative {path} for {name} doesn't exist"));
        }
        let would = format!("Alternative for {name} would be set to {path}");
        Diff::Change { plan: (), changes: told(&[("path", text(path))]), would }
    }

    fn apply((name, path): &Self::Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        run(&["--set", name, path], call)?;
        Ok(Applied::done(format!("Alternative for {name} set to path {path}")))
    }
}

/// `alternatives.remove`.
pub(crate) struct Remove;

impl StateFn for Remove {
    type Want = (String, String);
    type Observed = Observed;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        Ok((name(call)?, path("path", args)?))
    }

    fn observe((name, _): &Self::Want, call: &Call<'_>) -> Result<Observed, Failure> {
        observe(name, call)
    }

    fn diff((name, path): &Self::Want, now: &Observed) -> Diff<()> {
        if !now.group.as_ref().is_some_and(|g| g.has(path)) {
            return Diff::Same(format!("Alternative for {name} doesn't exist"));
        }
        let would = format!("Alternative {path} for {name} would be removed");
        Diff::Change { plan: (), changes: told(&[("path", text(path))]), would }
    }

    fn apply((name, path): &Self::Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        run(&["--remove", name, path], call)?;
        Ok(Applied::done(format!("Alternative {path} for {name} removed")))
    }
}

/// `alternatives.auto`.
pub(crate) struct Auto;

impl StateFn for Auto {
    type Want = String;
    type Observed = Observed;
    type Plan = ();

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
        name(call)
    }

    fn observe(name: &String, call: &Call<'_>) -> Result<Observed, Failure> {
        observe(name, call)
    }

    fn diff(name: &String, now: &Observed) -> Diff<()> {
        match &now.group {
            None => Diff::Refuse(format!("there are no alternatives for {name}")),
            Some(group) if group.auto => Diff::Same(format!("{name} already in auto mode")),
            Some(_) => Diff::Change {
                plan: (),
                changes: told(&[("result", text("auto"))]),
                would: format!("{name} would be put in auto mode"),
            },
        }
    }

    fn apply(name: &String, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        run(&["--auto", name], call)?;
        Ok(Applied::done(format!("{name} was put in auto mode")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_with_and_without_slaves() {
        let group = Group::parse(
            "auto\n/usr/bin/vi\nvi.1\n/usr/share/man/vi.1\n\n/usr/bin/vim\n50\n/m/vim.1\n/usr/bin/nvi\n-3\n\n\n",
        );
        let group = group.unwrap();
        assert!(group.auto && group.link == "/usr/bin/vi");
        assert_eq!(group.paths, [("/usr/bin/vim".to_owned(), 50), ("/usr/bin/nvi".to_owned(), -3)]);
        let plain = Group::parse("manual\n/usr/bin/x\n\n/a\n1\n\n").unwrap();
        assert!(!plain.auto && plain.has("/a"));
        assert_eq!(Group::parse(""), None);
    }
}
