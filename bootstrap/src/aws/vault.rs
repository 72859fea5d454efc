//! Values from SSM's Parameter Store and from Secrets Manager, asked for with the instance's role.
// Effects: the network and the clock.
#![allow(clippy::disallowed_methods)]

use super::sign::{self, Call};
use super::{Account, Environment};
use crate::http::{self, Cancel, Http, Peer};
use serde_json::{Value, json};
use std::time::Duration;

const STALL: Duration = Duration::from_secs(10);
/// SSM gives at most 8 KiB, Secrets Manager 64.
const MAX_ANSWER: usize = 256 * 1024;

/// Why there is no value. What the services answer is never quoted but for the name of their error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Region or keys are not known.
    #[error(transparent)]
    Account(#[from] super::Error),
    /// The service cannot be reached.
    #[error("{host}: {cause}")]
    Unreachable {
        /// Whom we asked.
        host: String,
        /// The network's words.
        cause: String,
    },
    /// The service refuses.
    #[error("{service} answers HTTP {status}{kind}")]
    Refused {
        /// Its name.
        service: &'static str,
        /// The status.
        status: u16,
        /// The name of the error, in brackets.
        kind: String,
    },
    /// The answer holds no text where it should.
    #[error("{0} answers without a text value")]
    Odd(&'static str),
    /// The endpoint is not an address.
    #[error("the endpoint {0:?} is not an address")]
    Endpoint(String),
    /// The program was asked to stop.
    #[error("stopped")]
    Cancelled,
}

struct Service {
    name: &'static str,
    shown: &'static str,
    target: &'static str,
    pointer: &'static str,
}

const SSM: Service =
    Service { name: "ssm", shown: "SSM", target: "AmazonSSM.GetParameter", pointer: "/Parameter/Value" };
const SECRETS: Service = Service {
    name: "secretsmanager",
    shown: "Secrets Manager",
    target: "secretsmanager.GetSecretValue",
    pointer: "/SecretString",
};

/// See the module.
pub(crate) struct Vault {
    account: Account,
    cancel: Cancel,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// With the metadata service at `imds` for the role, and what the environment says.
    pub(crate) fn new(imds: &str, environment: Environment, cancel: Cancel) -> Self {
        Self { account: Account::new(imds, environment, cancel.clone()), cancel }
    }

    /// A parameter by its name or ARN, decrypted.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn parameter(&self, name: &str) -> Result<String, Error> {
        self.ask(&SSM, &json!({"Name": name, "WithDecryption": true}))
    }

    /// A secret by its name or ARN.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn secret(&self, id: &str) -> Result<String, Error> {
        self.ask(&SECRETS, &json!({"SecretId": id}))
    }

    fn ask(&self, service: &Service, body: &Value) -> Result<String, Error> {
        let (region, keys) = (self.account.region()?, self.account.keys()?);
        let url = self.endpoint(service, &region)?;
        let host = host(&url);
        let body = body.to_string();
        let call = Call {
            host: &host,
            region: &region,
            service: service.name,
            target: service.target,
            content_type: "application/x-amz-json-1.1",
            body: body.as_bytes(),
        };
        let unreachable = |cause: String| Error::Unreachable { host: host.clone(), cause };
        let peer = if url.scheme() == "https" { Peer::Web } else { Peer::PlainWeb };
        let http = Http::towards(url.as_str(), peer, None, STALL, self.cancel.clone());
        let http = http.map_err(|e| unreachable(e.to_string()))?;
        let mut request = http.client().post(url.clone());
        for (name, value) in sign::headers(&call, &keys, chrono::Utc::now()) {
            request = request.header(name, value);
        }
        let (status, answer) =
            http.fetch(request.body(body.clone()), MAX_ANSWER).map_err(|error| match error {
                http::Error::Cancelled => Error::Cancelled,
                other => unreachable(other.to_string()),
            })?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if status != 200 {
            return Err(Error::Refused { service: service.shown, status, kind: kind(&answer) });
        }
        let value = answer.pointer(service.pointer).and_then(Value::as_str);
        value.map(str::to_owned).ok_or(Error::Odd(service.shown))
    }

    fn endpoint(&self, service: &Service, region: &str) -> Result<reqwest::Url, Error> {
        let environment = &self.account.environment;
        let given = if service.name == SSM.name { &environment.ssm } else { &environment.secrets };
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let usual = || format!("https://{}.{region}.{domain}/", service.name);
        let text = given.clone().unwrap_or_else(usual);
        let url = reqwest::Url::parse(&text).ok().filter(reqwest::Url::has_host);
        let mut url = url.ok_or_else(|| Error::Endpoint(text.chars().take(200).collect()))?;
        url.set_path("/");
        Ok(url)
    }
}

/// The header `Host`, as the client will write it.
fn host(url: &reqwest::Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// `__type` of a refusal, which may have a namespace before a `#`.
fn kind(answer: &Value) -> String {
    let kind = answer.get("__type").and_then(Value::as_str).unwrap_or_default();
    let kind = kind.rsplit('#').next().unwrap_or_default();
    match !kind.is_empty() && kind.len() < 64 && kind.bytes().all(|b| b.is_ascii_alphanumeric()) {
        true => format!(" ({kind})"),
        false => String::new(),
    }
}
