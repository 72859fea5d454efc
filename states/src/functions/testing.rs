//! `test.*`, `log.*`, `mine.*`, `sys.*`: answers that nothing has to be asked for.

use super::{Call, SALT_VERSION, Table, list_of};
use crate::jinja::{CallArgs, Dict, Key, Py, Res, runtime, text};
use crate::python::glob::fnmatch;

pub(super) const FUNCTIONS: Table = &[
    ("log.critical", logged),
    ("log.debug", logged),
    ("log.error", logged),
    ("log.exception", logged),
    ("log.info", logged),
    ("log.warning", logged),
    ("mine.get", mine_get),
    ("sys.list_functions", list_functions),
    ("sys.list_modules", list_modules),
    ("test.arg", arg),
    ("test.arg_clean", arg),
    ("test.arg_repr", arg_repr),
    ("test.arg_type", arg_type),
    ("test.assertion", assertion),
    ("test.collatz", collatz),
    ("test.conf_test", conf_test),
    ("test.echo", echo),
    ("test.exception", exception),
    ("test.false", no),
    ("test.fib", fib),
    ("test.get_opts", get_opts),
    ("test.kwarg", kwarg),
    ("test.outputter", echo_data),
    ("test.ping", yes),
    ("test.provider", provider),
    ("test.retcode", retcode),
    ("test.true", yes),
    ("test.try", try_call),
    ("test.tty", tty),
    ("test.version", version),
];

/// Salt logs at its minion; a compile has no log, so the message is read and dropped.
fn logged(call: &mut Call<'_>) -> Res<Py> {
    let [message] = call.bind(["message"])?;
    if message.is_none() {
        return runtime("missing required argument: 'message'");
    }
    Ok(Py::Bool(true))
}

/// Without a master nobody has filled the mine.
fn mine_get(call: &mut Call<'_>) -> Res<Py> {
    let [_, fun, _, _] = call.bind(["tgt", "fun", "tgt_type", "exclude_minion"])?;
    call.required("fun", fun)?;
    Ok(Py::dict(Dict::new()))
}

fn yes(call: &mut Call<'_>) -> Res<Py> {
    let [] = call.bind([])?;
    Ok(Py::Bool(true))
}

fn no(call: &mut Call<'_>) -> Res<Py> {
    let [] = call.bind([])?;
    Ok(Py::Bool(false))
}

fn echo(call: &mut Call<'_>) -> Res<Py> {
    let [value] = call.bind(["text"])?;
    call.required("text", value)
}

fn echo_data(call: &mut Call<'_>) -> Res<Py> {
    let [value] = call.bind(["data"])?;
    call.required("data", value)
}

fn version(call: &mut Call<'_>) -> Res<Py> {
    let [] = call.bind([])?;
    Ok(Py::str(SALT_VERSION))
}

fn get_opts(call: &mut Call<'_>) -> Res<Py> {
    Ok(call.known().opts.clone())
}

fn conf_test(call: &mut Call<'_>) -> Res<Py> {
    Ok(call.known().opts.item("test.foo").unwrap_or_else(|| Py::str("unconfigured")))
}

fn retcode(_: &mut Call<'_>) -> Res<Py> {
    Ok(Py::Bool(true))
}

fn tty(_: &mut Call<'_>) -> Res<Py> {
    Ok(Py::str("ERROR: This function has been moved to cmd.tty"))
}

fn exception(call: &mut Call<'_>) -> Res<Py> {
    let [message] = call.bind(["message"])?;
    runtime(super::text_or(message.as_ref(), "Test Exception"))
}

fn assertion(call: &mut Call<'_>) -> Res<Py> {
    let [claim] = call.bind(["assertion"])?;
    if call.required("assertion", claim)?.truth() { Ok(Py::None) } else { runtime("the assertion is false") }
}

fn pairs(args: &CallArgs, of: impl Fn(&Py) -> Py) -> Py {
    Py::dict(args.named.iter().map(|(k, v)| (Key::str(k.clone()), of(v))).collect())
}

fn kwarg(call: &mut Call<'_>) -> Res<Py> {
    Ok(pairs(&call.args, Py::clone))
}

fn both(args: Py, kwargs: Py) -> Res<Py> {
    Ok(Py::dict([(Key::str("args"), args), (Key::str("kwargs"), kwargs)].into_iter().collect()))
}

fn arg(call: &mut Call<'_>) -> Res<Py> {
    both(Py::tuple(call.args.positional.clone()), pairs(&call.args, Py::clone))
}

fn arg_type(call: &mut Call<'_>) -> Res<Py> {
    let kind = |value: &Py| Py::str(format!("<class '{}'>", value.type_name()));
    both(Py::list(call.args.positional.iter().map(kind).collect()), pairs(&call.args, kind))
}

