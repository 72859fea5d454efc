//! Health probes: one task a probed backend, each outcome reported as it fell out.
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::exchange::exchange;
use super::pool::Name;
use super::{Dial, Report};
use crate::world::{Backend, BalancerPlan, ProbeOutcome, ProbePlan, ProbeTarget};

/// How much of a failed probe's answer is kept for people.
const EVIDENCE: usize = 200;
/// How long it may take to come; less than the shortest timeout of a check.
const EVIDENCE_WAIT: Duration = Duration::from_millis(500);

/// What one probe task does; a change to any of it starts anew, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    address: Ipv4Addr,
    check: Arc<ProbePlan>,
}

/// The running probes by pool and backend.
#[derive(Default)]
pub(super) struct Probes {
    running: BTreeMap<Name, (Job, JoinSet<()>)>,
}

impl Probes {
    pub(super) fn reconcile(
        &mut self,
        plan: &BalancerPlan,
        dial: &Arc<dyn Dial>,
        reports: &mpsc::Sender<Report>,
    ) {
        let job = |(pool, backend): (&str, &Backend)| {
            let check = Arc::clone(backend.probe.as_ref()?);
            Some(((pool.to_owned(), backend.id.clone()), Job { address: backend.address, check }))
        };
        let wanted: BTreeMap<Name, Job> = plan.probed().filter_map(job).collect();
        self.running.retain(|name, (job, _)| wanted.get(name) == Some(job));
        for (name, job) in wanted {
            self.running.entry(name.clone()).or_insert_with(|| {
                let mut task = JoinSet::new();
                let balancer = plan.name.clone();
                task.spawn(keep_probing(balancer, name, job.clone(), Arc::clone(dial), reports.clone()));
                (job, task)
            });
        }
    }
}

async fn keep_probing(
    balancer: String,
    (pool, backend): Name,
    job: Job,
    dial: Arc<dyn Dial>,
    reports: mpsc::Sender<Report>,
) {
    let mut ticks = tokio::time::interval(Duration::from_secs(u64::from(job.check.interval.max(1))));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Verdict { outcome, detail } = probe(&*dial, job.address, &job.check).await;
        tracing::debug!(%balancer, %backend, ?outcome, %detail, "probed");
        let (balancer, pool, backend) = (balancer.clone(), pool.clone(), backend.clone());
        if reports.send(Report::Probed { balancer, pool, backend, outcome, detail }).await.is_err() {
            return;
        }
    }
}

/// How one probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: ProbeOutcome,
    pub(super) detail: String,
}

/// Probes once, within the check's timeout.
pub(super) async fn probe(dial: &dyn Dial, address: Ipv4Addr, check: &ProbePlan) -> Verdict {
    let limit = Duration::from_secs(u64::from(check.timeout));
    match tokio::time::timeout(limit, ask(dial, address, check)).await {
        Ok(verdict) => verdict,
        Err(_) => {
            let detail = format!("no answer within {} s", check.timeout);
            Verdict { outcome: ProbeOutcome::TimedOut, detail }
        }
    }
}

async fn ask(dial: &dyn Dial, address: Ipv4Addr, check: &ProbePlan) -> Verdict {
    let broken = |detail: String| Verdict { outcome: ProbeOutcome::ConnectionError, detail };
    let (ProbeTarget::Http { port, .. } | ProbeTarget::Tcp { port }) = &check.target;
    let at = SocketAddrV4::new(address, *port);
    let stream = match dial.dial(at).await {
        Ok(stream) => stream,
        Err(error) => return broken(format!("{at}: {error}")),
    };
    match &check.target {
        ProbeTarget::Tcp { .. } => Verdict { outcome: ProbeOutcome::Passed, detail: format!("{at} accepts") },
        ProbeTarget::Http { path, .. } => match get(stream, at, path, check).await {
            Ok(verdict) => verdict,
            Err(error) => broken(format!("http://{at}{path}: {error}")),
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

async fn get(
    stream: TcpStream,
    at: SocketAddrV4,
    path: &str,
    check: &ProbePlan,
) -> Result<Verdict, GetError> {
    let request = Request::get(path)
        .header(HOST, at.to_string())
        .header(USER_AGENT, check.agent)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let (response, _connection) = exchange(stream, request).await?;
    let code = response.status().as_u16();
    if check.accept.iter().any(|(from, to)| (*from..=*to).contains(&code)) {
        return Ok(Verdict { outcome: ProbeOutcome::Passed, detail: format!("HTTP {code}") });
    }
    let detail = format!("HTTP {code}{}", evidence(response.into_body()).await);
    Ok(Verdict { outcome: ProbeOutcome::CodeMismatch(code), detail })
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
