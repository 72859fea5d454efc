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
    /// Application and network load balancers, 2015-12-01.
    Elbv2,
    /// SSM, 2014-11-06.
    Ssm,
    /// STS, 2011-06-15.
    Sts,
}

impl Service {
    /// As the credential scope has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Elb | Self::Elbv2 => "elasticloadbalancing",
            Self::Ssm => "ssm",
            Self::Sts => "sts",
        }
    }

    /// Both generations of load balancing sign alike: there the version decides.
    fn of_scope(name: &str, version: &str) -> Option<Self> {
        let all = [Self::Ec2, Self::Elb, Self::Ssm, Self::Sts];
        let found = all.into_iter().find(|service| service.name() == name)?;
        let newer = found == Self::Elb && Self::of_version(version) == Some(Self::Elbv2);
        Some(if newer { Self::Elbv2 } else { found })
    }

    fn of_version(version: &str) -> Option<Self> {
        match version {
            "2016-11-15" => Some(Self::Ec2),
            "2012-06-01" => Some(Self::Elb),
            "2015-12-01" => Some(Self::Elbv2),
            "2011-06-15" => Some(Self::Sts),
            _ => None,
        }
    }

    pub(super) fn style(self) -> Style {
        match self {
            Self::Ec2 => Style::Ec2,
            Self::Elb | Self::Elbv2 | Self::Ssm | Self::Sts => Style::Query,
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
    let credential = credential(headers).map(str::to_owned).or_else(|| top.text("X-Amz-Credential"));
    let credential = credential.ok_or_else(unsigned)?;
    // ACCESS-KEY/date/region/service/aws4_request
    let version = top.text("Version").unwrap_or_default();
    let scope = credential.split('/').rev().nth(1).and_then(|name| Service::of_scope(name, &version));
    scope.or_else(|| Service::of_version(&version)).ok_or_else(|| {
        let text = format!("The sandbox has no service for the credential scope '{credential}'.");
        ApiError::with_status(400, "InvalidAction", text)
    })
}

/// The region of the signature's scope, if it is said.
pub(super) fn region(headers: &HeaderMap, form: &Form) -> Option<String> {
    let credential = credential(headers).map(str::to_owned);
    let credential = credential.or_else(|| form.top(Style::Ec2).text("X-Amz-Credential"))?;
    credential.split('/').rev().nth(2).map(str::to_owned)
}

/// The credential of a signed request.
pub(super) fn credential(headers: &HeaderMap) -> Option<&str> {
    headers.get("authorization").and_then(|value| value.to_str().ok()).and_then(credential_of)
}

/// The refusal of a request that nobody signed.
pub(super) fn unsigned() -> ApiError {
    let text = "The request must be signed (AWS Signature Version 4); any access key will do.";
    ApiError::with_status(403, "MissingAuthenticationToken", text)
}

fn credential_of(header: &str) -> Option<&str> {
    let after = header.split_once("Credential=")?.1;
    Some(after.split(',').next().unwrap_or(after).trim())
}
