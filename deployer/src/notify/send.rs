//! Sends notices over HTTP: short deadlines, one repetition, no redirects (a token must not follow one).
// Effects: HTTP requests, the CI job's variables.

use super::{Message, Recipients, github};
use crate::spec::Github;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use std::time::Duration;

/// How long one request may take, and how long is waited before it is repeated.
const DEADLINE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);
const GITHUB: &str = "https://api.github.com";
/// More than any answer that is read here has.
const LIMIT: usize = 256 * 1024;

/// Sends notices, and remembers GitHub's number of the deployment.
pub(super) struct Post {
    recipients: Recipients,
    client: Result<Client, String>,
    number: Option<u64>,
}

impl Post {
    pub(super) fn new(recipients: Recipients) -> Self {
        let client = Client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mayfly/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string());
        Self { recipients, client, number: None }
    }

    /// Sends one notice to all that want it, side by side; why some did not get it. Addresses are not in the words: they
    /// may be secrets.
    pub(super) async fn send(&mut self, message: &Message) -> Vec<String> {
        let client = match &self.client {
            Ok(client) => client.clone(),
            Err(why) => return vec![format!("no HTTP client: {why}")],
        };
        let wanted =
            self.recipients.webhooks.iter().filter(|(webhook, _)| webhook.on.contains(&message.notice));
        let body = message.webhook();
        let hooks = futures::future::join_all(wanted.enumerate().map(|(number, (_, url))| {
            let request = url.as_ref().map(|url| client.post(url).json(&body));
            async move {
                let Some(request) = request else {
                    return Err(format!("webhook {}: its environment variable is not set", number + 1));
                };
                answered(request).await.map(drop).map_err(|why| format!("webhook {}: {why}", number + 1))
            }
        }))
        .await;
        let mut failures: Vec<String> = hooks.into_iter().filter_map(Result::err).collect();
        if let Some((github, token)) = self.recipients.github.clone() {
            let told = self.tell_github(&client, &github, token, message).await;
            failures.extend(told.err().map(|why| format!("GitHub: {why}")));
        }
        failures
    }

    async fn tell_github(
        &mut self,
        client: &Client,
        github: &Github,
        token: Option<String>,
        message: &Message,
    ) -> Result<(), String> {
        let token = token.ok_or_else(|| format!("{} is not set", github.token_env))?;
        let api =
            github.api.clone().or_else(|| variable("GITHUB_API_URL")).unwrap_or_else(|| GITHUB.to_owned());
        if !may_have_token(&api) {
            return Err("the token is sent over https alone".to_owned());
        }
        let base = format!("{}/repos/{}/deployments", api.trim_end_matches('/'), github.repository);
        let post = |url: String, body: &Value| {
            let request =
                client.post(url).bearer_auth(&token).header("Accept", "application/vnd.github+json");
            request.header("X-GitHub-Api-Version", "2022-11-28").json(body)
        };
        // Known from its start, or made known now: some fail before they start.
        let number = match self.number {
            Some(number) => number,
            None => {
                let job = variable("GITHUB_REPOSITORY").zip(variable("GITHUB_SHA"));
                let reference =
                    github::reference(github, message, job).ok_or("there is no commit to name")?;
                let answer = answered(post(base.clone(), &github::deployment(message, &reference))).await?;
                answer.get("id").and_then(Value::as_u64).ok_or("the answer has no id")?
            }
        };
        self.number = Some(number);
        answered(post(format!("{base}/{number}/statuses"), &github::status(message))).await.map(drop)
    }
}

/// Plain http is for a server on this machine.
fn may_have_token(api: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(api) else { return false };
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Sends a request, once more when it was not heard or the server failed, and reads the answer.
async fn answered(request: RequestBuilder) -> Result<Value, String> {
    let again = request.try_clone();
    match once(request).await {
        Err((why, true)) => {
            let Some(again) = again else { return Err(why) };
            tokio::time::sleep(PAUSE).await;
            once(again).await.map_err(|(why, _)| why)
        }
        other => other.map_err(|(why, _)| why),
    }
}

/// The answer; or why there is none, and whether another attempt may do better.
async fn once(request: RequestBuilder) -> Result<Value, (String, bool)> {
    let mut answer = request.send().await.map_err(|error| (cause(&error.without_url()), true))?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LIMIT {
            break;
        }
    }
    if !status.is_success() {
        let text: String =
            String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(200).collect();
        return Err((format!("answered {}: {text}", status.as_u16()), status.is_server_error()));
    }
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
