//! `npm.*`: Node.js packages, of the machine or of a directory.

use std::rc::Rc;
use std::time::Duration;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::host::{Command, Output};
use crate::modules::args::{Args, joined, scalar};
use crate::modules::cmd::last_words;
use crate::modules::listed::{Listed, listed};
use crate::modules::textfile::{one_line, place};
use crate::redact::redacted;
use crate::value::{Map, Value};

pub(crate) const INSTALLED: &[&str] = &["pkgs", "dir", "user", "force_reinstall", "registry"];
pub(crate) const REMOVED: &[&str] = &["dir", "user"];
pub(crate) const BOOTSTRAP: &[&str] = &["user"];
pub(crate) const IGNORED: &[&str] = &["silent"];

/// Packages are fetched, and some are compiled.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// Where npm works, and as whom.
pub(crate) struct Npm {
    /// `None`: for the whole machine.
    dir: Option<String>,
    user: Option<String>,
    env: Vec<(String, Option<String>)>,
}

impl Npm {
    fn read(dir: Option<String>, args: &Args<'_>, call: &Call<'_>) -> Result<Self, Failure> {
        if let Some(dir) = &dir {
            place(dir, call)?;
        }
        let env = args.map("env")?.or_else(|| args.get("env").and_then(joined)).unwrap_or_default();
        let mut env: Vec<_> = env.iter().map(|(k, v)| (k.clone(), scalar(v))).collect();
        // There may be a password in it, and everybody on the machine can read arguments.
        if let Some(registry) = args.text("registry")? {
            env.push(("npm_config_registry".to_owned(), Some(one_line("registry", registry)?)));
        }
        Ok(Self { dir, user: args.text("user")?, env })
    }

    fn run(&self, verb: &str, args: &[&str], call: &Call<'_>) -> Result<Output, Failure> {
        let place: &[&str] = if self.dir.is_none() { &["--global"] } else { &[] };
        let argv = ["npm", verb, "--no-audit", "--no-fund", "--no-update-notifier"];
        let argv = argv.into_iter().chain(place.iter().copied()).chain(args.iter().copied());
        let mut command = Command::argv(argv).env("LC_ALL", "C.UTF-8");
        command.env.extend(self.env.iter().cloned());
        command.user.clone_from(&self.user);
        command.cwd.clone_from(&self.dir);
        command.timeout = TIMEOUT;
        Ok(call.context.host.run(&command)?)
    }

    fn must(&self, verb: &str, args: &[&str], call: &Call<'_>) -> Result<(), Failure> {
        let output = self.run(verb, args, call)?;
        match output.code {
            0 => Ok(()),
            code => {
                let words = redacted(&last_words(&output));
                Err(Failure::machine(format!("`npm {verb}` ended with exit code {code}{words}")))
            }
        }
    }

    /// What is installed at the top; asked once a run until something changes.
    fn list(&self, call: &Call<'_>) -> Result<Rc<Listed>, Failure> {
        let (dir, user) = (self.dir.as_deref().unwrap_or_default(), self.user.as_deref().unwrap_or_default());
        let env: Vec<String> = self.env.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
        let key = format!("npm|{dir}|{user}|{}", env.join("|"));
        listed(&key, call, || self.tree(&[], call))
    }

    /// `npm ls` ends with 1 where something is missing, and yet has the list.
    fn tree(&self, about: &[&str], call: &Call<'_>) -> Result<Listed, Failure> {
        let output = self.run("ls", &[&["--json", "--depth=0"], about].concat(), call)?;
        parse(&output.out()).ok_or_else(|| {
            let words = redacted(&last_words(&output));
            Failure::machine(format!("`npm ls` ended with exit code {} and gave no list{words}", output.code))
        })
    }
}

