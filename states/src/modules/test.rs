//! `test.*`: states that succeed, fail or change as told, for trying out trees and requisites.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::Args;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["changes", "result", "comment", "text", "allow_test_mode_failure"];

/// What a test state is to return.
pub(crate) struct Want {
    changes: bool,
    fails: bool,
    comment: String,
}

fn pretended() -> Map {
    let (old, new) = (Value::Str("Unchanged".into()), Value::Str("Something pretended to change".into()));
    let change = Map::from([("old".to_owned(), old), ("new".to_owned(), new)]);
    Map::from([("testing".to_owned(), Value::Map(change))])
}

macro_rules! test_state {
    ($(#[$doc:meta])* $name:ident, $want:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl StateFn for $name {
            type Want = Want;
            type Observed = ();
            type Plan = ();

            fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
                let build: fn(&Args<'_>, &Call<'_>) -> Result<Want, Failure> = $want;
                build(args, call)
            }

            fn observe(_: &Want, _: &Call<'_>) -> Result<(), Failure> {
                Ok(())
            }

            fn diff(want: &Want, (): &()) -> Diff<()> {
                match (want.changes, want.fails) {
                    (false, false) => Diff::Same(want.comment.clone()),
                    (false, true) => Diff::Refuse(want.comment.clone()),
                    (true, _) => Diff::Change { plan: (), changes: pretended(), would: "Would pretend to change".into() },
                }
            }

            fn apply(want: &Want, (): (), _: &Call<'_>) -> Result<Applied, Failure> {
                Ok(Applied { failed: want.fails, ..Applied::done(want.comment.clone()) })
            }
        }
    };
}

fn fixed(args: &Args<'_>, call: &Call<'_>, changes: bool, fails: bool) -> Result<Want, Failure> {
    let default = if fails { "Failure!" } else { "Success!" };
    let comment = args.text("comment")?.unwrap_or_else(|| default.to_owned());
    // In test mode nothing that another step may bring would make it succeed.
    match call.test && fails && !changes {
        true => Err(Failure::declaration(comment)),
        false => Ok(Want { changes, fails, comment }),
    }
}

/// Without `allow_test_mode_failure` a rehearsal does not fail.
fn configurable(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
    let (changes, result) = (chance(args, "changes")?, chance(args, "result")?);
    let quiet = call.test && !args.flag("allow_test_mode_failure", false)?;
    fixed(args, call, changes, !result && !quiet)
}

/// A truth value, or `Random`.
fn chance(args: &Args<'_>, key: &str) -> Result<bool, Failure> {
    match args.get(key) {
        Some(Value::Str(word)) if word.eq_ignore_ascii_case("random") => Ok(rand::random()),
        _ => args.flag(key, true),
    }
}

test_state!(
    /// `test.nop` and `test.succeed_without_changes`.
    Nop,
    |args, call| fixed(args, call, false, false)
);
test_state!(
    /// `test.succeed_with_changes`.
    SucceedWithChanges,
    |args, call| fixed(args, call, true, false)
);
test_state!(
    /// `test.fail_without_changes`.
    Fail,
    |args, call| fixed(args, call, false, true)
);
test_state!(
    /// `test.fail_with_changes`.
    FailWithChanges,
    |args, call| fixed(args, call, true, true)
);
test_state!(
    /// `test.configurable_test_state`: `changes` and `result` decide.
    Configurable,
    configurable
);
test_state!(
    /// `test.show_notification`: says `text`.
    Notify,
    |args, _| Ok(Want { changes: false, fails: false, comment: args.text("text")?.unwrap_or_default() })
);
test_state!(
    /// mod_watch of all of them.
    React,
    |_, _| Ok(Want { changes: true, fails: false, comment: "Watch statement fired.".to_owned() })
);
