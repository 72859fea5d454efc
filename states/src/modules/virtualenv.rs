//! `virtualenv.managed`: a Python environment, and the packages that are to be in it.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::host::{Command, Output};
use crate::modules::args::Args;
use crate::modules::cmd::last_words;
use crate::modules::pip;
use crate::modules::pip_env::{Installed, Pip, index};
use crate::modules::pip_wish::Wish;
use crate::modules::textfile::place;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "venv_bin",
    "python",
    "system_site_packages",
    "clear",
    "prompt",
    "user",
    "cwd",
    "requirements",
    "pip_pkgs",
    "pip_upgrade",
    "index_url",
    "extra_index_url",
    "find_links",
    "no_index",
    "pre_releases",
    "no_deps",
    "proxy",
    "env_vars",
];
pub(crate) const IGNORED: &[&str] = &[
    "distribute",
    "never_download",
    "extra_search_dir",
    "use_vt",
    "use_wheel",
    "no_use_wheel",
    "no_chown",
    "pip_download",
    "pip_download_cache",
    "pip_exists_action",
    "pip_ignore_installed",
    "pip_no_cache_dir",
    "pip_cache_dir",
    "process_dependency_links",
    "no_binary",
];

/// Making one copies and unpacks files; a stuck disk must still end.
const TIMEOUT: Duration = Duration::from_secs(600);

/// `virtualenv.managed`.
pub(crate) struct Environment;

/// How an environment is made and filled.
pub(crate) struct Venv {
    name: String,
    path: PathBuf,
    maker: Vec<String>,
    user: Option<String>,
    clear: bool,
    wishes: Vec<Wish>,
    files: Vec<String>,
    options: Vec<String>,
    upgrade: bool,
}

/// How it stands.
pub(crate) struct Observed {
    there: bool,
    /// Packages, where they matter.
    installed: Rc<Installed>,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    make: bool,
    fill: bool,
}

fn maker(args: &Args<'_>) -> Result<Vec<String>, Failure> {
    let word = |key: &str| -> Result<Option<String>, Failure> {
        match args.text(key)? {
            Some(word) if word.is_empty() || word.starts_with('-') => {
                Err(Failure::declaration(format!("`{key}` cannot be {word:?}")))
            }
            word => Ok(word),
        }
    };
    let python = word("python")?.unwrap_or_else(|| "python3".to_owned());
    let mut maker = match word("venv_bin")?.as_deref() {
        None | Some("venv" | "pyvenv") => vec![python, "-m".to_owned(), "venv".to_owned()],
        Some(other) => vec![other.to_owned(), format!("--python={python}")],
    };
    maker.extend(args.flag("system_site_packages", false)?.then(|| "--system-site-packages".to_owned()));
    maker.extend(args.flag("clear", false)?.then(|| "--clear".to_owned()));
    maker.extend(args.text("prompt")?.map(|p| format!("--prompt={p}")));
    Ok(maker)
}

fn run(argv: Vec<String>, want: &Venv, call: &Call<'_>) -> Result<Output, Failure> {
    let mut command = Command::argv(argv).env("LC_ALL", "C.UTF-8");
    command.user.clone_from(&want.user);
    command.timeout = TIMEOUT;
    Ok(call.context.host.run(&command)?)
}

/// The pip of the environment.
fn inside(want: &Venv, call: &Call<'_>) -> Result<Pip, Failure> {
    Pip::read(Some(&want.name), &Args::new(&call.chunk.args), call)
}

impl StateFn for Environment {
    type Want = Venv;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Venv, Failure> {
        let mut options = index(args)?;
        let upgrade = args.flag("pip_upgrade", false)?;
        options.extend(args.flag("no_deps", false)?.then(|| "--no-deps".to_owned()));
        options.extend(upgrade.then(|| "--upgrade".to_owned()));
        let wishes = args.list("pip_pkgs")?.unwrap_or_default();
        let wishes = wishes.iter().map(|w| Wish::parse(w).map_err(Failure::declaration));
        Ok(Venv {
            name: call.chunk.name.clone(),
            path: place(&call.chunk.name, call)?.path,
            maker: maker(args)?,
            user: args.text("user")?,
            clear: args.flag("clear", false)?,
            wishes: wishes.collect::<Result<_, _>>()?,
            files: args.list("requirements")?.unwrap_or_default(),
            options,
            upgrade,
        })
    }

