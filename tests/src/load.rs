//! Open-loop traffic: so many requests a second by the clock, however long the answers take. What is late is made up for,
//! so that none is left out because the service, or the machine, was slow. Some requests ask for an answer that takes its
//! time, so that there always are some in flight.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::runtime::Runtime;

/// Requests in flight at most; far more than it takes.
const WORKERS: u32 = 64;
/// One in so many asks for `slow`.
const SLOW_EVERY: u64 = 25;
/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Idle connections go before the balancer closes them, which could cross a request on its way.
const IDLE: Duration = Duration::from_secs(10);
const KEPT_IDLE: usize = 8;
/// Failures kept word for word; the rest are counted.
const FAILURES_KEPT: usize = 20;

/// Runs until dropped.
pub struct Load {
    shared: Arc<Shared>,
    // Ends the workers when it is dropped.
    _runtime: Runtime,
}

struct Shared {
    url: String,
    per_second: u32,
    began: Instant,
    /// Requests that a worker has taken up, or waits to send.
    taken: AtomicU64,
    stopped: AtomicBool,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    answered: u64,
    failed: u64,
    failures: Vec<String>,
    /// Answers are only remembered when they were asked for since.
    since: u64,
    bodies: BTreeSet<String>,
}

/// A moment of the load.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    at: Instant,
    due: u64,
}

impl Load {
    /// Asks `url` from now on, and `slow` below it, which has to say the same.
    pub fn start(url: &str, per_second: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let shared = Arc::new(Shared {
            url: url.to_owned(),
            per_second,
            began: Instant::now(),
            taken: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            tally: Mutex::default(),
        });
        let client = client();
        for _ in 0..WORKERS {
            runtime.spawn(ask_on(Arc::clone(&shared), client.clone()));
        }
        Self { shared, _runtime: runtime }
    }

    /// Now.
    pub fn moment(&self) -> Moment {
        let at = Instant::now();
        Moment { at, due: self.shared.due(at) }
    }

    /// Waits until all that was due by now is answered; requests and seconds since `from`.
    pub fn since(&self, from: Moment) -> (u64, f64) {
        let now = self.moment();
        self.until_answered(now.due);
        (now.due - from.due, (now.at - from.at).as_secs_f64())
    }

    /// What the next so many requests are answered.
    pub fn next(&self, count: u64) -> BTreeSet<String> {
        let from = self.shared.taken.load(Ordering::SeqCst);
        {
            let mut tally = self.shared.tally();
            tally.since = from;
            tally.bodies.clear();
        }
        self.until_answered(from + count);
        self.shared.tally().bodies.clone()
    }

    /// How many failed, and the first of them in words.
    pub fn failures(&self) -> (u64, Vec<String>) {
        let tally = self.shared.tally();
        (tally.failed, tally.failures.clone())
    }

    fn until_answered(&self, count: u64) {
        crate::wait::until(&format!("{count} answers"), 2 * TIMEOUT, || {
            let answered = self.shared.tally().answered;
            if answered >= count { Ok(()) } else { Err(answered) }
        });
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn due(&self, at: Instant) -> u64 {
        let due = at.duration_since(self.began).as_millis() * u128::from(self.per_second) / 1000;
        u64::try_from(due).expect("tests end")
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("no panic")
    }
}

fn client() -> Client {
    // Installing it twice is refused, and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pool = Client::builder().pool_idle_timeout(IDLE).pool_max_idle_per_host(KEPT_IDLE);
    pool.no_proxy().timeout(TIMEOUT).build().expect("a client")
}

/// Takes one number after the other; each has its time, at once where that has passed.
async fn ask_on(shared: Arc<Shared>, client: Client) {
    while !shared.stopped.load(Ordering::Relaxed) {
        let number = shared.taken.fetch_add(1, Ordering::SeqCst);
        let after = Duration::from_secs(number) / shared.per_second;
        tokio::time::sleep_until((shared.began + after).into()).await;
        let path = if number.is_multiple_of(SLOW_EVERY) { "slow" } else { "" };
        let answer = ask(&client, &format!("{}{path}", shared.url)).await;
        let mut tally = shared.tally();
        tally.answered += 1;
        match answer {
            Ok(body) if number >= tally.since => drop(tally.bodies.insert(body)),
            Ok(_) => {}
            Err(why) => {
                tally.failed += 1;
                if tally.failures.len() < FAILURES_KEPT {
                    tally.failures.push(why);
                }
            }
        }
    }
}

async fn ask(client: &Client, url: &str) -> Result<String, String> {
    let answer = client.get(url).send().await.map_err(|e| format!("{e:?}"))?;
    let status = answer.status();
    let body = answer.text().await.map_err(|e| format!("{e:?}"))?;
    if status == 200 { Ok(body) } else { Err(format!("{status}: {}", body.trim())) }
}
