//! AWS's signature, version 4, of one POST to the root of a service. Pure: the time is an argument.

use super::Keys;
use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use ring::hmac;

/// What is signed.
pub(super) struct Call<'a> {
    /// As in the URL, with a port that is not the scheme's own.
    pub(super) host: &'a str,
    /// `eu-west-1`.
    pub(super) region: &'a str,
    /// `ssm`.
    pub(super) service: &'a str,
    /// `AmazonSSM.GetParameter`.
    pub(super) target: &'a str,
    /// What kind of JSON it is.
    pub(super) content_type: &'a str,
    /// The JSON.
    pub(super) body: &'a [u8],
}

/// The headers that make the call, `Authorization` among them; `Host` is the client's to write.
pub(super) fn headers(call: &Call<'_>, keys: &Keys, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let time = now.format("%Y%m%dT%H%M%SZ").to_string();
    let mut headers = vec![("content-type", call.content_type.to_owned()), ("x-amz-date", time.clone())];
    if let Some(token) = &keys.token {
        headers.push(("x-amz-security-token", token.clone()));
    }
    headers.push(("x-amz-target", call.target.to_owned()));
    let scope = format!("{}/{}/{}/aws4_request", &time[..8], call.region, call.service);
    let (signed, request) = canonical(call, &headers);
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(digest(&SHA256, request.as_bytes())));
    let key = [&time[..8], call.region, call.service, "aws4_request"]
        .into_iter()
        .fold(format!("AWS4{}", keys.secret).into_bytes(), |key, part| mac(&key, part));
    let signature = hex(mac(&key, &to_sign));
    headers.push((
        "authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
            keys.access
        ),
    ));
    headers
}

/// The names of the signed headers, and the request in the form that is hashed. Names are in the order of the alphabet.
fn canonical(call: &Call<'_>, headers: &[(&'static str, String)]) -> (String, String) {
    let (first, rest) = headers.split_at(1);
    let host = ("host", call.host.to_owned());
    let all: Vec<&(&str, String)> = first.iter().chain([&host]).chain(rest).collect();
    let lines: String = all.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let request = format!("POST\n/\n\n{lines}\n{names}\n{}", hex(digest(&SHA256, call.body)));
    (names, request)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
