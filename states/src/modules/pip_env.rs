//! The pip of an environment or of the machine: which it is, what it lists, and how it is run.

use std::collections::BTreeMap;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::engine::step::{Call, Failure};
use crate::fsys::{self, Kind};
use crate::host::{Command, Output};
use crate::modules::accounts;
use crate::modules::args::{Args, joined, scalar};
use crate::modules::cmd::last_words;
use crate::modules::pip_wish::normal;
use crate::modules::textfile::{one_line, place, roots};
use crate::redact::redacted;

/// Building from source takes long; an index that hangs must still end.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// Installed packages by their names, in one spelling.
pub(crate) type Installed = BTreeMap<String, String>;

/// Lists of this run, by environment.
pub(crate) type Lists = BTreeMap<String, Rc<Installed>>;

/// Which pip, and as whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pip {
    program: Vec<String>,
    pub(crate) user: Option<String>,
    cwd: Option<String>,
    env: Vec<(String, Option<String>)>,
}

impl Pip {
    /// `bin_env` is an environment or a pip; without it the pip of `python3`.
    pub(crate) fn read(bin: Option<&str>, args: &Args<'_>, call: &Call<'_>) -> Result<Self, Failure> {
        let module = |python: String| vec![python, "-m".to_owned(), "pip".to_owned()];
        let program = match bin {
            None => module("python3".to_owned()),
            Some(bin) if bin.is_empty() || bin.starts_with('-') => {
                return Err(Failure::declaration(format!("`bin_env` cannot be {bin:?}")));
            }
            Some(bin) if !bin.starts_with('/') => vec![bin.to_owned()],
            Some(bin) => program_of(&place(bin, call)?.path)?,
        };
        let user = args.text("user")?;
        if let (None, Some(program)) = (&user, program.first().filter(|p| p.starts_with('/'))) {
            only_roots(Path::new(program))?;
        }
        let env = args.get("env_vars").and_then(joined).unwrap_or_default();
        let mut env: Vec<_> = env.iter().map(|(k, v)| (k.clone(), scalar(v))).collect();
        // What may hold a password is no argument, which everybody on the machine can read.
        for (key, variable) in [
            ("index_url", "PIP_INDEX_URL"),
            ("extra_index_url", "PIP_EXTRA_INDEX_URL"),
            ("proxy", "PIP_PROXY"),
        ] {
            if let Some(addresses) = args.list(key)? {
                env.push((variable.to_owned(), Some(one_line(key, addresses.join(" "))?)));
            }
        }
        Ok(Self { program, user, cwd: args.text("cwd")?, env })
    }

    /// Of which environment, and as whom: what its list is kept under.
    fn key(&self) -> String {
        format!("{}|{}", self.program.join(" "), self.user.as_deref().unwrap_or_default())
    }

    pub(crate) fn run(&self, args: &[String], call: &Call<'_>) -> Result<Output, Failure> {
        let mut command = Command::argv(self.program.iter().chain(args).cloned())
            .env("LC_ALL", "C.UTF-8")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .env("PIP_NO_INPUT", "1");
        command.env.extend(self.env.iter().cloned());
        command.user.clone_from(&self.user);
        command.cwd.clone_from(&self.cwd);
        command.timeout = TIMEOUT;
        Ok(call.context.host.run(&command)?)
    }

    /// Its output; anything but exit code 0 is a failure with its words, without the passwords of addresses.
    pub(crate) fn must(&self, args: &[String], call: &Call<'_>) -> Result<Output, Failure> {
        let output = self.run(args, call)?;
        let verb = args.first().map_or("", String::as_str);
        match output.code {
            0 => Ok(output),
            code => {
                let words = redacted(&last_words(&output));
                Err(Failure::machine(format!("`pip {verb}` ended with exit code {code}{words}")))
            }
        }
    }

    /// Name and version of what is installed; asked once a run until something changes.
    pub(crate) fn list(&self, call: &Call<'_>) -> Result<Rc<Installed>, Failure> {
        if let Some(known) = call.facts.pip.borrow().get(&self.key()) {
            return Ok(Rc::clone(known));
        }
        let text = self.must(&["list", "--format=json"].map(str::to_owned), call)?.out();
        let read = parse(&text, "version").ok_or_else(|| Failure::machine("`pip list` gave no list"))?;
        let read = Rc::new(read);
        call.facts.pip.borrow_mut().insert(self.key(), Rc::clone(&read));
        Ok(read)
    }

    /// The newest version of what is outdated, by the index.
    pub(crate) fn outdated(&self, options: &[String], call: &Call<'_>) -> Result<Installed, Failure> {
        let argv = [&["list", "--format=json", "--outdated"].map(str::to_owned), options].concat();
        let text = self.must(&argv, call)?.out();
        parse(&text, "latest_version").ok_or_else(|| Failure::machine("`pip list` gave no list"))
    }

    /// What was known of installed packages holds no longer.
    pub(crate) fn changed(call: &Call<'_>) {
        call.facts.pip.borrow_mut().clear();
    }

