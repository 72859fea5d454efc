//! The one polling loop: a deadline, a cause when it runs out, and what was seen last as evidence; and the one way to repeat
//! a call.

use super::cancel::Cancel;
use super::event::{Event, Sink};
use super::failure::Failure;
use crate::cloud::{Answer, CloudError, Kind};
use std::time::Duration;
use tokio::time::Instant;

/// What one look showed.
pub(crate) enum Look<T> {
    /// It is there.
    Done(T),
    /// Not yet: how many are, of how many, and what the others say.
    NotYet { done: usize, total: usize, evidence: String },
}

/// One wait.
pub(crate) struct Wait<'a> {
    /// What is waited for, as in "waited 5m for …".
    pub(crate) what: String,
    /// How long at most.
    pub(crate) deadline: Duration,
    /// From one look to the next, at first and at most: looks grow rarer the longer it takes.
    pub(crate) interval: (Duration, Duration),
    /// Stops the wait when asked; `None` for waits that must not be interrupted.
    pub(crate) cancel: Option<&'a Cancel>,
    /// Told whenever the evidence changes.
    pub(crate) sink: &'a dyn Sink,
}

/// The first of many lines as one: of a thousand instances that wait for the same, a few show it.
pub(crate) fn few(lines: &[String], between: &str) -> String {
    const SHOWN: usize = 20;
    let shown = lines.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(between);
    match lines.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}{between}and {more} more"),
    }
}

/// Looks until it is there, the deadline passes, or somebody asks to stop. A look that fails for a reason that may
/// pass (throttling, a lost answer) is evidence, not the end.
pub(crate) async fn poll<T>(
    wait: Wait<'_>,
    mut look: impl AsyncFnMut() -> Result<Look<T>, Failure>,
) -> Result<T, Failure> {
    let end = Instant::now() + wait.deadline;
    let mut last = String::new();
    let (mut interval, most) = wait.interval;
    loop {
        match look().await {
            Ok(Look::Done(found)) => return Ok(found),
            Ok(Look::NotYet { done, total, evidence }) => {
                if evidence != last {
                    let what = wait.what.clone();
                    wait.sink.event(&Event::Waiting { what, done, total, evidence: evidence.clone() });
                    last = evidence;
                }
            }
            Err(Failure::Cloud(error)) if may_pass(&error) => last = error.to_string(),
            Err(failure) => return Err(failure),
        }
        if Instant::now() >= end {
            return Err(Failure::TimedOut { what: wait.what, deadline: wait.deadline, evidence: vec![last] });
        }
        pause(&wait, (Instant::now() + interval).min(end)).await?;
        interval = interval.mul_f64(1.4).min(most);
    }
}

async fn pause(wait: &Wait<'_>, next: Instant) -> Result<(), Failure> {
    let Some(cancel) = wait.cancel else {
        tokio::time::sleep_until(next).await;
        return Ok(());
    };
    tokio::select! {
        biased;
        () = cancel.asked() => Err(Failure::Interrupted),
        () = tokio::time::sleep_until(next) => Ok(()),
    }
}

/// Does a call that may be repeated without harm until it is through, for half a minute.
pub(crate) async fn persist<T>(mut call: impl AsyncFnMut() -> Answer<T>) -> Answer<T> {
    let mut pause = Duration::from_millis(250);
    for _ in 0..6 {
        match call().await {
            Err(error) if matches!(error.kind, Kind::Throttled | Kind::Ambiguous) => {}
            other => return other,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    call().await
}

pub(crate) fn may_pass(error: &CloudError) -> bool {
    matches!(error.kind, Kind::Throttled | Kind::Ambiguous | Kind::NotFound)
}
