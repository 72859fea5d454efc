//! Launching, watching and ending instances.

use super::failure::clip;
use super::{Failure, Look, ProbeAnswer, Run, few, persist, poll};
use crate::cloud::{Instance, InstanceState, Kind, Launch, Tags};
use crate::naming;
use crate::plan::{Batch, Plan};
use crate::spec::{Address, Probe};
use futures::{StreamExt, stream};
use mayfly_ami::bake::{Verdict, verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a slot may be answered with dead instances.
const AGAIN: u32 = 4;
/// Requests for instances side by side.
const LAUNCHES: usize = 8;
/// Probes side by side.
const PROBES: usize = 64;
/// Consoles that are read when something fails, and lines of each that are shown.
const CONSOLES: usize = 2;
const CONSOLE_LINES: usize = 15;
/// How long EC2 may take to show an instance that it said it launched.
const VISIBLE: Duration = Duration::from_secs(300);
/// Consoles that are read before a wave is let in: each is a call of its own.
const SAMPLE: usize = 16;
/// Ids that are asked for by id.
const IDS: usize = 200;
/// How long an instance that answers may go on converging before it is taken at its word.
const SETTLING: Duration = Duration::from_secs(10);

impl Run<'_> {
    pub(super) async fn launch(&self, wave: u32) -> Result<(), Failure> {
        let plan = self.current_plan()?;
        let batches = self.wave(wave)?.batches;
        self.still_ours().await?;
        self.journal().launched = true;
        let failed = AtomicBool::new(false);
        // All that were begun are waited for: dropped half-way, nobody would know what they launched.
        let launched: Vec<Result<(), Failure>> = stream::iter(batches.iter())
            .map(|batch| async {
                if failed.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let launched = self.launch_batch(&plan, wave, batch).await;
                failed.fetch_or(launched.is_err(), Ordering::Relaxed);
                launched
            })
            .buffer_unordered(LAUNCHES)
            .collect()
            .await;
        launched.into_iter().collect()
    }

    /// Launches one batch, going from place to place while there is no room: each subnet with the first type, then each
    /// with the next. What a place gives short is topped up elsewhere.
    async fn launch_batch(&self, plan: &Plan, wave: u32, batch: &Batch) -> Result<(), Failure> {
        let mut have = BTreeSet::new();
        let mut refusals = Vec::new();
        for (instance_type, subnet) in places(plan, batch) {
            let rest = batch.count.saturating_sub(u32::try_from(have.len()).unwrap_or(u32::MAX));
            if rest == 0 {
                break;
            }
            match self.launch_there(plan, batch, (&instance_type, subnet.as_deref()), rest, &mut have).await {
                Ok(()) => {}
                Err(Failure::Cloud(error)) if error.kind == Kind::Capacity => {
                    let place = subnet.as_deref().unwrap_or("any subnet");
                    self.note(format!("no room for {instance_type} in {place}: {error}"));
                    refusals.push(format!("{instance_type} in {place}: {error}"));
                }
                Err(failure) => return Err(failure),
            }
            self.journal().add_new(wave, have.iter().cloned());
        }
        if have.len() >= batch.count as usize {
            return Ok(());
        }
        let last = refusals.last().map(|last| format!("; {last}")).unwrap_or_default();
        let what = format!(
            "only {} of {} instances of one request could be launched{last}",
            have.len(),
            batch.count
        );
        if plan.instance_types.len() == 1 {
            refusals.push("`instance_type` takes a list of types, which are tried in order".to_owned());
        }
        Err(Failure::Hopeless { what, evidence: refusals })
    }

    /// One place. A request whose token was used before, by a run that was killed, may be answered with instances that
    /// are dead by now: then it is asked again as another request.
    async fn launch_there(
        &self,
        plan: &Plan,
        batch: &Batch,
        (instance_type, subnet): (&str, Option<&str>),
        count: u32,
        have: &mut BTreeSet<String>,
    ) -> Result<(), Failure> {
        for again in 0..AGAIN {
            let request = naming::Request {
                deployment: &plan.identity.deployment,
                attempt: &plan.attempt,
                slot: batch.slot,
                again,
                subnet,
                instance_type,
                count,
            };
            let before = have.len();
            let launch = self.request(plan, &request)?;
            let answered = self.launch_once(&launch, have).await?;
            if have.len() > before || !answered.iter().any(|i| i.state.is_ending()) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn request(&self, plan: &Plan, request: &naming::Request<'_>) -> Result<Launch, Failure> {
        let Some((template, version)) = self.journal().record.clone() else {
            return Err(Failure::PlanChanged);
        };
        let mut tags = plan.tags.clone();
        tags.insert(naming::SLOT.to_owned(), request.slot.to_string());
        Ok(Launch {
            template,
            version,
            count: request.count,
            instance_type: request.instance_type.to_owned(),
            subnet: request.subnet.map(str::to_owned),
            token: naming::token(request),
            tags,
        })
    }

    /// One request until it is answered. When an answer is lost, the tags tell what came of it before it is repeated;
    /// the token keeps a repetition from launching twice even if the tags are slow to show.
    async fn launch_once(
        &self,
        launch: &Launch,
        have: &mut BTreeSet<String>,
    ) -> Result<Vec<Instance>, Failure> {
        let before = have.len();
        let mut pause = Duration::from_millis(500);
        for _ in 0..6 {
            match self.context.cloud.launch(launch).await {
                Ok(instances) => return Ok(self.launched(instances, have)),
                Err(error) if error.kind == Kind::Throttled => {}
                Err(error) if matches!(error.kind, Kind::Ambiguous | Kind::NotFound) => {
                    self.journal().launch_unsure = true;
                    self.note(format!("{error}; looking for what came of it"));
                    tokio::time::sleep(pause).await;
                    let found = self.launched(self.batch_instances(launch).await?, have);
                    if have.len() > before {
                        return Ok(found);
                    }
                }
                Err(error) => {
                    // Without an answer from the service itself nobody knows what came of it.
                    self.journal().launch_unsure |= error.code.is_none();
                    return Err(error.into());
                }
            }
            self.pause(pause).await?;
            pause *= 2;
        }
        let instances = self.context.cloud.launch(launch).await?;
        Ok(self.launched(instances, have))
    }

    fn launched(&self, instances: Vec<Instance>, have: &mut BTreeSet<String>) -> Vec<Instance> {
        self.learn(&instances);
        have.extend(instances.iter().filter(|i| !i.state.is_ending()).map(|i| i.id.clone()));
        instances
    }

    /// Remembers the addresses of instances: some balancers know them by nothing else.
    pub(super) fn learn(&self, instances: &[Instance]) {
        let known = instances.iter().filter_map(|i| Some((i.id.clone(), i.private_ip.clone()?)));
        self.journal().addresses.extend(known);
    }

    async fn batch_instances(&self, launch: &Launch) -> Result<Vec<Instance>, Failure> {
        let keys = [naming::SERVICE, naming::ENVIRONMENT, naming::DEPLOYMENT, naming::SLOT];
        let tags: Tags = keys
            .iter()
            .filter_map(|&key| launch.tags.get(key).map(|value| (key.to_owned(), value.clone())))
            .collect();
        let cloud = &self.context.cloud;
        Ok(persist(async || cloud.instances_tagged(&tags).await).await?)
    }

    pub(super) async fn pause(&self, pause: Duration) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = self.cancel.asked() => Err(Failure::Interrupted),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    pub(super) async fn wait_running(&self, wave: u32) -> Result<(), Failure> {
        let plan = self.current_plan()?;
        let ids = self.journal().new_of(wave);
        let wait = self.wait(format!("{} instances to run", ids.len()), plan.timeouts.running, true);
        poll(wait, async || {
            let instances = self.alive_new(&ids).await?;
            let running = instances.iter().filter(|i| i.state == InstanceState::Running).count();
            if running == ids.len() {
                return Ok(Look::Done(()));
            }
            let others = instances.iter().filter(|i| i.state != InstanceState::Running);
            let mut words: Vec<String> = others.map(|i| format!("{} {}", i.id, i.state.word())).collect();
            words.extend(unseen(&ids, &instances));
            Ok(Look::NotYet { done: running, total: ids.len(), evidence: few(&words, ", ") })
        })
        .await
    }

    /// The new instances as EC2 shows them now. One that is ending cannot come back: that is the end of the wait.
    pub(super) async fn alive_new(&self, ids: &[String]) -> Result<Vec<Instance>, Failure> {
        let instances = self.see(ids).await?;
        let dead = |i: &&Instance| !matches!(i.state, InstanceState::Pending | InstanceState::Running);
        match instances.iter().find(dead) {
            Some(dead) => {
                let reason = dead.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
                let what = format!("{} is {}: {reason}", dead.id, dead.state.word());
                Err(Failure::Hopeless { what, evidence: Vec::new() })
            }
            None => Ok(instances),
        }
    }

    /// Instances by id. Where they are many, one listing by tag takes fewer pages.
    async fn see(&self, ids: &[String]) -> Result<Vec<Instance>, Failure> {
        let cloud = &self.context.cloud;
        let instances = if ids.len() > IDS {
            let tags = naming::ownership(&self.order.spec.service, &self.order.spec.environment);
            let wanted: BTreeSet<&String> = ids.iter().collect();
            let all = cloud.instances_tagged(&tags).await?;
            all.into_iter().filter(|instance| wanted.contains(&instance.id)).collect()
        } else {
            cloud.instances(ids).await?
        };
        self.learn(&instances);
        Ok(instances)
    }

    /// What else carries this service's tags when all is done: launched by a run that was killed, and shown late, or
    /// one too many. Nothing of it serves by this run's doing.
    pub(super) async fn remove_strays(&self) -> Result<(), Failure> {
        let cloud = &self.context.cloud;
        let tags = naming::ownership(&self.order.spec.service, &self.order.spec.environment);
        let all = persist(async || cloud.instances_tagged(&tags).await).await?;
        self.learn(&all);
        let known: BTreeSet<String> = self.known()?.into_iter().collect();
        let strays = all.into_iter().filter(|i| !i.state.is_ending() && !known.contains(&i.id));
        let strays: Vec<String> = strays.map(|instance| instance.id).collect();
        if strays.is_empty() {
            return Ok(());
        }
        self.note(format!("{} came to light, launched by a run that was killed", strays.join(", ")));
        self.take_out(&strays, false).await?;
        self.still_ours().await?;
        self.terminate(&strays).await
    }

    pub(super) async fn wait_ready(&self, wave: u32) -> Result<(), Failure> {
        let plan = self.current_plan()?;
        let Some(probe) = &plan.probe else { return Ok(()) };
        let ids = self.journal().new_of(wave);
        let mut ready = BTreeSet::new();
        let what = format!("{} instances to answer 200 at :{}{}", ids.len(), probe.port, probe.path);
        let mut wait = self.wait(what, plan.timeouts.probe, true);
        wait.interval = (probe.interval, probe.interval);
        poll(wait, async || {
            let instances = self.alive_new(&ids).await?;
            let mut answers = self.ask(probe, instances, &ready).await;
            ready.extend(
                answers.iter().filter(|(_, answer)| **answer == ProbeAnswer::Ready).map(|(id, _)| id.clone()),
            );
            if ready.len() == ids.len() {
                return self.none_failed(&ids).await.map(Look::Done);
            }
            answers.retain(|_, answer| *answer != ProbeAnswer::Ready);
            let words: Vec<String> =
                answers.iter().map(|(id, answer)| format!("{id} {}", answer.words())).collect();
            Ok(Look::NotYet { done: ready.len(), total: ids.len(), evidence: few(&words, "; ") })
        })
        .await
    }

    /// A service may answer although a state failed, or while others are still being applied. An instance whose console
    /// says that its converge failed is not let in; one that is still at it is given a little time to say how it ended.
    /// A console that cannot be read, or is late as EC2's are on older types, proves nothing. Of many instances, which
    /// all were told the same, some are read.
    async fn none_failed(&self, ids: &[String]) -> Result<(), Failure> {
        let patience = tokio::time::Instant::now() + SETTLING;
        loop {
            let consoles: Vec<(&String, String)> = stream::iter(ids.iter().take(SAMPLE))
                .map(|id| async move { (id, self.context.cloud.console(id).await.unwrap_or_default()) })
                .buffer_unordered(LAUNCHES)
                .collect()
                .await;
            let failed: Vec<String> =
                consoles.iter().filter_map(|(id, console)| last_failure(id, console)).collect();
            if let Some(word) = failed.first() {
                let (some, all) = (failed.len(), ids.len());
                let what = format!("{some} of {all} instances answer, but did not converge; {word}");
                return Err(Failure::Hopeless { what, evidence: Vec::new() });
            }
            let is_busy = consoles.iter().any(|(_, console)| is_converging(console));
            if !is_busy || tokio::time::Instant::now() >= patience {
                return Ok(());
            }
            self.pause(Duration::from_millis(500)).await?;
        }
    }

    pub(super) async fn ask(
        &self,
        probe: &Probe,
        instances: Vec<Instance>,
        ready: &BTreeSet<String>,
    ) -> BTreeMap<String, ProbeAnswer> {
        let asked = instances.into_iter().filter(|instance| !ready.contains(&instance.id));
        stream::iter(asked)
            .map(|instance| async move {
                let answer = match url(probe, &instance) {
                    Some(url) => self.context.prober.probe(&url, probe.timeout).await,
                    None => ProbeAnswer::Nothing("it has no such address".to_owned()),
                };
                (instance.id, answer)
            })
            .buffer_unordered(PROBES)
            .collect()
            .await
    }

    /// Terminates those of `ids` that still carry this service's tags, read now, and sees that they end.
    pub(super) async fn terminate(&self, ids: &[String]) -> Result<(), Failure> {
        let cloud = &self.context.cloud;
        let (service, environment) = (&self.order.spec.service, &self.order.spec.environment);
        let live = self.seen(ids).await?;
        let mut doomed = Vec::new();
        for instance in live.into_iter().filter(|instance| !instance.state.is_ending()) {
            if naming::owned_by(&instance.tags, service, environment) {
                doomed.push(instance.id);
            } else {
                self.note(Failure::NotOurs(instance.id).to_string());
            }
        }
        if doomed.is_empty() {
            return Ok(());
        }
        persist(async || cloud.terminate(&doomed).await).await?;
        let wait = self.wait(format!("{} instances to end", doomed.len()), Duration::from_secs(120), false);
        poll(wait, async || {
            let instances = self.see(&doomed).await?;
            let live: Vec<&str> =
                instances.iter().filter(|i| !i.state.is_ending()).map(|i| i.id.as_str()).collect();
            if live.is_empty() {
                return Ok(Look::Done(()));
            }
            let (done, total) = (doomed.len() - live.len(), doomed.len());
            Ok(Look::NotYet { done, total, evidence: format!("{} not ending yet", live.join(", ")) })
        })
        .await
    }

    /// Instances as EC2 shows them. One that this run launched a moment ago may not be shown yet, and is waited for:
    /// it would be left over otherwise.
    async fn seen(&self, ids: &[String]) -> Result<Vec<Instance>, Failure> {
        let fresh = self.journal().all_new();
        let launched: Vec<&String> = ids.iter().filter(|id| fresh.contains(*id)).collect();
        let wait = self.wait(format!("EC2 to show {} instances", launched.len()), VISIBLE, false);
        poll(wait, async || {
            let seen = self.see(ids).await?;
            let hidden: Vec<&str> = launched
                .iter()
                .filter(|id| !seen.iter().any(|instance| instance.id == ***id))
                .map(|id| id.as_str())
                .collect();
            if hidden.is_empty() {
                return Ok(Look::Done(seen));
            }
            let (done, total) = (launched.len() - hidden.len(), launched.len());
            Ok(Look::NotYet { done, total, evidence: format!("{} not visible yet", hidden.join(", ")) })
        })
        .await
    }

    /// The end of the console of some new instances, when a wait for them failed.
    pub(super) async fn consoles(&self, cause: &Failure) -> Vec<String> {
        if !matches!(cause, Failure::TimedOut { .. } | Failure::Hopeless { .. }) || self.is_past_return() {
            return Vec::new();
        }
        let mut lines = Vec::new();
        for id in self.new_ids().iter().take(CONSOLES) {
            let Ok(console) = self.context.cloud.console(id).await else { continue };
            let tail: Vec<&str> =
                console.lines().rev().filter(|line| !line.trim().is_empty()).take(CONSOLE_LINES).collect();
            lines.extend(last_failure(id, &console));
            lines.extend(tail.iter().rev().map(|line| format!("{id} console: {}", line.trim_end())));
        }
        lines
    }
}

/// What an instance says on its console of its failed converge, unless it has healed since.
fn last_failure(id: &str, console: &str) -> Option<String> {
    match verdict(console) {
        Verdict::Failed(line) => Some(format!("{id} says {}", clip(&line))),
        Verdict::Ready | Verdict::Sealed(_) | Verdict::Unproven => None,
    }
}

fn is_converging(console: &str) -> bool {
    verdict(console) == Verdict::Unproven && console.contains("mayfly: converging")
}

fn places(plan: &Plan, batch: &Batch) -> Vec<(String, Option<String>)> {
    let subnets: Vec<Option<String>> =
        if batch.subnets.is_empty() { vec![None] } else { batch.subnets.iter().cloned().map(Some).collect() };
    let types = plan.instance_types.iter();
    types.flat_map(|kind| subnets.iter().map(move |subnet| (kind.clone(), subnet.clone()))).collect()
}

fn unseen(ids: &[String], seen: &[Instance]) -> Vec<String> {
    let missing = ids.iter().filter(|id| !seen.iter().any(|instance| instance.id == **id));
    missing.map(|id| format!("{id} not visible yet")).collect()
}

fn url(probe: &Probe, instance: &Instance) -> Option<String> {
    let host = match probe.address {
        Address::Private => instance.private_ip.as_ref(),
        Address::Public => instance.public_ip.as_ref(),
    }?;
    Some(format!("{}://{host}:{}{}", probe.scheme, probe.port, probe.path))
}
