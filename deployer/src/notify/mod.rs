//! Tells others how a deployment goes: webhooks and GitHub deployments. Nothing here can fail or hold up a deployment:
//! notices are sent from a task beside it, each with a deadline, and what could not be sent is said as a note.

mod github;
mod message;
mod send;

pub use message::{About, Message};

use crate::run::{Event, Sink};
use crate::spec::{Github, Secret, Spec, Webhook};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// How long the end of a deployment waits for notices that are still on their way.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who is told, with what the environment holds.
#[derive(Clone)]
struct Recipients {
    webhooks: Vec<(Webhook, Option<String>)>,
    github: Option<(Github, Option<String>)>,
}

/// Notices that are on their way.
pub struct Notices {
    sender: UnboundedSender<Option<Message>>,
    task: Option<JoinHandle<()>>,
    inner: Arc<dyn Sink>,
}

/// Passes events on, and makes notices of some.
struct Tee {
    inner: Arc<dyn Sink>,
    about: About,
    sender: UnboundedSender<Option<Message>>,
}

impl Sink for Tee {
    fn event(&self, event: &Event) {
        if let Some(message) = self.about.message(event) {
            // Nobody listens any more: then nobody is to be told.
            let _ = self.sender.send(Some(message));
        }
        self.inner.event(event);
    }
}

/// Puts notices beside a sink, as the spec asks for. Where it asks for none the sink stays as it is.
#[must_use]
pub fn attach(inner: Arc<dyn Sink>, spec: &Spec, about: About) -> (Arc<dyn Sink>, Notices) {
    let (sender, mut receiver) = unbounded_channel::<Option<Message>>();
    if spec.notify.is_empty() && spec.github.is_none() {
        let notices = Notices { sender, task: None, inner: Arc::clone(&inner) };
        return (inner, notices);
    }
    let recipients = recipients(spec);
    let say = Arc::clone(&inner);
    let task = tokio::spawn(async move {
        let mut post = send::Post::new(recipients);
        while let Some(Some(message)) = receiver.recv().await {
            for why in post.send(&message).await {
                say.event(&Event::Note { text: format!("not told: {why}") });
            }
        }
    });
    let tee = Tee { inner: Arc::clone(&inner), about, sender: sender.clone() };
    (Arc::new(tee), Notices { sender, task: Some(task), inner })
}

/// Tells of a deployment that failed before it could be planned.
pub async fn unplanned(sink: &dyn Sink, spec: &Spec, about: &About, cause: String) {
    if spec.notify.is_empty() && spec.github.is_none() {
        return;
    }
    let mut post = send::Post::new(recipients(spec));
    let sent = tokio::time::timeout(PATIENCE, post.send(&about.unplanned(cause))).await;
    let late = || vec![format!("the notice was still on its way after {} s", PATIENCE.as_secs())];
    for why in sent.unwrap_or_else(|_| late()) {
        sink.event(&Event::Note { text: format!("not told: {why}") });
    }
}

impl Notices {
    /// Waits for what is on its way, but not for long.
    pub async fn finish(mut self) {
        let _ = self.sender.send(None);
        let Some(mut task) = self.task.take() else { return };
        if tokio::time::timeout(PATIENCE, &mut task).await.is_err() {
            task.abort();
            let text = format!("not told: notices were still on their way after {} s", PATIENCE.as_secs());
            self.inner.event(&Event::Note { text });
        }
    }
}

/// Secrets come from the environment, at the start and once.
fn recipients(spec: &Spec) -> Recipients {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let address = |webhook: &Webhook| match &webhook.url {
        Secret::Plain(url) => Some(url.clone()),
        Secret::Variable(name) => variable(name),
    };
    Recipients {
        webhooks: spec.notify.iter().map(|webhook| (webhook.clone(), address(webhook))).collect(),
        github: spec.github.as_ref().map(|github| (github.clone(), variable(&github.token_env))),
    }
}

#[cfg(test)]
mod tests;
