//! `pkgrepo.managed` and `pkgrepo.absent` for dnf, yum and zypper: sections of `.repo` files.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::modules::args::{Args, scalar};
use crate::modules::packages::repo_file::RepoFile;
use crate::modules::packages::repository_name;
use crate::modules::textfile::{TextFile, place, roots};
use crate::value::{Map, Value};

/// Options of a repository that are written as they are given.
pub(crate) const OPTIONS: &[&str] = &[
    "baseurl",
    "mirrorlist",
    "metalink",
    "gpgcheck",
    "gpgkey",
    "repo_gpgcheck",
    "priority",
    "cost",
    "exclude",
    "excludepkgs",
    "includepkgs",
    "sslverify",
    "sslcacert",
    "sslclientcert",
    "sslclientkey",
    "skip_if_unavailable",
    "metadata_expire",
    "failovermethod",
    "proxy",
    "module_hotfixes",
    "type",
    "autorefresh",
    "keeppackages",
    "countme",
    "enablegroups",
    "deltarpm",
];
const LINKS: &[&str] = &["baseurl", "mirrorlist", "metalink"];
const SECRETS: &[&str] = &["username", "password", "proxy_username", "proxy_password"];

/// An option that is to have a value, or to be gone.
type Wish = (String, Option<String>);

/// The declaration.
pub(crate) struct Want {
    id: String,
    /// For a repository that is in no file yet.
    file: String,
    options: Vec<Wish>,
    comments: Option<Vec<String>>,
}

/// Files to write.
type Plan = Vec<(TextFile, String)>;

