//! What a notice says. Pure.

use crate::run::Event;
use crate::spec::Notice;
use serde_json::{Value, json};

/// What is known of a deployment when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The deployment's id; one that could not be planned has none.
    pub deployment: Option<String>,
    /// Who deploys.
    pub who: String,
    /// The state commit.
    pub commit: Option<String>,
    /// The states' branch, where the commit is not known.
    pub branch: Option<String>,
    /// Address of the CI job.
    pub job: Option<String>,
}

/// One notice.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What it is about.
    pub notice: Notice,
    /// The deployment.
    pub about: About,
    /// The image, once it is known.
    pub image: Option<String>,
    /// `done`, `rolled-back`, …; `unplanned` of one that failed before it had a plan.
    pub outcome: Option<String>,
    /// Why, unless it is done.
    pub cause: Option<String>,
    /// How long it took.
    pub seconds: Option<f64>,
}

impl About {
    /// The notice of a deployment that failed before it could be planned.
    #[must_use]
    pub fn unplanned(&self, cause: String) -> Message {
        let outcome = Some("unplanned".to_owned());
        let (about, cause) = (self.clone(), Some(cause));
        Message { notice: Notice::Failure, about, image: None, outcome, cause, seconds: None }
    }

    /// The notice that an event gives reason for. That somebody else holds the lock is no news of this deployment.
    #[must_use]
    pub fn message(&self, event: &Event) -> Option<Message> {
        let about = self.clone();
        match event {
            Event::Planned { plan, .. } => {
                let image = plan.get("image").and_then(Value::as_str).map(str::to_owned);
                let (outcome, cause, seconds) = (None, None, None);
                Some(Message { notice: Notice::Start, about, image, outcome, cause, seconds })
            }
            Event::Finished { outcome, cause, seconds, .. } => {
                let notice = match outcome.as_str() {
                    // A canary or a part that stands is what was asked for.
                    "done" | "partial" | "canary" => Notice::Success,
                    "rolled-back" => Notice::Rollback,
                    "locked" => return None,
                    _ => Notice::Failure,
                };
                let (outcome, cause, seconds) = (Some(outcome.clone()), cause.clone(), Some(*seconds));
                Some(Message { notice, about, image: None, outcome, cause, seconds })
            }
            _ => None,
        }
    }
}

impl Message {
    /// One line for people.
    #[must_use]
    pub fn text(&self) -> String {
        let About { service, environment, deployment, who, .. } = &self.about;
        let head = format!("{service} in {environment}");
        let cause = self.cause.as_deref().unwrap_or("no cause given");
        let Some(deployment) = deployment else {
            return format!("{head}: nothing was deployed, nothing was changed: {cause}");
        };
        let states = self
            .about
            .commit
            .as_deref()
            .map_or(String::new(), |commit| format!(", states {}", commit.get(..12).unwrap_or(commit)));
        match self.notice {
            Notice::Start => format!("{head}: {deployment} begins ({who}{states})"),
            Notice::Success => {
                let part = self.outcome.as_deref().filter(|outcome| *outcome != "done");
                let part = part.map(|part| format!(" ({part})")).unwrap_or_default();
                let seconds = self.seconds.unwrap_or_default();
                format!("{head}: {deployment} is deployed{part} after {seconds:.0} s")
            }
            Notice::Rollback => format!("{head}: {deployment} failed and was rolled back: {cause}"),
            Notice::Failure => format!("{head}: {deployment} failed and needs a look: {cause}"),
        }
    }

    /// The body of a webhook: Slack and its kin read `text`, programs the rest.
    #[must_use]
    pub fn webhook(&self) -> Value {
        // What an instance said is in it: nothing in it is a mention or a link.
        let text = self.text().replace('<', "‹").replace('>', "›");
        json!({
            "text": text,
            "notice": self.notice,
            "service": self.about.service,
            "environment": self.about.environment,
            "deployment": self.about.deployment,
            "who": self.about.who,
            "commit": self.about.commit,
            "job": self.about.job,
            "image": self.image,
            "outcome": self.outcome,
            "cause": self.cause,
            "seconds": self.seconds,
        })
    }
}
