//! Why a call to the cloud failed, sorted by what a caller can do about it. Sorting is by code, never by text.

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The thing asked about is not there, or not yet.
    NotFound,
    /// The name is taken.
    Duplicate,
    /// There is no room for such an instance there; another subnet or type may have.
    Capacity,
    /// Too many calls; later is better.
    Throttled,
    /// The call may or may not have taken effect: a timeout, a lost connection, a 5xx.
    Ambiguous,
    /// No right to do that.
    Denied,
    /// Credentials, region or address are missing or wrong.
    Setup,
    /// The request itself is wrong.
    Invalid,
    /// Deployer's own limit: an answer too long or too odd to trust.
    Unusable,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action}: {}{message}{}", code_prefix(.code), advice(.kind))]
pub struct CloudError {
    /// The action, as AWS names it.
    pub action: &'static str,
    /// What can be done.
    pub kind: Kind,
    /// AWS's error code.
    pub code: Option<String>,
    /// AWS's message, or what happened on the way.
    pub message: String,
}

impl CloudError {
    /// An error of this program's own making.
    #[must_use]
    pub fn new(action: &'static str, kind: Kind, message: impl Into<String>) -> Self {
        Self { action, kind, code: None, message: message.into() }
    }
}

fn code_prefix(code: &Option<String>) -> String {
    code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default()
}

fn advice(kind: &Kind) -> &'static str {
    match kind {
        Kind::Denied => " (the deployer's IAM policy must allow this action)",
        Kind::Setup => {
            " (set AWS credentials and AWS_REGION; for another endpoint, such as a sandbox, AWS_ENDPOINT_URL)"
        }
        _ => "",
    }
}

/// The kind that an EC2 or ELB error code stands for; `status` decides for codes that are not known.
#[must_use]
pub fn classify(code: &str, status: u16) -> Kind {
    match code {
        "InvalidLaunchTemplateName.AlreadyExistsException" | "InvalidAMIName.Duplicate" => Kind::Duplicate,
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientFreeAddressesInSubnet"
        | "InsufficientReservedInstanceCapacity"
        | "Unsupported"
        | "InstanceLimitExceeded"
        | "VcpuLimitExceeded"
        | "MaxSpotInstanceCountExceeded" => Kind::Capacity,
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "RequestThrottled"
        | "TooManyRequestsException"
        | "SlowDown"
        | "EC2ThrottledException"
        | "Client.RequestLimitExceeded" => Kind::Throttled,
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" | "OptInRequired" => Kind::Denied,
        "AuthFailure"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "SignatureDoesNotMatch"
        | "RequestExpired"
        | "MissingAuthenticationToken"
        | "UnrecognizedClientException"
        | "IncompleteSignature" => Kind::Setup,
        "InternalError" | "InternalFailure" | "ServiceUnavailable" | "Unavailable" | "RequestTimeout" => {
            Kind::Ambiguous
        }
        "LoadBalancerNotFound" | "AccessPointNotFound" | "TargetGroupNotFound" | "ParameterNotFound" => {
            Kind::NotFound
        }
        code if code.contains(".NotFound") || code.ends_with("NotFoundException") => Kind::NotFound,
        _ if status == 429 => Kind::Throttled,
        _ if status >= 500 => Kind::Ambiguous,
        _ => Kind::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::{CloudError, Kind, classify};

    #[test]
    fn codes_decide_before_the_status() {
        assert_eq!(classify("InsufficientInstanceCapacity", 500), Kind::Capacity);
        assert_eq!(classify("InvalidInstanceID.NotFound", 400), Kind::NotFound);
        assert_eq!(classify("InvalidLaunchTemplateName.NotFoundException", 400), Kind::NotFound);
        assert_eq!(classify("InvalidLaunchTemplateName.AlreadyExistsException", 400), Kind::Duplicate);
        assert_eq!(classify("RequestLimitExceeded", 503), Kind::Throttled);
        assert_eq!(classify("SomethingNew", 500), Kind::Ambiguous);
        assert_eq!(classify("SomethingNew", 400), Kind::Invalid);
    }

    #[test]
    fn a_message_says_what_to_do() {
        let error = CloudError {
            action: "RunInstances",
            kind: Kind::Denied,
            code: Some("UnauthorizedOperation".into()),
            message: "You are not authorized to perform this operation.".into(),
        };
        assert_eq!(
            error.to_string(),
            "RunInstances: UnauthorizedOperation: You are not authorized to perform this operation. \
             (the deployer's IAM policy must allow this action)"
        );
    }
}
