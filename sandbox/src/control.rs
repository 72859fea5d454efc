//! The sandbox's own endpoints below `/_mayfly/`: status, console, calls, delays and faults, shutdown.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::sync::watch;

use crate::api::{Cloud, refuse_browsers};
use crate::engine::Engine;
use crate::handle::DaemonInfo;
use crate::status::{BalancerStatus, ImageStatus, InstanceStatus, Status};
use crate::world::{self, BalancerPlan, World};

/// What the endpoints work with.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) info: Arc<DaemonInfo>,
    pub(crate) stop: watch::Sender<bool>,
}

/// The routes.
pub(crate) fn routes(control: Control) -> Router {
    Router::new()
        .route("/_mayfly/status", get(status))
        .route("/_mayfly/console/{id}", get(console))
        .route("/_mayfly/calls", get(calls))
        .route("/_mayfly/config", get(config).put(set_config))
        .route("/_mayfly/shutdown", post(shutdown))
        .with_state(control)
}

/// Keeps web pages out, as the API does.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    match refuse_browsers(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(reason) => (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response(),
    }
}

async fn status(State(control): State<Control>) -> Json<Status> {
    let plans = control.engine.plans();
    Json(control.cloud.read(|world| picture(world, &plans, &control.info)))
}

fn picture(world: &World, plans: &[BalancerPlan], info: &DaemonInfo) -> Status {
    Status {
        pid: info.pid,
        endpoint: info.endpoint.clone(),
        git_url: info.git_url.clone(),
        instance_git_url: info.instance_git_url.clone(),
        root: !crate::runtime::in_user_namespace(),
        instances: world.instances().map(instance).collect(),
        balancers: plans.iter().map(balancer).collect(),
        images: world.images().map(image).collect(),
    }
}

fn instance(instance: &world::Instance) -> InstanceStatus {
    InstanceStatus {
        id: instance.id.clone(),
        state: instance.state.name().to_owned(),
        image_id: instance.image_id.clone(),
        private_ip: instance.private_ip.to_string(),
        public_ip: instance.public_ip.to_string(),
        zone: instance.zone.clone(),
        tags: instance.tags.clone(),
        reason: instance.reason.as_ref().map(|reason| reason.message.clone()),
    }
}

fn balancer(plan: &BalancerPlan) -> BalancerStatus {
    let listeners = plan.listeners.iter().map(|listener| {
        let protocol = listener.protocol.as_str();
        let to = match listener.instance_port {
            Some(port) => format!("{protocol}:{port}"),
            None => listener.routes.iter().map(route).collect::<Vec<_>>().join(", "),
        };
        format!("{protocol}:{} → {to}", listener.port)
    });
    let backends = plan.pools.iter().flat_map(|pool| &pool.backends).map(|backend| {
        let traffic = match backend.traffic {
            world::Traffic::None => "none",
            world::Traffic::New => "new",
            world::Traffic::Draining => "draining",
        };
        (backend.id.clone(), traffic.to_owned())
    });
    BalancerStatus {
        name: plan.name.clone(),
        address: plan.address.to_string(),
        listeners: listeners.collect(),
        backends: backends.collect::<BTreeMap<_, _>>(),
    }
}

/// A target group's name with its weight; the name stands before the last part of its ARN.
fn route(route: &world::Route) -> String {
    let name = route.pool.rsplit('/').nth(1).unwrap_or(&route.pool);
    format!("{name} ({})", route.weight)
}

fn image(image: &world::Image) -> ImageStatus {
    let (id, name, state) = (image.id.clone(), image.name.clone(), image.state.name().to_owned());
    ImageStatus { id, name, state }
}

async fn console(State(control): State<Control>, Path(id): Path<String>) -> Response {
    match control.engine.console(&id) {
        Some(text) => text.into_response(),
        None => (StatusCode::NOT_FOUND, format!("{id} has no console: no such instance was started\n"))
            .into_response(),
    }
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn calls(State(control): State<Control>, Query(After { after }): Query<After>) -> Response {
    control.cloud.read(|world| Json(world.calls_after(after).collect::<Vec<_>>()).into_response())
}

async fn config(State(control): State<Control>) -> Json<world::Config> {
    Json(control.cloud.read(|world| world.config().clone()))
}

async fn set_config(State(control): State<Control>, Json(config): Json<world::Config>) -> StatusCode {
    // Where the addresses of this sandbox lie was settled at its start.
    let block = control.cloud.read(|world| world.config().loopback_block);
    control.cloud.configure(world::Config { loopback_block: block, ..config });
    StatusCode::NO_CONTENT
}

async fn shutdown(State(control): State<Control>) -> StatusCode {
    control.stop.send_replace(true);
    StatusCode::ACCEPTED
}
