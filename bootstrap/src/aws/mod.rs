//! Who this instance is to AWS: its region and what it signs with, from the environment or from its role.
// Effects: the environment, the clock and the metadata service.
#![allow(clippy::disallowed_methods)]

mod sign;
mod vault;

pub(crate) use vault::Vault;

use crate::http::Cancel;
use crate::imds::{self, Imds};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the metadata service may take.
const ASK: Duration = Duration::from_secs(3);
/// Keys that end this soon are asked for again.
const MARGIN: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

/// What the environment says of AWS, under the names that every AWS tool reads.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    pub(crate) access_key: Option<String>,
    pub(crate) secret_key: Option<String>,
    pub(crate) session_token: Option<String>,
    pub(crate) region: Option<String>,
    /// For S3.
    pub(crate) endpoint: Option<String>,
    /// For Systems Manager.
    pub(crate) ssm: Option<String>,
    /// For Secrets Manager.
    pub(crate) secrets: Option<String>,
}

impl Environment {
    /// That of this process.
    pub(crate) fn read() -> Self {
        let one = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let endpoint =
            |service: &str| one(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| one("AWS_ENDPOINT_URL"));
        Self {
            access_key: one("AWS_ACCESS_KEY_ID"),
            secret_key: one("AWS_SECRET_ACCESS_KEY"),
            session_token: one("AWS_SESSION_TOKEN"),
            region: one("AWS_REGION").or_else(|| one("AWS_DEFAULT_REGION")),
            endpoint: endpoint("S3"),
            ssm: endpoint("SSM"),
            secrets: endpoint("SECRETS_MANAGER"),
        }
    }

    fn keys(&self) -> Option<Keys> {
        let (access, secret) = (self.access_key.clone()?, self.secret_key.clone()?);
        Some(Keys { access, secret, token: self.session_token.clone() })
    }
}

/// What is signed with.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: String,
    /// Sent along; keys of a role have one.
    pub(crate) token: Option<String>,
}

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Neither the environment nor the metadata service has it.
    #[error("there is no {0} on this machine")]
    Missing(&'static str),
    /// The metadata service did not say.
    #[error("no {0}: {1}")]
    Unanswered(&'static str, imds::Error),
    /// The program was asked to stop.
    #[error("stopped")]
    Cancelled,
}

/// What was learnt from the metadata service.
#[derive(Default)]
struct Learnt {
    keys: Option<(Keys, chrono::DateTime<chrono::Utc>)>,
    region: Option<String>,
}

/// See the module. What was learnt is kept for as long as it is good.
pub(crate) struct Account {
    imds: String,
    pub(crate) environment: Environment,
    cancel: Cancel,
    learnt: Mutex<Learnt>,
}

impl Account {
    /// With the metadata service at `imds`; nothing is asked yet.
    pub(crate) fn new(imds: &str, environment: Environment, cancel: Cancel) -> Self {
        Self { imds: imds.to_owned(), environment, cancel, learnt: Mutex::default() }
    }

    /// The region.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn region(&self) -> Result<String, Error> {
        if let Some(region) = &self.environment.region {
            return Ok(region.clone());
        }
        if let Some(region) = self.learnt().region.clone() {
            return Ok(region);
        }
        let region = self.ask("region (AWS_REGION, or an instance of EC2)", |imds| imds.region(ASK))?;
        self.learnt().region = Some(region.clone());
        Ok(region)
    }

    /// The keys.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn keys(&self) -> Result<Keys, Error> {
        if let Some(given) = self.environment.keys() {
            return Ok(given);
        }
        let now = chrono::Utc::now();
        if let Some((known, _)) = self.learnt().keys.clone().filter(|(_, end)| now + MARGIN < *end) {
            return Ok(known);
        }
        let what = "role to sign with (AWS_ACCESS_KEY_ID, or a role of the instance)";
        let role = self.ask(what, |imds| imds.role_credentials(ASK))?;
        let fresh =
            Keys { access: role.access_key_id, secret: role.secret_access_key, token: Some(role.token) };
        self.learnt().keys = Some((fresh.clone(), role.expiration));
        Ok(fresh)
    }

    fn ask<T>(
        &self,
        what: &'static str,
        question: impl FnOnce(&mut Imds) -> Result<Option<T>, imds::Error>,
    ) -> Result<T, Error> {
        let answer = Imds::new(&self.imds, self.cancel.clone()).and_then(|mut imds| question(&mut imds));
        match answer {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Error::Missing(what)),
            Err(imds::Error::Cancelled) => Err(Error::Cancelled),
            Err(error) => Err(Error::Unanswered(what, error)),
        }
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
