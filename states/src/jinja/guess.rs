//! What a misspelt name in a template likely meant: worked out only when a rendering has failed.

use std::rc::Rc;

use super::ast::{At, Expr, ExprKind};
use super::eval::{Frame, attribute, placed};
use super::value::Py;
use crate::error::{Error, Fault};
use crate::nearest::did_you_mean;

/// The error of an expression with its place, and the nearest name where something in it is undefined.
pub(super) fn placed_in(error: Error, frame: &Frame, expr: &Expr, at: At) -> Error {
    if error.place.origin.is_some() {
        return error;
    }
    let meant = match &error.fault {
        Fault::Undefined(message) => undefined_in(expr, message, frame),
        _ => None,
    };
    let error = placed(error, &frame.template, at);
    match meant {
        Some(help) => error.help(help),
        None => error,
    }
}

/// Looks in an expression for what a message says is undefined.
fn undefined_in(expr: &Expr, message: &str, frame: &Frame) -> Option<String> {
    let inside = |expr: &Expr| undefined_in(expr, message, frame);
    match &expr.kind {
        ExprKind::Name(name) if message == format!("'{name}' is undefined") => {
            let all = frame.scope.all();
            did_you_mean(name, all.iter().map(|(known, _)| &**known))
        }
        ExprKind::Attr(object, name) => inside(object).or_else(|| key_of(object, name, message, frame)),
        ExprKind::Item(object, key) => inside(object).or_else(|| inside(key)).or_else(|| match &key.kind {
            ExprKind::Str(name) => key_of(object, name, message, frame),
            _ => None,
        }),
        ExprKind::Filter(Some(subject), _, args) => {
            inside(subject).or_else(|| args.positional.iter().find_map(inside))
        }
        ExprKind::Call(callee, args) => inside(callee).or_else(|| args.positional.iter().find_map(inside)),
        ExprKind::Test(subject, ..) => inside(subject),
        ExprKind::List(items) | ExprKind::Tuple(items) => items.iter().find_map(inside),
        _ => None,
    }
}

/// The nearest key of a mapping that lacks this one.
fn key_of(object: &Expr, name: &Rc<str>, message: &str, frame: &Frame) -> Option<String> {
    let object = value(object, frame)?;
    let is_it = matches!(attribute(&object, name), Py::Undefined(said) if *said == *message);
    let Py::Dict(dict) = &object else { return None };
    let dict = dict.borrow();
    let keys = dict.keys().filter_map(|key| match key.value() {
        Py::Str(text) => Some(&**text),
        _ => None,
    });
    if is_it { did_you_mean(name, keys) } else { None }
}

/// The value of an expression that can be looked at again without running anything.
fn value(expr: &Expr, frame: &Frame) -> Option<Py> {
    match &expr.kind {
        ExprKind::Name(name) => frame.scope.get(name),
        ExprKind::Attr(object, name) => Some(attribute(&value(object, frame)?, name)),
        ExprKind::Item(object, key) => match &key.kind {
            ExprKind::Str(name) => value(object, frame)?.item(name),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::trials::run;

    #[test]
    fn what_is_undefined_is_told_with_the_nearest_that_is_defined() {
        let set = "{% set app = {'port': 80, 'inner': {'name': 'x'}} %}";
        for (text, meant) in [
            ("{{ grain }}", "grains"),
            ("{{ grain.os }}", "grains"),
            ("{{ grain['os'] | upper }}", "grains"),
            ("{% if grain %}{% endif %}", "grains"),
            ("{% for g in grain %}{% endfor %}", "grains"),
            ("{% set service = 1 %}{{ 'a' ~ servise }}", "service"),
            ("{{ app.prot }}", "port"),
            ("{{ app['prot'] }}", "port"),
            ("{{ app.inner.nme | upper }}", "name"),
            ("{{ 1 + app.prot }}", "port"),
            ("{{ app.prot | upper | join(1) }}", "port"),
            ("{{ 'a' | uper }}", "upper"),
            ("{{ ['a'] | map('uper') | list }}", "upper"),
            ("{{ 1 is dfined }}", "defined"),
            ("{{ 1 is odd_ }}", "odd"),
            ("{{ 1 is strng }}", "string"),
            ("{{ [1] | select('strng') | list }}", "string"),
        ] {
            let error = run(&format!("{set}{text}")).unwrap_err().to_string();
            assert!(error.contains(&format!("help: did you mean `{meant}`?")), "{text}: {error}");
        }
    }

    #[test]
    fn nothing_is_guessed_where_nothing_is_near() {
        for text in
            ["{{ nonsense }}", "{{ {'port': 1}.unheard_of }}", "{{ 1 | nonsense }}", "{{ 1 is nonsense }}"]
        {
            let error = run(text).unwrap_err().to_string();
            assert!(!error.contains("did you mean"), "{error}");
        }
        assert_eq!(run("{{ grain is defined }}{{ grain | default(1) }}").unwrap(), "False1");
    }
}
