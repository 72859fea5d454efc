//! Steady traffic from a thread of its own: what was asked, what failed, what was said last.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wait;

/// Runs until stopped.
pub struct Traffic {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    total: AtomicU64,
    failures: Mutex<Vec<String>>,
    last: Mutex<String>,
}

impl Traffic {
    /// Asks `url` again and again, some hundred times a second at most.
    pub fn start(url: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let (theirs, url) = (Arc::clone(&shared), url.to_owned());
        let thread = std::thread::spawn(move || ask_until_stopped(&theirs, &url));
        Self { shared, thread: Some(thread) }
    }

    /// The last good answer.
    pub fn last(&self) -> String {
        self.shared.last.lock().expect("no panic").clone()
    }

    /// Requests ended so far.
    pub fn total(&self) -> u64 {
        self.shared.total.load(Ordering::Relaxed)
    }

    /// Failures so far, in words.
    pub fn failures(&self) -> Vec<String> {
        self.shared.failures.lock().expect("no panic").clone()
    }

    /// Ends it: how many were asked, and which failed.
    pub fn stop(mut self) -> (u64, Vec<String>) {
        self.halt();
        (self.total(), self.failures())
    }

    fn halt(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the traffic's thread does not panic");
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.halt();
        }
    }
}

fn ask_until_stopped(shared: &Shared, url: &str) {
    let client = wait::client(Duration::from_secs(10)).expect("a client");
    while !shared.stop.load(Ordering::Relaxed) {
        match client.get(url).send().and_then(|answer| answer.error_for_status()?.text()) {
            Ok(body) => *shared.last.lock().expect("no panic") = body,
            Err(error) => shared.failures.lock().expect("no panic").push(format!("{error:?}")),
        }
        shared.total.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(5));
    }
}
