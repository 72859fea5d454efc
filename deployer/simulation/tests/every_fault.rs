//! Every API call of a good run fails in every way, for every course and every kind of balancer; then chance.
// Effects: the clock of the one who waits for it.
#![allow(clippy::disallowed_methods)]

use mayfly_simulation::campaign;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// All scenarios take a while without optimisation: there, those of one course stand for the rest.
const PART: &str = if cfg!(debug_assertions) { "blue-green/" } else { "" };
const LEAST: usize = if cfg!(debug_assertions) { 2_500 } else { 5_000 };

#[test]
fn whatever_call_fails_nothing_is_harmed_and_the_next_run_ends_well() {
    let began = Instant::now();
    let work = campaign::all(1, PART);
    let summary = campaign::run(&work, || true);
    println!("{} schedules of seed 1 in {:?}", summary.run, began.elapsed());
    assert!(summary.failed.is_empty(), "{}", summary.report());
    assert!(summary.run >= LEAST, "only {} schedules", summary.run);
}

#[test]
fn several_faults_at_once_in_any_scenario_do_no_harm_either() {
    const SEED: u64 = 5_000;
    // The same ones everywhere, as far as a machine gets; a longer search is `mayfly-simulation random`.
    let left = AtomicUsize::new(3_000);
    let end = Instant::now() + Duration::from_secs(10);
    let summary = campaign::chance(SEED, || {
        let more = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        more.is_ok() && Instant::now() < end
    });
    println!("seeds {SEED} to {}", SEED + summary.run as u64);
    assert!(summary.failed.is_empty(), "{}", summary.report());
}
