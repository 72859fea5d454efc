//! SSM's wire: JSON with the action in a header. Values do not reach the call log.
use std::collections::BTreeMap;

use http::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::world::{ACCOUNT, ApiError, ApiResult, Parameter, PutParameter, REGION, Response, SsmRequest};

/// How its actions begin.
const TARGET: &str = "AmazonSSM.";

/// The action that a request's header names, where it is one of SSM's.
pub(super) fn action(headers: &HeaderMap) -> Option<String> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    target.strip_prefix(TARGET).map(str::to_owned)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSeveral {
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    name: String,
    value: String,
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(default)]
    overwrite: bool,
}

/// The call that an action and its body mean.
pub(super) fn parse(action: &str, body: &[u8]) -> ApiResult<SsmRequest> {
    Ok(match action {
        "GetParameter" => SsmRequest::GetParameter(read::<Get>(body)?.name),
        "GetParameters" => SsmRequest::GetParameters(read::<GetSeveral>(body)?.names),
        "PutParameter" => {
            let Put { name, value, kind, overwrite } = read(body)?;
            SsmRequest::PutParameter(PutParameter { name, value, kind, overwrite })
        }
        other => {
            let text = format!("The action {other} is not valid for this web service.");
            return Err(ApiError::client("UnknownOperationException", text));
        }
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> ApiResult<T> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::client("ValidationException", format!("Malformed request: {error}")))
}

/// What the log keeps of a body: everything at its top but values.
pub(super) fn logged(body: &[u8]) -> BTreeMap<String, String> {
    let fields: BTreeMap<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let shown = |(key, value): (String, Value)| {
        let text = match &value {
            Value::String(text) if key == "Value" => format!("({} characters)", text.len()),
            Value::String(text) => text.chars().take(500).collect(),
            other => other.to_string().chars().take(500).collect(),
        };
        (key, text)
    };
    fields.into_iter().map(shown).collect()
}

/// Keys of a body that the sandbox does not look at. Whether to decrypt makes no difference: nothing is encrypted.
pub(super) fn ignored(body: &[u8]) -> Vec<String> {
    let known =
        ["Name", "Names", "Value", "Type", "Overwrite", "WithDecryption", "Description", "DataType", "Tier"];
    logged(body).into_keys().filter(|key| !known.contains(&key.as_str())).collect()
}

/// An answer.
pub(super) fn render(response: &Response) -> String {
    let body = match response {
        Response::Parameter(one) => json!({ "Parameter": parameter(one) }),
        Response::Parameters { found, unknown } => {
            let found: Vec<Value> = found.iter().map(parameter).collect();
            json!({ "Parameters": found, "InvalidParameters": unknown })
        }
        Response::ParameterVersion(version) => json!({ "Version": version, "Tier": "Standard" }),
        _ => json!({}),
    };
    body.to_string()
}

fn parameter(parameter: &Parameter) -> Value {
    // Public parameters belong to no account.
    let account = if parameter.name.starts_with("/aws/") { "" } else { ACCOUNT };
    let path = parameter.name.trim_start_matches('/');
    json!({
        "Name": parameter.name,
        "Type": parameter.kind,
        "Value": parameter.value,
        "Version": parameter.version,
        "LastModifiedDate": parameter.modified.timestamp(),
        "ARN": format!("arn:aws:ssm:{REGION}:{account}:parameter/{path}"),
        "DataType": "text",
    })
}

/// A refusal.
pub(super) fn render_error(error: &ApiError) -> String {
    json!({ "__type": error.code, "message": error.message }).to_string()
}
