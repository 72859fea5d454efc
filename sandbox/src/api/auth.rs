//! Who is asking for which service: the credential scope of the signature, and no web pages.
use http::HeaderMap;

use super::form::{Form, Style};
use crate::world::{ApiError, ApiResult};

/// The services that the sandbox has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// EC2, 2016-11-15.
    Ec2,
    /// Classic ELB, 2012-06-01.
    Elb,
    /// STS, 2011-06-15.
    Sts,
}

impl Service {
    /// As the credential scope has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Elb => "elasticloadbalancing",
            Self::Sts => "sts",
        }
    }

    fn of_scope(name: &str) -> Option<Self> {
        [Self::Ec2, Self::Elb, Self::Sts].into_iter().find(|service| service.name() == name)
    }

    fn of_version(version: &str) -> Option<Self> {
        match version {
            "2016-11-15" => Some(Self::Ec2),
            "2012-06-01" | "2015-12-01" => Some(Self::Elb),
            "2011-06-15" => Some(Self::Sts),
            _ => None,
        }
    }

    pub(super) fn style(self) -> Style {
        match self {
            Self::Ec2 => Style::Ec2,
            Self::Elb | Self::Sts => Style::Query,
        }
    }
}

/// Refuses what a web page in a browser could send: the API has no secret, so nothing else would keep one out.
///
/// A page reaches loopback with an `Origin` or fetch-metadata header of its own, or, by DNS rebinding, with a host name
/// of its own; a client of the API has neither.
///
/// # Errors
/// The reason, for people.
pub fn refuse_browsers(headers: &HeaderMap) -> Result<(), String> {
    for name in ["origin", "sec-fetch-site", "sec-fetch-mode", "referer"] {
        if headers.contains_key(name) {
            return Err(format!("requests with a {name} header come from web pages and are refused"));
        }
    }
    let host = headers.get("host").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if is_loopback(host) {
        return Ok(());
    }
    Err(format!("host '{host}' is not this machine's loopback; use 127.0.0.1 or localhost"))
}

fn is_loopback(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix("[::1]") {
        return rest.is_empty() || rest.starts_with(':');
    }
    let name = host.split(':').next().unwrap_or_default();
    name.eq_ignore_ascii_case("localhost")
        || name.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback())
}

/// The service of a call: by its signature's scope, or else by its API version.
///
/// The signature itself is not verified: whoever reaches loopback may use the sandbox. It must be there, so that a
/// client that forgot to sign fails here as it would on AWS.
pub(super) fn service(headers: &HeaderMap, form: &Form) -> ApiResult<Service> {
    let top = form.top(Style::Ec2);
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let credential =
        header.and_then(credential_of).map(str::to_owned).or_else(|| top.text("X-Amz-Credential"));
    let Some(credential) = credential else {
        let text = "The request must be signed (AWS Signature Version 4); any access key will do.";
        return Err(ApiError::with_status(403, "MissingAuthenticationToken", text));
    };
    // ACCESS-KEY/date/region/service/aws4_request
    let scope = credential.split('/').rev().nth(1).and_then(Service::of_scope);
    let version = top.text("Version").unwrap_or_default();
    scope.or_else(|| Service::of_version(&version)).ok_or_else(|| {
        let text = format!("The sandbox has no service for the credential scope '{credential}'.");
        ApiError::with_status(400, "InvalidAction", text)
    })
}

fn credential_of(header: &str) -> Option<&str> {
    let after = header.split_once("Credential=")?.1;
    Some(after.split(',').next().unwrap_or(after).trim())
}