fn parse(text: &str) -> Option<Listed> {
    let tree: serde_json::Value = serde_json::from_str(text).ok()?;
    let all = tree.get("dependencies").and_then(serde_json::Value::as_object);
    let version =
        |p: &serde_json::Value| p.get("version").and_then(serde_json::Value::as_str).map(str::to_owned);
    let found = all.into_iter().flatten().filter_map(|(name, p)| Some((name.clone(), vec![version(p)?])));
    Some(found.collect())
}

/// A package and the version or range behind its `@`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wish {
    text: String,
    name: String,
    version: Option<String>,
}

impl Wish {
    fn parse(text: &str) -> Result<Self, Failure> {
        // The name of a scope begins with an `@` of its own.
        let at = text.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at);
        let (name, version) = text.split_at(at.unwrap_or(text.len()));
        let version = version.strip_prefix('@').filter(|v| !v.is_empty());
        let fits = |c: char| c.is_ascii_alphanumeric() || "@/._~-".contains(c);
        let bad = name.is_empty() || name.starts_with(['-', '.', '/']) || !name.chars().all(fits);
        match bad || text.contains(char::is_control) {
            true => {
                Err(Failure::declaration(format!("{text:?} cannot be a package of npm, such as `name@1.2`")))
            }
            false => {
                Ok(Self { text: text.to_owned(), name: name.to_owned(), version: version.map(str::to_owned) })
            }
        }
    }

    fn is_exact(&self) -> bool {
        let exact = |v: &String| {
            v.split('.').count() == 3 && v.starts_with(|c: char| c.is_ascii_digit()) && !v.contains(' ')
        };
        self.version.as_ref().is_some_and(exact)
    }
}

/// The declaration.
pub(crate) struct Want {
    npm: Npm,
    wishes: Vec<Wish>,
    force: bool,
}

/// `npm.installed`.
pub(crate) struct Installed;

impl StateFn for Installed {
    type Want = Want;
    /// What is not as asked.
    type Observed = Vec<Wish>;
    type Plan = Vec<Wish>;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let wishes = args.list("pkgs")?.unwrap_or_else(|| vec![call.chunk.name.clone()]);
        Ok(Want {
            npm: Npm::read(args.text("dir")?, args, call)?,
            wishes: wishes.iter().map(|w| Wish::parse(w)).collect::<Result<_, _>>()?,
            force: args.flag("force_reinstall", false)?,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Vec<Wish>, Failure> {
        let list = want.npm.list(call)?;
        let mut lacking = Vec::new();
        for wish in &want.wishes {
            let met = match (list.get(&wish.name), &wish.version) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(now), Some(version)) if wish.is_exact() => now.contains(version),
                // Ranges are npm's own.
                (Some(_), Some(_)) => want.npm.tree(&[&wish.text], call)?.contains_key(&wish.name),
            };
            lacking.extend((!met || want.force).then(|| wish.clone()));
        }
        Ok(lacking)
    }

    fn diff(want: &Want, lacking: &Vec<Wish>) -> Diff<Vec<Wish>> {
        let told = |all: &[Wish]| all.iter().map(|w| w.text.clone()).collect::<Vec<_>>();
        if lacking.is_empty() {
            let all = told(&want.wishes).join(", ");
            return Diff::Same(format!("Package(s) \"{all}\" satisfied by the installed ones"));
        }
        let new = Value::List(told(lacking).into_iter().map(Value::Str).collect());
        let changes = [("new".to_owned(), new), ("old".to_owned(), Value::List(Vec::new()))];
        let would = format!("NPM package(s) \"{}\" would be installed", told(lacking).join(", "));
        Diff::Change { plan: lacking.clone(), changes: Map::from(changes), would }
    }

    fn apply(want: &Want, lacking: Vec<Wish>, call: &Call<'_>) -> Result<Applied, Failure> {
        call.facts.listed.borrow_mut().clear();
        let mut args: Vec<&str> = if want.force { vec!["--force"] } else { Vec::new() };
        args.push("--");
        args.extend(lacking.iter().map(|w| w.text.as_str()));
        want.npm.must("install", &args, call)?;
        let list = want.npm.list(call)?;
        let missing: Vec<&str> =
            lacking.iter().filter(|w| !list.contains_key(&w.name)).map(|w| w.text.as_str()).collect();
        match missing.is_empty() {
            true => Ok(Applied::done("Package(s) successfully installed")),
            false => {
                let missing = missing.join(", ");
                Err(Failure::machine(format!("npm ended well, yet these are not there: {missing}")))
            }
        }
    }
}

