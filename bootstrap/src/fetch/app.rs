//! A GitHub App's tokens: the app proves who it is by a signed claim, and is given a token that is good for an hour.
// Effects: the network.
#![allow(clippy::disallowed_methods)]

use crate::http::{Cancel, Http, Peer};
use crate::userdata::App;
use base64::Engine;
use chrono::{DateTime, TimeDelta, Utc};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

const STALL: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 256 * 1024;

/// A token of an installation.
#[derive(Clone, Deserialize)]
pub(super) struct Token {
    pub(super) token: String,
    pub(super) expires_at: DateTime<Utc>,
}

/// The claim: who the app is, from a minute ago (clocks differ) for nine minutes, signed with its key (RS256).
pub(super) fn claim(app: &App, key: &str, now: DateTime<Utc>) -> Result<String, String> {
    let unusable = || "the private key of the GitHub App is not a PEM file with an RSA key".to_owned();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| unusable())?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| unusable())?;
    let signer = key.choose_scheme(&[rustls::SignatureScheme::RSA_PKCS1_SHA256]).ok_or_else(unusable)?;
    let (issued, expires) = (now - TimeDelta::seconds(60), now + TimeDelta::minutes(9));
    let head = encode(json!({"alg": "RS256", "typ": "JWT"}).to_string().as_bytes());
    let claims = json!({"iat": issued.timestamp(), "exp": expires.timestamp(), "iss": app.id});
    let text = format!("{head}.{}", encode(claims.to_string().as_bytes()));
    let signature = signer.sign(text.as_bytes()).map_err(|_| unusable())?;
    Ok(format!("{text}.{}", encode(&signature)))
}

fn encode(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Asks for a token. The error names what GitHub said, and never what was sent.
pub(super) fn token(app: &App, key: &str, now: DateTime<Utc>, cancel: &Cancel) -> Result<Token, String> {
    let claim = claim(app, key, now)?;
    let url = format!("{}/app/installations/{}/access_tokens", app.api, app.installation);
    let peer = if url.starts_with("https://") { Peer::Tls } else { Peer::Plain };
    let http = Http::towards(&url, peer, None, STALL, cancel.clone()).map_err(|e| e.to_string())?;
    let request = http
        .client()
        .post(&url)
        .bearer_auth(claim)
        .header("Accept", "application/vnd.github+json")
        .header("X-GitHub-Api-Version", "2022-11-28");
    let (status, body) = http.fetch(request, MAX_ANSWER).map_err(|e| format!("{url}: {e}"))?;
    match status {
        201 => serde_json::from_slice(&body).map_err(|_| format!("{url}: the answer holds no token")),
        401 => Err(format!(
            "{url}: HTTP 401: `github_app.id` and its key do not belong together, or the clock is wrong"
        )),
        404 => Err(format!("{url}: HTTP 404: the app has no such installation")),
        status => Err(format!("{url}: HTTP {status}")),
    }
}
