//! The one place where the status lives while the program runs: changed by the main thread and the watcher's listener,
//! read by the endpoints, written to `status.json`.
// Effects: the clock, status.json, and asking the supervisor.
#![allow(clippy::disallowed_methods)]

use super::phase::{IllegalEdge, Phase};
use super::running::Running;
use super::status::{Service, Status};
use crate::converge::own;
use mayfly_states::fsys;
use mayfly_watcher::supervisor::{self, Supervisor};
use mayfly_watcher::watch::Watcher;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const SERVICES_HOLD: Duration = Duration::from_secs(1);

struct Inner {
    phase: Phase,
    status: Status,
    asked: Option<(Arc<dyn Supervisor>, Arc<Watcher>)>,
    looked: Option<Instant>,
    /// The file is not to be written any more.
    retired: bool,
}

/// See the module.
pub(crate) struct Board {
    inner: Mutex<Inner>,
    file: PathBuf,
    started: Instant,
    running: Arc<Running>,
}

impl Board {
    /// A board that is written to `file`.
    pub(crate) fn new(file: PathBuf) -> Self {
        let status = Status { version: env!("CARGO_PKG_VERSION"), ..Status::default() };
        let mut inner = Inner {
            phase: Phase::Identity { reason: None },
            status,
            asked: None,
            looked: None,
            retired: false,
        };
        inner.status.settle(&inner.phase);
        Self { inner: Mutex::new(inner), file, started: Instant::now(), running: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the file no more: the machine is about to become an image, which is to have none.
    pub(crate) fn retire(&self) {
        self.lock().retired = true;
    }

    /// Seconds since the program started.
    pub(crate) fn uptime(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// The phase.
    pub(crate) fn phase(&self) -> Phase {
        self.lock().phase.clone()
    }

    /// The steps that run now.
    pub(crate) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// A copy of the document.
    pub(crate) fn snapshot(&self) -> Status {
        let step = self.running.oldest();
        Status { step, ..self.lock().status.clone() }
    }

    /// Takes an edge, changes the document, and writes it. An edge that is not there is told and changes nothing: the
    /// program's state is then as it was, which is the safest that is known.
    pub(crate) fn step(
        &self,
        edge: impl FnOnce(&Phase) -> Result<Phase, IllegalEdge>,
        change: impl FnOnce(&mut Status),
    ) {
        {
            let mut inner = self.lock();
            match edge(&inner.phase) {
                Ok(next) => inner.phase = next,
                Err(error) => tracing::error!(%error, "a fault of mayfly-boot"),
            }
            change(&mut inner.status);
        }
        self.refresh_now();
        self.write();
    }

    /// Changes the document without a change of phase, and writes it.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Status)) {
        self.remark(change);
        self.write();
    }

    /// Changes the document in memory alone, for what is only worth knowing now; gives what the change has to say.
    pub(crate) fn remark<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        let mut inner = self.lock();
        let said = change(&mut inner.status);
        let phase = inner.phase.clone();
        inner.status.settle(&phase);
        said
    }

    /// Says whom to ask about services and watches.
    pub(crate) fn ask(&self, supervisor: Arc<dyn Supervisor>, watcher: Arc<Watcher>) {
        let mut inner = self.lock();
        inner.status.supervisor = Some(supervisor.name());
        inner.asked = Some((supervisor, watcher));
    }

    /// Says which services are to run.
    pub(crate) fn keep(&self, names: &[String]) {
        let mut inner = self.lock();
        let unseen =
            |name: &String| Service { name: name.clone(), state: "running".into(), ..Service::default() };
        inner.status.services = names.iter().map(unseen).collect();
        inner.looked = None;
    }

    /// Asks the watcher, and the supervisor about the services, that one at most once a second.
    pub(crate) fn refresh(&self) {
        self.refresh_watches();
        let recent = self.lock().looked.is_some_and(|at| at.elapsed() < SERVICES_HOLD);
        if !recent {
            self.refresh_now();
        }
    }

    /// A service as it is now, whether or not the states keep it running.
    pub(crate) fn look_at(&self, name: &str) -> Option<Service> {
        let (supervisor, _) = self.lock().asked.clone()?;
        Some(look(&*supervisor, name.to_owned()))
    }

    fn refresh_now(&self) {
        let (asked, names) = {
            let mut inner = self.lock();
            inner.looked = Some(Instant::now());
            let names: Vec<String> = inner.status.services.iter().map(|s| s.name.clone()).collect();
            (inner.asked.clone(), names)
        };
        let Some((supervisor, _)) = asked else { return self.remark(|_| {}) };
        // The lock is not held while the supervisor is asked.
        let seen: Vec<Service> = names.into_iter().map(|name| look(&*supervisor, name)).collect();
        let mut inner = self.lock();
        for service in &mut inner.status.services {
            if let Some(now) = seen.iter().find(|s| s.name == service.name) {
                service.clone_from(now);
            }
        }
        let phase = inner.phase.clone();
        inner.status.settle(&phase);
    }

    fn refresh_watches(&self) {
        let Some((_, watcher)) = self.lock().asked.clone() else { return };
        let watching = watcher.status();
        let mut inner = self.lock();
        inner.status.watches =
            watching.rules.iter().filter_map(|rule| serde_json::to_value(rule).ok()).collect();
        inner.status.watching = serde_json::json!({
            "watches": watching.watches, "looks": watching.looks, "overflows": watching.overflows,
            "degraded": watching.degraded, "paused": watching.paused,
        });
    }

    /// Replaces `status.json`. A disk that refuses is told and is no reason to stop.
    pub(crate) fn write(&self) {
        if self.lock().retired {
            return;
        }
        self.refresh_watches();
        let status = self.snapshot();
        let Ok(mut text) = serde_json::to_vec_pretty(&status) else { return };
        text.push(b'\n');
        if let Err(error) = fsys::replace(&self.file, &text, own(0o640)) {
            tracing::warn!(%error, "status.json was not written");
        }
    }
}

fn look(supervisor: &dyn Supervisor, name: String) -> Service {
    let state = match supervisor.status(&name) {
        Ok(supervisor::Status::Running(_)) => "running".to_owned(),
        Ok(supervisor::Status::Stopped) => "stopped".to_owned(),
        Ok(supervisor::Status::Unknown) => "unknown".to_owned(),
        Err(error) => error.to_string(),
    };
    let ends = supervisor.ends(&name).unwrap_or_default();
    let next_try = ends.next_try.map(|wait| epoch() + wait.as_secs_f64());
    let down = ends.down.as_ref().map(|down| match ends.next_try {
        Some(wait) => format!("({}), next try in {}s", down.how, wait.as_secs_f64().ceil()),
        None => format!("({}) {}", down.how, down.next),
    });
    Service { name, state, last_end: ends.last, failures: ends.failures, next_try, down }
}

/// Seconds since the epoch.
pub(crate) fn epoch() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
