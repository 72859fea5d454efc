//! The world with a clock, a lock and a queue of effects: what the daemon and the tests hold.
// Effects: this is where the pure world meets the time of day and other threads.
#![allow(clippy::disallowed_methods)]
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::response::IntoResponse;
use axum::routing::any;
use http::{HeaderMap, StatusCode};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::serve::CloseConnection;
use super::{Console, Handled, Incoming, MAX_BODY, Reply, handle};
use crate::world::{Config, Effect, Fate, Observation, World};

/// A running cloud. All of its methods may be called from any thread.
pub struct Cloud {
    world: Mutex<World>,
    console: Arc<dyn Console>,
    effects: UnboundedSender<Effect>,
    /// The world changed: whoever keeps time must look at the next due moment again.
    changed: Notify,
}

impl Cloud {
    /// A fresh cloud, and the effects it wants carried out, in order.
    ///
    /// [`Cloud::keep_time`] must run beside it, or nothing that takes time ever happens.
    #[must_use]
    pub fn new(
        config: Config,
        seed: u64,
        console: Arc<dyn Console>,
    ) -> (Arc<Self>, UnboundedReceiver<Effect>) {
        let (effects, receiver) = unbounded_channel();
        let world = Mutex::new(World::new(config, seed, chrono::Utc::now()));
        (Arc::new(Self { world, console, effects, changed: Notify::new() }), receiver)
    }

    /// Reads the records.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.lock())
    }

    /// Reports what the runtime saw.
    pub fn observe(&self, observation: &Observation) {
        self.step(|world| ((), world.observe(chrono::Utc::now(), observation)));
    }

    /// Puts other delays, limits and faults in place.
    pub fn configure(&self, config: Config) {
        self.step(|world| {
            world.configure(config);
            ((), world.tick(chrono::Utc::now()))
        });
    }

    /// Answers one request of the API.
    pub fn answer(&self, incoming: &Incoming<'_>) -> Reply {
        self.step(|world| {
            let Handled { reply, effects } =
                handle(world, self.console.as_ref(), chrono::Utc::now(), incoming);
            (reply, effects)
        })
    }

    /// Makes the transitions whose time has come, for ever.
    pub async fn keep_time(self: Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            let due = self.read(World::next_due);
            let wait = due.map(|due| (due - chrono::Utc::now()).to_std().unwrap_or_default());
            match wait {
                // A world whose due moment has passed but that does not move would spin: give way a little.
                Some(wait) => {
                    let _ = tokio::time::timeout(wait.max(Duration::from_millis(1)), changed).await;
                }
                None => changed.await,
            }
            self.step_quietly();
        }
    }

    /// The API as a router with one route, `/`; the daemon adds its own beside it and hands both to [`super::serve`].
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/", any(call))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(self))
    }

    /// One step under the lock. Effects are queued before it is released, so their order is that of the steps.
    fn step<T>(&self, change: impl FnOnce(&mut World) -> (T, Vec<Effect>)) -> T {
        let mut world = self.lock();
        let (answer, effects) = change(&mut world);
        self.queue(effects);
        drop(world);
        self.changed.notify_one();
        answer
    }

    /// A tick does not wake the timekeeper: that is who ticks.
    fn step_quietly(&self) {
        let mut world = self.lock();
        let effects = world.tick(chrono::Utc::now());
        self.queue(effects);
    }

    fn queue(&self, effects: Vec<Effect>) {
        for effect in effects {
            // Nobody carries effects out any more once the daemon goes down.
            let _ = self.effects.send(effect);
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // The world is changed by code that does not panic half-way; a poisoned lock holds a whole world.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn call(
    State(cloud): State<Arc<Cloud>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> http::Response<Body> {
    let query = query.unwrap_or_default();
    let reply = cloud.answer(&Incoming { headers: &headers, query: &query, body: &body });
    match reply.fate {
        Fate::Answer(after) => {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            render(reply)
        }
        Fate::Hang => std::future::pending().await,
        Fate::Drop => {
            let mut response = StatusCode::OK.into_response();
            response.extensions_mut().insert(CloseConnection);
            response
        }
    }
}

const XML: &str = "text/xml;charset=UTF-8";
const JSON: &str = "application/x-amz-json-1.1";

fn render(reply: Reply) -> http::Response<Body> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [
        ("content-type", if reply.json { JSON } else { XML }.to_owned()),
        ("x-amzn-requestid", reply.request_id.clone()),
    ];
    (status, headers, reply.body).into_response()
}
