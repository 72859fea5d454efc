//! `pip.installed`: Python packages, with the pip of an environment or of the machine.

use std::path::PathBuf;
use std::rc::Rc;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::{Args, scalar};
use crate::modules::file::source::{Check, Source};
use crate::modules::pip_env::{Installed, Pip, index, options};
use crate::modules::pip_wish::Wish;
use crate::modules::textfile::place;
use crate::redact::redacted;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "pkgs",
    "requirements",
    "editable",
    "bin_env",
    "user",
    "cwd",
    "index_url",
    "extra_index_url",
    "find_links",
    "no_index",
    "upgrade",
    "force_reinstall",
    "ignore_installed",
    "pre_releases",
    "no_deps",
    "no_binary",
    "trusted_host",
    "cert",
    "proxy",
    "no_cache_dir",
    "cache_dir",
    "exists_action",
    "target",
    "source",
    "global_options",
    "extra_args",
    "env_vars",
];
pub(crate) const IGNORED: &[&str] = &[
    "use_wheel",
    "no_use_wheel",
    "log",
    "mirrors",
    "install_options",
    "use_vt",
    "process_dependency_links",
    "disable_version_check",
    "build",
    "download",
    "download_cache",
    "no_chown",
    "no_install",
    "no_download",
    "repo",
    "allow_all_external",
    "allow_external",
    "allow_unverified",
];

/// The declaration.
pub(crate) struct Want {
    pip: Pip,
    wishes: Vec<Wish>,
    /// Files of requirements, as the declaration names them.
    files: Vec<String>,
    /// Checkouts that are installed in place.
    editable: Vec<Wish>,
    options: Vec<String>,
    index: Vec<String>,
    upgrade: bool,
    /// Whatever is there.
    force: bool,
}

/// How it stands.
pub(crate) struct Observed {
    installed: Rc<Installed>,
    /// Newest versions, when they are asked for.
    outdated: Installed,
    /// pip found something to do for the files of requirements.
    files: bool,
}

/// What is to be installed.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    wishes: Vec<Wish>,
    editable: Vec<Wish>,
    files: bool,
}

fn parsed(all: &[String]) -> Result<Vec<Wish>, Failure> {
    all.iter().map(|w| Wish::parse(w).map_err(Failure::declaration)).collect()
}

/// `pkgs`: requirements, or `{name: versions}`.
fn wishes(args: &Args<'_>, call: &Call<'_>) -> Result<Vec<Wish>, Failure> {
    let bad = || Failure::declaration("`pkgs` must be a list of requirements and of {name: versions}");
    let Some(value) = args.get("pkgs") else { return parsed(std::slice::from_ref(&call.chunk.name)) };
    let mut all = Vec::new();
    for item in value.as_list().filter(|l| !l.is_empty()).ok_or_else(bad)? {
        match item.as_map() {
            Some(map) => all.extend(map.iter().map(|(k, v)| format!("{k}{}", scalar(v).unwrap_or_default()))),
            None => all.push(scalar(item).ok_or_else(bad)?),
        }
    }
    parsed(&all)
}

/// Files that are given to pip, and the directories of those that were copied.
type Files = (Vec<tempfile::TempDir>, Vec<PathBuf>);

/// Files of requirements on this machine: those of the tree are copied.
fn files(pip: &Pip, names: &[String], call: &Call<'_>) -> Result<Files, Failure> {
    let (mut dirs, mut paths) = (Vec::new(), Vec::new());
    for name in names {
        if name.starts_with('/') {
            paths.push(place(name, call)?.path);
            continue;
        }
        let ready = Source::file(name.clone()).ready(None, &Check::default(), call)?;
        let bytes = ready.and_then(|r| r.content.into_bytes());
        let bytes = bytes.ok_or_else(|| Failure::declaration(format!("{name} is too large")))?;
        let (dir, path) = pip.private_file("requirements.txt", &bytes, call)?;
        dirs.push(dir);
        paths.push(path);
    }
    Ok((dirs, paths))
}

fn by_file(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|p| format!("--requirement={}", p.display())).collect()
}

/// Whether pip itself finds nothing to do. It is asked without an index, and not to install; one that cannot
/// be asked has something to do.
fn satisfied(pip: &Pip, paths: &[PathBuf], call: &Call<'_>) -> Result<bool, Failure> {
    let argv = ["install", "--dry-run", "--no-index", "--no-deps", "--quiet"].map(str::to_owned);
    let output = pip.run(&[argv.to_vec(), by_file(paths)].concat(), call)?;
    Ok(output.code == 0 && !output.out().contains("Would install"))
}

/// The same by the names of the files.
pub(crate) fn satisfied_by_files(pip: &Pip, names: &[String], call: &Call<'_>) -> Result<bool, Failure> {
    let (_dirs, paths) = files(pip, names, call)?;
    satisfied(pip, &paths, call)
}

