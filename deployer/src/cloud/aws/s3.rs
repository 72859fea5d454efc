//! The few requests to S3 that a lock needs, signed with the credentials that every other call uses.

use super::{Aws, root_cause};
use crate::cloud::{Answer, CloudError, Condition, Kind, Object, ObjectRef, classify};
use aws_sdk_ec2::config::{ProvideCredentials, SharedCredentialsProvider};
use reqwest::{Method, StatusCode};
use rusty_s3::actions::{DeleteObject, GetObject, PutObject, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use std::time::Duration;

/// How long a signed address is good for.
const VALID: Duration = Duration::from_secs(300);
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of an object: a lock has a few hundred.
const LIMIT: usize = 64 * 1024;

/// How S3 is reached.
pub(super) struct S3 {
    pub(super) credentials: Option<SharedCredentialsProvider>,
    pub(super) region: Option<String>,
    /// In place of AWS's own.
    pub(super) endpoint: Option<String>,
}

struct Signed {
    bucket: Bucket,
    credentials: Credentials,
}

impl Aws {
    pub(super) async fn get_object(&self, object: &ObjectRef) -> Answer<Option<Object>> {
        const ACTION: &str = "GetObject";
        let signed = self.s3.signer(ACTION, object).await?;
        let url = GetObject::new(&signed.bucket, Some(&signed.credentials), &object.key).sign(VALID);
        let answer = send(ACTION, client(ACTION)?.request(Method::GET, url)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return absent(refused(ACTION, answer).await);
        }
        if !answer.status().is_success() {
            return Err(refused(ACTION, answer).await);
        }
        let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let etag = etag.ok_or_else(|| CloudError::new(ACTION, Kind::Unusable, "the answer lacks the tag"))?;
        Ok(Some(Object { etag, body: body(answer).await }))
    }

    pub(super) async fn put_object(
        &self,
        object: &ObjectRef,
        text: &str,
        condition: &Condition,
    ) -> Answer<String> {
        const ACTION: &str = "PutObject";
        let signed = self.s3.signer(ACTION, object).await?;
        let mut put = PutObject::new(&signed.bucket, Some(&signed.credentials), &object.key);
        let (header, value) = match condition {
            Condition::Absent => ("if-none-match", "*"),
            Condition::Is(etag) => ("if-match", etag.as_str()),
        };
        put.headers_mut().insert(header, value);
        let request = client(ACTION)?.request(Method::PUT, put.sign(VALID)).header(header, value);
        let answer = send(ACTION, request.body(text.to_owned())).await?;
        if !answer.status().is_success() {
            return Err(refused(ACTION, answer).await);
        }
        let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok());
        Ok(etag.unwrap_or_default().to_owned())
    }

    /// Its own content was read just before. Not every S3 knows conditions here: one that does not is asked without.
    pub(super) async fn remove_object(&self, object: &ObjectRef, etag: &str) -> Answer<()> {
        match self.delete_if(object, Some(etag)).await {
            Err(error) if error.code.as_deref() == Some("NotImplemented") => {
                self.delete_if(object, None).await
            }
            Err(error) if error.kind == Kind::Duplicate => Ok(()),
            other => other,
        }
    }

    async fn delete_if(&self, object: &ObjectRef, etag: Option<&str>) -> Answer<()> {
        const ACTION: &str = "DeleteObject";
        let signed = self.s3.signer(ACTION, object).await?;
        let mut delete = DeleteObject::new(&signed.bucket, Some(&signed.credentials), &object.key);
        if let Some(etag) = etag {
            delete.headers_mut().insert("if-match", etag);
        }
        let mut request = client(ACTION)?.request(Method::DELETE, delete.sign(VALID));
        if let Some(etag) = etag {
            request = request.header("if-match", etag);
        }
        let answer = send(ACTION, request).await?;
        match answer.status() {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            _ => Err(refused(ACTION, answer).await),
        }
    }
}

impl S3 {
    async fn signer(&self, action: &'static str, object: &ObjectRef) -> Answer<Signed> {
        let setup = |why: String| CloudError::new(action, Kind::Setup, why);
        let region = self.region.clone().ok_or_else(|| setup("the region is not known".to_owned()))?;
        let provider =
            self.credentials.as_ref().ok_or_else(|| setup("there are no credentials".to_owned()))?;
        let found = provider.provide_credentials().await.map_err(|error| setup(root_cause(&error)))?;
        let (key, secret) = (found.access_key_id(), found.secret_access_key());
        let credentials = match found.session_token() {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        };
        let (address, style) = self.address(&object.bucket, &region);
        let url = reqwest::Url::parse(&address).map_err(|error| setup(format!("{address}: {error}")))?;
        let bucket = Bucket::new(url, style, object.bucket.clone(), region)
            .map_err(|error| setup(format!("`{}` is no bucket's name: {error}", object.bucket)))?;
        Ok(Signed { bucket, credentials })
    }

    /// Names with dots have no certificate of their own, and other servers than AWS's have no hosts for buckets.
    fn address(&self, bucket: &str, region: &str) -> (String, UrlStyle) {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        match &self.endpoint {
            Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
            None if bucket.contains('.') => (format!("https://s3.{region}.{domain}"), UrlStyle::Path),
            None => (format!("https://s3.{region}.{domain}"), UrlStyle::VirtualHost),
        }
    }
}

fn client(action: &'static str) -> Answer<reqwest::Client> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    client.build().map_err(|error| CloudError::new(action, Kind::Setup, root_cause(&error)))
}

async fn send(action: &'static str, request: reqwest::RequestBuilder) -> Answer<reqwest::Response> {
    let sent = request.send().await;
    // The address carries a signature: it is left out of the message.
    sent.map_err(|error| CloudError::new(action, Kind::Ambiguous, root_cause(&error.without_url())))
}

async fn body(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LIMIT {
            break;
        }
    }
    bytes.truncate(LIMIT);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A bucket that is not there is an error; an object that is not there is an answer.
fn absent(error: CloudError) -> Answer<Option<Object>> {
    if error.code.as_deref() == Some("NoSuchBucket") { Err(error) } else { Ok(None) }
}

async fn refused(action: &'static str, answer: reqwest::Response) -> CloudError {
    let status = answer.status();
    let text = body(answer).await;
    let part = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(part, _)| part.to_owned())
    };
    let code = part("Code").unwrap_or_else(|| status.as_str().to_owned());
    let kind = match status {
        StatusCode::PRECONDITION_FAILED => Kind::Duplicate,
        StatusCode::CONFLICT => Kind::Throttled,
        status => classify(&code, status.as_u16()),
    };
    let message = part("Message").unwrap_or_else(|| format!("answered {status}"));
    CloudError { action, kind, code: Some(code), message }
}
