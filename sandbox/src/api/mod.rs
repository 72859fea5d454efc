//! The cloud's wire: AWS query protocols in front of the [world](crate::world).
//!
//! [`handle`] is the whole of it: a request is checked (no browsers, signed, within bounds), its form is parsed into a
//! typed call, the world answers, and the answer is rendered as the service's XML. It does no I/O. [`Cloud`] is the
//! thin shell around it: a clock, a lock, a queue of effects and an HTTP listener.
mod auth;
mod cloud;
mod ec2_instance;
mod ec2_parse;
mod ec2_render;
mod elb_parse;
mod elb_render;
mod form;
mod serve;
#[cfg(test)]
mod tests;
mod xml;

use http::HeaderMap;

pub use auth::{Service, refuse_browsers};
pub use cloud::Cloud;
pub use serve::{CloseConnection, serve};

use self::form::Form;
use crate::world::{
    ApiError, ApiResult, CallRecord, Effect, Fate, FaultKind, Request, Response, Timestamp, World,
};

/// Largest request that is read.
pub const MAX_BODY: usize = 1 << 20;

/// Consoles are the runtime's: the world does not keep them.
pub trait Console: Send + Sync {
    /// The last 64 KiB that the machine wrote; `None` when it has written nothing yet or is unknown.
    fn output(&self, instance_id: &str) -> Option<Vec<u8>>;
}

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Headers.
    pub headers: &'a HeaderMap,
    /// The part of the target after `?`.
    pub query: &'a str,
    /// Body.
    pub body: &'a [u8],
}

/// What is sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// XML.
    pub body: String,
    /// Request id, also sent as `x-amzn-requestid`.
    pub request_id: String,
    /// Whether and when it is sent.
    pub fate: Fate,
}

/// A reply, and what the world wants done.
#[derive(Debug)]
pub struct Handled {
    /// To be sent.
    pub reply: Reply,
    /// To be carried out.
    pub effects: Vec<Effect>,
}

/// Answers one request.
pub fn handle(world: &mut World, console: &dyn Console, now: Timestamp, incoming: &Incoming<'_>) -> Handled {
    let request_id = world.request_id();
    let refuse = |service, error: &ApiError| Handled {
        reply: Reply {
            status: error.status,
            body: render_error(service, error, &request_id),
            request_id: request_id.clone(),
            fate: Fate::Answer(std::time::Duration::ZERO),
        },
        effects: Vec::new(),
    };
    if let Err(reason) = refuse_browsers(incoming.headers) {
        return refuse(Service::Ec2, &ApiError::with_status(403, "AccessDenied", reason));
    }
    let form = match Form::parse(incoming.query, incoming.body) {
        Ok(form) => form,
        Err(error) => return refuse(Service::Ec2, &error),
    };
    let service = match auth::service(incoming.headers, &form) {
        Ok(service) => service,
        Err(error) => return refuse(Service::Ec2, &error),
    };
    let action = form.top(service.style()).text("Action").unwrap_or_default();
    let called = parse(service, &action, &form).map(|request| world.call(now, &request));
    let (result, effects, fate, fault) = match called {
        Ok(outcome) => (outcome.result, outcome.effects, outcome.fate, outcome.fault),
        Err(error) => (Err(error), Vec::new(), Fate::Answer(std::time::Duration::ZERO), None),
    };
    world.record(record(now, service, &action, &form, &result, fault.as_ref()));
    let reply = match &result {
        Ok(response) => Reply {
            status: 200,
            body: render(service, &action, response, console, &request_id),
            request_id,
            fate,
        },
        Err(error) => {
            Reply { status: error.status, body: render_error(service, error, &request_id), request_id, fate }
        }
    };
    Handled { reply, effects }
}

fn parse(service: Service, action: &str, form: &Form) -> ApiResult<Request> {
    let params = form.top(service.style());
    if action.is_empty() {
        let text = "The request must contain the parameter Action";
        return Err(ApiError::client("MissingAction", text));
    }
    match service {
        Service::Ec2 => {
            let dry = params.flag("DryRun")?.unwrap_or(false);
            Ok(Request::Ec2(Box::new(ec2_parse::parse(action, &params)?), dry))
        }
        Service::Elb if params.text("Version").as_deref() == Some("2015-12-01") => {
            let text = format!(
                "The sandbox has classic load balancers only (2012-06-01), not {action} of 2015-12-01."
            );
            Err(ApiError::client("InvalidAction", text))
        }
        Service::Elb => Ok(Request::Elb(Box::new(elb_parse::parse(action, &params)?))),
        Service::Sts if action == "GetCallerIdentity" => Ok(Request::CallerIdentity),
        Service::Sts => Err(ec2_parse::unknown_action(action)),
    }
}

fn record(
    now: Timestamp,
    service: Service,
    action: &str,
    form: &Form,
    result: &ApiResult<Response>,
    fault: Option<&FaultKind>,
) -> CallRecord {
    CallRecord {
        number: 0,
        at: now,
        service: service.name().to_owned(),
        action: action.chars().take(100).collect(),
        parameters: form.redacted(),
        ignored: form.unread(),
        outcome: result.as_ref().err().map_or_else(|| "ok".to_owned(), |error| error.code.clone()),
        fault: fault.map(|kind| match kind {
            FaultKind::Error { .. } => "error".to_owned(),
            FaultKind::Hang => "hang".to_owned(),
            FaultKind::LostAfterEffect => "lost after effect".to_owned(),
            FaultKind::Delay { ms } => format!("delay {ms} ms"),
            FaultKind::LaunchDies { .. } => "launch dies".to_owned(),
        }),
    }
}

const EC2_NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
const ELB_NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/";
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

fn render(
    service: Service,
    action: &str,
    response: &Response,
    console: &dyn Console,
    request_id: &str,
) -> String {
    let root = format!("{action}Response");
    if service == Service::Ec2 {
        let output = match response {
            Response::Console { id, started: true, .. } => console.output(id),
            _ => None,
        };
        let mut children = vec![xml::text("requestId", request_id)];
        children.extend(ec2_render::body(response, output.as_deref()));
        return xml::node(root, children).in_namespace(EC2_NAMESPACE).document();
    }
    let namespace = if service == Service::Elb { ELB_NAMESPACE } else { STS_NAMESPACE };
    let result = xml::node(format!("{action}Result"), elb_render::result(response));
    let metadata = xml::node("ResponseMetadata", [xml::text("RequestId", request_id)]);
    xml::node(root, [result, metadata]).in_namespace(namespace).document()
}

fn render_error(service: Service, error: &ApiError, request_id: &str) -> String {
    let (code, message) = (xml::text("Code", &error.code), xml::text("Message", &error.message));
    if service == Service::Ec2 {
        let errors = xml::node("Errors", [xml::node("Error", [code, message])]);
        return xml::node("Response", [errors, xml::text("RequestID", request_id)]).document();
    }
    let namespace = if service == Service::Elb { ELB_NAMESPACE } else { STS_NAMESPACE };
    let fault = xml::text("Type", if error.status < 500 { "Sender" } else { "Receiver" });
    let children = [xml::node("Error", [fault, code, message]), xml::text("RequestId", request_id)];
    xml::node("ErrorResponse", children).in_namespace(namespace).document()
}
