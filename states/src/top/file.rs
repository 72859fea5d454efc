//! One top file as written: environments, their targets, and what each target lists.

use std::rc::Rc;

use crate::error::{Error, Fault};
use crate::jinja::Source;
use crate::lines::Lines;
use crate::low::Origin;
use crate::render::Scene;
use crate::yaml::{Data, Node};

/// A top file. What is wrong in a part of it counts only where that part is used.
#[derive(Debug, Default)]
pub(super) struct TopFile {
    /// Other SLS files that are read as top files of the same environment.
    pub(super) include: Vec<String>,
    pub(super) sections: Vec<Section>,
}

/// One environment of a top file.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) env: String,
    pub(super) targets: Result<Vec<Target>, Error>,
}

/// One target with its list.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// What is written; `None` for a key that is no text, which means nobody.
    pub(super) expression: Option<String>,
    pub(super) shown: String,
    pub(super) entries: Result<Vec<Entry>, Error>,
    pub(super) place: Place,
}

/// An entry of a target's list.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// An SLS name.
    Sls(String, Place),
    /// `match: kind`, `environment: sls`, `ignore_missing: true`, …
    Options(Vec<(String, Node)>, Place),
    /// Something that is neither.
    Other(&'static str, Place),
}

/// Where something is written, and the text around it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    at: Origin,
    file: Rc<Text>,
}

/// The text of a top file, and where the lines of what a template made of it came from.
#[derive(Debug)]
struct Text {
    written: String,
    lines: Lines,
}

impl Place {
    /// An error there.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        self.put(Error::new(Fault::Top(message.into())))
    }

    /// An error without a place, there.
    pub(super) fn put(&self, error: Error) -> Error {
        let mut error = error.at(self.file.lines.origin(&self.at)).in_text(&self.file.written);
        error.place.placed = true;
        error
    }
}

impl Target {
    /// The kind of match: the last one that is named.
    pub(super) fn kind(&self) -> Result<String, Error> {
        let entries = self.entries.as_ref().map_err(Clone::clone)?;
        let mut options = entries.iter().filter_map(|entry| match entry {
            Entry::Options(pairs, place) => pairs.iter().find(|(k, _)| k == "match").map(|(_, v)| (v, place)),
            _ => None,
        });
        match options.next_back() {
            None => Ok("compound".to_owned()),
            Some((kind, place)) => kind
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| place.error(format!("`match` names a kind, not {}", kind.kind()))),
        }
    }
}

/// Reads a top file. `name` is how errors name it.
pub(super) fn read(scene: &Scene<'_>, source: Source, name: &str) -> Result<TopFile, Error> {
    let source = Source { name: name.to_owned(), text: source.text };
    let node = scene.data(&source, "", &[])?;
    let reader = Reader { name, file: Rc::new(Text { written: source.text, lines: scene.lines() }) };
    if !node.to_py().truth() {
        return Ok(TopFile::default());
    }
    let Some(pairs) = node.as_map() else {
        let message = format!("it must be a mapping of environments, not {}", node.kind());
        return Err(reader.place(&node).error(message));
    };
    let mut file = TopFile::default();
    for (key, value) in pairs {
        match key.as_str() {
            Some("include") => file.include = reader.include(value)?,
            _ => file.sections.push(Section { env: key.key(), targets: reader.targets(key, value) }),
        }
    }
    Ok(file)
}

struct Reader<'r> {
    name: &'r str,
    file: Rc<Text>,
}

impl Reader<'_> {
    fn place(&self, node: &Node) -> Place {
        Place { at: node.at.in_file(self.name), file: self.file.clone() }
    }

    fn include(&self, node: &Node) -> Result<Vec<String>, Error> {
        let names =
            node.as_list().and_then(|items| items.iter().map(|i| i.as_str().map(str::to_owned)).collect());
        names.ok_or_else(|| {
            self.place(node).error("`include` must be a list of SLS names that are top files too")
        })
    }

    fn targets(&self, env: &Node, node: &Node) -> Result<Vec<Target>, Error> {
        if let Data::List(items) = &node.data
            && items.is_empty()
        {
            return Ok(Vec::new());
        }
        if env.as_str().is_none() {
            let message =
                format!("the environment '{}' is {}, not text: put it in quotes", env.key(), env.kind());
            return Err(self.place(env).error(message));
        }
        let Some(pairs) = node.as_map() else {
            let message =
                format!("the environment '{}' must be a mapping of targets, not {}", env.key(), node.kind());
            let help = "write `'*':` below it, and the SLS names as a list below that";
            return Err(self.place(node).error(message).help(help));
        };
        Ok(pairs.iter().map(|(expression, body)| self.target(expression, body)).collect())
    }

    fn target(&self, expression: &Node, body: &Node) -> Target {
        let shown = expression.key();
        let entries = match body.as_list() {
            Some(items) => Ok(items.iter().map(|item| self.entry(item)).collect()),
            None => {
                let message =
                    format!("the target '{shown}' must hold a list of SLS names, not {}", body.kind());
                let help = "each name goes on a line that starts with `- `";
                Err(self.place(body).error(message).help(help))
            }
        };
        let expression_text = expression.as_str().map(str::to_owned);
        Target { expression: expression_text, shown, entries, place: self.place(expression) }
    }

    fn entry(&self, item: &Node) -> Entry {
        match (&item.data, item.as_map()) {
            (Data::Str(name), _) => Entry::Sls(name.clone(), self.place(item)),
            (_, Some(pairs)) => {
                Entry::Options(pairs.iter().map(|(k, v)| (k.key(), v.clone())).collect(), self.place(item))
            }
            _ => Entry::Other(item.kind(), self.place(item)),
        }
    }
}