    fn observe(want: &Venv, call: &Call<'_>) -> Result<Observed, Failure> {
        // pip comes last: without it the making was cut short.
        let bin = want.path.join("bin");
        let there = |name: &str| Ok::<_, Failure>(fsys::stat(&bin.join(name))?.kind != Kind::Missing);
        let there = fsys::stat(&bin)?.kind == Kind::Directory && there("python")? && there("pip")?;
        let fills = !want.wishes.is_empty() || !want.files.is_empty();
        let installed = if there && fills { inside(want, call)?.list(call)? } else { Rc::default() };
        let lacks = there
            && !want.files.is_empty()
            && !pip::satisfied_by_files(&inside(want, call)?, &want.files, call)?;
        Ok(Observed { there, installed: if lacks { Rc::default() } else { installed } })
    }

    fn diff(want: &Venv, now: &Observed) -> Diff<Plan> {
        let make = !now.there || want.clear;
        let asked = !want.wishes.is_empty() || !want.files.is_empty();
        let met = |w: &Wish| now.installed.get(&w.name).is_some_and(|v| w.allows(v));
        let lacking = now.installed.is_empty() || !want.wishes.iter().all(met);
        let plan = Plan { make, fill: asked && (make || lacking || want.upgrade) };
        let mut changes = Map::new();
        changes.extend(make.then(|| ("new".to_owned(), Value::Str("Python".to_owned()))));
        if plan.fill {
            let names = want.wishes.iter().map(|w| w.told().to_owned()).chain(want.files.iter().cloned());
            let pair =
                [("new", Value::List(names.map(Value::Str).collect())), ("old", Value::Str(String::new()))];
            let pair = pair.map(|(k, v)| (k.to_owned(), v));
            changes.insert("packages".to_owned(), Value::Map(Map::from(pair)));
        }
        if changes.is_empty() {
            return Diff::Same(format!("virtualenv {} exists", want.name));
        }
        let verb = if now.there { if make { "cleared" } else { "filled" } } else { "created" };
        Diff::Change { plan, changes, would: format!("virtualenv {} would be {verb}", want.name) }
    }

    fn apply(want: &Venv, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        let mut changes = Map::new();
        let path = want.path.display().to_string();
        if plan.make {
            Pip::changed(call);
            let made = run(want.maker.iter().cloned().chain([path.clone()]).collect(), want, call)?;
            if made.code != 0 {
                let words = last_words(&made);
                let code = made.code;
                return Err(Failure::machine(format!(
                    "the environment was not made: exit code {code}{words}"
                )));
            }
            let version = run(vec![format!("{path}/bin/python"), "-V".to_owned()], want, call)?.out();
            changes.insert("new".to_owned(), Value::Str(version));
        }
        if plan.fill {
            fill(want, &mut changes, call)?;
        }
        let word = match (plan.make, want.clear) {
            (true, true) => "Cleared existing virtualenv",
            (true, false) => "Created new virtualenv",
            (false, _) => "virtualenv exists",
        };
        Ok(Applied { comment: word.to_owned(), changes: Some(changes), failed: false })
    }
}

/// Install what is asked, and tell what that changed.
fn fill(want: &Venv, changes: &mut Map, call: &Call<'_>) -> Result<(), Failure> {
    let pip = inside(want, call)?;
    let before = pip.list(call)?;
    pip::install(&pip, &want.options, &want.wishes, &[], &want.files, call)?;
    let after = pip.list(call)?;
    let only = |some: &Installed, others: &Installed| {
        let differing = some.iter().filter(|(name, version)| others.get(*name) != Some(version));
        let all: Vec<Value> =
            differing.map(|(name, version)| Value::Str(format!("{name}=={version}"))).collect();
        if all.is_empty() { Value::Str(String::new()) } else { Value::List(all) }
    };
    if before != after {
        let pair = [("new", only(&after, &before)), ("old", only(&before, &after))];
        let pair = pair.map(|(k, v)| (k.to_owned(), v));
        changes.insert("packages".to_owned(), Value::Map(Map::from(pair)));
    }
    Ok(())
}
