//! Standing still on purpose: a soak, in which health has to hold, and a pause, until somebody agrees.

use super::{Failure, Look, ProbeAnswer, Run, Wait, persist, poll};
use crate::cloud::Tags;
use crate::naming;
use crate::plan::{Step, short};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// From one look to the next while a canary soaks, at most.
const SOAK_LOOKS: Duration = Duration::from_secs(10);
/// Questions in a row that an instance may leave unanswered: a single one can be lost on the way.
const LOST: u32 = 2;

impl Run<'_> {
    /// Watches that all the new stay in service and go on answering 200. The first lapse is the end.
    pub(super) async fn soak(&self, wave: u32) -> Result<(), Failure> {
        let soak = self.wave(wave)?.soak.unwrap_or_default();
        let ids = self.journal_new_until(wave);
        let end = Instant::now() + soak;
        let what = format!("{} instances to stay healthy for {}", ids.len(), short(soak));
        let wait = Wait { interval: (Duration::from_secs(1), SOAK_LOOKS), ..self.wait(what, soak * 2, true) };
        let mut misses: BTreeMap<String, u32> = BTreeMap::new();
        let mut last = Instant::now();
        poll(wait, async || {
            self.look_healthy(&ids, &mut misses).await?;
            let blind = last.elapsed();
            last = Instant::now();
            if last >= end && blind <= SOAK_LOOKS * 3 {
                return Ok(Look::Done(()));
            }
            let left = end.saturating_duration_since(last).as_secs();
            let evidence = format!("healthy, {} to go", short(Duration::from_secs(left)));
            Ok(Look::NotYet { done: ids.len(), total: ids.len(), evidence })
        })
        .await
    }

    async fn look_healthy(&self, ids: &[String], misses: &mut BTreeMap<String, u32>) -> Result<(), Failure> {
        let lapsed = |evidence: Vec<String>| {
            let what = format!("{} of {} instances did not stay healthy", evidence.len(), ids.len());
            Failure::Hopeless { what, evidence }
        };
        let instances = self.alive_new(ids).await?;
        let waiting = self.not_in_service(ids).await?;
        if !waiting.is_empty() {
            return Err(lapsed(waiting));
        }
        let Some(probe) = &self.current_plan()?.probe else { return Ok(()) };
        let answers = self.ask(probe, instances, &BTreeSet::new()).await;
        let mut evidence = Vec::new();
        for (id, answer) in answers {
            let missed = misses.entry(id.clone()).or_default();
            *missed = if answer == ProbeAnswer::Ready { 0 } else { *missed + 1 };
            if *missed >= LOST {
                evidence.push(format!("{id} {}", answer.words()));
            }
        }
        if evidence.is_empty() { Ok(()) } else { Err(lapsed(evidence)) }
    }

    /// Waits until somebody agrees: the one at the terminal, or else whoever says `mayfly promote`.
    pub(super) async fn pause_step(&self, step: &Step) -> Result<(), Failure> {
        let deadline = self.current_plan()?.timeouts.pause;
        let Some(asker) = &self.context.asker else { return self.wait_for_word(step, deadline).await };
        let question = format!("{}; go on?", step.what);
        tokio::select! {
            biased;
            () = self.cancel.asked() => Err(Failure::Interrupted),
            yes = asker.ask(&question) => {
                if yes { Ok(()) } else { Err(Failure::Interrupted) }
            }
        }
    }

    fn step_after(&self, step: &Step) -> String {
        let journal = self.journal();
        let steps = journal.plan.iter().flat_map(|plan| &plan.steps);
        steps.skip_while(|one| *one != step).nth(1).map(Step::point).unwrap_or_default()
    }

    async fn wait_for_word(&self, step: &Step, deadline: Duration) -> Result<(), Failure> {
        let deployment = self.deployment();
        let template = self.journal().record.clone();
        let name = naming::record(&self.order.spec.service, &self.order.spec.environment);
        let cloud = &self.context.cloud;
        if let Some((template, _)) = &template {
            let paused = format!("{deployment} before {}", self.step_after(step));
            let tags =
                Tags::from([(naming::PAUSED.to_owned(), paused), (naming::ANSWER.to_owned(), String::new())]);
            persist(async || cloud.tag(template, &tags).await).await?;
        }
        self.note(format!("paused: `mayfly promote` goes on, `mayfly abort` takes {deployment} back"));
        let wait = self.wait("`mayfly promote`", deadline, true);
        let answered = poll(wait, async || {
            let record = cloud.template(&name).await?;
            let answer = record.as_ref().and_then(|record| record.tags.get(naming::ANSWER));
            match answer.and_then(|answer| answer.split_once(' ')) {
                Some((word, whose)) if whose == deployment => Ok(Look::Done(word == "go")),
                _ => Ok(Look::NotYet { done: 0, total: 1, evidence: "nobody said so yet".to_owned() }),
            }
        })
        .await;
        if let Some((template, _)) = &template {
            let tags = Tags::from([(naming::PAUSED.to_owned(), String::new())]);
            let _ = persist(async || cloud.tag(template, &tags).await).await;
        }
        if answered? { Ok(()) } else { Err(Failure::Interrupted) }
    }
}
