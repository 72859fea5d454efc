//! `module.run` and `module.wait`: execution functions as states, in both of Salt's ways to write them.

use crate::engine::TemplateRequest;
use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::Args;
use crate::value::{Map, Value};

/// Any argument may be one of the function's.
pub(crate) const ARGS: &[&str] = &["args", "kwargs"];

/// Keys of a declaration that are never a function's.
const OWN: &[&str] =
    &["name", "names", "state", "fun", "order", "returner", "sfun", "saltenv", "parallel", "retry"];
/// Legacy names of arguments that a declaration's own keys would hide.
const RENAMED: &[&str] = &["m_name", "m_names", "m_fun", "m_state", "m_saltenv"];

/// One function and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Function {
    /// As the tree wrote it: `test.ping`, or `test.ping:2`.
    key: String,
    args: Vec<Value>,
    kwargs: Map,
}

impl Function {
    fn name(&self) -> &str {
        self.key.split(':').next().unwrap_or_default()
    }
}

/// The functions, and whether their return is called `ret`.
pub(crate) struct Want {
    functions: Vec<Function>,
    legacy: bool,
}

fn is_own(key: &str) -> bool {
    let requisite = ["require", "watch", "onchanges", "onfail", "prereq", "listen", "use"];
    let condition =
        ["unless", "onlyif", "creates", "check_cmd", "failhard", "no_log", "reload_", "fire_event"];
    OWN.contains(&key)
        || key.starts_with("__")
        || requisite.iter().chain(&condition).any(|p| key.starts_with(p))
}

fn want(call: &Call<'_>) -> Result<Want, Failure> {
    let given: Vec<(&String, &Value)> = call.chunk.args.iter().filter(|(k, _)| !is_own(k)).collect();
    let legacy = given.is_empty() || given.iter().any(|(key, _)| !key.contains('.'));
    let functions = match legacy {
        true => vec![old_style(&call.chunk.name, &given)?],
        false => given.into_iter().map(|(key, value)| new_style(key, value)).collect::<Result<_, _>>()?,
    };
    Ok(Want { functions, legacy })
}

/// `name: fun`, with the arguments beside it.
fn old_style(name: &str, given: &[(&String, &Value)]) -> Result<Function, Failure> {
    let mut function = Function { key: name.to_owned(), args: Vec::new(), kwargs: Map::new() };
    for (key, value) in given {
        match (key.as_str(), value) {
            ("args", Value::List(list)) => function.args.extend(list.iter().cloned()),
            ("args", _) => return Err(Failure::declaration("`args` must be a list")),
            ("kwargs", Value::Map(map)) => function.kwargs.extend(map.clone()),
            ("kwargs", _) => return Err(Failure::declaration("`kwargs` must be a mapping")),
            (key, value) => {
                let plain = if RENAMED.contains(&key) { key.trim_start_matches("m_") } else { key };
                function.kwargs.insert(plain.to_owned(), (*value).clone());
            }
        }
    }
    Ok(function)
}

/// `fun: [argument, {name: argument}]`.
fn new_style(key: &str, value: &Value) -> Result<Function, Failure> {
    let mut function = Function { key: key.to_owned(), args: Vec::new(), kwargs: Map::new() };
    match value {
        Value::Null => {}
        Value::List(items) => {
            for item in items {
                match item {
                    Value::Map(map) => function.kwargs.extend(map.clone()),
                    other => function.args.push(other.clone()),
                }
            }
        }
        _ => return Err(Failure::declaration(format!("the arguments of {key} must be a list"))),
    }
    Ok(function)
}

/// Ask the template language, which knows every execution function.
fn ask(source: &str, function: &Function, call: &Call<'_>) -> Result<String, String> {
    let context = Map::from([
        ("module_function".to_owned(), Value::Str(function.name().to_owned())),
        ("module_args".to_owned(), Value::List(function.args.clone())),
        ("module_kwargs".to_owned(), Value::Map(function.kwargs.clone())),
    ]);
    let name = call.chunk.origin.file.clone();
    let request = TemplateRequest { source, name: &name, chunk: call.chunk, context: &context };
    call.context.render.template(&request)
}

fn is_there(function: &Function, call: &Call<'_>) -> bool {
    service_verb(function.name()).is_some()
        || ask("{{ module_function in salt }}", function, call).is_ok_and(|said| said.trim() == "True")
}

fn perform(function: &Function, call: &Call<'_>) -> Result<Value, String> {
    if let Some(verb) = service_verb(function.name()) {
        return to_service(verb, function, call);
    }
    let said = ask("{{ salt[module_function](*module_args, **module_kwargs) | tojson }}", function, call)?;
    let data = serde_json::from_str(&said).map_err(|e| format!("it gave something that is no data: {e}"))?;
    Ok(from_json(data))
}

