//! Addresses of S3 objects, signed for a quarter of an hour with the instance's role or what the environment holds.

use crate::http::Cancel;
use crate::imds::Imds;
use mayfly_states::host::FetchError;
use rusty_s3::actions::GetObject;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::sync::Mutex;
use std::time::Duration;

/// How long an address is good for.
const VALID: Duration = Duration::from_secs(900);
/// How long the metadata service may take.
const ASK: Duration = Duration::from_secs(3);
/// Credentials that end this soon are asked for again.
const MARGIN: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

/// What the environment says of AWS, under the names that every AWS tool reads.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    pub(crate) access_key: Option<String>,
    pub(crate) secret_key: Option<String>,
    pub(crate) session_token: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
}

impl Environment {
    /// That of this process.
    pub(crate) fn read() -> Self {
        let one = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self {
            access_key: one("AWS_ACCESS_KEY_ID"),
            secret_key: one("AWS_SECRET_ACCESS_KEY"),
            session_token: one("AWS_SESSION_TOKEN"),
            region: one("AWS_REGION").or_else(|| one("AWS_DEFAULT_REGION")),
            endpoint: one("AWS_ENDPOINT_URL_S3").or_else(|| one("AWS_ENDPOINT_URL")),
        }
    }

    fn credentials(&self) -> Option<Credentials> {
        let (key, secret) = (self.access_key.clone()?, self.secret_key.clone()?);
        Some(match self.session_token.clone() {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        })
    }
}

/// What was learnt from the metadata service.
#[derive(Default)]
struct Learnt {
    credentials: Option<(Credentials, chrono::DateTime<chrono::Utc>)>,
    region: Option<String>,
}

/// Who signs.
pub(super) struct S3 {
    imds: String,
    environment: Environment,
    cancel: Cancel,
    learnt: Mutex<Learnt>,
}

impl S3 {
    pub(super) fn new(imds: &str, environment: Environment, cancel: Cancel) -> Self {
        Self { imds: imds.to_owned(), environment, cancel, learnt: Mutex::default() }
    }

    /// The address of `bucket/key`, in the region that is known unless another is named.
    pub(super) fn signed(&self, object: &str, region: Option<&str>) -> Result<String, FetchError> {
        let failed = |why: String| FetchError::Failed(why);
        let (bucket, key) =
            object.split_once('/').filter(|(b, k)| !b.is_empty() && !k.is_empty()).ok_or_else(|| {
                failed("an object of S3 is s3://bucket/key, with neither user nor region".to_owned())
            })?;
        if key.split('/').any(|part| part == "." || part == "..") {
            return Err(failed("a key of S3 with `.` or `..` in its path cannot be asked for".to_owned()));
        }
        let region = match region {
            Some(region) => region.to_owned(),
            None => self.region()?,
        };
        let (endpoint, style) = self.endpoint(bucket, &region)?;
        let bucket = Bucket::new(endpoint, style, bucket.to_owned(), region)
            .map_err(|_| failed("this is no name of a bucket of S3".to_owned()))?;
        let credentials = self.credentials()?;
        let get = GetObject::new(&bucket, Some(&credentials), key);
        Ok(get.sign(VALID).to_string())
    }

    /// The address in another region; `None` when that would be no other.
    pub(super) fn elsewhere(&self, object: &str, region: &str) -> Result<Option<String>, FetchError> {
        let plain = !region.is_empty() && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match plain && self.region()? != region {
            true => self.signed(object, Some(region)).map(Some),
            false => Ok(None),
        }
    }

    /// Names with dots have no certificate of their own, and other servers than AWS's have no hosts for buckets.
    fn endpoint(&self, bucket: &str, region: &str) -> Result<(reqwest::Url, UrlStyle), FetchError> {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let (address, style) = match &self.environment.endpoint {
            Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
            None if bucket.contains('.') => (format!("https://s3.{region}.{domain}"), UrlStyle::Path),
            None => (format!("https://s3.{region}.{domain}"), UrlStyle::VirtualHost),
        };
        let url = reqwest::Url::parse(&address);
        url.map(|url| (url, style)).map_err(|e| FetchError::Failed(format!("the endpoint of S3: {e}")))
    }

    fn ask<T>(&self, what: &str, question: impl FnOnce(&mut Imds) -> Answered<T>) -> Result<T, FetchError> {
        let answer = Imds::new(&self.imds, self.cancel.clone()).and_then(|mut imds| question(&mut imds));
        match answer {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(FetchError::Failed(format!("S3: there is no {what} on this machine"))),
            Err(crate::imds::Error::Cancelled) => Err(FetchError::Cancelled),
            Err(error) => Err(FetchError::Failed(format!("S3: no {what}: {error}"))),
        }
    }

    fn region(&self) -> Result<String, FetchError> {
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

    fn credentials(&self) -> Result<Credentials, FetchError> {
        if let Some(given) = self.environment.credentials() {
            return Ok(given);
        }
        let now = chrono::Utc::now();
        if let Some((known, _)) = self.learnt().credentials.clone().filter(|(_, end)| now + MARGIN < *end) {
            return Ok(known);
        }
        let role = self.ask("role to sign with (AWS_ACCESS_KEY_ID, or a role of the instance)", |imds| {
            imds.role_credentials(ASK)
        })?;
        let fresh = Credentials::new_with_token(role.access_key_id, role.secret_access_key, role.token);
        self.learnt().credentials = Some((fresh.clone(), role.expiration));
        Ok(fresh)
    }

    fn learnt(&self) -> std::sync::MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

type Answered<T> = Result<Option<T>, crate::imds::Error>;

/// The code of a refusal of S3, in brackets.
pub(super) fn code(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    match code {
        Some((code, _)) if code.len() < 64 && code.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            format!(" ({code})")
        }
        _ => String::new(),
    }
}