/// `npm.removed`.
pub(crate) struct Removed;

impl StateFn for Removed {
    type Want = (Npm, Wish);
    type Observed = bool;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        Ok((Npm::read(args.text("dir")?, args, call)?, Wish::parse(&call.chunk.name)?))
    }

    fn observe((npm, wish): &Self::Want, call: &Call<'_>) -> Result<bool, Failure> {
        Ok(npm.list(call)?.contains_key(&wish.name))
    }

    fn diff((_, wish): &Self::Want, there: &bool) -> Diff<()> {
        let name = &wish.name;
        if !there {
            return Diff::Same(format!("Package \"{name}\" is not installed"));
        }
        let changes = Map::from([(name.clone(), Value::Str("Removed".to_owned()))]);
        Diff::Change { plan: (), changes, would: format!("Package \"{name}\" would be removed") }
    }

    fn apply((npm, wish): &Self::Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        call.facts.listed.borrow_mut().clear();
        npm.must("uninstall", &["--", &wish.name], call)?;
        match npm.list(call)?.contains_key(&wish.name) {
            false => Ok(Applied::done(format!("Package \"{}\" was successfully removed", wish.name))),
            true => Err(Failure::machine(format!("npm ended well, yet {} is still there", wish.name))),
        }
    }
}

/// `npm.bootstrap`: what the package.json of a directory asks for.
pub(crate) struct Bootstrap;

impl StateFn for Bootstrap {
    type Want = (Npm, String);
    type Observed = bool;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        let name = call.chunk.name.clone();
        if crate::fsys::stat(&place(&name, call)?.path.join("package.json"))?.kind
            == crate::fsys::Kind::Missing
        {
            return Err(Failure::machine(format!("there is no package.json in {name}")));
        }
        Ok((Npm::read(Some(name.clone()), args, call)?, name))
    }

    fn observe((npm, _): &Self::Want, call: &Call<'_>) -> Result<bool, Failure> {
        Ok(npm.run("ls", &["--json", "--depth=0"], call)?.code == 0)
    }

    fn diff((_, name): &Self::Want, met: &bool) -> Diff<()> {
        if *met {
            return Diff::Same("Directory is already bootstrapped".to_owned());
        }
        let changes = Map::from([(name.clone(), Value::Str("Bootstrapped".to_owned()))]);
        Diff::Change { plan: (), changes, would: format!("Directory \"{name}\" would be bootstrapped") }
    }

    fn apply((npm, _): &Self::Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        call.facts.listed.borrow_mut().clear();
        npm.must("install", &[], call)?;
        Ok(Applied::done("Directory was successfully bootstrapped"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_may_have_a_scope_and_a_version() {
        let wish = |text: &str| Wish::parse(text).unwrap();
        assert_eq!(
            (wish("@a/b@^1.2").name, wish("@a/b@^1.2").version),
            ("@a/b".to_owned(), Some("^1.2".to_owned()))
        );
        assert_eq!(
            (wish("x").version, wish("x@1.2.3").is_exact(), wish("x@1.2").is_exact()),
            (None, true, false)
        );
        for bad in ["", "-g", "../x", "/x", "a b", "git+https://u:p@x/y"] {
            assert!(Wish::parse(bad).is_err(), "{bad}");
        }
        let list =
            parse(r#"{"dependencies": {"x": {"version": "1.0.0"}, "missing": {"required": "1"}}}"#).unwrap();
        assert_eq!(list, Listed::from([("x".to_owned(), vec!["1.0.0".to_owned()])]));
        assert_eq!(parse("{}").unwrap().len(), 0);
    }
}
