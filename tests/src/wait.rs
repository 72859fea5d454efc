//! Waiting for something to be so, with a deadline and the last thing seen.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Asks `look` until it gives a value, at most `limit`; panics with the last refusal.
pub fn until<T, E: Debug>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(value) => return value,
            Err(last) if Instant::now() >= deadline => panic!("{what}: not within {limit:?}; last: {last:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// `GET url` with a short timeout: status and body.
pub fn get(url: &str) -> Result<(u16, String), String> {
    let client = client(Duration::from_secs(5))?;
    let response = client.get(url).send().map_err(|e| format!("{url}: {e:?}"))?;
    let status = response.status().as_u16();
    Ok((status, response.text().map_err(|e| format!("{url}: {e:?}"))?))
}

/// A blocking client that asks no proxy.
pub(crate) fn client(timeout: Duration) -> Result<reqwest::blocking::Client, String> {
    // Installing it twice is refused, and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::blocking::Client::builder().no_proxy().timeout(timeout);
    builder.build().map_err(|e| e.to_string())
}
