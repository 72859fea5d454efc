//! `git.latest`: a clone of a repository that follows a branch, a tag or a commit.

use std::path::PathBuf;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys;
use crate::modules::args::Args;
use crate::modules::git_cmd::{Found, Git, Refs, Target, remote_name, revision, target};
use crate::modules::textfile::place;
use crate::redact::redacted;
use crate::value::{Map, Value};

pub(crate) const LATEST: &[&str] = &[
    "target",
    "rev",
    "branch",
    "user",
    "identity",
    "remote",
    "force_reset",
    "force_checkout",
    "force_clone",
    "force_fetch",
    "submodules",
    "bare",
    "mirror",
    "depth",
    "update_head",
    "fetch_tags",
    "https_user",
    "https_pass",
    "sync_tags",
];
pub(crate) const IGNORED: &[&str] =
    &["password", "output_encoding", "refspec_branch", "refspec_tag", "runas", "opts", "always_fetch"];

/// How far local commits and changes are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reset {
    Never,
    /// Only when the remote has something else.
    RemoteChanges,
    Always,
}

/// The declaration.
pub(crate) struct Want {
    git: Git,
    url: String,
    name: String,
    path: PathBuf,
    rev: String,
    branch: Option<String>,
    remote: String,
    reset: Reset,
    force_checkout: bool,
    force_clone: bool,
    force_fetch: bool,
    submodules: bool,
    bare: bool,
    mirror: bool,
    depth: Option<u32>,
    update_head: bool,
    tags: bool,
}

/// The clone as it stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Local {
    head: Option<String>,
    branch: Option<String>,
    url: Option<String>,
    dirty: bool,
    /// Branches and tags, of a bare clone alone.
    refs: Vec<(String, String)>,
    /// Whether the wanted commit follows the local one; `None` while it is not there to be asked.
    forward: Option<bool>,
}

/// Both sides.
pub(crate) struct Observed {
    target: Target,
    remote: Refs,
    local: Local,
}

/// What is to be done.
pub(crate) struct Plan {
    clone: bool,
    /// The directory's content goes first.
    empty: bool,
    found: Found,
    local: Local,
}

fn flag_or_word(args: &Args<'_>) -> Result<Reset, Failure> {
    match args.get("force_reset") {
        Some(Value::Str(word)) if matches!(word.as_str(), "remote-changes" | "remote_changes") => {
            Ok(Reset::RemoteChanges)
        }
        _ if args.flag("force_reset", false)? => Ok(Reset::Always),
        _ => Ok(Reset::Never),
    }
}

pub(crate) fn target_path(args: &Args<'_>, call: &Call<'_>) -> Result<(String, PathBuf), Failure> {
    let name = args.text("target")?.ok_or_else(|| Failure::declaration("`target` is needed"))?;
    let name = if name.len() > 1 { name.trim_end_matches('/').to_owned() } else { name };
    let path = place(&name, call)?.path;
    Ok((name, path))
}

fn text_or(args: &Args<'_>, key: &str, default: &str) -> Result<String, Failure> {
    revision(key, args.text(key)?.unwrap_or_else(|| default.to_owned()))
}

/// `git.latest`.
pub(crate) struct Latest;

