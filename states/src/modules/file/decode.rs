//! `file.decode`: a file of what base64 text stands for.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind, Stat};
use crate::modules::args::Args;
use crate::modules::file::source::from_data;
use crate::modules::file::{self, Ids, Place};
use crate::python::digests::{hex_digest, hex_digest_of};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["encoded_data", "contents_pillar", "encoding_type", "checksum"];

/// The declaration.
pub(crate) struct Want {
    place: Place,
    data: Vec<u8>,
    algorithm: String,
    /// The digest of the data.
    digest: String,
}

/// The file as it is.
pub(crate) struct Observed {
    now: Stat,
    digest: Option<String>,
    parent: bool,
}

/// `file.decode`.
pub(crate) struct Decode;

impl StateFn for Decode {
    type Want = Want;
    type Observed = Observed;
    type Plan = fsys::Owner;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let given = |key: &str| Ok::<_, Failure>(args.text(key)?.filter(|text| !text.is_empty()));
        let text = match (given("encoded_data")?, given("contents_pillar")?) {
            (Some(text), None) => text,
            (None, Some(path)) => from_data(&path, "contents_pillar", "pillar", &call.low.pillar, args)?,
            _ => {
                let both = "one of `encoded_data`, `contents_pillar` must be given";
                return Err(Failure::declaration(both));
            }
        };
        let kind = args.text("encoding_type")?.unwrap_or_else(|| "base64".to_owned());
        if kind != "base64" {
            return Err(Failure::declaration(format!("`encoding_type: {kind}` is not supported; base64 is")));
        }
        let data = decoded(&text).map_err(Failure::declaration)?;
        let algorithm = args.text("checksum")?.unwrap_or_else(|| "md5".to_owned());
        let digest = hex_digest(&algorithm, &data)
            .ok_or_else(|| Failure::declaration(format!("`checksum: {algorithm}` is no digest")))?;
        Ok(Want { place: Place::of(call)?, data, algorithm, digest })
    }

    fn observe(want: &Want, _: &Call<'_>) -> Result<Observed, Failure> {
        let path = &want.place.path;
        let now = fsys::stat(path)?;
        let unread = |e: std::io::Error| Failure::machine(format!("cannot read {}: {e}", want.place.name));
        let digest = match now.kind {
            Kind::File => Some(hex_digest_of(&want.algorithm, &mut fsys::open(path)?).map_err(unread)?),
            _ => None,
        };
        Ok(Observed { now, digest, parent: file::parent_exists(path)? })
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<fsys::Owner> {
        let name = &want.place.name;
        let owner = match observed.now.kind {
            Kind::File => Ids::default().over(&observed.now, None),
            Kind::Missing if observed.parent => Ids::default().fresh(0o644),
            Kind::Missing => return Diff::Refuse(format!("the directory of {name} is not there")),
            kind => return Diff::Refuse(file::odd(&want.place, kind, "a regular file")),
        };
        if observed.digest.as_ref() == Some(&want.digest) {
            return Diff::Same(format!("{name} is as asked"));
        }
        let old = observed.digest.clone().map_or(Value::Null, Value::Str);
        let new = Value::Str(want.digest.clone());
        let changes = Map::from([("old".to_owned(), old), ("new".to_owned(), new)]);
        Diff::Change { plan: owner, changes, would: format!("{name} would be written") }
    }

    fn apply(want: &Want, owner: fsys::Owner, _: &Call<'_>) -> Result<Applied, Failure> {
        fsys::replace(&want.place.path, &want.data, owner)?;
        Ok(Applied::done(format!("{} written", want.place.name)))
    }
}

/// Base64 with or without line ends and padding at its end.
fn decoded(text: &str) -> Result<Vec<u8>, String> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    // The error would quote a character of what may be a secret.
    engine.decode(compact).map_err(|_| "the data is not base64".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::decoded;

    #[test]
    fn base64_may_have_line_ends() {
        assert_eq!(decoded("aGVs\nbG8K\n").unwrap(), b"hello\n");
        assert!(decoded("aGVsb").is_err() && decoded("a_-b").is_err());
    }
}
