//! Reads deployments back from the cloud's own records: versions of the launch template, newest first.

use crate::cloud::{Answer, Cloud, CloudError, Kind, Template, Version};
use crate::naming;
use crate::spec::Node;
use base64::Engine;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What stands in place of a value that is not shown.
pub const HIDDEN: &str = "(hidden)";

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It succeeded and is the last that did.
    Current,
    /// It succeeded, and another one since.
    Succeeded,
    /// A part of it serves, until it is promoted or taken back.
    Canary,
    /// A part of it serves, as it was asked for.
    Partial,
    /// It was taken back.
    Aborted,
    /// It was rolled back.
    RolledBack,
    /// It was neither finished nor undone: running now, or killed.
    Unfinished,
}

impl Ending {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Succeeded => "succeeded",
            Self::Canary => "canary",
            Self::Partial => "partial",
            Self::Aborted => "aborted",
            Self::RolledBack => "rolled back",
            Self::Unfinished => "unfinished",
        }
    }
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Its number: the launch template's version.
    pub number: i64,
    /// Its id.
    pub deployment: String,
    /// Who deployed.
    pub who: String,
    /// When it was recorded.
    pub when: Option<DateTime<Utc>>,
    /// How many seconds it took, once it ended.
    pub seconds: Option<u64>,
    /// The image.
    pub image: String,
    /// The state commit.
    pub commit: Option<String>,
    /// The number of the deployment that it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<i64>,
    /// What was set on the command line.
    pub parameters: Map<String, Value>,
    /// How it ended.
    pub ending: Ending,
}

/// One deployment as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// What lists show of it.
    pub entry: Entry,
    /// The version behind it.
    pub version: Version,
    /// Its user-data, read; `Err` says why it cannot be.
    pub user_data: Result<Value, String>,
}

/// All deployments of a service in an environment, newest first; none when it was never deployed.
///
/// # Errors
/// [`CloudError`] of the call that failed.
pub async fn read(cloud: &dyn Cloud, service: &str, environment: &str) -> Answer<Vec<Whole>> {
    let Some(record) = cloud.template(&naming::record(service, environment)).await? else {
        return Ok(Vec::new());
    };
    let versions = cloud.versions(&record.id).await?;
    Ok(versions.into_iter().map(|version| whole(&record, version)).collect())
}

/// One deployment by its number.
///
/// # Errors
/// [`CloudError`]; [`Kind::NotFound`] when there is no such deployment, with the numbers there are.
pub fn pick(all: &[Whole], number: i64) -> Answer<&Whole> {
    all.iter().find(|whole| whole.entry.number == number).ok_or_else(|| {
        let text = match (all.last(), all.first()) {
            (Some(oldest), Some(newest)) => format!(
                "there is no deployment {number}; `mayfly history` lists {} to {}",
                oldest.entry.number, newest.entry.number
            ),
            _ => format!("there is no deployment {number}: nothing was deployed yet"),
        };
        CloudError::new("DescribeLaunchTemplateVersions", Kind::NotFound, text)
    })
}

fn whole(record: &Template, version: Version) -> Whole {
    let user_data = user_data(&version.data.user_data);
    let entry = entry(record, &version, user_data.as_ref().ok());
    Whole { entry, version, user_data }
}

/// Base64 → perhaps gzip → YAML → data.
fn user_data(encoded: &str) -> Result<Value, String> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .map_err(|error| format!("it is no base64: {error}"))?;
    let text = mayfly_ami::user_data::text_of(&bytes)?;
    Node::parse(&text).map(|node| node.to_json()).map_err(|malformed| malformed.message)
}

fn entry(record: &Template, version: &Version, user_data: Option<&Value>) -> Entry {
    let word = |key: &str| {
        let words = version.description.split_whitespace();
        words
            .filter_map(|word| word.split_once('='))
            .find(|(have, _)| *have == key)
            .map(|(_, value)| value.to_owned())
    };
    let tag = |key: &str| record.tags.get(key).map_or("", String::as_str);
    let listed = |key: &str| naming::read_ranges(tag(key)).contains(&version.number);
    let deployment = word("deployment").unwrap_or_default();
    let is_current = !deployment.is_empty() && record.tags.get(naming::CURRENT) == Some(&deployment);
    let ends = [
        (naming::SUCCEEDED, Ending::Succeeded),
        (naming::FAILED, Ending::RolledBack),
        (naming::ABORTED, Ending::Aborted),
        (naming::CANARY, Ending::Canary),
        (naming::PARTIAL, Ending::Partial),
    ];
    let ending = match ends.into_iter().find(|(key, _)| listed(key)) {
        _ if is_current => Ending::Current,
        Some((_, ending)) => ending,
        None => Ending::Unfinished,
    };
    let times = naming::read_times(tag(naming::TIMES));
    let set = user_data.and_then(|data| data.pointer("/record/set")?.as_object());
    Entry {
        number: version.number,
        who: word("who").unwrap_or_default(),
        when: version.created,
        seconds: times.iter().find(|t| t.number == version.number).map(|times| u64::from(times.seconds)),
        image: version.data.image.clone(),
        commit: word("commit").filter(|commit| commit != "-"),
        rollback_of: word("rollback-of").and_then(|number| number.parse().ok()),
        parameters: set.map(shown_parameters).unwrap_or_default(),
        deployment,
        ending,
    }
}

/// Parameters for people: those whose name speaks of a secret are hidden.
fn shown_parameters(set: &Map<String, Value>) -> Map<String, Value> {
    set.iter().map(|(key, value)| (key.clone(), shown_parameter(key, value))).collect()
}

