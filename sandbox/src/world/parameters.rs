//! SSM parameters: those that somebody put, and public ones that name images.
use super::World;
use super::error::{ApiError, ApiResult};
use super::model::Timestamp;
use super::request::calls;
use super::response::Response;
use super::seed;

calls! {
    /// Calls to SSM's parameter store.
    SsmRequest {
        /// Read one by name.
        GetParameter(String),
        /// Read several by name.
        GetParameters(Vec<String>),
        /// Write one.
        PutParameter(PutParameter),
    }
}

/// Body of `PutParameter`.
#[derive(Debug, Clone, Default)]
pub struct PutParameter {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// `String` by default.
    pub kind: Option<String>,
    /// Whether it may be there already.
    pub overwrite: bool,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name, with its slashes.
    pub name: String,
    /// Value.
    pub value: String,
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
    /// Grows with each change.
    pub version: u64,
    /// When it changed last.
    pub modified: Timestamp,
}

impl World {
    pub(super) fn put_parameter(&mut self, now: Timestamp, body: &PutParameter) -> ApiResult<Response> {
        check_name(&body.name)?;
        if body.name.starts_with("/aws") || body.name.starts_with("aws") {
            let text = format!("No access to reserved parameter name: {}.", body.name);
            return Err(ApiError::client("AccessDeniedException", text));
        }
        let kind = body.kind.clone().unwrap_or_else(|| "String".to_owned());
        if !["String", "StringList", "SecureString"].contains(&kind.as_str()) {
            let text = format!("Value '{kind}' at 'type' must be one of String, StringList, SecureString");
            return Err(ApiError::client("ValidationException", text));
        }
        let before = self.parameters.get(&body.name);
        if before.is_some() && !body.overwrite {
            let text = "The parameter already exists. To overwrite this value, set the overwrite option in \
                        the request to true.";
            return Err(ApiError::client("ParameterAlreadyExists", text));
        }
        let version = before.map_or(1, |before| before.version + 1);
        let (name, value) = (body.name.clone(), body.value.clone());
        let parameter = Parameter { name: name.clone(), value, kind, version, modified: now };
        self.parameters.insert(name, parameter);
        Ok(Response::ParameterVersion(version))
    }

    pub(super) fn get_parameter(&self, name: &str) -> ApiResult<Response> {
        check_name(name)?;
        // Its text is the name alone.
        let missing = || ApiError::client("ParameterNotFound", name);
        Ok(Response::Parameter(self.parameter(name).ok_or_else(missing)?))
    }

    pub(super) fn get_parameters(&self, names: &[String]) -> ApiResult<Response> {
        if names.is_empty() || names.len() > 10 {
            let text = "1 validation error detected: Value at 'names' must have 1 to 10 members";
            return Err(ApiError::client("ValidationException", text));
        }
        names.iter().try_for_each(|name| check_name(name))?;
        let (found, unknown): (Vec<_>, Vec<_>) = names
            .iter()
            .map(|name| self.parameter(name).ok_or_else(|| name.clone()))
            .partition(Result::is_ok);
        Ok(Response::Parameters {
            found: found.into_iter().flatten().collect(),
            unknown: unknown.into_iter().filter_map(Result::err).collect(),
        })
    }

    /// What was put, what the configuration says, or the image that a public name of the stock images means.
    /// `NAME:VERSION` is the version that is there, or nothing: the sandbox keeps no older ones.
    fn parameter(&self, selector: &str) -> Option<Parameter> {
        let (name, version) = match selector.rsplit_once(':') {
            Some((name, version)) => (name, Some(version.parse::<u64>().ok()?)),
            None => (selector, None),
        };
        let found = self.parameters.get(name).cloned().or_else(|| self.public_parameter(name))?;
        version.is_none_or(|version| version == found.version).then_some(found)
    }

    fn public_parameter(&self, name: &str) -> Option<Parameter> {
        let value = match self.config.parameters.get(name) {
            Some(value) => value.clone(),
            None => match name {
                "/aws/service/mayfly/debian/stable/latest" => seed::DEBIAN_STOCK.to_owned(),
                "/aws/service/mayfly/bare/latest" => seed::MAYFLY_BARE.to_owned(),
                _ => return None,
            },
        };
        let modified = self.images.get(seed::DEBIAN_STOCK).map(|image| image.created).unwrap_or_default();
        Some(Parameter { name: name.to_owned(), value, kind: "String".to_owned(), version: 1, modified })
    }
}

fn check_name(name: &str) -> ApiResult<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/:".contains(&b);
    if !name.is_empty() && name.len() <= 2048 && name.bytes().all(plain) {
        return Ok(());
    }
    let text = format!(
        "Parameter name: can't be prefixed with \"ssm\" (case-insensitive), and can consist of letters, \
         digits and ._-/ only; it is '{name}'."
    );
    Err(ApiError::client("ValidationException", text))
}
