//! Errors of the cloud's API: code, HTTP status, text. The wire decides their XML shape.
use thiserror::Error;

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// AWS's code, for instance `InvalidInstanceID.NotFound`.
    pub code: String,
    /// HTTP status.
    pub status: u16,
    /// Text.
    pub message: String,
}

impl ApiError {
    /// A client's mistake: HTTP 400.
    pub fn client(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::with_status(400, code, message)
    }

    /// With a status of its own.
    pub fn with_status(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), status, message: message.into() }
    }

    /// A parameter that must be there is not.
    pub fn missing(name: &str) -> Self {
        Self::client("MissingParameter", format!("The request must contain the parameter {name}"))
    }

    /// A parameter has a value that it cannot have.
    pub fn invalid(name: &str, value: &str, why: &str) -> Self {
        Self::client(
            "InvalidParameterValue",
            format!("Value ({value}) for parameter {name} is invalid. {why}"),
        )
    }

    /// Two parameters that exclude each other.
    pub fn combination(message: impl Into<String>) -> Self {
        Self::client("InvalidParameterCombination", message)
    }

    /// ELB's name for a bad value.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::client("ValidationError", message)
    }
}

/// The answer of every call.
pub type ApiResult<T> = Result<T, ApiError>;