/// Install these; addresses go by a file, for there may be a password in them.
pub(crate) fn install(
    pip: &Pip,
    options: &[String],
    wishes: &[Wish],
    editable: &[Wish],
    names: &[String],
    call: &Call<'_>,
) -> Result<(), Failure> {
    let (_dirs, mut paths) = files(pip, names, call)?;
    let addresses = wishes.iter().filter(|w| w.address).map(|w| format!("{}\n", w.text));
    let checkouts = editable.iter().map(|w| format!("-e {}\n", w.text));
    let lines: String = addresses.chain(checkouts).collect();
    let _kept = match lines.is_empty() {
        true => None,
        false => {
            let (dir, path) = pip.private_file("addresses.txt", lines.as_bytes(), call)?;
            paths.push(path);
            Some(dir)
        }
    };
    let plain = wishes.iter().filter(|w| !w.address).map(|w| w.text.clone());
    let argv = ["install".to_owned()].into_iter().chain(options.iter().cloned()).chain(by_file(&paths));
    let argv: Vec<String> =
        argv.chain(["--".to_owned()].into_iter().filter(|_| !wishes.is_empty())).chain(plain).collect();
    Pip::changed(call);
    pip.must(&argv, call).map(drop)
}

/// `pip.installed`.
pub(crate) struct Install;

impl StateFn for Install {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let files: Vec<String> = args.list("requirements")?.unwrap_or_default();
        let editable = parsed(&args.list("editable")?.unwrap_or_default())?;
        // Beside a file of requirements the name is only a name.
        let named = args.get("pkgs").is_some() || (files.is_empty() && editable.is_empty());
        Ok(Want {
            pip: Pip::read(args.text("bin_env")?.as_deref(), args, call)?,
            wishes: if named { wishes(args, call)? } else { Vec::new() },
            files,
            editable,
            options: options(args)?,
            index: index(args)?,
            upgrade: args.flag("upgrade", false)?,
            force: args.flag("force_reinstall", false)? || args.flag("ignore_installed", false)?,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let outdated = match want.upgrade && !want.wishes.is_empty() {
            true => want.pip.outdated(&want.index, call)?,
            false => Installed::new(),
        };
        let (_dirs, paths) = files(&want.pip, &want.files, call)?;
        let files = !paths.is_empty() && (want.upgrade || want.force || !satisfied(&want.pip, &paths, call)?);
        Ok(Observed { installed: want.pip.list(call)?, outdated, files })
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        let met = |wish: &&Wish| {
            let there = now.installed.get(&wish.name).is_some_and(|v| wish.allows(v));
            let newer = now.outdated.get(&wish.name).is_some_and(|v| wish.allows(v));
            there && !newer && !want.force
        };
        let lacking = |all: &[Wish]| all.iter().filter(|w| !met(w)).cloned().collect::<Vec<_>>();
        let plan =
            Plan { wishes: lacking(&want.wishes), editable: lacking(&want.editable), files: now.files };
        let mut changes: Map =
            plan.wishes.iter().map(|w| (w.told().to_owned(), Value::Str("Installed".to_owned()))).collect();
        for (key, changed) in [("requirements", plan.files), ("editable", !plan.editable.is_empty())] {
            changes.extend(changed.then(|| (key.to_owned(), Value::Bool(true))));
        }
        if changes.is_empty() {
            return Diff::Same("All specified packages are already installed".to_owned());
        }
        let files = want.files.iter().filter(|_| plan.files).map(|f| redacted(f));
        let all = plan.wishes.iter().chain(&plan.editable).map(|w| w.told().to_owned()).chain(files);
        let would = format!("Would be installed: {}", all.collect::<Vec<_>>().join(", "));
        Diff::Change { plan, changes, would }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        let before = want.pip.list(call)?;
        let names: &[String] = if plan.files { &want.files } else { &[] };
        install(&want.pip, &want.options, &plan.wishes, &plan.editable, names, call)?;
        let after = want.pip.list(call)?;
        let changed = before != after;
        let mut changes = Map::new();
        for wish in &plan.wishes {
            let version = after.get(&wish.name).map_or("???", String::as_str);
            if want.force || before.get(&wish.name).map(String::as_str) != Some(version) {
                changes.insert(format!("{}=={version}", wish.name), Value::Str("Installed".to_owned()));
            }
        }
        for (key, did) in
            [("requirements", plan.files && (changed || want.force)), ("editable", !plan.editable.is_empty())]
        {
            changes.extend(did.then(|| (key.to_owned(), Value::Bool(true))));
        }
        let missing: Vec<&str> =
            plan.wishes.iter().filter(|w| !after.contains_key(&w.name)).map(Wish::told).collect();
        // A marker may say that a package is not for this Python; an other place has a list of its own.
        let comment = match missing.is_empty() {
            true => "All packages were successfully installed".to_owned(),
            false => format!("pip ended well, yet it does not list these: {}", missing.join(", ")),
        };
        Ok(Applied { comment, changes: Some(changes), failed: false })
    }
}
