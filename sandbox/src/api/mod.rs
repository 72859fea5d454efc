//! The cloud's wire: AWS query protocols, and JSON for SSM, in front of the [world](crate::world).
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
mod elbv2_parse;
mod elbv2_render;
mod form;
mod serve;
mod ssm;
#[cfg(test)]
mod tests;
mod xml;

use std::collections::BTreeMap;

use http::HeaderMap;

pub use auth::{Service, refuse_browsers};
pub use cloud::Cloud;
pub use serve::{CloseConnection, serve};

use self::form::Form;
use crate::world::{
    ApiError, ApiResult, CallRecord, Effect, Fate, FaultKind, OTHER_REGION, Outcome, Request, Response,
    Timestamp, World,
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
    /// XML, or JSON.
    pub body: String,
    /// Whether it is JSON.
    pub json: bool,
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
    if let Err(reason) = refuse_browsers(incoming.headers) {
        return refuse(Service::Ec2, &ApiError::with_status(403, "AccessDenied", reason), request_id);
    }
    if let Some(action) = ssm::action(incoming.headers) {
        return handle_json(world, now, incoming, &action, request_id);
    }
    let form = match Form::parse(incoming.query, incoming.body) {
        Ok(form) => form,
        Err(error) => return refuse(Service::Ec2, &error, request_id),
    };
    let service = match auth::service(incoming.headers, &form) {
        Ok(service) => service,
        Err(error) => return refuse(Service::Ec2, &error, request_id),
    };
    let action = form.top(service.style()).text("Action").unwrap_or_default();
    let elsewhere = auth::region(incoming.headers, &form).as_deref() == Some(OTHER_REGION);
    let called = call(world, now, elsewhere, parse(service, &action, &form));
    world.record(record(now, service, &action, (form.redacted(), form.unread()), &called));
    let (status, body) = match &called.result {
        Ok(response) => (200, render(service, &action, response, console, &request_id)),
        Err(error) => (error.status, render_error(service, error, &request_id)),
    };
    let reply = Reply { status, body, json: false, request_id, fate: called.fate };
    Handled { reply, effects: called.effects }
}

/// Answers one request to SSM, which speaks JSON.
fn handle_json(
    world: &mut World,
    now: Timestamp,
    incoming: &Incoming<'_>,
    action: &str,
    request_id: String,
) -> Handled {
    if auth::credential(incoming.headers).is_none() {
        return refuse(Service::Ssm, &auth::unsigned(), request_id);
    }
    let request = ssm::parse(action, incoming.body).map(|request| Request::Ssm(Box::new(request)));
    let called = call(world, now, false, request);
    let said = (ssm::logged(incoming.body), ssm::ignored(incoming.body));
    world.record(record(now, Service::Ssm, action, said, &called));
    let (status, body) = match &called.result {
        Ok(response) => (200, ssm::render(response)),
        Err(error) => (error.status, ssm::render_error(error)),
    };
    let reply = Reply { status, body, json: true, request_id, fate: called.fate };
    Handled { reply, effects: called.effects }
}

fn call(world: &mut World, now: Timestamp, elsewhere: bool, request: ApiResult<Request>) -> Outcome {
    match request {
        Ok(request) if elsewhere => world.call_elsewhere(now, &request),
        Ok(request) => world.call(now, &request),
        Err(error) => Outcome {
            result: Err(error),
            effects: Vec::new(),
            fate: Fate::Answer(std::time::Duration::ZERO),
            fault: None,
        },
    }
}

fn refuse(service: Service, error: &ApiError, request_id: String) -> Handled {
    let json = service == Service::Ssm;
    let body = if json { ssm::render_error(error) } else { render_error(service, error, &request_id) };
    let fate = Fate::Answer(std::time::Duration::ZERO);
    let reply = Reply { status: error.status, body, json, request_id, fate };
    Handled { reply, effects: Vec::new() }
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
        Service::Elbv2 => Ok(Request::Elbv2(Box::new(elbv2_parse::parse(action, &params)?))),
        Service::Elb => Ok(Request::Elb(Box::new(elb_parse::parse(action, &params)?))),
        Service::Sts if action == "GetCallerIdentity" => Ok(Request::CallerIdentity),
        Service::Sts | Service::Ssm => Err(ec2_parse::unknown_action(action)),
    }
}

fn record(
    now: Timestamp,
    service: Service,
    action: &str,
    (parameters, ignored): (BTreeMap<String, String>, Vec<String>),
    called: &Outcome,
) -> CallRecord {
    let error = called.result.as_ref().err();
    CallRecord {
        number: 0,
        at: now,
        service: service.name().to_owned(),
        action: action.chars().take(100).collect(),
        parameters,
        ignored,
        outcome: error.map_or_else(|| "ok".to_owned(), |error| error.code.clone()),
        fault: called.fault.as_ref().map(|kind| match kind {
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
const ELBV2_NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";
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
    let children = match service {
        Service::Elbv2 => elbv2_render::result(response),
        _ => elb_render::result(response),
    };
    let result = xml::node(format!("{action}Result"), children);
    let metadata = xml::node("ResponseMetadata", [xml::text("RequestId", request_id)]);
    xml::node(root, [result, metadata]).in_namespace(namespace(service)).document()
}

fn render_error(service: Service, error: &ApiError, request_id: &str) -> String {
    let (code, message) = (xml::text("Code", &error.code), xml::text("Message", &error.message));
    if service == Service::Ec2 {
        let errors = xml::node("Errors", [xml::node("Error", [code, message])]);
        return xml::node("Response", [errors, xml::text("RequestID", request_id)]).document();
    }
    let fault = xml::text("Type", if error.status < 500 { "Sender" } else { "Receiver" });
    let children = [xml::node("Error", [fault, code, message]), xml::text("RequestId", request_id)];
    xml::node("ErrorResponse", children).in_namespace(namespace(service)).document()
}

fn namespace(service: Service) -> &'static str {
    match service {
        Service::Ec2 => EC2_NAMESPACE,
        Service::Elb => ELB_NAMESPACE,
        Service::Elbv2 => ELBV2_NAMESPACE,
        Service::Sts | Service::Ssm => STS_NAMESPACE,
    }
}
