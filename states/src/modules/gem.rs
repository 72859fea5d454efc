//! `gem.*`: Ruby packages, and where they come from.

use std::rc::Rc;
use std::time::Duration;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::host::{Command, Output};
use crate::modules::args::Args;
use crate::modules::cmd::last_words;
use crate::modules::listed::{Listed, listed};
use crate::redact::redacted;
use crate::value::{Map, Value};

pub(crate) const INSTALLED: &[&str] =
    &["version", "gem_bin", "user", "rdoc", "ri", "pre_releases", "proxy", "source"];
pub(crate) const REMOVED: &[&str] = &["gem_bin", "user", "version"];
pub(crate) const SOURCES: &[&str] = &["gem_bin", "user"];

/// Extensions are compiled.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// Which gem, and as whom.
pub(crate) struct Gem {
    program: String,
    user: Option<String>,
}

impl Gem {
    fn read(args: &Args<'_>) -> Result<Self, Failure> {
        args.refuse("ruby", "name the `gem_bin` of that Ruby")?;
        let program = args.text("gem_bin")?.unwrap_or_else(|| "gem".to_owned());
        match program.is_empty() || program.starts_with('-') {
            true => Err(Failure::declaration(format!("`gem_bin` cannot be {program:?}"))),
            false => Ok(Self { program, user: args.text("user")? }),
        }
    }

    fn run(&self, args: &[&str], call: &Call<'_>) -> Result<Output, Failure> {
        let argv = std::iter::once(self.program.as_str()).chain(args.iter().copied());
        let mut command = Command::argv(argv).env("LC_ALL", "C.UTF-8");
        command.user.clone_from(&self.user);
        command.timeout = TIMEOUT;
        Ok(call.context.host.run(&command)?)
    }

    fn must(&self, args: &[&str], call: &Call<'_>) -> Result<String, Failure> {
        let output = self.run(args, call)?;
        match output.code {
            0 => Ok(output.out()),
            code => {
                let (verb, words) =
                    (args.first().copied().unwrap_or_default(), redacted(&last_words(&output)));
                Err(Failure::machine(format!("`gem {verb}` ended with exit code {code}{words}")))
            }
        }
    }

    /// Versions of all that is installed; asked once a run until something changes.
    fn list(&self, call: &Call<'_>) -> Result<Rc<Listed>, Failure> {
        let key = format!("gem|{}|{}", self.program, self.user.as_deref().unwrap_or_default());
        listed(&key, call, || Ok(parse(&self.must(&["list", "--local"], call)?)))
    }
}

/// `name (2.0, default: 1.1, 1.0)`.
fn parse(text: &str) -> Listed {
    let one = |line: &str| {
        let (name, versions) = line.strip_suffix(')')?.split_once(" (")?;
        let versions = versions.split(", ").map(|v| v.trim_start_matches("default: "));
        // A version may be followed by the platforms that it is for.
        let versions = versions.filter_map(|v| v.split(' ').next()).map(str::to_owned);
        Some((name.to_owned(), versions.collect()))
    };
    text.lines().filter_map(one).collect()
}

/// A name or version, never read as an option.
fn word(key: &str, text: String) -> Result<String, Failure> {
    match text.is_empty() || text.starts_with('-') || text.contains(char::is_control) {
        true => Err(Failure::declaration(format!("`{key}` cannot be {text:?}"))),
        false => Ok(text),
    }
}

/// The declaration.
pub(crate) struct Want {
    gem: Gem,
    name: String,
    version: Option<String>,
    options: Vec<String>,
}

fn options(args: &Args<'_>) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    // `--document` takes the place of what `--rdoc` and `--ri` said.
    let documents: Vec<&str> = [("rdoc", args.flag("rdoc", false)?), ("ri", args.flag("ri", false)?)]
        .into_iter()
        .filter_map(|(kind, wanted)| wanted.then_some(kind))
        .collect();
    all.push(match documents.as_slice() {
        [] => "--no-document".to_owned(),
        kinds => format!("--document={}", kinds.join(",")),
    });
    all.extend(args.flag("pre_releases", false)?.then(|| "--prerelease".to_owned()));
    for (key, option) in [("proxy", "--http-proxy"), ("source", "--source")] {
        let Some(address) = args.text(key)?.filter(|a| !a.is_empty()) else { continue };
        if redacted(&address) != address {
            return Err(Failure::declaration(format!(
                "`{key}` has a password in it that everybody on the machine could read; put it into the user's gemrc"
            )));
        }
        all.extend((key == "source").then(|| "--clear-sources".to_owned()));
        all.push(format!("{option}={}", word(key, address)?));
    }
    Ok(all)
}

/// Whether the version is one, and not a range of them.
fn is_exact(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
}

/// `gem.installed`.
pub(crate) struct Installed;

