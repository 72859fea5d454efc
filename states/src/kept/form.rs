//! How a compile is written: a mark, the key, a sum of what follows, the record, the low state.

use indexmap::IndexMap;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::key::Key;
use super::witness::Record;
use crate::low::LowState;
use crate::value::{Map, Value};

const MARK: &[u8; 8] = b"mayfly\0\x01";
const HEAD: usize = MARK.len() + 32 + 32;
/// More than this is not kept.
pub(super) const LARGEST: usize = 64 << 20;
/// What is nested deeper is not kept: it is read back on an ordinary stack.
const DEEPEST: usize = 100;

/// A compile as it is written; nothing where it is too large or too deep.
pub(super) fn encoded(key: &Key, seen: &Record, low: &LowState) -> Option<Vec<u8>> {
    if !is_shallow(low) {
        return None;
    }
    let mut bytes = Vec::with_capacity(HEAD + 256 * low.chunks.len());
    bytes.extend(MARK);
    bytes.extend(key.0);
    bytes.extend([0; 32]);
    let bytes = postcard::to_extend(seen, bytes).ok()?;
    let mut bytes = postcard::to_extend(low, bytes).ok()?;
    let sum = Sha256::digest(bytes.get(HEAD..)?);
    bytes.get_mut(HEAD - 32..HEAD)?.copy_from_slice(&sum);
    (bytes.len() <= LARGEST).then_some(bytes)
}

/// The record, and the bytes of the low state: where they are whole and of this key.
pub(super) fn opened<'b>(bytes: &'b [u8], key: &Key) -> Option<(Record, &'b [u8])> {
    let rest = bytes.strip_prefix(MARK)?.strip_prefix(&key.0)?;
    let (sum, body) = rest.split_at_checked(32)?;
    if Sha256::digest(body).as_slice() != sum {
        return None;
    }
    postcard::take_from_bytes(body).ok()
}

/// The low state.
pub(super) fn low(bytes: &[u8]) -> Option<LowState> {
    let mut low: LowState = postcard::from_bytes(bytes).ok()?;
    // Steps that are written in one file share its name.
    let mut last = std::sync::Arc::<str>::default();
    for chunk in &mut low.chunks {
        match chunk.origin.file == last {
            true => chunk.origin.file = last.clone(),
            false => last = chunk.origin.file.clone(),
        }
    }
    Some(low)
}

/// Data, its kinds and its order, as bytes.
pub(super) fn data(all: &[&Map]) -> Option<Vec<u8>> {
    let all: Vec<Entries<'_>> = all.iter().map(|map| Entries(map)).collect();
    postcard::to_extend(&all, Vec::new()).ok()
}

fn is_shallow(low: &LowState) -> bool {
    fn within(value: &Value, left: usize) -> bool {
        let Some(left) = left.checked_sub(1) else { return false };
        match value {
            Value::List(all) => all.iter().all(|value| within(value, left)),
            Value::Map(all) => all.values().all(|value| within(value, left)),
            _ => true,
        }
    }
    let of_chunks = low.chunks.iter().flat_map(|c| c.args.values().chain(&c.listens).chain(&c.typed_name));
    of_chunks.chain(low.pillar.values()).all(|value| within(value, DEEPEST))
}

/// A value with its kind, which its own form as JSON leaves out.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Value")]
enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(#[serde(with = "list")] Vec<Value>),
    Map(#[serde(with = "map")] Map),
}

/// A value to write.
#[derive(Serialize)]
struct Out<'v>(#[serde(serialize_with = "out")] &'v Value);

#[allow(clippy::trivially_copy_pass_by_ref)] // The shape that serde asks for.
fn out<S: Serializer>(value: &&Value, to: S) -> Result<S::Ok, S::Error> {
    Kind::serialize(value, to)
}

/// A value that was read.
#[derive(Deserialize)]
struct In(#[serde(with = "Kind")] Value);

struct Entries<'m>(&'m Map);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        map::serialize(self.0, to)
    }
}

/// An optional value.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, In, Out, Serialize, Serializer, Value};

    #[allow(clippy::ref_option)] // The shape that serde asks for.
    pub(crate) fn serialize<S: Serializer>(value: &Option<Value>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Out).serialize(to)
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Value>, D::Error> {
        Ok(Option::<In>::deserialize(from)?.map(|In(value)| value))
    }
}

/// A list of values.
pub(crate) mod list {
    use super::{Deserialize, Deserializer, In, Out, Serializer, Value};

    pub(crate) fn serialize<S: Serializer>(all: &[Value], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(Out))
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<Value>, D::Error> {
        Ok(Vec::<In>::deserialize(from)?.into_iter().map(|In(value)| value).collect())
    }
}

/// A mapping, in its order.
pub(crate) mod map {
    use super::{Deserializer, Map, Out, Pairs, Serializer};

    pub(crate) fn serialize<S: Serializer>(all: &Map, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(all.iter().map(|(key, value)| (key, Out(value))))
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Map, D::Error> {
        from.deserialize_map(Pairs)
    }
}

struct Pairs;

impl<'d> Visitor<'d> for Pairs {
    type Value = Map;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'d>>(self, mut from: A) -> Result<Map, A::Error> {
        let mut all = IndexMap::with_capacity(from.size_hint().unwrap_or_default().min(64));
        while let Some((key, In(value))) = from.next_entry()? {
            all.insert(key, value);
        }
        Ok(all)
    }
}
