//! `test.*`: states that succeed, fail or change as told, for trying out trees and requisites.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::Args;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["changes", "result", "comment", "text"];

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

            fn want(args: &Args<'_>, _: &Call<'_>) -> Result<Want, Failure> {
                let build: fn(&Args<'_>) -> Result<Want, Failure> = $want;
                build(args)
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

fn fixed(args: &Args<'_>, changes: bool, fails: bool) -> Result<Want, Failure> {
    let default = if fails { "Failure!" } else { "Success!" };
    Ok(Want { changes, fails, comment: args.text("comment")?.unwrap_or_else(|| default.to_owned()) })
}

test_state!(
    /// `test.nop` and `test.succeed_without_changes`.
    Nop,
    |args| fixed(args, false, false)
);
test_state!(
    /// `test.succeed_with_changes`.
    SucceedWithChanges,
    |args| fixed(args, true, false)
);
test_state!(
    /// `test.fail_without_changes`.
    Fail,
    |args| fixed(args, false, true)
);
test_state!(
    /// `test.fail_with_changes`.
    FailWithChanges,
    |args| fixed(args, true, true)
);
test_state!(
    /// `test.configurable_test_state`: `changes` and `result` decide.
    Configurable,
    |args| fixed(args, args.flag("changes", true)?, !args.flag("result", true)?)
);
test_state!(
    /// `test.show_notification`: says `text`.
    Notify,
    |args| Ok(Want { changes: false, fails: false, comment: args.text("text")?.unwrap_or_default() })
);
test_state!(
    /// mod_watch of all of them.
    React,
    |_| Ok(Want { changes: true, fails: false, comment: "Watch statement fired.".to_owned() })
);
