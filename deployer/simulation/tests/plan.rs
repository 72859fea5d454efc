//! A plan changes nothing, and its steps are those that are then run.

use mayfly_deployer::run::{Event, Outcome};
use mayfly_simulation::bench::{Deployer, Ending};
use mayfly_simulation::fault::reads;
use mayfly_simulation::machines::Temper;
use mayfly_simulation::scenario::{Behind, Course, Scenario};
use mayfly_simulation::stage;

#[test]
fn a_plan_only_reads_and_its_steps_are_then_run() {
    for course in Course::ALL {
        let scenario = Scenario::even(course, Behind::Two, 4);
        let stage = stage::set(&scenario, 1);
        let spec = scenario.spec(scenario.new, 2, Temper::Fit);
        let deployer = Deployer::new(&scenario, spec, course.intent(), 3);

        let (plan, log) = deployer.plan(stage.clone(), 1);
        let changes: Vec<_> = log.iter().filter(|entry| !reads(entry.action)).collect();
        assert!(changes.is_empty(), "{scenario}: {changes:?}");

        let ran = deployer.deploy(stage, &[], 1);
        assert!(
            matches!(ran.ending, Ending::Ended(Outcome::Done | Outcome::Canary | Outcome::Partial)),
            "{scenario}: {:?}",
            ran.ending
        );
        let started = |event: &Event| match event {
            Event::StepStarted { step, wave, .. } => Some((*step, *wave)),
            _ => None,
        };
        let run: Vec<_> = ran.events.iter().filter_map(started).collect();
        let planned: Vec<_> = plan.steps.iter().map(|step| (step.action, step.wave)).collect();
        assert_eq!(planned, run, "{scenario}");
    }
}