fn shown_parameter(key: &str, value: &Value) -> Value {
    match value {
        _ if is_secret(key) => json!(HIDDEN),
        Value::Object(inner) => Value::Object(shown_parameters(inner)),
        // What a list holds has no names to go by.
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => json!(HIDDEN),
        value => value.clone(),
    }
}

/// Whether a key's name speaks of a secret.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    const WORDS: [&str; 11] =
        ["pass", "pwd", "secret", "token", "key", "credential", "private", "auth", "dsn", "cert", "salt"];
    let key = key.to_ascii_lowercase();
    WORDS.iter().any(|word| key.contains(word))
}

impl Whole {
    /// The free-form metadata of the spec that was deployed.
    #[must_use]
    pub fn metadata(&self) -> Map<String, Value> {
        let data = self.user_data.as_ref().ok();
        data.and_then(|data| data.pointer("/record/metadata")?.as_object().cloned()).unwrap_or_default()
    }

    /// All of it as data. Pillar values are hidden unless asked for: they may be secrets.
    #[must_use]
    pub fn to_json(&self, secrets: bool) -> Value {
        let data = &self.version.data;
        let told = match &self.user_data {
            Ok(told) => shown(told, secrets),
            Err(why) => json!({"unreadable": why}),
        };
        let more = json!({
            "recorded_by": self.version.created_by,
            "metadata": self.metadata(),
            "instance_type": data.instance_type,
            "security_groups": data.security_groups,
            "instance_profile": data.instance_profile,
            "key_name": data.key_name,
            "tags": data.tags,
            "user_data": told,
        });
        let (Value::Object(mut all), Value::Object(more)) = (json!(self.entry), more) else {
            return Value::Null;
        };
        all.extend(more);
        let set = self.user_data.as_ref().ok().and_then(|told| told.pointer("/record/set"));
        if let Some(set) = set.filter(|_| secrets) {
            all.insert("parameters".to_owned(), set.clone());
        }
        Value::Object(all)
    }
}

/// User-data without what the rest of the answer has, and with its pillar hidden unless asked for.
fn shown(told: &Value, secrets: bool) -> Value {
    let mut told = told.clone();
    if let Some(object) = told.as_object_mut() {
        object.remove("record");
        if let Some(Value::String(url)) = object.get_mut("states").and_then(|states| states.get_mut("url")) {
            *url = crate::git_ref::redact(url);
        }
        if !secrets && let Some(pillar) = object.get_mut("pillar") {
            hide(pillar);
        }
    }
    told
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(hide),
        other => *other = json!(HIDDEN),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cloud::{Tags, TemplateData};
    use mayfly_ami::user_data::UserData;

    /// A version as a deployment writes it.
    pub(crate) fn version(number: i64, told: &UserData) -> Version {
        let text = told.bytes().expect("it fits");
        Version {
            number,
            description: format!("deployment=d{number} who=ann@host commit={}", "a".repeat(40)),
            created: None,
            created_by: None,
            data: TemplateData {
                image: format!("ami-{number}"),
                user_data: base64::engine::general_purpose::STANDARD.encode(text),
                ..TemplateData::default()
            },
        }
    }

    pub(crate) fn told(pillar: &Value, record: &Value) -> UserData {
        let map = |value: &Value| value.as_object().cloned().unwrap_or_default();
        UserData { role: "web".into(), pillar: map(pillar), record: map(record), ..UserData::default() }
    }

    fn took(number: i64, seconds: u32) -> naming::Times {
        naming::Times { number, ended: DateTime::UNIX_EPOCH, seconds }
    }

    pub(crate) fn read_one(number: i64, told: &UserData) -> Whole {
        let tags = Tags::from([
            (naming::CURRENT.to_owned(), "d2".to_owned()),
            (naming::SUCCEEDED.to_owned(), "1-2".to_owned()),
            (naming::FAILED.to_owned(), "3".to_owned()),
            (naming::TIMES.to_owned(), naming::write_times(&[took(1, 61), took(2, 75)])),
        ]);
        let record = Template {
            id: "lt-1".into(),
            name: "mayfly-s-e".into(),
            default_version: 2,
            latest_version: 4,
            tags,
            created: None,
        };
        whole(&record, version(number, told))
    }

    #[test]
    fn a_record_says_how_it_ended_and_how_long_it_took() {
        let told = told(&json!({}), &json!({"set": {"app.version": "2", "db.password": "x"}}));
        let endings: Vec<Ending> = (1..=4).map(|n| read_one(n, &told).entry.ending).collect();
        assert_eq!(endings, [Ending::Succeeded, Ending::Current, Ending::RolledBack, Ending::Unfinished]);
        let entry = read_one(2, &told).entry;
        assert_eq!((entry.seconds, entry.image.as_str()), (Some(75), "ami-2"));
        assert_eq!(json!(entry.parameters), json!({"app.version": "2", "db.password": HIDDEN}));
    }

    #[test]
    fn pillar_values_are_hidden_unless_asked_for() {
        let record = json!({"set": {"db.password": "hunter2"}, "metadata": {"ticket": "OPS-1"}});
        let told = told(&json!({"db": {"password": "hunter2"}, "list": ["hunter2"]}), &record);
        let whole = read_one(1, &told);
        let text = whole.to_json(false).to_string();
        assert!(!text.contains("hunter2") && text.contains("OPS-1"), "{text}");
        let shown = whole.to_json(true);
        assert_eq!(shown.pointer("/user_data/pillar/db/password"), Some(&json!("hunter2")));
        assert_eq!(shown.pointer("/parameters/db.password"), Some(&json!("hunter2")));
    }

    #[test]
    fn user_data_that_is_not_mayflys_is_said_to_be_so() {
        let encoded = base64::engine::general_purpose::STANDARD.encode(b"\xff\xfe");
        assert_eq!(user_data(&encoded), Err("it is not text".to_owned()));
    }
}
