//! Salt's `xml` filter: a mapping as elements, its plain values as attributes.

use super::super::args::{Res, runtime};
use super::super::repr::text;
use super::super::value::Py;
use super::strings::escaped;

/// An element of a document.
struct Element {
    tag: String,
    attributes: Vec<(String, String)>,
    text: Option<String>,
    children: Vec<Element>,
}

pub(super) fn xml(value: &Py) -> Res<String> {
    let pairs = pairs(value)?;
    let Some((tag, inner)) = pairs.last() else { return runtime("xml: there is no root element") };
    let mut out = "<?xml version=\"1.0\" ?>\n".to_owned();
    write(&mut out, &element(tag, inner, 0)?, 0);
    Ok(out)
}

fn pairs(value: &Py) -> Res<Vec<(String, Py)>> {
    match value {
        Py::Dict(d) => Ok(d.borrow().iter().map(|(k, v)| (text(k.value()), v.clone())).collect()),
        Py::List(_) | Py::Tuple(_) => Ok(Vec::new()),
        _ => runtime("Value is not a dict or list. Cannot render as XML"),
    }
}

fn element(tag: &str, value: &Py, depth: usize) -> Res<Element> {
    let mut element =
        Element { tag: tag.to_owned(), attributes: Vec::new(), text: None, children: Vec::new() };
    if depth > 100 {
        return runtime("a structure nested too deeply for XML");
    }
    if matches!(value, Py::Str(_) | Py::Int(_) | Py::Float(_) | Py::Bool(_)) {
        element.text = Some(text(value));
        return Ok(element);
    }
    for (tag, inner) in pairs(value)? {
        match &inner {
            Py::List(l) => {
                for item in l.borrow().iter() {
                    element.children.push(self::element(&tag, item, depth + 1)?);
                }
            }
            Py::Dict(_) => element.children.push(self::element(&tag, &inner, depth + 1)?),
            plain => element.attributes.push((tag, text(plain))),
        }
    }
    Ok(element)
}

fn write(out: &mut String, element: &Element, depth: usize) {
    let indent = " ".repeat(depth);
    out.push_str(&format!("{indent}<{}", element.tag));
    for (name, value) in &element.attributes {
        out.push_str(&format!(
            " {name}=\"{}\"",
            escaped(value).replace("&#34;", "&quot;").replace("&#39;", "'")
        ));
    }
    match (&element.text, element.children.is_empty()) {
        (Some(text), _) if !text.is_empty() => {
            let text = escaped(text).replace("&#34;", "\"").replace("&#39;", "'");
            out.push_str(&format!(">{text}</{}>\n", element.tag));
        }
        (_, true) => out.push_str("/>\n"),
        _ => {
            out.push_str(">\n");
            element.children.iter().for_each(|child| write(out, child, depth + 1));
            out.push_str(&format!("{indent}</{}>\n", element.tag));
        }
    }
}
