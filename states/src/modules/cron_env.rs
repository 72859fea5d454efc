//! `cron.env_present` and `cron.env_absent`: the variables of a crontab.

use crate::engine::step::{Call, Failure};
use crate::modules::args::Args;
use crate::modules::cron::{tab, told, user};
use crate::modules::crontab::Crontab;
use crate::modules::textfile::{Edited, Editor, TextFile, one_line};

pub(crate) const PRESENT: &[&str] = &["user", "value"];
pub(crate) const ABSENT: &[&str] = &["user"];

/// A variable that is asked for.
pub(crate) struct Variable {
    user: String,
    name: String,
    value: String,
}

impl Variable {
    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<Self, Failure> {
        let name = one_line("name", call.chunk.name.trim().to_owned())?;
        if name.is_empty() || name.contains([' ', '=', '#']) {
            return Err(Failure::declaration(format!("{name:?} cannot be the name of a variable")));
        }
        let value = one_line("value", args.text("value")?.unwrap_or_default())?;
        Ok(Self { user: user(args)?, name, value })
    }

    /// An empty value is written as a pair of quotes.
    fn met(&self, now: &str) -> bool {
        now == self.value || (self.value.is_empty() && now == "\"\"")
    }
}

/// `cron.env_present`.
pub(crate) struct EnvPresent;

impl Editor for EnvPresent {
    type Want = Variable;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Variable, Failure> {
        Variable::read(args, call)
    }

    fn file(want: &Variable, call: &Call<'_>) -> Result<TextFile, Failure> {
        tab(&want.user, call)
    }

    fn edit(want: &Variable, text: &str) -> Edited {
        let mut tab = Crontab::parse(text);
        let name = &want.name;
        let now = tab.env.iter().find(|(n, _)| n == name).cloned();
        if now.as_ref().is_some_and(|(_, value)| want.met(value)) {
            return Edited::Same(format!("Cron env {name} already present"));
        }
        tab.env.retain(|(n, _)| n != name);
        tab.env.push((name.clone(), want.value.clone()));
        let done = match now {
            None => format!("Cron env {name} added to {}'s crontab", want.user),
            Some(_) => format!("Cron env {name} updated"),
        };
        Edited::To {
            text: tab.render(),
            changes: told(&want.user, name),
            would: format!("Cron env {name} would be set in {}'s crontab", want.user),
            done,
        }
    }
}

/// `cron.env_absent`.
pub(crate) struct EnvAbsent;

impl Editor for EnvAbsent {
    type Want = Variable;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Variable, Failure> {
        Variable::read(args, call)
    }

    fn file(want: &Variable, call: &Call<'_>) -> Result<TextFile, Failure> {
        tab(&want.user, call)
    }

    fn edit(want: &Variable, text: &str) -> Edited {
        let mut tab = Crontab::parse(text);
        let name = &want.name;
        if !tab.env.iter().any(|(n, _)| n == name) {
            return Edited::Same(format!("Cron env {name} already absent"));
        }
        tab.env.retain(|(n, _)| n != name);
        Edited::To {
            text: tab.render(),
            changes: told(&want.user, name),
            would: format!("Cron env {name} would be removed from {}'s crontab", want.user),
            done: format!("Cron env {name} removed from {}'s crontab", want.user),
        }
    }
}
