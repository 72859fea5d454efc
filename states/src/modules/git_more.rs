//! `git.cloned` and `git.detached`: a clone that is there, and one at a fixed commit.

use std::path::PathBuf;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys;
use crate::modules::args::Args;
use crate::modules::git::target_path;
use crate::modules::git_cmd::{Git, Refs, Target, remote_name, revision, target};
use crate::redact::redacted;
use crate::value::{Map, Value};

pub(crate) const CLONED: &[&str] = &["target", "branch", "user", "identity", "https_user", "https_pass"];
pub(crate) const DETACHED: &[&str] = &[
    "target",
    "rev",
    "remote",
    "user",
    "identity",
    "force_clone",
    "force_checkout",
    "hard_reset",
    "submodules",
    "https_user",
    "https_pass",
];
pub(crate) const IGNORED: &[&str] = &["password", "output_encoding", "fetch_remote"];

/// A clone that is asked for.
pub(crate) struct Want {
    git: Git,
    url: String,
    name: String,
    path: PathBuf,
    /// A branch to be on, or a revision to be at.
    at: Option<String>,
    remote: String,
    force_clone: bool,
    force_checkout: bool,
    hard_reset: bool,
    submodules: bool,
}

fn want(args: &Args<'_>, call: &Call<'_>, at: &str) -> Result<Want, Failure> {
    let (name, path) = target_path(args, call)?;
    let remote = args.text("remote")?.unwrap_or_else(|| "origin".to_owned());
    Ok(Want {
        git: Git::read(args, call)?,
        url: remote_name(&call.chunk.name)?,
        name,
        path,
        at: args.text(at)?.map(|r| revision(at, r)).transpose()?,
        remote: revision("remote", remote)?,
        force_clone: args.flag("force_clone", false)?,
        force_checkout: args.flag("force_checkout", false)?,
        hard_reset: args.flag("hard_reset", false)?,
        submodules: args.flag("submodules", false)?,
    })
}

/// What there is, and where it stands: branch or commit.
pub(crate) struct Observed {
    target: Target,
    at: Option<String>,
    /// The commit that is wanted.
    wanted: Option<String>,
    dirty: bool,
}

/// What is to be done.
pub(crate) struct Plan {
    clone: bool,
    empty: bool,
    commit: Option<String>,
}

fn told(want: &Want) -> Value {
    Value::Str(format!("{} => {}", redacted(&want.url), want.name))
}

fn pair(old: Option<&str>, new: &str) -> Value {
    let old = old.map_or(Value::Null, |o| Value::Str(o.to_owned()));
    Value::Map(Map::from([("old".to_owned(), old), ("new".to_owned(), Value::Str(new.to_owned()))]))
}

fn clone(want: &Want, more: &[&str], call: &Call<'_>) -> Result<(), Failure> {
    let path = want.path.display().to_string();
    let mut argv = vec!["clone", "--quiet", "--origin", &want.remote];
    argv.extend(more);
    argv.extend(["--", &want.url, &path]);
    want.git.run(None, &argv, call).map(drop)
}

/// `git.cloned`: there, and on the branch when one is named; never fetched again.
pub(crate) struct Cloned;

impl StateFn for Cloned {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(args, call, "branch")
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let target = target(&want.path, false)?;
        let mut at = None;
        if target == Target::Repository {
            want.git.run(Some(&want.path), &["rev-parse", "--git-dir"], call)?;
            at = want.git.maybe(&want.path, &["symbolic-ref", "--quiet", "--short", "HEAD"], call)?;
        }
        Ok(Observed { target, at, wanted: want.at.clone(), dirty: false })
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        let plan = |clone: bool| Plan { clone, empty: false, commit: None };
        match (now.target, &want.at) {
            (Target::Taken, _) => {
                Diff::Refuse(format!("{} holds something that is no git repository", want.name))
            }
            (Target::Free, _) => Diff::Change {
                plan: plan(true),
                changes: Map::from([("new".to_owned(), told(want))]),
                would: format!("{} would be cloned to {}", redacted(&want.url), want.name),
            },
            (Target::Repository, Some(branch)) if now.at.as_ref() != Some(branch) => Diff::Change {
                plan: plan(false),
                changes: Map::from([("branch".to_owned(), pair(now.at.as_deref(), branch))]),
                would: format!("The branch of {} would be changed to {branch}", want.name),
            },
            _ => Diff::Same(format!("Repository already exists at {}", want.name)),
        }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        if plan.clone {
            let branch: Vec<&str> = want.at.iter().flat_map(|b| ["--branch", b.as_str()]).collect();
            clone(want, &branch, call)?;
            return Ok(Applied::done(format!("{} cloned to {}", redacted(&want.url), want.name)));
        }
        let branch = want.at.as_deref().unwrap_or_default();
        want.git.run(Some(&want.path), &["checkout", "--quiet", branch, "--"], call)?;
        Ok(Applied::done(format!("Branch changed to '{branch}'")))
    }
}

