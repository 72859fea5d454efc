//! `mayfly-boot show`: the stages of a compile, as data, without changing anything.

use crate::cli::{ShowArgs, ShowOutput, Stage};
use crate::converge::Converge;
use crate::exit::Exit;
use crate::{local, say};
use mayfly_states::compile::{self, high};
use mayfly_states::error::Errors;
use mayfly_states::host::{Machine, NoServices};
use mayfly_states::low::{Chunk, LowState};
use mayfly_states::value::Value;
use mayfly_states::{pillar, top};
use std::sync::Arc;

/// Prints the stage that was asked for.
///
/// # Errors
/// Wrong arguments; a tree that does not compile is no error but [`Exit::Compile`].
pub(crate) fn show(args: &ShowArgs) -> anyhow::Result<Exit> {
    let minion = local::minion(&args.tree)?;
    if args.stage == Stage::Grains {
        print(&Value::Map(minion.grains), args.output)?;
        return Ok(Exit::Ok);
    }
    let machine = Machine::new(Arc::new(NoServices)).with_root(&args.tree.root);
    let converge = Converge::new(local::tree(&args.tree)?, minion, Arc::new(machine));
    match stage(&converge, args) {
        Ok(value) => {
            let shown = if args.show_secrets { value } else { converge.secrets().hide_in(value) };
            print(&shown, args.output)?;
            Ok(Exit::Ok)
        }
        Err(errors) => {
            say::warn(converge.secrets().hide(&errors.to_string()));
            Ok(Exit::Compile)
        }
    }
}

fn stage(converge: &Converge, args: &ShowArgs) -> Result<Value, Errors> {
    let session = converge.shown();
    let matches = || match args.sls.as_slice() {
        [] => top::top(&session),
        names => Ok(vec![(converge.minion.asked_env().unwrap_or("base").to_owned(), names.to_vec())]),
    };
    Ok(match args.stage {
        Stage::Grains => Value::Map(converge.minion.grains.clone()),
        Stage::Pillar => Value::Map(pillar::pillar(&session)?),
        Stage::Top => Value::Map(matches()?.into_iter().map(|(env, names)| (env, texts(names))).collect()),
        Stage::High => Value::Map(high::high(&session, &matches()?)?),
        Stage::Low => {
            let compiled = match args.sls.as_slice() {
                [] => compile::highstate(&session)?,
                names => compile::sls(&session, names)?,
            };
            compiled.warnings.iter().for_each(|w| say::warn(format_args!("warning: {w}")));
            low(&compiled)
        }
    })
}

fn texts(names: Vec<String>) -> Value {
    Value::List(names.into_iter().map(Value::Str).collect())
}

/// The chunks with Salt's keys, as Salt lists them.
fn low(low: &LowState) -> Value {
    Value::List(low.listing.iter().filter_map(|i| low.chunks.get(*i)).map(Chunk::to_value).collect())
}

fn print(value: &Value, output: ShowOutput) -> anyhow::Result<()> {
    let text = match output {
        ShowOutput::Json => serde_json::to_string_pretty(value)?,
        ShowOutput::Yaml => serde_saphyr::to_string(value)?,
    };
    Ok(say::result(|out| writeln!(out, "{}", text.trim_end()))?)
}
