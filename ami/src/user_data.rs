//! Writes the user-data document of `docs/user-data.md`: one `#mayfly` YAML document, gzipped when it would not fit.

use crate::recipe::RecipeError;
use crate::stock::{self, Boot};
use crate::yaml;
use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value, json};
use std::io::{Read, Write};

/// What EC2 accepts, in bytes before base64 (EC2 user guide, "Run commands when you launch an EC2 instance").
pub const LIMIT: usize = 16 * 1024;

/// Where the state tree comes from, as an instance is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct States {
    /// `https://`, `http://`, `file://`, `ssh://` or `user@host:path`.
    pub url: String,
    /// The branch or tag that is followed.
    pub reference: Option<String>,
    /// The commit of the first converge, 40 hex digits.
    pub commit: Option<String>,
    /// `Some(false)` stays on `commit`.
    pub follow: Option<bool>,
    /// The folder of the SLS files.
    pub file_root: Option<String>,
    /// The folder of the pillar files.
    pub pillar_root: Option<String>,
    /// Environment to folder, or a list of them, where there is more than `base`.
    pub file_roots: Map<String, Value>,
    /// The same for pillar files.
    pub pillar_roots: Map<String, Value>,
    /// A file on the image with an HTTPS token.
    pub token_file: Option<String>,
    /// A private key on the image.
    pub ssh_key_file: Option<String>,
    /// The known hosts on the image.
    pub known_hosts_file: Option<String>,
    /// What else an instance is told of its repositories, under the names of `docs/user-data.md`.
    pub more: Map<String, Value>,
}

/// What an instance does after its first converge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Finish {
    /// It keeps itself right for as long as it lives.
    #[default]
    Stay,
    /// It powers off, to be imaged.
    PowerOff,
}

/// All that an instance is told at birth. Keys that are `None` or empty are left to the instance's defaults.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UserData {
    /// Grain `role`.
    pub role: String,
    /// Grain `environment`.
    pub environment: String,
    /// The deployment that launches it.
    pub deployment: Option<String>,
    /// The state tree.
    pub states: States,
    /// Merged over the tree's pillar.
    pub pillar: Map<String, Value>,
    /// Merged over the computed grains.
    pub grains: Map<String, Value>,
    /// The environment of the tree, when it is to be one alone.
    pub saltenv: Option<String>,
    /// Names to compound matches, for top files.
    pub nodegroups: Map<String, Value>,
    /// Options of the minion that change a compile.
    pub options: Map<String, Value>,
    /// Cron expression.
    pub schedule: Option<String>,
    /// Delay, as `30s`.
    pub splay: Option<String>,
    /// Cron expression: when drift is looked for.
    pub drift: Option<String>,
    /// `host:port` of `/ready`, `/status`, `/metrics`.
    pub listen: Option<String>,
    /// `auto`, `supervisord`, `systemd`, `sysv`, `builtin`.
    pub supervisor: Option<String>,
    /// Watch rules, as written in the spec.
    pub watch: Vec<Value>,
    /// What comes after the first converge.
    pub finish: Finish,
    /// The deployer's own notes: the instance passes them over.
    pub record: Map<String, Value>,
}

/// Why user-data cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserDataError {
    /// Even gzipped it is more than EC2 takes.
    #[error(
        "the user-data is {size} bytes even gzipped and EC2 takes {LIMIT}: move pillar data into the state tree"
    )]
    TooLarge {
        /// Its size, gzipped.
        size: usize,
    },
}

impl UserData {
    /// The document as text, always ending in a newline.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::from("#mayfly\n");
        let entries = self.entries();
        yaml::write_entries(entries.iter().map(|(k, v)| (*k, v)), 0, &mut out);
        out
    }

    /// The bytes to hand to EC2, before base64: the text, or the text gzipped when it is over the limit.
    ///
    /// # Errors
    /// [`UserDataError::TooLarge`] when it does not fit even so.
    pub fn bytes(&self) -> Result<Vec<u8>, UserDataError> {
        fit(self.text().into_bytes())
    }

    /// The same for a machine whose image may be a stock one: with the script that brings `mayfly-boot` onto it.
    ///
    /// # Errors
    /// [`RecipeError`] when it does not fit, or the script cannot be made.
    pub fn bytes_with(&self, boot: Option<&Boot>) -> Result<Vec<u8>, RecipeError> {
        match boot {
            None => Ok(self.bytes()?),
            Some(boot) => Ok(fit(boot.with_document(&self.text())?)?),
        }
    }

    fn entries(&self) -> Vec<(&'static str, Value)> {
        let mut entries = vec![("role", json!(self.role)), ("environment", json!(self.environment))];
        push(&mut entries, "deployment", self.deployment.as_ref());
        entries.push(("states", Value::Object(self.states.entries())));
        push_map(&mut entries, "pillar", &self.pillar);
        push_map(&mut entries, "grains", &self.grains);
        push(&mut entries, "saltenv", self.saltenv.as_ref());
        push_map(&mut entries, "nodegroups", &self.nodegroups);
        push_map(&mut entries, "options", &self.options);
        push(&mut entries, "schedule", self.schedule.as_ref());
        push(&mut entries, "splay", self.splay.as_ref());
        push(&mut entries, "drift", self.drift.as_ref());
        push(&mut entries, "listen", self.listen.as_ref());
        push(&mut entries, "supervisor", self.supervisor.as_ref());
        if !self.watch.is_empty() {
            entries.push(("watch", json!(self.watch)));
        }
        if self.finish == Finish::PowerOff {
            entries.push(("finish", json!("poweroff")));
        }
        push_map(&mut entries, "record", &self.record);
        entries
    }
}