    /// A file that only the user who runs pip can read, and its directory, which goes when it is dropped.
    pub(crate) fn private_file(
        &self,
        name: &str,
        bytes: &[u8],
        call: &Call<'_>,
    ) -> Result<(tempfile::TempDir, PathBuf), Failure> {
        let failed = |e: std::io::Error| Failure::machine(format!("cannot make a temporary directory: {e}"));
        let dir = tempfile::Builder::new().prefix("mayfly-pip-").tempdir().map_err(failed)?;
        let mut owner = roots(0o600);
        if let Some(user) = &self.user {
            let account = accounts::account(call.context.host.root(), user).map_err(failed)?;
            let account = account.ok_or_else(|| Failure::machine(format!("there is no user {user}")))?;
            (owner.uid, owner.gid) = (account.uid, account.gid);
        }
        let path = dir.path().join(name);
        fsys::replace(&path, bytes, owner)?;
        // Last: what is written there is written before the user can get at it.
        chown(dir.path(), Some(owner.uid), Some(owner.gid)).map_err(failed)?;
        Ok((dir, path))
    }
}

fn program_of(path: &Path) -> Result<Vec<String>, Failure> {
    let is_directory = match fsys::stat(path)?.kind {
        Kind::Directory => true,
        Kind::Missing => return Err(Failure::machine(format!("there is no environment {}", path.display()))),
        _ => path.is_dir(),
    };
    Ok(match is_directory {
        true => vec![path.join("bin/python").display().to_string(), "-m".to_owned(), "pip".to_owned()],
        false => vec![path.display().to_string()],
    })
}

/// What root is to run must be nobody else's to change: the environment, its programs, and where a link leads.
fn only_roots(program: &Path) -> Result<(), Failure> {
    if !nix::unistd::geteuid().is_root() || fsys::stat(program)?.kind == Kind::Missing {
        return Ok(());
    }
    let real = fsys::canonical(program)?;
    let above = program.ancestors().skip(1).take(2).filter(|dir| dir.parent().is_some());
    for path in above.chain([program, real.as_path()]) {
        let now = fsys::stat(path)?;
        let is_open = now.kind != Kind::Symlink && now.mode & 0o022 != 0;
        if now.uid != 0 || is_open {
            let shown = path.display();
            return Err(Failure::machine(format!(
                "{shown} can be changed by others than root, so root does not run it; set `user` to whose it is"
            )));
        }
    }
    Ok(())
}

fn parse(text: &str, version: &str) -> Option<Installed> {
    let list: serde_json::Value = serde_json::from_str(text.lines().find(|l| l.starts_with('['))?).ok()?;
    let one = |p: &serde_json::Value| {
        Some((normal(p.get("name")?.as_str()?), p.get(version)?.as_str()?.to_owned()))
    };
    list.as_array()?.iter().map(one).collect()
}

/// Options of `pip install` by the arguments that stand for them.
pub(crate) fn options(args: &Args<'_>) -> Result<Vec<String>, Failure> {
    let mut all = index(args)?;
    let flags = [
        ("ignore_installed", "--ignore-installed"),
        ("force_reinstall", "--force-reinstall"),
        ("no_deps", "--no-deps"),
        ("upgrade", "--upgrade"),
    ];
    for (key, flag) in flags {
        all.extend(args.flag(key, false)?.then(|| flag.to_owned()));
    }
    let values = ["exists_action", "no_binary", "target", "source", "global_options"];
    for key in values {
        let option = match key {
            "source" => "src".to_owned(),
            "global_options" => "global-option".to_owned(),
            _ => key.replace('_', "-"),
        };
        for value in args.list(key)?.unwrap_or_default() {
            all.push(format!("--{option}={}", one_line(key, value)?));
        }
    }
    match args.get("extra_args").and_then(crate::value::Value::as_list) {
        Some(items) => items.iter().for_each(|item| all.extend(extra(item))),
        None => all.extend(args.text("extra_args")?),
    }
    Ok(all)
}

/// Options that say where packages are looked for.
pub(crate) fn index(args: &Args<'_>) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    let flags = [("no_index", "--no-index"), ("pre_releases", "--pre"), ("no_cache_dir", "--no-cache-dir")];
    for (key, flag) in flags {
        all.extend(args.flag(key, false)?.then(|| flag.to_owned()));
    }
    for key in ["find_links", "trusted_host", "cert", "cache_dir"] {
        for value in args.list(key)?.unwrap_or_default() {
            if redacted(&value) != value {
                return Err(Failure::declaration(format!(
                    "`{key}` has a password in it that everybody on the machine could read; use `index_url`"
                )));
            }
            all.push(format!("--{}={}", key.replace('_', "-"), one_line(key, value)?));
        }
    }
    Ok(all)
}

/// One of `extra_args`: an option, or an option with a value.
fn extra(item: &crate::value::Value) -> Vec<String> {
    match item.as_map() {
        Some(map) => map.iter().map(|(k, v)| format!("{k}={}", scalar(v).unwrap_or_default())).collect(),
        None => scalar(item).into_iter().collect(),
    }
}
