//! `environ.setenv`: variables for the commands that the rest of the run runs.

// Effects: looks at the variables of this process.
#![allow(clippy::disallowed_methods)]

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::{Args, scalar};
use crate::value::{Map, Value};

pub(crate) const SETENV: &[&str] = &["value", "false_unsets", "clear_all"];
pub(crate) const IGNORED: &[&str] = &["update_minion", "permanent"];

/// A variable and its value; `None` takes it away.
type Setting = (String, Option<String>);

/// The declaration.
pub(crate) struct Want {
    settings: Vec<Setting>,
    false_unsets: bool,
}

/// `environ.setenv`.
pub(crate) struct Setenv;

impl StateFn for Setenv {
    type Want = Want;
    /// The variables that are asked for, as they are.
    type Observed = Vec<Setting>;
    type Plan = Vec<Setting>;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        args.refuse("clear_all", "name the variables that are to go, with `false`")?;
        let false_unsets = args.flag("false_unsets", false)?;
        let all = match args.get("value") {
            Some(Value::Map(map)) => map.clone(),
            Some(one @ (Value::Str(_) | Value::Bool(false))) => {
                Map::from([(call.chunk.name.clone(), one.clone())])
            }
            _ => return Err(Failure::declaration("`value` must be text, false, or a mapping of them")),
        };
        let settings = all.iter().map(|(name, value)| setting(name, value, false_unsets));
        Ok(Want { settings: settings.collect::<Result<_, _>>()?, false_unsets })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Vec<Setting>, Failure> {
        let set = call.facts.environment.borrow();
        let now = |name: &String| match set.get(name) {
            Some(value) => value.clone(),
            None => std::env::var(name).ok(),
        };
        Ok(want.settings.iter().map(|(name, _)| (name.clone(), now(name))).collect())
    }

    fn diff(want: &Want, now: &Vec<Setting>) -> Diff<Vec<Setting>> {
        let same = |(wanted, now): &(&Setting, &Setting)| {
            wanted.1 == now.1 || (wanted.1.as_deref() == Some("") && now.1.is_none())
        };
        let plan: Vec<Setting> =
            want.settings.iter().zip(now).filter(|pair| !same(pair)).map(|(w, _)| w.clone()).collect();
        if plan.is_empty() {
            return Diff::Same("Environ values are already set with the correct values".to_owned());
        }
        let gone = || if want.false_unsets { Value::Null } else { Value::Str(String::new()) };
        let changes =
            plan.iter().map(|(name, value)| (name.clone(), value.clone().map_or_else(gone, Value::Str)));
        Diff::Change { changes: changes.collect(), plan, would: "Environ values would be set".to_owned() }
    }

    fn apply(_: &Want, plan: Vec<Setting>, call: &Call<'_>) -> Result<Applied, Failure> {
        call.facts.environment.borrow_mut().extend(plan);
        Ok(Applied::done("Environ values were set"))
    }
}

fn setting(name: &str, value: &Value, false_unsets: bool) -> Result<Setting, Failure> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Failure::declaration(format!("{name:?} cannot be the name of a variable")));
    }
    let value = match value {
        Value::Bool(false) if false_unsets => None,
        Value::Bool(false) => Some(String::new()),
        other => {
            let text = scalar(other).filter(|t| !t.contains('\0'));
            Some(text.ok_or_else(|| Failure::declaration(format!("the value of `{name}` must be text")))?)
        }
    };
    Ok((name.to_owned(), value))
}
