//! Steady traffic for the demo: asks the balancer the whole time, counts what failed, remembers what was said.
// Effects: the network and the clock are what a load generator is made of.
#![allow(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

/// Requests in flight at most.
const WORKERS: usize = 4;
/// Pause of each worker between two requests.
const PACE: Duration = Duration::from_millis(20);
/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(10);
/// This many equal answers in a row make a change live.
const SETTLED: usize = 24;
/// Failures kept word for word; the rest are counted.
const FAILURES_KEPT: usize = 10;

/// One answer of the service.
#[derive(Debug, Clone)]
struct Answer {
    at: Instant,
    body: String,
}

/// What the traffic has seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Requests that ended, well or not.
    pub(super) total: u64,
    /// Requests that did not get a 200.
    pub(super) failed: u64,
    /// The first few failures, in words.
    pub(super) failures: Vec<String>,
    recent: VecDeque<Answer>,
}

impl Tally {
    fn succeeded(&mut self, answer: Answer) {
        self.total += 1;
        self.recent.push_back(answer);
        if self.recent.len() > SETTLED {
            self.recent.pop_front();
        }
    }

    fn failed(&mut self, why: String) {
        self.total += 1;
        self.failed += 1;
        if self.failures.len() < FAILURES_KEPT {
            self.failures.push(why);
        }
    }

    /// When every recent answer contains `text`: the moment of the first of them.
    fn settled_on(&self, text: &str) -> Option<Instant> {
        let all = self.recent.len() == SETTLED && self.recent.iter().all(|a| a.body.contains(text));
        all.then(|| self.recent.front().map(|a| a.at)).flatten()
    }

    /// The last answer's first line.
    pub(super) fn last_answer(&self) -> Option<String> {
        self.recent.back().and_then(|a| a.body.lines().next()).map(str::to_owned)
    }
}

/// Traffic that runs until it is stopped or dropped.
pub(super) struct Load {
    tally: Arc<Mutex<Tally>>,
    ended: watch::Receiver<u64>,
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
}

impl Load {
    /// Starts asking `url`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub(super) fn start(url: &str) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (count, ended) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            workers.spawn(ask_until_stopped(
                client.clone(),
                url.to_owned(),
                Arc::clone(&tally),
                count.clone(),
                stopped.clone(),
            ));
        }
        Ok(Self { tally, ended, stop, workers })
    }

    /// What has been seen so far.
    pub(super) fn tally(&self) -> Tally {
        locked(&self.tally).clone()
    }

    /// Waits until every recent answer contains `text`, at most `limit`; gives the moment from which it did.
    pub(super) async fn until_all_say(&mut self, text: &str, limit: Duration) -> Option<Instant> {
        let wait = async {
            loop {
                if let Some(since) = locked(&self.tally).settled_on(text) {
                    return Some(since);
                }
                if self.ended.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(limit, wait).await.ok().flatten()
    }

    /// Waits until `count` requests have ended, at most `limit`.
    pub(super) async fn until_total(&mut self, count: u64, limit: Duration) {
        let enough = self.ended.wait_for(|ended| *ended >= count);
        // Running out of time only means that the summary shows a smaller number.
        let _ = tokio::time::timeout(limit, enough).await;
    }

    /// Lets the requests in flight end, and gives the final tally.
    pub(super) async fn stop(mut self) -> Tally {
        // A receiver lives in every worker; when all have ended there is nobody left to tell.
        let _ = self.stop.send(true);
        while self.workers.join_next().await.is_some() {}
        locked(&self.tally).clone()
    }
}

async fn ask_until_stopped(
    client: reqwest::Client,
    url: String,
    tally: Arc<Mutex<Tally>>,
    count: watch::Sender<u64>,
    mut stopped: watch::Receiver<bool>,
) {
    while !*stopped.borrow() {
        match ask(&client, &url).await {
            Ok(answer) => locked(&tally).succeeded(answer),
            Err(why) => locked(&tally).failed(why),
        }
        count.send_modify(|n| *n += 1);
        // Either the pause is over or it is time to stop; the loop's condition tells which.
        let _ = tokio::time::timeout(PACE, stopped.changed()).await;
    }
}

async fn ask(client: &reqwest::Client, url: &str) -> Result<Answer, String> {
    let response = client.get(url).send().await.map_err(|e| in_words(&e))?;
    let status = response.status();
    let body = response.text().await.map_err(|e| in_words(&e))?;
    if status.as_u16() == 200 {
        Ok(Answer { at: Instant::now(), body })
    } else {
        Err(format!("{status}: {}", body.trim()))
    }
}

/// The whole chain of causes: the outermost alone says little.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words.push_str(": ");
        words.push_str(&inner.to_string());
        cause = inner.source();
    }
    words
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(tally: &mut Tally, body: &str, count: usize) {
        for _ in 0..count {
            tally.succeeded(Answer { at: Instant::now(), body: body.to_owned() });
        }
    }

    #[test]
    fn a_change_is_live_only_when_every_recent_answer_shows_it() {
        let mut tally = Tally::default();
        answers(&mut tally, "old", 5);
        answers(&mut tally, "new", SETTLED - 1);
        assert_eq!(tally.settled_on("new"), None);
        answers(&mut tally, "new", 1);
        assert!(tally.settled_on("new").is_some());
        answers(&mut tally, "old", 1);
        assert_eq!(tally.settled_on("new"), None);
    }

    #[test]
    fn failures_are_all_counted_and_the_first_few_kept() {
        let mut tally = Tally::default();
        for n in 0..FAILURES_KEPT + 5 {
            tally.failed(format!("failure {n}"));
        }
        assert_eq!((tally.total, tally.failed), (15, 15));
        assert_eq!(tally.failures.len(), FAILURES_KEPT);
        assert_eq!(tally.failures[0], "failure 0");
    }
}
