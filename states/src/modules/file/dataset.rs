//! Data written as text for `file.serialize`: YAML and JSON as Salt's serializers write them.

use crate::engine::step::{Call, Failure};
use crate::jinja::{Layout, Py, Res, json_text, parse_json};
use crate::merge;
use crate::modules::args::{Args, scalar};
use crate::modules::file::source::look_up;
use crate::value::{Map, Value};
use crate::yaml;

/// Data, and how it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dataset {
    data: Value,
    format: Format,
    /// Over what the file holds already.
    pub(crate) merge: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Yaml { flow: bool },
    Json { indent: Option<usize>, sort_keys: bool, ascii: bool },
}

impl Dataset {
    /// From `dataset` or `dataset_pillar`, `serializer` and its options.
    pub(crate) fn read(args: &Args<'_>, call: &Call<'_>) -> Result<Self, Failure> {
        let pillar = args.text("dataset_pillar")?.filter(|path| !path.is_empty());
        let data = match (args.get("dataset"), pillar) {
            (Some(_), Some(_)) => {
                return Err(Failure::declaration("only one of `dataset`, `dataset_pillar` can be given"));
            }
            (Some(data), None) => data.clone(),
            (None, Some(path)) => look_up(&path, ":", "dataset_pillar", "pillar", &call.low.pillar)?.clone(),
            (None, None) => return Err(Failure::declaration("`dataset` or `dataset_pillar` is missing")),
        };
        Ok(Self { data, format: format(args)?, merge: args.flag("merge_if_exists", false)? })
    }

    /// The text of the file; what it holds now is kept where nothing new is merged into it.
    pub(crate) fn text(&self, existing: Option<&str>) -> Result<String, String> {
        let data = Py::from(&self.data);
        let told = |e: crate::error::Error| e.to_string();
        let Some(existing) = existing.filter(|_| self.merge) else {
            return self.written(&data).map_err(told);
        };
        let old = self.parsed(existing).map_err(|e| format!("the file cannot be merged into: {e}"))?;
        if matches!(old, Py::None) {
            return self.written(&data).map_err(told);
        }
        let merged = merge::merge(&old, &data, "recurse", false).map_err(told)?;
        match merged.equals(&old) {
            true => Ok(existing.to_owned()),
            false => self.written(&merged).map_err(told),
        }
    }

    fn written(&self, data: &Py) -> Res<String> {
        Ok(match self.format {
            Format::Json { indent, sort_keys, ascii } => {
                json_text(data, Layout { sort_keys, indent, ascii, separators: None })? + "\n"
            }
            Format::Yaml { flow } => {
                let text = yaml::dump(data, flow)?;
                let text = text.strip_suffix("\n...\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text);
                format!("{text}\n")
            }
        })
    }

    fn parsed(&self, text: &str) -> Result<Py, crate::error::Error> {
        match self.format {
            Format::Json { .. } => parse_json(text, "the file"),
            Format::Yaml { .. } => Ok(yaml::load(text, "the file")?.to_py()),
        }
    }
}

fn format(args: &Args<'_>) -> Result<Format, Failure> {
    let name = match (args.text("serializer")?, args.text("formatter")?) {
        (Some(_), Some(_)) => {
            return Err(Failure::declaration("only one of `serializer`, `formatter` can be given"));
        }
        (Some(name), None) | (None, Some(name)) => name.to_lowercase(),
        (None, None) => "yaml".to_owned(),
    };
    let options = args.map("serializer_opts")?.unwrap_or_default();
    match name.as_str() {
        "json" => json(&options),
        "yaml" => yaml(&options),
        other => {
            Err(Failure::declaration(format!("`serializer: {other}` is not supported; yaml and json are")))
        }
    }
}

fn json(options: &Map) -> Result<Format, Failure> {
    let (mut indent, mut sort_keys, mut ascii) = (Some(2), true, false);
    for (key, value) in options {
        match (key.as_str(), value) {
            ("indent", Value::Null) => indent = None,
            ("indent", value) => {
                let number = scalar(value).and_then(|text| text.parse().ok()).filter(|n| *n <= 64);
                indent = Some(number.ok_or_else(|| Failure::declaration("`indent` must be a small number"))?);
            }
            ("sort_keys", Value::Bool(sort)) => sort_keys = *sort,
            ("ensure_ascii", Value::Bool(only)) => ascii = *only,
            _ => return Err(unknown("json", key)),
        }
    }
    Ok(Format::Json { indent, sort_keys, ascii })
}

fn yaml(options: &Map) -> Result<Format, Failure> {
    let mut flow = false;
    for (key, value) in options {
        match (key.as_str(), value) {
            ("default_flow_style", Value::Bool(yes)) => flow = *yes,
            // Written so in any case.
            ("allow_unicode", Value::Bool(_)) => {}
            _ => return Err(unknown("yaml", key)),
        }
    }
    Ok(Format::Yaml { flow })
}

fn unknown(format: &str, key: &str) -> Failure {
    Failure::declaration(format!("`serializer_opts` holds `{key}`, which is not supported for {format}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn data_is_merged_only_where_it_adds_something() {
        let data = Value::Map(Map::from([("b".to_owned(), Value::Int(1))]));
        let format = Format::Json { indent: Some(2), sort_keys: true, ascii: true };
        let dataset = Dataset { data, format, merge: true };
        assert_eq!(dataset.text(None).unwrap(), "{\n  \"b\": 1\n}\n");
        assert_eq!(dataset.text(Some("{\"b\": 1}")).unwrap(), "{\"b\": 1}");
        assert_eq!(dataset.text(Some("{\"a\": 2}")).unwrap(), "{\n  \"a\": 2,\n  \"b\": 1\n}\n");
        assert!(dataset.text(Some("{")).is_err());
    }
}
