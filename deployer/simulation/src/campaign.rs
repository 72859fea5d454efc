//! Many schedules, side by side on all processors: every call of a good run failed in every way, or chance.

use crate::fault::{At, Fault};
use crate::scenario::{Behind, Course, Scenario};
use crate::schedule::{Schedule, Verdict};
use crate::stage;
use crate::universe::Universe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What came of many schedules.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many were run.
    pub run: usize,
    /// Those that went wrong, and how.
    pub failed: Vec<(Schedule, Vec<String>)>,
}

impl Summary {
    /// The failures for people, each with the command that shows it again.
    #[must_use]
    pub fn report(&self) -> String {
        let mut lines = Vec::new();
        for (schedule, wrong) in self.failed.iter().take(200) {
            lines.push(format!("{schedule}\n    {}", wrong.join("\n    ")));
            lines.push(format!("    cargo run -p mayfly-simulation -- replay '{schedule}'"));
        }
        lines.push(format!("{} of {} schedules failed", self.failed.len(), self.run));
        lines.join("\n")
    }
}

/// All schedules of one fault for a scenario, with the stage that they share.
///
/// # Panics
/// When the scenario does not end as it should without any fault.
#[must_use]
pub fn every_fault(scenario: Scenario, seed: u64) -> (Universe, Vec<Schedule>) {
    let stage = stage::set(&scenario, seed);
    let plain = Schedule { scenario, faults: Vec::new(), seed, elsewhere: false };
    let good = plain.run_on(stage.clone());
    assert!(good.wrong.is_empty(), "{plain}: {:#?}", good.wrong);
    let mut schedules = vec![plain];
    for (place, entry) in good.first.log.iter().enumerate() {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(entry.action)) {
            schedules.push(Schedule {
                scenario,
                faults: vec![At { call: place + 1, fault }],
                seed,
                elsewhere: false,
            });
        }
    }
    (stage, schedules)
}

/// Every fault of every course and of every kind of balancer, as far as a scenario's text begins with `part`.
#[must_use]
pub fn all(seed: u64, part: &str) -> Vec<(Universe, Vec<Schedule>)> {
    let mut scenarios: Vec<Scenario> =
        Behind::ALL.into_iter().map(|behind| Scenario::even(Course::BlueGreen, behind, 3)).collect();
    scenarios.extend(Course::ALL.into_iter().skip(1).map(|course| Scenario::even(course, Behind::Group, 3)));
    scenarios.retain(|scenario| scenario.to_string().starts_with(part));
    scenarios.into_iter().map(|scenario| every_fault(scenario, seed)).collect()
}

/// Runs schedules of shared stages, as long as `more` says so.
#[must_use]
pub fn run(work: &[(Universe, Vec<Schedule>)], more: impl Fn() -> bool + Sync) -> Summary {
    let all: Vec<(&Universe, &Schedule)> = work
        .iter()
        .flat_map(|(stage, schedules)| schedules.iter().map(move |schedule| (stage, schedule)))
        .collect();
    side_by_side(|place| {
        all.get(place)
            .filter(|_| more())
            .map(|(stage, schedule)| ((*schedule).clone(), schedule.run_on((*stage).clone())))
    })
}

/// Runs what chance brings while `more` says so. The same seed brings the same schedules.
#[must_use]
pub fn chance(seed: u64, more: impl Fn() -> bool + Sync) -> Summary {
    side_by_side(|place| {
        more().then(|| {
            let schedule = Schedule::by_chance(seed.wrapping_add(place as u64));
            let verdict = schedule.run();
            (schedule, verdict)
        })
    })
}

/// Numbers from 0 on, until there is nothing to a number.
fn side_by_side(one: impl Fn(usize) -> Option<(Schedule, Verdict)> + Sync) -> Summary {
    let (next, run) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some((schedule, verdict)) = one(next.fetch_add(1, Ordering::Relaxed)) {
            run.fetch_add(1, Ordering::Relaxed);
            if !verdict.wrong.is_empty()
                && let Ok(mut failed) = failed.lock()
            {
                failed.push((schedule, verdict.wrong));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers() {
            scope.spawn(work);
        }
    });
    Summary { run: run.into_inner(), failed: failed.into_inner().unwrap_or_default() }
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
