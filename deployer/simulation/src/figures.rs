//! What a deployment costs by its size: calls, time, and time beyond the cloud's own.

use crate::bench::{Deployer, Ending, Ran};
use crate::machines::Temper;
use crate::scenario::{Behind, Course, Scenario};
use crate::stage;
use mayfly_deployer::plan::Action;
use mayfly_deployer::run::{Event, Outcome};
use mayfly_deployer::spec::{Share, Strategy};
use std::collections::BTreeMap;
use std::time::Duration;

/// Sizes that are looked at.
pub const SIZES: [u32; 4] = [1, 10, 100, 1_000];

/// One deployment over as many.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was deployed.
    pub scenario: Scenario,
    /// All calls.
    pub calls: usize,
    /// Calls by action.
    pub by_action: BTreeMap<&'static str, usize>,
    /// From start to end.
    pub whole: Duration,
    /// The same without the steps that wait for the cloud.
    pub beyond: Duration,
}

/// Measures a scenario.
///
/// # Panics
/// When it does not end well.
#[must_use]
pub fn measure(scenario: Scenario) -> Figure {
    let stage = stage::set(&scenario, 1);
    let mut spec = scenario.spec(scenario.new, 2, Temper::Fit);
    if scenario.course == Course::Rolling {
        // One by one is no way to replace a thousand.
        spec.strategy = Strategy::Rolling { batch: Share::Part(1, 10), minimum: None };
    }
    let ran = Deployer::new(&scenario, spec, scenario.course.intent(), 3).deploy(stage, &[], 1);
    assert_eq!(ran.ending, Ending::Ended(Outcome::Done), "{scenario}");
    let mut by_action = BTreeMap::new();
    for entry in &ran.log {
        *by_action.entry(entry.action).or_default() += 1;
    }
    Figure { scenario, calls: ran.log.len(), by_action, whole: ran.took, beyond: ran.took - waited(&ran) }
}

fn waited(ran: &Ran) -> Duration {
    let waits = |event: &Event| match event {
        Event::StepDone { step, seconds, .. } if waits_for_the_cloud(*step) => {
            Duration::from_secs_f64(*seconds)
        }
        _ => Duration::ZERO,
    };
    ran.events.iter().map(waits).sum()
}

fn waits_for_the_cloud(step: Action) -> bool {
    matches!(step, Action::Running | Action::Probe | Action::InService | Action::Soak | Action::DrainOld)
}

/// All strategies and sizes, a line of Markdown each, as they come.
pub fn table() -> impl Iterator<Item = String> {
    let head = ["| strategy | instances | calls | whole | beyond its waits |", "|---|---|---|---|---|"];
    let courses = [Course::BlueGreen, Course::Canary, Course::Rolling];
    let all = courses.into_iter().flat_map(|course| SIZES.map(|size| (course, size)));
    head.into_iter().map(str::to_owned).chain(all.map(|(course, size)| row(course, size)))
}

fn row(course: Course, size: u32) -> String {
    let Figure { calls, whole, beyond, .. } = measure(Scenario::even(course, Behind::Group, size));
    let (word, whole, beyond) = (course.word(), whole.as_secs_f64(), beyond.as_secs_f64());
    format!("| {word} | {size} | {calls} | {whole:.1} s | {beyond:.2} s |")
}
