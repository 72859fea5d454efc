//! The bodies of GitHub's deployments API (REST, "Deployments" and "Deployment statuses"). Pure.

use super::Message;
use crate::spec::{Github, Notice};
use serde_json::{Value, json};

/// Most characters of a status's description.
const DESCRIPTION: usize = 140;

/// What is deployed, as GitHub must know it: what the spec says, the CI job's commit where the job is the repository's
/// own, or the state commit; where that is not known, the states' branch.
pub(super) fn reference(github: &Github, message: &Message, job: Option<(String, String)>) -> Option<String> {
    let own = job.filter(|(repository, _)| *repository == github.repository).map(|(_, commit)| commit);
    let states = || message.about.commit.clone().or_else(|| message.about.branch.clone());
    github.reference.clone().or(own).or_else(states)
}

/// A new deployment: nothing is merged and no check is waited for.
pub(super) fn deployment(message: &Message, reference: &str) -> Value {
    json!({
        "ref": reference,
        "environment": message.about.environment,
        "description": clip(&message.text()),
        "auto_merge": false,
        "required_contexts": [],
        "payload": {
            "service": message.about.service,
            "deployment": message.about.deployment,
            "states": message.about.commit,
        },
    })
}

/// A status of it.
pub(super) fn status(message: &Message) -> Value {
    let state = match message.notice {
        Notice::Start => "in_progress",
        Notice::Success => "success",
        Notice::Rollback => "failure",
        Notice::Failure => "error",
    };
    let mut body = json!({
        "state": state,
        "environment": message.about.environment,
        "description": clip(&message.text()),
    });
    if let (Some(body), Some(job)) = (body.as_object_mut(), &message.about.job) {
        body.insert("log_url".to_owned(), json!(job));
    }
    body
}

fn clip(text: &str) -> String {
    if text.chars().count() <= DESCRIPTION {
        return text.to_owned();
    }
    text.chars().take(DESCRIPTION - 1).chain("…".chars()).collect()
}