fn from_json(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(b),
        Json::Number(n) => n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap_or(0.0)), Value::Int),
        Json::String(s) => Value::Str(s),
        Json::Array(items) => Value::List(items.into_iter().map(from_json).collect()),
        Json::Object(map) => Value::Map(map.into_iter().map(|(k, v)| (k, from_json(v))).collect()),
    }
}

/// What is done to services by way of the manager in use.
#[derive(Clone, Copy)]
enum Verb {
    Start,
    Stop,
    Restart,
    Reload,
    Enable,
    Disable,
    /// The manager looks at its files by itself.
    Nothing,
}

fn service_verb(name: &str) -> Option<Verb> {
    Some(match name {
        "service.start" => Verb::Start,
        "service.stop" => Verb::Stop,
        "service.restart" => Verb::Restart,
        "service.reload" | "service.force_reload" => Verb::Reload,
        "service.enable" => Verb::Enable,
        "service.disable" => Verb::Disable,
        "service.systemctl_reload" => Verb::Nothing,
        _ => return None,
    })
}

fn to_service(verb: Verb, function: &Function, call: &Call<'_>) -> Result<Value, String> {
    let named = function.args.first().or_else(|| function.kwargs.get("name")).and_then(Value::as_str);
    let services = call.context.host.services();
    let name = || named.filter(|n| !n.starts_with('-')).ok_or("it needs the `name` of a service".to_owned());
    match verb {
        Verb::Start => services.start(name()?)?,
        Verb::Stop => services.stop(name()?)?,
        Verb::Restart => services.restart(name()?)?,
        Verb::Reload => services.reload(name()?)?,
        Verb::Enable => services.set_enabled(name()?, true)?,
        Verb::Disable => services.set_enabled(name()?, false)?,
        Verb::Nothing => {}
    }
    Ok(Value::Bool(true))
}

/// Whether a return is a success: a truth value says so itself, a mapping by `result` and `retcode`.
fn is_success(value: &Value) -> bool {
    match value {
        Value::Bool(b) => *b,
        Value::Map(map) => map.iter().all(|(key, value)| match (key.as_str(), value) {
            ("result", Value::Bool(false)) => false,
            ("retcode", code) => *code == Value::Int(0),
            (_, Value::Map(_)) => is_success(value),
            _ => true,
        }),
        _ => true,
    }
}

/// `module.run`.
pub(crate) struct Run;

impl StateFn for Run {
    type Want = Want;
    /// Functions that are not there.
    type Observed = Vec<String>;
    type Plan = ();

    fn want(_: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        want(call)
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Vec<String>, Failure> {
        let missing = want.functions.iter().filter(|f| !is_there(f, call));
        Ok(missing.map(|f| f.name().to_owned()).collect())
    }

    fn diff(want: &Want, missing: &Vec<String>) -> Diff<()> {
        if !missing.is_empty() {
            return Diff::Refuse(format!("Unavailable function: {}", missing.join(", ")));
        }
        let unknown = || Value::Null;
        let changes = want.functions.iter().map(|f| match want.legacy {
            true => ("ret".to_owned(), unknown()),
            false => (f.key.clone(), unknown()),
        });
        let names: Vec<&str> = want.functions.iter().map(Function::name).collect();
        Diff::Change {
            plan: (),
            changes: changes.collect(),
            would: format!("Function {} would be executed", names.join(", ")),
        }
    }

    fn apply(want: &Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        let (mut changes, mut failures, mut done) = (Map::new(), Vec::new(), Vec::new());
        for function in &want.functions {
            let key = if want.legacy { "ret" } else { &function.key };
            match perform(function, call) {
                Ok(value) if is_success(&value) => {
                    done.push(format!("{} executed", function.key));
                    changes.insert(key.to_owned(), value);
                }
                Ok(value) => {
                    failures.push(format!("{} failed: {}", function.key, serde_json::json!(value)));
                    // Salt's older way shows what a function gave even then.
                    changes.extend(want.legacy.then(|| (key.to_owned(), value)));
                }
                Err(why) => failures.push(format!("{} failed: {why}", function.key)),
            }
        }
        let failed = !failures.is_empty();
        let comment = [failures, done].concat().join(", ");
        Ok(Applied { comment, changes: Some(changes), failed })
    }
}

/// `module.wait`: nothing, until something watched changes.
pub(crate) struct Wait;

impl StateFn for Wait {
    type Want = ();
    type Observed = ();
    type Plan = ();

    fn want(_: &Args<'_>, _: &Call<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn observe((): &(), _: &Call<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn diff((): &(), (): &()) -> Diff<()> {
        Diff::Same("Nothing that it watches has changed".to_owned())
    }

    fn apply((): &(), (): (), _: &Call<'_>) -> Result<Applied, Failure> {
        Ok(Applied::done(""))
    }
}