fn arg_repr(call: &mut Call<'_>) -> Res<Py> {
    let args = text(&Py::tuple(call.args.positional.clone()));
    both(Py::str(args), Py::str(text(&pairs(&call.args, Py::clone))))
}

fn number(call: &mut Call<'_>, name: &'static str) -> Res<i64> {
    let [value] = call.bind([name])?;
    let value = call.required(name, value)?;
    let parsed = value.as_int().or_else(|| text(&value).trim().parse().ok());
    parsed.map_or_else(|| runtime(format!("'{}' is no whole number", text(&value))), Ok)
}

/// The number, and the seconds that it took: none that anybody could measure.
fn fib(call: &mut Call<'_>) -> Res<Py> {
    let wanted = number(call, "num")?;
    if wanted < 0 {
        return runtime("Negative number is not allowed!");
    }
    let mut pair = (0_i64, 1_i64);
    for _ in 0..wanted {
        let Some(next) = pair.0.checked_add(pair.1) else { return runtime("the number is too large") };
        pair = (pair.1, next);
    }
    Ok(Py::tuple(vec![Py::Int(pair.0), Py::Float(0.0)]))
}

fn collatz(call: &mut Call<'_>) -> Res<Py> {
    let mut at = number(call, "start")?;
    if at < 1 {
        return runtime("only a positive number ever comes to 1");
    }
    let mut steps = Vec::new();
    while at != 1 && steps.len() < 10_000 {
        // Python's `/` makes a float of it, from the first halving on.
        #[allow(clippy::cast_precision_loss)]
        let shown = if steps.is_empty() { Py::Int(at) } else { Py::Float(at as f64) };
        steps.push(shown);
        let next = if at % 2 == 0 { Some(at / 2) } else { at.checked_mul(3).and_then(|n| n.checked_add(1)) };
        let Some(next) = next else { return runtime("the number is too large") };
        at = next;
    }
    Ok(Py::tuple(vec![Py::list(steps), Py::Float(0.0)]))
}

/// Salt's file behind a module, on Debian.
fn provider(call: &mut Call<'_>) -> Res<Py> {
    let [module] = call.bind(["module"])?;
    let module = call.text("module", module)?;
    let prefix = format!("{module}.");
    if !call.scene.function_names().iter().any(|name| name.starts_with(&prefix)) {
        return Ok(Py::str(""));
    }
    let booted = || call.scene.machine("file.directory_exists", vec![Py::str("/run/systemd/system")]);
    let without_systemd = || booted().is_ok_and(|booted| !booted.truth());
    Ok(Py::str(match module.as_str() {
        "service" if without_systemd() => "debian_service",
        "cmd" => "cmdmod",
        "group" => "groupadd",
        "locale" => "localemod",
        "log" => "logmod",
        "pkg" => "aptpkg",
        "random" => "mod_random",
        "service" => "systemd_service",
        "shadow" => "linux_shadow",
        "sys" => "sysmod",
        "sysctl" => "linux_sysctl",
        "user" => "useradd",
        other => other,
    }))
}

/// Calls another function, and answers nothing when it fails.
fn try_call(call: &mut Call<'_>) -> Res<Py> {
    let mut args = std::mem::take(&mut call.args);
    let named = args.named.iter().position(|(name, _)| &**name == "module");
    let function = match (args.positional.is_empty(), named) {
        (false, _) => args.positional.remove(0),
        (true, Some(at)) => args.named.remove(at).1,
        _ => return runtime("missing required argument: 'module'"),
    };
    args.named.retain(|(name, _)| &**name != "return_try_exception");
    let args = CallArgs { positional: Vec::new(), named: args.named };
    Ok(crate::jinja::World::call(call.scene, &text(&function), args).unwrap_or(Py::None))
}

fn list_functions(call: &mut Call<'_>) -> Res<Py> {
    let wanted: Vec<String> = call.args.positional.iter().map(text).collect();
    let mut all = call.scene.function_names();
    all.retain(|name| wanted.is_empty() || wanted.iter().any(|w| asked(name, w)));
    Ok(list_of(all))
}

fn list_modules(call: &mut Call<'_>) -> Res<Py> {
    let wanted: Vec<String> = call.args.positional.iter().map(text).collect();
    let mut all = call.scene.function_names();
    let module = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let fits = |name: &str, w: &String| if w.contains('*') { fnmatch(name, w) } else { module(name) == *w };
    all.retain(|name| wanted.is_empty() || wanted.iter().any(|w| fits(name, w)));
    let mut modules: Vec<String> = all.iter().map(|name| module(name)).collect();
    modules.dedup();
    Ok(list_of(modules))
}

fn asked(name: &str, wanted: &str) -> bool {
    match wanted.contains(['*', '.']) {
        true => fnmatch(name, wanted),
        false => name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.')),
    }
}