/// `git.detached`: at one commit, on no branch.
pub(crate) struct Detached;

impl StateFn for Detached {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let want = want(args, call, "rev")?;
        match want.at {
            Some(_) => Ok(want),
            None => Err(Failure::declaration("`rev` is needed")),
        }
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let target = target(&want.path, false)?;
        let rev = want.at.as_deref().unwrap_or_default();
        let remote = Refs::parse(&want.git.run(None, &["ls-remote", "--", &want.url], call)?);
        let wanted = remote.find(rev).map(|found| found.commit().to_owned());
        let mut now = Observed { target, at: None, wanted, dirty: false };
        if target == Target::Repository {
            want.git.run(Some(&want.path), &["rev-parse", "--git-dir"], call)?;
            let ask = |args: &[&str]| want.git.maybe(&want.path, args, call);
            now.at = ask(&["rev-parse", "--verify", "--quiet", "HEAD"])?;
            now.dirty = ask(&["status", "--porcelain", "--untracked-files=no"])?.is_some();
        }
        Ok(now)
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        let rev = want.at.as_deref().unwrap_or_default();
        let Some(commit) = &now.wanted else {
            let url = redacted(&want.url);
            return Diff::Refuse(format!("No revision matching '{rev}' exists in the repository {url}"));
        };
        if now.at.as_ref().is_some_and(|at| at.starts_with(commit)) {
            return Diff::Same("Already checked out at correct revision".to_owned());
        }
        let mut changes = Map::new();
        match now.target {
            Target::Taken if !want.force_clone => {
                return Diff::Refuse(format!(
                    "{} holds something that is no git repository; force_clone would remove it",
                    want.name
                ));
            }
            Target::Repository if now.dirty && !want.hard_reset && !want.force_checkout => {
                return Diff::Refuse(format!(
                    "{} has uncommitted changes; hard_reset or force_checkout would discard them",
                    want.name
                ));
            }
            Target::Taken => drop(changes.insert("forced clone".to_owned(), Value::Bool(true))),
            _ => {}
        }
        let clone = now.target != Target::Repository;
        if clone {
            changes.insert("new".to_owned(), told(want));
        }
        changes.insert("HEAD".to_owned(), pair(now.at.as_deref(), commit));
        let plan = Plan { clone, empty: now.target == Target::Taken, commit: Some(commit.clone()) };
        Diff::Change { plan, changes, would: format!("{} would be checked out at {}", commit, want.name) }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        if plan.empty {
            fsys::remove(&want.path)?;
        }
        let at = |args: &[&str]| want.git.run(Some(&want.path), args, call).map(drop);
        if plan.clone {
            clone(want, &["--no-checkout"], call)?;
        } else {
            let known = want.git.maybe(&want.path, &["remote", "get-url", &want.remote], call)?;
            let verb = if known.is_some() { "set-url" } else { "add" };
            at(&["remote", verb, "--", &want.remote, &want.url])?;
            let branches = format!("+refs/heads/*:refs/remotes/{}/*", want.remote);
            at(&["fetch", "--quiet", "--tags", "--", &want.remote, &branches])?;
        }
        if want.hard_reset && !plan.clone {
            at(&["reset", "--quiet", "--hard", "HEAD"])?;
        }
        let commit = plan.commit.unwrap_or_default();
        let force = if want.force_checkout { "--force" } else { "--quiet" };
        at(&["checkout", "--quiet", force, "--detach", &commit, "--"])?;
        if want.submodules {
            at(&["submodule", "update", "--init", "--recursive"])?;
        }
        Ok(Applied::done(format!("Commit ID {commit} was checked out at {}", want.name)))
    }
}