fn folder(call: &Call<'_>) -> &'static str {
    match call.context.minion.grains.get("os_family").and_then(Value::as_str) {
        Some("Suse") => "/etc/zypp/repos.d",
        _ => "/etc/yum.repos.d",
    }
}

fn id(call: &Call<'_>) -> Result<String, Failure> {
    let id = repository_name("name", call.chunk.name.clone())?;
    match id.contains(['/', '[', ']']) {
        true => Err(Failure::declaration(format!("{id:?} cannot be the name of a repository"))),
        false => Ok(id),
    }
}

/// A value as it stands in the file: truth values are 1 and 0, a list has a line each.
fn written(key: &str, value: &Value) -> Result<Option<String>, Failure> {
    let bad = || Failure::declaration(format!("`{key}` must be a text or a list of texts"));
    let text = match value {
        Value::Bool(on) => if *on { "1" } else { "0" }.to_owned(),
        Value::List(all) => all.iter().map(scalar).collect::<Option<Vec<_>>>().ok_or_else(bad)?.join("\n"),
        Value::Null => String::new(),
        other => scalar(other).ok_or_else(bad)?.trim_end_matches('\n').to_owned(),
    };
    match text.contains(['\r', '\0']) || text.lines().any(|l| l.trim_start().starts_with('[')) {
        true => Err(bad()),
        false => Ok(Some(text).filter(|t| !t.is_empty())),
    }
}

fn enabled(args: &Args<'_>) -> Result<bool, Failure> {
    match (args.maybe_flag("enabled")?, args.maybe_flag("disabled")?) {
        (Some(_), Some(_)) => Err(Failure::declaration("only one of enabled, disabled can be given")),
        (Some(enabled), None) => Ok(enabled),
        (None, disabled) => Ok(!disabled.unwrap_or(false)),
    }
}

fn options(args: &Args<'_>, call: &Call<'_>) -> Result<Vec<Wish>, Failure> {
    let mut all = Vec::new();
    for (key, value) in call.chunk.args.iter().filter(|(key, _)| OPTIONS.contains(&key.as_str())) {
        all.push((key.clone(), written(key, value)?));
    }
    let links: Vec<String> = all
        .iter()
        .filter(|(k, v)| LINKS.contains(&k.as_str()) && v.is_some())
        .map(|(k, _)| k.clone())
        .collect();
    if links.len() > 1 {
        return Err(Failure::declaration(format!("only one of {} can be given", LINKS.join(", "))));
    }
    // One kind of address takes the place of the others.
    let others = LINKS.iter().filter(|l| !links.is_empty() && !links.iter().any(|k| k == *l));
    let others: Vec<Wish> = others.map(|l| ((*l).to_owned(), None)).collect();
    all.retain(|(k, _)| !others.iter().any(|(o, _)| o == k));
    all.extend(others);
    let name = args.text("humanname")?.unwrap_or_else(|| call.chunk.name.clone());
    all.push(("name".to_owned(), written("humanname", &Value::Str(name))?));
    all.push(("enabled".to_owned(), Some(if enabled(args)? { "1" } else { "0" }.to_owned())));
    Ok(all)
}

/// All files of the folder that package managers read, and the one that is named.
fn files(named: Option<&str>, call: &Call<'_>) -> Result<Vec<TextFile>, Failure> {
    let folder = folder(call);
    let path = call.context.host.path(folder);
    let mut names: Vec<String> = Vec::new();
    if fsys::stat(&path)?.kind == Kind::Directory {
        for (found, stat) in fsys::walk(&path)? {
            let name = found.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let reads = found.parent() == Some(path.as_path()) && name.ends_with(".repo");
            if reads && matches!(stat.kind, Kind::File | Kind::Symlink) {
                names.push(format!("{folder}/{name}"));
            }
        }
    }
    names.extend(named.filter(|n| !names.iter().any(|o| o == n)).map(str::to_owned));
    names.iter().map(|n| Ok(TextFile::read(n, roots(0o644), call)?.with_parents(roots(0o755)))).collect()
}

/// `pkgrepo.managed`.
pub(crate) struct Managed;

impl StateFn for Managed {
    type Want = Want;
    type Observed = Vec<TextFile>;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        for key in SECRETS {
            args.refuse(key, "write the file with file.managed and a mode of its own")?;
        }
        args.refuse("copr", "give the address of the repository")?;
        let id = id(call)?;
        let file = args.text("file")?.unwrap_or_else(|| format!("{}/{id}.repo", folder(call)));
        Ok(Want { id, file, options: options(args, call)?, comments: args.list("comments")? })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Vec<TextFile>, Failure> {
        files(Some(&want.file), call)
    }

    fn diff(want: &Want, now: &Vec<TextFile>) -> Diff<Plan> {
        let found = now.iter().find(|f| RepoFile::parse(&f.text).repos().contains(&want.id.as_str()));
        let fresh = found.is_none();
        let has_link = want.options.iter().any(|(k, v)| LINKS.contains(&k.as_str()) && v.is_some());
        let Some(file) = found.or_else(|| now.iter().find(|f| f.name == want.file)) else {
            return Diff::Refuse(format!("{} is no file of repositories", want.file));
        };
        if fresh && !has_link {
            return Diff::Refuse(format!("the repository is new, and none of {} is given", LINKS.join(", ")));
        }
        let mut repo = RepoFile::parse(&file.text);
        let mut changes = edit(want, &mut repo);
        if changes.is_empty() {
            return Diff::Same(format!("Package repo '{}' already configured", want.id));
        }
        if fresh {
            changes = Map::from([("repo".to_owned(), Value::Str(want.id.clone()))]);
        }
        let would = format!("Package repo '{}' would be configured", want.id);
        Diff::Change { plan: vec![(file.clone(), repo.render())], changes, would }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        plan.iter().try_for_each(|(file, text)| file.write(text))?;
        // What was fetched does not have it yet.
        call.facts.refreshed.set(false);
        Ok(Applied::done(format!("Configured package repo '{}'", want.id)))
    }
}

/// Bring the section to what is asked, and say what that changes.
fn edit(want: &Want, repo: &mut RepoFile) -> Map {
    let mut changes = Map::new();
    let value = |text: Option<String>| text.map_or(Value::Null, Value::Str);
    let pair = |old, new| Value::Map(Map::from([("new".to_owned(), new), ("old".to_owned(), old)]));
    let there = repo.repos().contains(&want.id.as_str());
    for (key, wanted) in &want.options {
        let now = repo.get(&want.id, key);
        // What is not said is enabled.
        let unsaid = key == "enabled" && now.is_none() && wanted.as_deref() == Some("1");
        if (unsaid && there) || same(now.as_deref(), wanted.as_deref()) {
            continue;
        }
        repo.set(&want.id, key, wanted.as_deref());
        changes.insert(key.clone(), pair(value(now), value(wanted.clone())));
    }
    if let Some(comments) = want.comments.as_ref().filter(|c| **c != repo.comments(&want.id)) {
        let list = |of: &[String]| Value::List(of.iter().cloned().map(Value::Str).collect());
        changes.insert("comments".to_owned(), pair(list(&repo.comments(&want.id)), list(comments)));
        repo.comment(&want.id, comments);
    }
    changes
}

/// `1`, `true` and `yes` say the same.
fn same(a: Option<&str>, b: Option<&str>) -> bool {
    let truth = |text: &str| match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    };
    match (a, b) {
        (Some(a), Some(b)) if truth(a).is_some() => truth(a) == truth(b),
        (a, b) => a == b,
    }
}

/// `pkgrepo.absent`.
pub(crate) struct Absent;

impl StateFn for Absent {
    type Want = String;
    type Observed = Vec<TextFile>;
    type Plan = Plan;

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<String, Failure> {
        id(call)
    }

    fn observe(_: &String, call: &Call<'_>) -> Result<Vec<TextFile>, Failure> {
        files(None, call)
    }

    fn diff(id: &String, now: &Vec<TextFile>) -> Diff<Plan> {
        let holding = now.iter().map(|f| (f, RepoFile::parse(&f.text)));
        let plan: Plan = holding
            .filter(|(_, repo)| repo.repos().contains(&id.as_str()))
            .map(|(file, mut repo)| {
                repo.remove(id);
                let text = if repo.repos().is_empty() { String::new() } else { repo.render() };
                (file.clone(), text)
            })
            .collect();
        if plan.is_empty() {
            return Diff::Same(format!("Package repo {id} is absent"));
        }
        let changes = Map::from([("repo".to_owned(), Value::Str(id.clone()))]);
        Diff::Change { plan, changes, would: format!("Package repo {id} would be removed") }
    }

    fn apply(id: &String, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        for (file, text) in &plan {
            // A file whose only repository it was goes with it.
            match text.is_empty() {
                true => fsys::remove(&place(&file.name, call)?.path)?,
                false => file.write(text)?,
            }
        }
        call.facts.refreshed.set(false);
        Ok(Applied::done(format!("Removed repo {id}")))
    }
}
