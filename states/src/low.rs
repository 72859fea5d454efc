//! The low state: the ordered list of steps that a compile gives and the engine walks.

use std::sync::Arc;

use crate::engine::requisites::is_requisite;
use crate::kept::form;
pub use crate::lines::Lines;
use crate::secrets::Secrets;
use crate::value::{Map, Value};

/// Where in the tree something was written.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct Origin {
    /// Path of the file, relative to its file root (`web/init.sls`); shared by all that is written there.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One state declaration, as Salt's low chunk.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Chunk {
    /// The state module, such as `file` (Salt's key `state`).
    pub state: String,
    /// The function, such as `managed` (Salt's key `fun`).
    pub fun: String,
    /// The name it works on (`name`, else the id).
    pub name: String,
    /// The same as it was written, where that is no text (an entry of `names` may be a number).
    #[serde(with = "form::optional")]
    pub typed_name: Option<Value>,
    /// The declaration's id (`__id__`).
    pub id: String,
    /// The SLS it came from, dotted (`__sls__`).
    pub sls: String,
    /// The environment (`__env__`).
    pub env: String,
    /// Salt's `order` number.
    pub order: i64,
    /// Every other key as Salt leaves it in the chunk: arguments, and requisites (`require`, `watch`, …) as lists of
    /// one-key maps `{state: id-or-name}`.
    #[serde(with = "form::map")]
    pub args: Map,
    /// References to listen to that the `listen_in` of other chunks adds; its own `listen` is in `args`.
    #[serde(with = "form::list")]
    pub listens: Vec<Value>,
    /// Where the id was declared, in the rendered text.
    pub origin: Origin,
}

impl Chunk {
    /// The key that Salt's state returns carry: `state_|-id_|-name_|-fun`.
    pub fn tag(&self) -> String {
        format!("{}_|-{}_|-{}_|-{}", self.state, self.id, self.name, self.fun)
    }

    /// The chunk with the keys that Salt prints.
    pub fn to_value(&self) -> Value {
        let text = |s: &str| Value::Str(s.to_owned());
        let mut map = Map::from([
            ("state".to_owned(), text(&self.state)),
            ("name".to_owned(), self.typed_name.clone().unwrap_or_else(|| text(&self.name))),
            ("__sls__".to_owned(), text(&self.sls)),
            ("__env__".to_owned(), text(&self.env)),
            ("__id__".to_owned(), text(&self.id)),
        ]);
        map.extend(self.args.iter().map(|(k, v)| (k.clone(), v.clone())));
        map.insert("order".to_owned(), Value::Int(self.order));
        map.insert("fun".to_owned(), text(&self.fun));
        Value::Map(map)
    }

    /// Whom the chunk listens to: its own `listen`, and the `listen_in` of others.
    pub fn listened(&self) -> Vec<Value> {
        let own = self.arg("listen").and_then(Value::as_list).unwrap_or_default();
        own.iter().chain(&self.listens).cloned().collect()
    }

    /// An argument by name.
    pub fn arg(&self, key: &str) -> Option<&Value> {
        self.args.get(key)
    }
}

/// What a compile gives: the chunks in run order, and the pillar that templates rendered at apply time need.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LowState {
    /// In run order.
    pub chunks: Vec<Chunk>,
    /// The order in which Salt lists the chunks, as indices: the target of a `prereq` stands there twice, first where
    /// it is rehearsed, then where it runs.
    pub listing: Vec<usize>,
    /// What Salt accepts in silence and is likely a mistake.
    pub warnings: Vec<crate::error::Error>,
    /// The compiled pillar.
    #[serde(with = "form::map")]
    pub pillar: Map,
    /// Where the lines of rendered files came from.
    pub lines: Lines,
    /// What was decrypted for it. A compile that decrypted something is not kept.
    #[serde(skip)]
    pub secrets: Secrets,
}

impl LowState {
    /// The steps that are wanted, in their order, without what they require of others or others of them.
    #[must_use]
    pub fn alone(&self, wanted: impl Fn(&Chunk) -> bool) -> Self {
        let mut chunks: Vec<Chunk> = self.chunks.iter().filter(|chunk| wanted(chunk)).cloned().collect();
        for chunk in &mut chunks {
            chunk.listens.clear();
            chunk.args.retain(|key, _| !is_requisite(key));
        }
        Self { listing: (0..chunks.len()).collect(), chunks, ..self.clone() }
    }

    /// Where the chunk's id was declared in the file as it is written: [`Chunk::origin`] is a place of the rendered text.
    pub fn origin(&self, chunk: &Chunk) -> Origin {
        self.lines.origin(&chunk.origin)
    }
}