impl StateFn for Installed {
    type Want = Want;
    type Observed = bool;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let version =
            args.text("version")?.filter(|v| !v.is_empty()).map(|v| word("version", v)).transpose()?;
        let name = word("name", call.chunk.name.clone())?;
        Ok(Want { gem: Gem::read(args)?, name, version, options: options(args)? })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<bool, Failure> {
        let list = want.gem.list(call)?;
        let Some(versions) = list.get(&want.name) else { return Ok(false) };
        Ok(match &want.version {
            None => true,
            Some(version) if is_exact(version) => versions.contains(version),
            Some(range) => {
                let args = ["list", "--local", "--installed", "--exact", &want.name, "--version", range];
                want.gem.run(&args, call)?.code == 0
            }
        })
    }

    fn diff(want: &Want, there: &bool) -> Diff<()> {
        if *there {
            return Diff::Same("Gem is already installed.".to_owned());
        }
        let changes = Map::from([(want.name.clone(), Value::Str("Installed".to_owned()))]);
        Diff::Change { plan: (), changes, would: format!("The gem {} would have been installed", want.name) }
    }

    fn apply(want: &Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        call.facts.listed.borrow_mut().clear();
        let mut args = vec!["install", want.name.as_str()];
        args.extend(want.version.iter().flat_map(|v| ["--version", v.as_str()]));
        args.extend(want.options.iter().map(String::as_str));
        want.gem.must(&args, call)?;
        match Self::observe(want, call)? {
            true => Ok(Applied::done("Gem was successfully installed")),
            false => Err(Failure::machine(format!("gem ended well, yet {} is not as asked", want.name))),
        }
    }
}

/// `gem.removed`.
pub(crate) struct Removed;

impl StateFn for Removed {
    type Want = Want;
    type Observed = bool;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let version = args.text("version")?.map(|v| word("version", v)).transpose()?;
        let name = word("name", call.chunk.name.clone())?;
        Ok(Want { gem: Gem::read(args)?, name, version, options: Vec::new() })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<bool, Failure> {
        let list = want.gem.list(call)?;
        let versions = list.get(&want.name);
        Ok(versions.is_some_and(|all| want.version.as_ref().is_none_or(|v| all.contains(v))))
    }

    fn diff(want: &Want, there: &bool) -> Diff<()> {
        if !there {
            return Diff::Same("Gem is not installed.".to_owned());
        }
        let changes = Map::from([(want.name.clone(), Value::Str("Removed".to_owned()))]);
        Diff::Change { plan: (), changes, would: format!("The gem {} would have been removed", want.name) }
    }

    fn apply(want: &Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        call.facts.listed.borrow_mut().clear();
        let mut args = vec!["uninstall", want.name.as_str(), "--executables", "--ignore-dependencies"];
        match &want.version {
            Some(version) => args.extend(["--version", version]),
            None => args.push("--all"),
        }
        want.gem.must(&args, call)?;
        match Self::observe(want, call)? {
            false => Ok(Applied::done("Gem was successfully removed.")),
            true => Err(Failure::machine(format!("gem ended well, yet {} is still there", want.name))),
        }
    }
}

/// Whether a source is among those that gem asks.
fn has_source(gem: &Gem, address: &str, call: &Call<'_>) -> Result<bool, Failure> {
    Ok(gem
        .must(&["sources", "--list"], call)?
        .lines()
        .any(|l| l.trim_end_matches('/') == address.trim_end_matches('/')))
}

macro_rules! source_state {
    ($(#[$doc:meta])* $name:ident, $present:expr, $option:expr, $done:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl StateFn for $name {
            type Want = Want;
            type Observed = bool;
            type Plan = ();

            fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
                let name = word("name", call.chunk.name.clone())?;
                if redacted(&name) != name {
                    let why = "a source with a password in it is for the user's gemrc";
                    return Err(Failure::declaration(why));
                }
                Ok(Want { gem: Gem::read(args)?, name, version: None, options: Vec::new() })
            }

            fn observe(want: &Want, call: &Call<'_>) -> Result<bool, Failure> {
                has_source(&want.gem, &want.name, call)
            }

            fn diff(want: &Want, there: &bool) -> Diff<()> {
                if *there == $present {
                    let how = if $present { "already added" } else { "already removed" };
                    return Diff::Same(format!("Gem source is {how}."));
                }
                let changes = Map::from([(want.name.clone(), Value::Str($done.to_owned()))]);
                let would = format!("Gem source {} would have been {}", want.name, $done.to_lowercase());
                Diff::Change { plan: (), changes, would }
            }

            fn apply(want: &Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
                want.gem.must(&["sources", $option, &want.name], call)?;
                Ok(Applied::done(format!("Gem source was {}", $done.to_lowercase())))
            }
        }
    };
}

source_state!(
    /// `gem.sources_add`.
    SourcesAdd,
    true,
    "--add",
    "Added"
);
source_state!(
    /// `gem.sources_remove`.
    SourcesRemove,
    false,
    "--remove",
    "Removed"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_all_versions() {
        let list = parse(
            "*** LOCAL GEMS ***\n\nrake (13.0.6, default: 13.0.1)\nnokogiri (1.13.1 x86_64-linux)\ntorn\n",
        );
        assert_eq!(list.get("rake").unwrap(), &["13.0.6", "13.0.1"]);
        assert_eq!(list.get("nokogiri").unwrap(), &["1.13.1"]);
        assert_eq!(list.len(), 2);
    }
}
