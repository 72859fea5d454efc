//! What Salt's `verify_high` refuses: declarations of the wrong shape, each with its place.

use crate::compile::extend::REQUISITES;
use crate::compile::high::{Body, Decl, High, Item};
use crate::compile::hints::UNSPACED;
use crate::error::{Error, Fault, Findings};
use crate::low::Origin;
use crate::value::{Map, Value};
use crate::yaml::colon_without_space;

/// Refuses what Salt's `verify_high` refuses.
pub(crate) fn verify(high: &High, found: &mut Findings) {
    for (id, decl) in &high.decls {
        for (state, body) in &decl.states {
            verify_body(id, state, decl, body, found);
        }
    }
}

fn verify_body(id: &str, state: &str, decl: &Decl, body: &Body, found: &mut Findings) {
    let Findings { errors, warnings } = found;
    let mut fail = |message: String, at: &Origin, help: &str| {
        let error = Error::new(Fault::High(message)).at(at.clone());
        errors.push(if help.is_empty() { error } else { error.help(help) });
    };
    let sls = &decl.sls;
    if let Some(kind) = body.malformed {
        let (kind, help) = match kind {
            "nothing" => (kind, "without arguments, leave out the colon"),
            UNSPACED => (kind, "put a space behind each `-`"),
            _ => (kind, "arguments are a list: each on a line that starts with `- `"),
        };
        let message = format!("'{state}' of the ID '{id}' in SLS '{sls}' must be a list, not {kind}");
        return fail(message, &body.at, help);
    }
    let functions: Vec<&str> = body.items.iter().filter_map(Item::function).collect();
    for function in functions.iter().filter(|f| f.trim().contains(' ')) {
        let message = format!("the function '{function}' of the ID '{id}' in SLS '{sls}' has a blank in it");
        fail(message, &body.at, "if it is an argument, it needs a colon after its name");
    }
    match functions.len() {
        0 => {
            let message = format!("'{state}' of the ID '{id}' in SLS '{sls}' names no function");
            fail(message, &body.at, "write it as `STATE.FUNCTION:`, such as `file.managed:`");
        }
        1 => {}
        _ => {
            let all = functions.join(", ");
            let message = format!("'{state}' of the ID '{id}' in SLS '{sls}' names several functions: {all}");
            match unspaced(body) {
                Some((text, at)) => {
                    let spaced = text.replacen(':', ": ", 1);
                    fail(message, at, &format!("put a space behind the colon: `- {spaced}`"));
                }
                None => fail(message, &body.at, "keep one"),
            }
        }
    }
    for item in &body.items {
        match &item.value {
            Value::Map(args) => verify_args(id, args, &item.at, &mut fail),
            Value::Str(_) => {}
            other => warnings.push(no_argument(id, other, &item.at)),
        }
    }
}

/// What stands where a function could, but is an argument without the space behind its colon.
fn unspaced(body: &Body) -> Option<(&str, &Origin)> {
    body.items.iter().find_map(|item| {
        let text = item.function().filter(|text| colon_without_space(text))?;
        Some((text, &item.at))
    })
}

/// What is neither a function nor an argument: Salt goes on without it.
fn no_argument(id: &str, value: &Value, at: &Origin) -> Error {
    let kind = match value {
        Value::List(_) => "a list",
        Value::Null => "nothing",
        _ => "a bare value",
    };
    let fault = Fault::High(format!("an argument of the ID '{id}' is {kind}"));
    Error::new(fault).at(at.clone()).help("it is left out, as in Salt; arguments are `NAME: VALUE`")
}

fn verify_args(id: &str, args: &Map, at: &Origin, fail: &mut dyn FnMut(String, &Origin, &str)) {
    let Some((key, value)) = args.first() else { return };
    if key == "names" && value.as_list().is_none() {
        fail(format!("`names` of the ID '{id}' must be a list"), at, "");
    }
    if !REQUISITES.contains(&key.as_str()) {
        return;
    }
    let Some(references) = value.as_list() else {
        return fail(
            format!("`{key}` of the ID '{id}' must be a list"),
            at,
            "references are written as `- STATE: ID`",
        );
    };
    for reference in references {
        match reference {
            Value::Str(_) => {}
            Value::Map(m) if m.len() == 1 => {
                let Some((state, target)) = m.first() else { continue };
                if let Some((bare, _)) = state.split_once('.') {
                    let message = format!("`{key}` of the ID '{id}' names the state '{state}'");
                    fail(message, at, &format!("requisites name a state without its function: `{bare}`"));
                }
                if matches!(target, Value::List(_) | Value::Map(_)) {
                    fail(
                        format!("`{key}` of the ID '{id}' names a {state} by something that is no text"),
                        at,
                        "",
                    );
                }
            }
            _ => {
                let message = format!("a reference in `{key}` of the ID '{id}' is no pair");
                fail(message, at, "references are written as `- STATE: ID`");
            }
        }
    }
    if args.len() != 1 {
        let message = format!("`{key}` of the ID '{id}' is followed by other keys in the same list entry");
        fail(message, at, "each argument starts with its own `- `; check the indentation");
    }
}