impl StateFn for Latest {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let (name, path) = target_path(args, call)?;
        let mirror = args.flag("mirror", false)?;
        let bare = args.flag("bare", false)? || mirror;
        let rev = text_or(args, "rev", "HEAD")?;
        if bare && rev != "HEAD" {
            return Err(Failure::declaration("`rev` goes with neither `bare` nor `mirror`"));
        }
        args.refuse("sync_tags", "tags that the remote has no more stay")?;
        Ok(Want {
            git: Git::read(args, call)?,
            url: remote_name(&call.chunk.name)?,
            name,
            path,
            rev,
            branch: args.text("branch")?.map(|b| revision("branch", b)).transpose()?,
            remote: text_or(args, "remote", "origin")?,
            reset: flag_or_word(args)?,
            force_checkout: args.flag("force_checkout", false)?,
            force_clone: args.flag("force_clone", false)?,
            force_fetch: args.flag("force_fetch", false)?,
            submodules: args.flag("submodules", false)?,
            bare,
            mirror,
            depth: args.number("depth")?,
            update_head: args.flag("update_head", true)?,
            tags: args.flag("fetch_tags", true)?,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let target = target(&want.path, want.bare)?;
        let remote = Refs::parse(&want.git.run(None, &["ls-remote", "--", &want.url], call)?);
        let local = match target {
            Target::Repository => look(want, &remote, call)?,
            _ => Local::default(),
        };
        Ok(Observed { target, remote, local })
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        let Some(found) = now.remote.find(&want.rev) else {
            let url = redacted(&want.url);
            return Diff::Refuse(match want.rev.as_str() {
                "HEAD" => format!("the repository {url} is empty"),
                rev => format!("No revision matching '{rev}' exists in the repository {url}"),
            });
        };
        match now.target {
            Target::Repository => update(want, now, found),
            Target::Taken if !want.force_clone => Diff::Refuse(format!(
                "{} holds something that is no git repository; force_clone would remove it",
                want.name
            )),
            target => clone(want, target == Target::Taken, found),
        }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        match (plan.clone, want.bare) {
            (true, _) => make(want, &plan, call)?,
            (false, true) => {
                set_remote(want, &plan, call)?;
                fetch(want, call)?;
            }
            (false, false) => bring_up(want, &plan, call)?,
        }
        if want.submodules && !want.bare {
            let argv = ["submodule", "update", "--init", "--recursive"];
            want.git.run(Some(&want.path), &argv, call)?;
        }
        Ok(Applied::done(match plan.clone {
            true => format!("{} cloned to {}", redacted(&want.url), want.name),
            false => format!("Repository {} was brought to {}", want.name, plan.found.commit()),
        }))
    }
}

fn look(want: &Want, remote: &Refs, call: &Call<'_>) -> Result<Local, Failure> {
    let ask = |args: &[&str]| want.git.maybe(&want.path, args, call);
    // A repository that git will not read is an error, not one without commits.
    want.git.run(Some(&want.path), &["rev-parse", "--git-dir"], call)?;
    let head = ask(&["rev-parse", "--verify", "--quiet", "HEAD"])?;
    let mut local = Local {
        branch: ask(&["symbolic-ref", "--quiet", "--short", "HEAD"])?,
        url: ask(&["config", "--get", &format!("remote.{}.url", want.remote)])?,
        ..Local::default()
    };
    if want.bare {
        let refs = ask(&["for-each-ref", "--format=%(objectname)%09%(refname)", "refs/heads", "refs/tags"])?;
        local.refs = Refs::parse(&refs.unwrap_or_default()).all();
    } else {
        local.dirty = ask(&["status", "--porcelain", "--untracked-files=no"])?.is_some();
    }
    if let (Some(head), Some(found)) = (&head, remote.find(&want.rev)) {
        local.forward = follows(want, head, found.commit(), call)?;
    }
    Ok(Local { head, ..local })
}

/// Whether a commit follows another; `None` when it is not there.
fn follows(want: &Want, old: &str, new: &str, call: &Call<'_>) -> Result<Option<bool>, Failure> {
    let there = want.git.ask(Some(&want.path), &["cat-file", "-e", &format!("{new}^{{commit}}")], call)?;
    if there.code != 0 {
        return Ok(None);
    }
    let ancestor = want.git.ask(Some(&want.path), &["merge-base", "--is-ancestor", old, new], call)?;
    Ok(Some(ancestor.code == 0))
}

fn revisions(old: Option<&str>, new: &str) -> Value {
    let text = |s: &str| Value::Str(s.to_owned());
    let old = old.map_or(Value::Null, text);
    Value::Map(Map::from([("old".to_owned(), old), ("new".to_owned(), text(new))]))
}

fn clone(want: &Want, empty: bool, found: Found) -> Diff<Plan> {
    let url = redacted(&want.url);
    let mut changes = Map::new();
    if empty {
        changes.insert("forced clone".to_owned(), Value::Bool(true));
    }
    changes.insert("new".to_owned(), Value::Str(format!("{url} => {}", want.name)));
    changes.insert("revision".to_owned(), revisions(None, found.commit()));
    let plan = Plan { clone: true, empty, found, local: Local::default() };
    Diff::Change { plan, changes, would: format!("{url} would be cloned to {}", want.name) }
}

fn is_at(local: &Local, found: &Found) -> bool {
    local.head.as_ref().is_some_and(|head| head.starts_with(found.commit()))
}

fn update(want: &Want, now: &Observed, found: Found) -> Diff<Plan> {
    let local = &now.local;
    let mut changes = Map::new();
    if local.url.as_ref() != Some(&want.url) {
        let old = local.url.as_ref().map_or(Value::Null, |u| Value::Str(redacted(u)));
        let pair = [("old".to_owned(), old), ("new".to_owned(), Value::Str(redacted(&want.url)))];
        changes.insert("url".to_owned(), Value::Map(Map::from(pair)));
    }
    let verdict =
        if want.bare { refs(now, &found, &mut changes) } else { head(want, local, &found, &mut changes) };
    if let Err(why) = verdict {
        return Diff::Refuse(why);
    }
    if changes.is_empty() {
        let dirty = if local.dirty { ", but with uncommitted changes" } else { "" };
        return Diff::Same(format!("Repository {} is up-to-date{dirty}", want.name));
    }
    let would = format!("Repository {} would be brought to {}", want.name, found.commit());
    Diff::Change { plan: Plan { clone: false, empty: false, found, local: local.clone() }, changes, would }
}

/// A bare clone has every branch and tag of the remote.
fn refs(now: &Observed, found: &Found, changes: &mut Map) -> Result<(), String> {
    if now.remote.all() != now.local.refs {
        changes.insert("revision".to_owned(), revisions(now.local.head.as_deref(), found.commit()));
    }
    Ok(())
}

fn head(want: &Want, local: &Local, found: &Found, changes: &mut Map) -> Result<(), String> {
    let other_branch = want.branch.is_some() && want.branch != local.branch;
    if is_at(local, found) && !other_branch {
        if local.dirty && want.reset == Reset::Always {
            changes.insert("forced update".to_owned(), Value::Bool(true));
        }
        return Ok(());
    }
    if !want.update_head {
        return Ok(());
    }
    let give_up = want.reset != Reset::Never;
    if local.dirty && !give_up && !want.force_checkout {
        return Err(format!(
            "{} has uncommitted changes; force_reset or force_checkout would discard them",
            want.name
        ));
    }
    if local.forward == Some(false) && !other_branch {
        if !give_up {
            return Err(not_forward(want));
        }
        changes.insert("forced update".to_owned(), Value::Bool(true));
    }
    if !is_at(local, found) {
        changes.insert("revision".to_owned(), revisions(local.head.as_deref(), found.commit()));
    } else if other_branch {
        let text = |b: &Option<String>| b.clone().map_or(Value::Null, Value::Str);
        let pair = [("old".to_owned(), text(&local.branch)), ("new".to_owned(), text(&want.branch))];
        changes.insert("branch".to_owned(), Value::Map(Map::from(pair)));
    }
    Ok(())
}

fn not_forward(want: &Want) -> String {
    format!(
        "Repository {} would be updated, but {} is no fast-forward of what is there; force_reset would force it",
        want.name, want.rev
    )
}

fn make(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<(), Failure> {
    if plan.empty {
        fsys::remove(&want.path)?;
    }
    let (depth, path) = (want.depth.map(|d| d.to_string()), want.path.display().to_string());
    let mut argv = vec!["clone", "--quiet", "--origin", &want.remote];
    if want.mirror {
        argv = vec!["clone", "--quiet", "--mirror"];
    } else if want.bare {
        argv = vec!["clone", "--quiet", "--bare"];
    }
    if let Some(depth) = &depth {
        argv.extend(["--depth", depth]);
    }
    if matches!(plan.found, Found::Branch(_) | Found::Tag(_)) {
        argv.extend(["--branch", &want.rev]);
    }
    argv.extend(["--", &want.url, &path]);
    want.git.run(None, &argv, call)?;
    if want.bare {
        return Ok(());
    }
    let at = |args: &[&str]| want.git.run(Some(&want.path), args, call).map(drop);
    if let Some(branch) = &want.branch {
        at(&["checkout", "--quiet", "-B", branch, plan.found.commit(), "--"])?;
    } else if matches!(plan.found, Found::Commit(_)) {
        at(&["reset", "--quiet", "--hard", plan.found.commit()])?;
    }
    track(want, plan, call)
}

fn set_remote(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<(), Failure> {
    let verb = match &plan.local.url {
        Some(url) if *url == want.url => return Ok(()),
        Some(_) => "set-url",
        None => "add",
    };
    want.git.run(Some(&want.path), &["remote", verb, "--", &want.remote, &want.url], call).map(drop)
}

fn fetch(want: &Want, call: &Call<'_>) -> Result<(), Failure> {
    let branches = match want.bare {
        true => "+refs/heads/*:refs/heads/*".to_owned(),
        false => format!("+refs/heads/*:refs/remotes/{}/*", want.remote),
    };
    let depth = want.depth.map(|d| d.to_string());
    let mut argv = vec!["fetch", "--quiet"];
    if want.force_fetch {
        argv.push("--force");
    }
    if want.bare {
        argv.push("--prune");
    }
    if let Some(depth) = &depth {
        argv.extend(["--depth", depth]);
    }
    argv.extend(["--", &want.remote, &branches]);
    if want.tags {
        argv.push("refs/tags/*:refs/tags/*");
    }
    want.git.run(Some(&want.path), &argv, call).map(drop)
}

/// Fetch, and bring the work tree to the commit.
fn bring_up(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<(), Failure> {
    set_remote(want, plan, call)?;
    let commit = plan.found.commit();
    if plan.local.forward.is_none() {
        fetch(want, call)?;
    }
    let at = |args: &[&str]| want.git.run(Some(&want.path), args, call).map(drop);
    if !want.update_head {
        return Ok(());
    }
    let other = want.branch.as_ref().filter(|b| plan.local.branch.as_ref() != Some(*b));
    if let Some(branch) = other {
        let force = if want.force_checkout || want.reset != Reset::Never { "--force" } else { "--quiet" };
        at(&["checkout", "--quiet", force, "-B", branch, commit, "--"])?;
    } else {
        let forward = match (&plan.local.head, plan.local.forward) {
            (Some(head), None) => follows(want, head, commit, call)?.unwrap_or(false),
            _ => true,
        };
        // Only now, with its commits here, can it be told.
        if !forward && want.reset == Reset::Never {
            return Err(Failure::machine(not_forward(want)));
        }
        at(&["reset", "--quiet", "--hard", commit])?;
    }
    track(want, plan, call)
}

/// A local branch follows the remote's.
fn track(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<(), Failure> {
    let Found::Branch(_) = plan.found else { return Ok(()) };
    let upstream = format!("--set-upstream-to={}/{}", want.remote, want.rev);
    if want.git.maybe(&want.path, &["symbolic-ref", "--quiet", "--short", "HEAD"], call)?.is_some() {
        // A shallow clone of one branch may have no such reference; then there is nothing to follow.
        want.git.ask(Some(&want.path), &["branch", "--quiet", &upstream], call)?;
    }
    Ok(())
}
