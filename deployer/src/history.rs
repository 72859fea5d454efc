//! Reads deployments back from the cloud's own records: versions of the launch template, newest first.

use crate::cloud::{Answer, Cloud, Template, Version};
use crate::naming;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It succeeded and is the last that did.
    Current,
    /// It succeeded, and another one since.
    Succeeded,
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
            Self::RolledBack => "rolled back",
            Self::Unfinished => "unfinished",
        }
    }
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its number: the launch template's version.
    pub number: i64,
    /// Its id.
    pub deployment: String,
    /// Who deployed.
    pub who: String,
    /// When it was recorded.
    pub when: Option<DateTime<Utc>>,
    /// The image.
    pub image: String,
    /// The state commit.
    pub commit: Option<String>,
    /// How it ended.
    pub ending: Ending,
}

/// All deployments of a service in an environment, newest first; none when it was never deployed.
///
/// # Errors
/// [`crate::cloud::CloudError`] of the call that failed.
pub async fn read(cloud: &dyn Cloud, service: &str, environment: &str) -> Answer<Vec<Entry>> {
    let Some(record) = cloud.template(&naming::record(service, environment)).await? else {
        return Ok(Vec::new());
    };
    let versions = cloud.versions(&record.id).await?;
    Ok(versions.iter().map(|version| entry(&record, version)).collect())
}

fn entry(record: &Template, version: &Version) -> Entry {
    let word = |key: &str| {
        let words = version.description.split_whitespace();
        words
            .filter_map(|word| word.split_once('='))
            .find(|(have, _)| *have == key)
            .map(|(_, value)| value.to_owned())
    };
    let listed = |key: &str| {
        record.tags.get(key).is_some_and(|text| naming::read_ranges(text).contains(&version.number))
    };
    let deployment = word("deployment").unwrap_or_default();
    let is_current = !deployment.is_empty() && record.tags.get(naming::CURRENT) == Some(&deployment);
    let ending = match (is_current, listed(naming::SUCCEEDED), listed(naming::FAILED)) {
        (true, ..) => Ending::Current,
        (_, true, _) => Ending::Succeeded,
        (_, _, true) => Ending::RolledBack,
        _ => Ending::Unfinished,
    };
    Entry {
        number: version.number,
        who: word("who").unwrap_or_default(),
        when: version.created,
        image: version.data.image.clone(),
        commit: word("commit").filter(|commit| commit != "-"),
        deployment,
        ending,
    }
}
