//! Health probes: one task a probed backend, each outcome reported as it fell out.
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::exchange::exchange;
use super::{Dial, Report};
use crate::world::{BalancerPlan, HealthCheck, ProbeTarget};

/// How much of a failed probe's answer is kept for people.
const EVIDENCE: usize = 200;
/// How long it may take to come; less than the shortest timeout of a check.
const EVIDENCE_WAIT: Duration = Duration::from_millis(500);
/// As the classic balancer introduces itself; applications filter their logs by it.
const AGENT: &str = "ELB-HealthChecker/1.0";

/// What one probe task does; a change to any of it starts anew, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    address: Ipv4Addr,
    check: HealthCheck,
}

/// The running probes by instance id.
#[derive(Default)]
pub(super) struct Probes {
    running: BTreeMap<String, (Job, JoinSet<()>)>,
}

impl Probes {
    pub(super) fn reconcile(
        &mut self,
        plan: &BalancerPlan,
        dial: &Arc<dyn Dial>,
        reports: &mpsc::Sender<Report>,
    ) {
        let wanted: BTreeMap<&String, Job> = plan
            .backends
            .iter()
            .filter(|backend| backend.probe)
            .map(|b| (&b.instance_id, Job { address: b.address, check: plan.health_check.clone() }))
            .collect();
        self.running.retain(|id, (job, _)| wanted.get(id) == Some(job));
        for (id, job) in wanted {
            self.running.entry(id.clone()).or_insert_with(|| {
                let mut task = JoinSet::new();
                let (balancer, id) = (plan.name.clone(), id.clone());
                task.spawn(keep_probing(balancer, id, job.clone(), Arc::clone(dial), reports.clone()));
                (job, task)
            });
        }
    }
}

async fn keep_probing(
    balancer: String,
    instance_id: String,
    job: Job,
    dial: Arc<dyn Dial>,
    reports: mpsc::Sender<Report>,
) {
    let mut ticks = tokio::time::interval(Duration::from_secs(u64::from(job.check.interval.max(1))));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Verdict { passed, detail } = probe(&*dial, job.address, &job.check).await;
        tracing::debug!(%balancer, %instance_id, passed, %detail, "probed");
        let (balancer, instance_id) = (balancer.clone(), instance_id.clone());
        if reports.send(Report::Probed { balancer, instance_id, passed, detail }).await.is_err() {
            return;
        }
    }
}

/// How one probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) passed: bool,
    pub(super) detail: String,
}

/// Probes once, within the check's timeout.
pub(super) async fn probe(dial: &dyn Dial, address: Ipv4Addr, check: &HealthCheck) -> Verdict {
    let limit = Duration::from_secs(u64::from(check.timeout));
    match tokio::time::timeout(limit, ask(dial, address, &check.target)).await {
        Ok(verdict) => verdict,
        Err(_) => failed(format!("no answer within {} s", check.timeout)),
    }
}

fn failed(detail: String) -> Verdict {
    Verdict { passed: false, detail }
}

async fn ask(dial: &dyn Dial, address: Ipv4Addr, target: &ProbeTarget) -> Verdict {
    let (ProbeTarget::Http { port, .. } | ProbeTarget::Tcp { port }) = target;
    let at = SocketAddrV4::new(address, *port);
    let stream = match dial.dial(at).await {
        Ok(stream) => stream,
        Err(error) => return failed(format!("{at}: {error}")),
    };
    match target {
        ProbeTarget::Tcp { .. } => Verdict { passed: true, detail: format!("{at} accepts") },
        ProbeTarget::Http { path, .. } => match get(stream, at, path).await {
            Ok(verdict) => verdict,
            Err(error) => failed(format!("http://{at}{path}: {error}")),
        },
    }
}

/// What can go wrong between a connection and a status code.
#[derive(Debug, thiserror::Error)]
enum GetError {
    #[error("not a path that can be asked for: {0}")]
    Path(#[from] http::Error),
    #[error(transparent)]
    Exchange(#[from] hyper::Error),
}

async fn get(stream: TcpStream, at: SocketAddrV4, path: &str) -> Result<Verdict, GetError> {
    let request = Request::get(path)
        .header(HOST, at.to_string())
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let (response, _connection) = exchange(stream, request).await?;
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(Verdict { passed: true, detail: "HTTP 200".to_owned() });
    }
    Ok(failed(format!("HTTP {}{}", status.as_u16(), evidence(response.into_body()).await)))
}

/// The beginning of an answer, in one line; what is not there soon is left out.
async fn evidence(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while bytes.len() < EVIDENCE
            && let Some(Ok(frame)) = body.frame().await
        {
            bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        }
    };
    // The code alone decides; a body that hangs must not hide it.
    let _ = tokio::time::timeout(EVIDENCE_WAIT, read).await;
    bytes.truncate(EVIDENCE);
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    match words.join(" ").trim() {
        "" => String::new(),
        words => format!(": {words}"),
    }
}
