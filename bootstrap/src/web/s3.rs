//! Addresses of S3 objects, signed for a quarter of an hour with the instance's role or what the environment holds.

use crate::aws::{Account, Environment, Error};
use crate::http::Cancel;
use mayfly_states::host::FetchError;
use rusty_s3::actions::GetObject;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::time::Duration;

/// How long an address is good for.
const VALID: Duration = Duration::from_secs(900);
/// Who signs.
pub(super) struct S3 {
    account: Account,
}

impl S3 {
    pub(super) fn new(imds: &str, environment: Environment, cancel: Cancel) -> Self {
        Self { account: Account::new(imds, environment, cancel) }
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
        let (address, style) = match &self.account.environment.endpoint {
            Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
            None if bucket.contains('.') => (format!("https://s3.{region}.{domain}"), UrlStyle::Path),
            None => (format!("https://s3.{region}.{domain}"), UrlStyle::VirtualHost),
        };
        let url = reqwest::Url::parse(&address);
        url.map(|url| (url, style)).map_err(|e| FetchError::Failed(format!("the endpoint of S3: {e}")))
    }

    fn region(&self) -> Result<String, FetchError> {
        self.account.region().map_err(unknown)
    }

    fn credentials(&self) -> Result<Credentials, FetchError> {
        let keys = self.account.keys().map_err(unknown)?;
        Ok(match keys.token {
            Some(token) => Credentials::new_with_token(keys.access, keys.secret, token),
            None => Credentials::new(keys.access, keys.secret),
        })
    }
}

fn unknown(error: Error) -> FetchError {
    match error {
        Error::Cancelled => FetchError::Cancelled,
        error => FetchError::Failed(format!("S3: {error}")),
    }
}

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
