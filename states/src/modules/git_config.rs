//! `git.config_set` and `git.config_unset`: one key of a repository's configuration, or of a user's.

use std::path::PathBuf;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::Args;
use crate::modules::git_cmd::Git;
use crate::modules::textfile::place;
use crate::value::{Map, Value};

pub(crate) const SET: &[&str] = &["value", "multivar", "repo", "user", "global"];
pub(crate) const UNSET: &[&str] = &["value_regex", "repo", "user", "global", "all"];
pub(crate) const IGNORED: &[&str] = &["password", "output_encoding"];

/// Where the key is.
pub(crate) struct Where {
    git: Git,
    repo: Option<PathBuf>,
    key: String,
}

impl Where {
    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<Self, Failure> {
        let key = call.chunk.name.clone();
        let whole = key.split('.').count() >= 2 && !key.starts_with(['-', '.']) && !key.ends_with('.');
        if !whole || key.contains(['\n', '\0']) {
            return Err(Failure::declaration(format!("{key:?} cannot be a key of git's configuration")));
        }
        let repo = match (args.flag("global", false)?, args.text("repo")?) {
            (true, _) => None,
            (false, Some(repo)) => Some(place(&repo, call)?.path),
            (false, None) => {
                return Err(Failure::declaration("`repo` is needed unless `global` is true"));
            }
        };
        Ok(Self { git: Git::read(args, call)?, repo, key })
    }

    fn scope(&self) -> &'static str {
        if self.repo.is_some() { "--local" } else { "--global" }
    }

    fn ask(&self, args: &[&str], call: &Call<'_>) -> Result<crate::host::Output, Failure> {
        let all = [&["config", self.scope()], args].concat();
        self.git.ask(self.repo.as_deref(), &all, call)
    }

    fn run(&self, args: &[&str], call: &Call<'_>) -> Result<(), Failure> {
        let all = [&["config", self.scope()], args].concat();
        self.git.run(self.repo.as_deref(), &all, call).map(drop)
    }

    /// The values of the key; 1 says that there are none.
    fn values(&self, call: &Call<'_>) -> Result<Vec<String>, Failure> {
        let output = self.ask(&["--null", "--get-all", &self.key], call)?;
        match output.code {
            0 | 1 => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                Ok(text.split('\0').filter(|_| !text.is_empty()).map(str::to_owned).collect::<Vec<_>>()).map(
                    |mut all| {
                        all.pop();
                        all
                    },
                )
            }
            code => {
                Err(Failure::machine(format!("`git config` ended with exit code {code}: {}", output.err())))
            }
        }
    }
}

fn list(values: &[String]) -> Value {
    match values {
        [] => Value::Null,
        many => Value::List(many.iter().cloned().map(Value::Str).collect()),
    }
}

/// A key and the values that it is to have.
pub(crate) struct Set {
    at: Where,
    values: Vec<String>,
}

/// `git.config_set`.
pub(crate) struct ConfigSet;

impl StateFn for ConfigSet {
    type Want = Set;
    type Observed = Vec<String>;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Set, Failure> {
        let values = match (args.text("value")?, args.list("multivar")?) {
            (Some(value), None) => vec![value],
            (None, Some(values)) if !values.is_empty() => values,
            _ => return Err(Failure::declaration("exactly one of value, multivar is needed")),
        };
        Ok(Set { at: Where::read(args, call)?, values })
    }

    fn observe(want: &Set, call: &Call<'_>) -> Result<Vec<String>, Failure> {
        want.at.values(call)
    }

    fn diff(want: &Set, now: &Vec<String>) -> Diff<()> {
        let key = &want.at.key;
        if *now == want.values {
            return Diff::Same(format!("'{key}' is already set to '{}'", now.join("', '")));
        }
        let pair = [("old".to_owned(), list(now)), ("new".to_owned(), list(&want.values))];
        let changes = Map::from([(key.clone(), Value::Map(Map::from(pair)))]);
        Diff::Change { plan: (), changes, would: format!("'{key}' would be set") }
    }

    fn apply(want: &Set, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        let mut values = want.values.iter();
        if let Some(first) = values.next() {
            want.at.run(&["--replace-all", &want.at.key, first], call)?;
        }
        for value in values {
            want.at.run(&["--add", &want.at.key, value], call)?;
        }
        Ok(Applied::done(format!("'{}' was set to '{}'", want.at.key, want.values.join("', '"))))
    }
}

/// A key and the values that it is not to have.
pub(crate) struct Unset {
    at: Where,
    regex: Option<String>,
    all: bool,
}

/// `git.config_unset`.
pub(crate) struct ConfigUnset;

impl StateFn for ConfigUnset {
    type Want = Unset;
    type Observed = Vec<String>;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Unset, Failure> {
        let at = Where::read(args, call)?;
        Ok(Unset { at, regex: args.text("value_regex")?, all: args.flag("all", false)? })
    }

    fn observe(want: &Unset, call: &Call<'_>) -> Result<Vec<String>, Failure> {
        let values = want.at.values(call)?;
        let Some(regex) = &want.regex else { return Ok(values) };
        let failed = |e| Failure::declaration(format!("`value_regex`: {e}"));
        let regex = regex::Regex::new(regex).map_err(failed)?;
        Ok(values.into_iter().filter(|v| regex.is_match(v)).collect())
    }

    fn diff(want: &Unset, now: &Vec<String>) -> Diff<()> {
        let key = &want.at.key;
        if now.is_empty() {
            return Diff::Same("No matching keys are set".to_owned());
        }
        if now.len() > 1 && !want.all {
            return Diff::Refuse(format!("'{key}' has several values; `all: True` would unset them"));
        }
        let changes = Map::from([(key.clone(), list(now))]);
        Diff::Change { plan: (), changes, would: format!("'{key}' would be unset") }
    }

    fn apply(want: &Unset, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        let mut argv = vec!["--unset-all", want.at.key.as_str()];
        argv.extend(want.regex.as_deref());
        want.at.run(&argv, call)?;
        Ok(Applied::done("Value(s) successfully unset"))
    }
}
