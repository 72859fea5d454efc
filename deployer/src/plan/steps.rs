//! The steps of a plan, with the text that is shown before and while they run.

use super::{Action, BalancerPlan, Ending, Existing, Plan, PlanError, Recording, Step, Undo, Wave};
use std::time::Duration;

/// The plan with its steps.
pub(super) fn with_steps(mut plan: Plan) -> Plan {
    let mut steps = Vec::new();
    let mut add = |action, undo, what: String| steps.push(Step { action, wave: None, what, undo });
    add(Action::Lock, Undo::Unlock, format!("take the lock of {} in {}", plan.service, plan.environment));
    if let Ending::Aborted(number) = plan.ending {
        // First, so that whoever finds it half done goes on taking it back.
        add(Action::MarkAborted, Undo::Nothing, format!("mark deployment number {number} as taken back"));
    }
    if !plan.leftovers.is_empty() {
        let what = format!("remove what is left over: {}", ids(&plan.leftovers));
        add(Action::CleanUp, Undo::Nothing, what);
    }
    if let Recording::New(_) = plan.record {
        let what = format!("record deployment {}", plan.identity.deployment);
        add(Action::Record, Undo::NoteFailure, what);
    }
    for wave in &plan.waves {
        wave_steps(&plan, wave, &mut steps);
    }
    steps.extend(last_steps(&plan));
    plan.steps = steps;
    plan
}

fn last_steps(plan: &Plan) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut add = |action, undo, what: String| steps.push(Step { action, wave: None, what, undo });
    let so_far: u32 = plan.waves.iter().map(Wave::size).sum();
    match plan.ending {
        Ending::Success => {
            let what = "mark this deployment as the last that succeeded".to_owned();
            add(Action::MarkDefault, Undo::Impossible, what);
        }
        Ending::Partial => {
            let what = format!("leave {so_far} of {} in service as a partial deployment", plan.count);
            add(Action::Hold, Undo::Nothing, what);
        }
        Ending::Canary => {
            let what =
                format!("leave {so_far} in service as a canary, for `mayfly promote` or `mayfly abort`");
            add(Action::Hold, Undo::Nothing, what);
        }
        Ending::Aborted(_) | Ending::Nothing => {}
    }
    add(Action::Unlock, Undo::Nothing, "give the lock back".to_owned());
    steps
}

fn wave_steps(plan: &Plan, wave: &Wave, steps: &mut Vec<Step>) {
    let which = match plan.waves.len() {
        0 | 1 => String::new(),
        all => format!("wave {} of {all}: ", wave.number),
    };
    let mut add = |action, undo, what: String| {
        steps.push(Step { action, wave: Some(wave.number), what: format!("{which}{what}"), undo });
    };
    let so_far: u32 = plan.waves.iter().filter(|w| w.number <= wave.number).map(Wave::size).sum();
    if wave.launches() > 0 {
        add(Action::Launch, Undo::TerminateNew, launch_words(plan, wave));
    }
    if wave.size() > 0 {
        arrive(plan, wave, so_far, &mut add);
    }
    if let Some(soak) = wave.soak {
        add(Action::Soak, Undo::Nothing, format!("watch that {so_far} stay healthy for {}", short(soak)));
    }
    leave(plan, wave, &mut add);
}

fn arrive(plan: &Plan, wave: &Wave, so_far: u32, add: &mut impl FnMut(Action, Undo, String)) {
    let (count, timeouts) = (wave.size(), &plan.timeouts);
    let most = short(timeouts.running);
    add(Action::Running, Undo::Nothing, format!("wait until {count} run, at most {most}"));
    if let Some(probe) = &plan.probe {
        let (port, path, most) = (probe.port, &probe.path, short(timeouts.probe));
        let what = format!("wait until each answers 200 at :{port}{path}, at most {most}");
        add(Action::Probe, Undo::Nothing, what);
    }
    if plan.balancers.is_empty() {
        return;
    }
    add(Action::Register, Undo::TakeOutNew, format!("register {count} with {}", names(&plan.balancers)));
    let slow = plan.slow_start();
    let slow = if slow.is_zero() { String::new() } else { format!(", then {} of slow start", short(slow)) };
    let most = short(timeouts.in_service);
    let what = format!("wait until {so_far} are in service, at most {most}{slow}");
    add(Action::InService, Undo::Nothing, what);
}

fn leave(plan: &Plan, wave: &Wave, add: &mut impl FnMut(Action, Undo, String)) {
    let is_registered = wave.old.iter().any(Existing::is_registered);
    if is_registered {
        add(Action::DeregisterOld, Undo::PutOldBack, format!("deregister {}", ids(&wave.old)));
    }
    if is_registered || wave.old.iter().any(|old| old.draining) {
        let drain = plan.balancers.iter().map(|balancer| balancer.drain).max().unwrap_or_default();
        let drain = short(drain + plan.timeouts.drain);
        add(Action::DrainOld, Undo::Nothing, format!("wait until they have drained, at most {drain}"));
    }
    if !wave.old.is_empty() {
        add(Action::TerminateOld, Undo::Impossible, format!("terminate {}", ids(&wave.old)));
    }
}

/// The plan with a pause before one of its steps.
pub(super) fn with_pause(mut plan: Plan, point: &str) -> Result<Plan, PlanError> {
    let Some(place) = plan.steps.iter().position(|step| step.action != Action::Lock && step.point() == point)
    else {
        let known: Vec<String> =
            plan.steps.iter().filter(|step| step.action != Action::Lock).map(Step::point).collect();
        return Err(PlanError::NoSuchStep { step: point.to_owned(), known: known.join(", ") });
    };
    let wave = plan.steps.get(place).and_then(|step| step.wave);
    let most = short(plan.timeouts.pause);
    let what = format!("pause before {point} until somebody agrees, at most {most}");
    plan.steps.insert(place, Step { action: Action::Pause, wave, what, undo: Undo::Nothing });
    Ok(plan)
}

impl Plan {
    /// How long new members get fewer requests, where old ones stand beside them.
    #[must_use]
    pub fn slow_start(&self) -> Duration {
        let beside = self.waves.iter().flat_map(|wave| &wave.old).any(Existing::is_in_service);
        let longest = self.balancers.iter().map(|balancer| balancer.slow_start).max();
        longest.filter(|_| beside).unwrap_or_default()
    }
}

fn launch_words(plan: &Plan, wave: &Wave) -> String {
    let place = |batch: &super::Batch| batch.subnets.first().map(|subnet| (subnet.clone(), batch.count));
    let mut places: Vec<(String, u32)> = Vec::new();
    for (subnet, count) in wave.batches.iter().filter_map(place) {
        match places.iter_mut().find(|(have, _)| *have == subnet) {
            Some((_, sum)) => *sum += count,
            None => places.push((subnet, count)),
        }
    }
    let places: Vec<String> =
        places.into_iter().map(|(subnet, count)| format!("{count} in {subnet}")).collect();
    let spread = if places.is_empty() { String::new() } else { format!(" ({})", places.join(", ")) };
    let (count, kind, image) = (wave.launches(), plan.instance_types.join(" or "), &plan.template.image);
    format!("launch {count} {kind} from {image}{spread}")
}

fn names(balancers: &[BalancerPlan]) -> String {
    balancers.iter().map(|balancer| balancer.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn ids(existing: &[Existing]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<&str> = existing.iter().take(SHOWN).map(|instance| instance.id.as_str()).collect();
    let more = existing.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

/// A duration in as few words as it takes.
pub(crate) fn short(duration: Duration) -> String {
    humantime::format_duration(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
        .to_string()
}