impl States {
    fn entries(&self) -> Map<String, Value> {
        let mut entries = vec![("url", json!(self.url))];
        push(&mut entries, "ref", self.reference.as_ref());
        push(&mut entries, "commit", self.commit.as_ref());
        if let Some(follow) = self.follow {
            entries.push(("follow", json!(follow)));
        }
        push(&mut entries, "file_root", self.file_root.as_ref());
        push(&mut entries, "pillar_root", self.pillar_root.as_ref());
        push_map(&mut entries, "file_roots", &self.file_roots);
        push_map(&mut entries, "pillar_roots", &self.pillar_roots);
        push(&mut entries, "token_file", self.token_file.as_ref());
        push(&mut entries, "ssh_key_file", self.ssh_key_file.as_ref());
        push(&mut entries, "known_hosts_file", self.known_hosts_file.as_ref());
        let more = self.more.iter().map(|(k, v)| (k.clone(), v.clone()));
        entries.into_iter().map(|(k, v)| (k.to_owned(), v)).chain(more).collect()
    }
}

/// Bytes for EC2 from any user-data: as they are, or gzipped when they are over the limit. The gzip header carries no
/// time, so the same input makes the same bytes.
///
/// # Errors
/// [`UserDataError::TooLarge`] when they do not fit even so.
pub fn fit(bytes: Vec<u8>) -> Result<Vec<u8>, UserDataError> {
    if bytes.len() <= LIMIT {
        return Ok(bytes);
    }
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    // Writing to a vector has no way to fail.
    let packed = gzip.write_all(&bytes).and_then(|()| gzip.finish()).unwrap_or_default();
    if packed.is_empty() || packed.len() > LIMIT {
        return Err(UserDataError::TooLarge { size: packed.len() });
    }
    Ok(packed)
}

/// The document in user-data as EC2 gives it back: unpacked when it is gzipped, at most 1 MiB, without the script for
/// stock images.
///
/// # Errors
/// Words that say why there is no text.
pub fn text_of(bytes: &[u8]) -> Result<String, String> {
    const MOST: u64 = 1024 * 1024;
    let mut plain = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = flate2::read::GzDecoder::new(bytes).take(MOST + 1);
        unpacked.read_to_end(&mut plain).map_err(|error| format!("it is no gzip: {error}"))?;
        if plain.len() as u64 > MOST {
            return Err(format!("it is more than {MOST} bytes unpacked"));
        }
    } else {
        plain.extend_from_slice(bytes);
    }
    String::from_utf8(plain).map(stock::document_of).map_err(|_| "it is not text".to_owned())
}

fn push(entries: &mut Vec<(&'static str, Value)>, key: &'static str, value: Option<&String>) {
    if let Some(value) = value {
        entries.push((key, json!(value)));
    }
}

fn push_map(entries: &mut Vec<(&'static str, Value)>, key: &'static str, value: &Map<String, Value>) {
    if !value.is_empty() {
        entries.push((key, Value::Object(value.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> UserData {
        UserData {
            role: "web".into(),
            environment: "staging".into(),
            deployment: Some("greeter-staging-1".into()),
            states: States {
                url: "https://github.com/acme/states.git".into(),
                reference: Some("staging".into()),
                commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
                follow: Some(false),
                ..States::default()
            },
            pillar: json!({"greeter": {"version": "2"}}).as_object().cloned().unwrap_or_default(),
            schedule: Some("*/2 * * * * *".into()),
            finish: Finish::PowerOff,
            ..UserData::default()
        }
    }

    #[test]
    fn the_document_is_the_one_that_instances_read() {
        let expected = "\
#mayfly
role: web
environment: staging
deployment: greeter-staging-1
states:
  url: https://github.com/acme/states.git
  ref: staging
  commit: \"0123456789abcdef0123456789abcdef01234567\"
  follow: false
pillar:
  greeter:
    version: \"2\"
schedule: \"*/2 * * * * *\"
finish: poweroff
";
        assert_eq!(sample().text(), expected);
        assert_eq!(sample().bytes(), Ok(expected.as_bytes().to_vec()));
    }

    #[test]
    fn a_large_document_is_gzipped_the_same_each_time() {
        let mut data = sample();
        data.pillar.insert("motd".into(), json!("a line of text\n".repeat(2_000)));
        let packed = data.bytes().expect("fits when gzipped");
        assert_eq!(packed.get(..2), Some(&[0x1f, 0x8b][..]));
        assert_eq!(data.bytes(), Ok(packed.clone()));
        assert_eq!(text_of(&packed), Ok(data.text()));
        assert_eq!(text_of(data.text().as_bytes()), Ok(data.text()));
        assert!(text_of(&fit(vec![b' '; 2 << 20]).expect("fits when gzipped")).is_err());
    }

    #[test]
    fn what_cannot_fit_is_refused() {
        let mut state = 1u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let noise: Vec<u8> = (0..5_000).flat_map(|_| next().to_le_bytes()).collect();
        assert!(matches!(fit(noise), Err(UserDataError::TooLarge { size }) if size > LIMIT));
    }
}
