//! `mayfly-boot show`: the stages of a compile, as data, without changing anything.

use crate::cli::{ShowArgs, ShowOutput, Stage};
use crate::converge::Converge;
use crate::exit::Exit;
use crate::local;
use mayfly_states::error::Errors;
use mayfly_states::host::{Machine, NoServices};
use mayfly_states::low::{Chunk, LowState};
use mayfly_states::value::{Map, Value};
use mayfly_states::{high, pillar, top};
use std::io::Write;
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
            print(&value, args.output)?;
            Ok(Exit::Ok)
        }
        Err(errors) => {
            eprintln!("{errors}");
            Ok(Exit::Compile)
        }
    }
}

fn stage(converge: &Converge, args: &ShowArgs) -> Result<Value, Errors> {
    let session = converge.session();
    let matches = || match args.sls.as_slice() {
        [] => top::top(&session),
        names => Ok(vec![("base".to_owned(), names.to_vec())]),
    };
    Ok(match args.stage {
        Stage::Grains => Value::Map(converge.minion.grains.clone()),
        Stage::Pillar => Value::Map(pillar::pillar(&session)?),
        Stage::Top => Value::Map(matches()?.into_iter().map(|(env, names)| (env, texts(names))).collect()),
        Stage::High => Value::Map(high::high(&session, &matches()?)?),
        Stage::Low => low(&converge.compile(&args.sls)?),
    })
}

fn texts(names: Vec<String>) -> Value {
    Value::List(names.into_iter().map(Value::Str).collect())
}

/// The chunks with Salt's keys.
fn low(low: &LowState) -> Value {
    Value::List(low.chunks.iter().map(chunk).collect())
}

fn chunk(chunk: &Chunk) -> Value {
    let text = |s: &str| Value::Str(s.to_owned());
    let mut map = Map::from([
        ("state".to_owned(), text(&chunk.state)),
        ("fun".to_owned(), text(&chunk.fun)),
        ("name".to_owned(), text(&chunk.name)),
        ("__id__".to_owned(), text(&chunk.id)),
        ("__sls__".to_owned(), text(&chunk.sls)),
        ("__env__".to_owned(), text(&chunk.env)),
        ("order".to_owned(), Value::Int(chunk.order)),
    ]);
    map.extend(chunk.args.iter().map(|(k, v)| (k.clone(), v.clone())));
    Value::Map(map)
}

fn print(value: &Value, output: ShowOutput) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match output {
        ShowOutput::Json => writeln!(out, "{}", serde_json::to_string_pretty(value)?)?,
        ShowOutput::Yaml => writeln!(out, "{}", serde_saphyr::to_string(value)?.trim_end())?,
    }
    Ok(())
}
