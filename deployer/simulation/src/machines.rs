//! What stands in for real machines and balancers: it boots what the world asks for, answers probes, checks health.
//!
//! A machine's release and temper are read from its user-data, as a real one's states would be: a broken version is one
//! whose pillar says so. All durations come from the seed.

use crate::random::Random;
use chrono::TimeDelta;
use mayfly_sandbox::world::{
    BalancerPlan, Effect, MachineSpec, Observation, PoolPlan, ProbeOutcome, Registration, TargetKey,
    TargetState, Timestamp, Traffic, World,
};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// How a version turns out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Temper {
    /// It serves.
    Fit,
    /// It never answers the probe.
    Mute,
    /// It answers the probe, but a state failed, and the console says so.
    Half,
    /// It answers the probe, but not the balancer's health check.
    Unfit,
    /// It dies while booting.
    Stillborn,
}

impl Temper {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Fit, Self::Mute, Self::Half, Self::Unfit, Self::Stillborn];

    /// Its word, in pillars and in schedules.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Mute => "mute",
            Self::Half => "half",
            Self::Unfit => "unfit",
            Self::Stillborn => "stillborn",
        }
    }

    /// The temper of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|temper| temper.word() == word)
    }
}

/// What an instance answers when it is asked over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// 200.
    Ready,
    /// 503.
    Busy,
    /// Nothing.
    Silence,
}

#[derive(Debug, Clone)]
struct Machine {
    temper: Temper,
    release: String,
    /// When its first process ran; not yet while it boots.
    up: Option<Timestamp>,
    /// From here on it serves.
    serves: Timestamp,
}

#[derive(Debug, Clone)]
enum Happening {
    Seen(Observation),
    Checks { pool: String },
}

/// All machines, and what each balancer was told last.
#[derive(Debug, Clone)]
pub struct Machines {
    machines: BTreeMap<String, Machine>,
    /// Whose an address is.
    owners: BTreeMap<Ipv4Addr, String>,
    pools: BTreeMap<String, PoolPlan>,
    agenda: BTreeMap<Timestamp, Vec<Happening>>,
    random: Random,
}

impl Machines {
    /// None yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            machines: BTreeMap::new(),
            owners: BTreeMap::new(),
            pools: BTreeMap::new(),
            agenda: BTreeMap::new(),
            random: Random::new(seed),
        }
    }

    /// Draws durations from another seed from now on.
    pub fn reseed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    /// Takes a wish of the world; what comes of it is on the agenda.
    pub fn carry_out(&mut self, now: Timestamp, effect: Effect) {
        match effect {
            Effect::StartMachine(spec) => self.start(now, *spec),
            Effect::StopMachine { id, .. } => {
                self.end(now, Observation::MachineStopped { id: id.clone() }, &id)
            }
            Effect::DestroyMachine { id } => self.end(now, Observation::MachineGone { id: id.clone() }, &id),
            Effect::BalancerChanged(plan) => self.change(now, &plan),
            _ => {}
        }
    }

    fn start(&mut self, now: Timestamp, spec: MachineSpec) {
        let text = String::from_utf8_lossy(spec.user_data.as_deref().unwrap_or_default()).into_owned();
        let temper = word_after(&text, "temper: ").and_then(|word| Temper::of(&word)).unwrap_or(Temper::Fit);
        let release = word_after(&text, "release: ").unwrap_or_default();
        let up = now + self.seconds(1, 4);
        let serves = up + self.seconds(2, 6);
        self.machines.insert(spec.id.clone(), Machine { temper, release, up: None, serves });
        self.owners.insert(spec.private_ip, spec.id.clone());
        let id = spec.id;
        let seen = match temper {
            Temper::Stillborn => Observation::MachineFailed { id, reason: "it does not boot".to_owned() },
            _ => Observation::MachineStarted { id },
        };
        self.at(up, Happening::Seen(seen));
    }

    fn end(&mut self, now: Timestamp, seen: Observation, id: &str) {
        self.machines.remove(id);
        let gone = now + self.seconds(1, 3);
        self.at(gone, Happening::Seen(seen));
    }

    fn change(&mut self, now: Timestamp, plan: &BalancerPlan) {
        plan.pools.iter().for_each(|pool| self.change_pool(now, pool));
    }

    /// Health checks begin with the first backend that wants them; drains end once what is in flight has ended.
    fn change_pool(&mut self, now: Timestamp, plan: &PoolPlan) {
        let name = plan.name.clone();
        let before = self.pools.insert(name.clone(), plan.clone());
        let known = before.as_ref().map(draining).unwrap_or_default();
        for backend in draining(plan).into_iter().filter(|id| !known.contains(id)) {
            let over = now + self.seconds(1, 12);
            self.at(over, Happening::Seen(Observation::Drained { pool: name.clone(), backend }));
        }
        if !before.is_some_and(|before| is_checked(&before)) && is_checked(plan) {
            self.at(now + TimeDelta::seconds(1), Happening::Checks { pool: name });
        }
    }

    fn seconds(&mut self, least: u64, most: u64) -> TimeDelta {
        TimeDelta::seconds(i64::try_from(self.random.between(least, most)).unwrap_or_default())
    }

    fn at(&mut self, when: Timestamp, happening: Happening) {
        self.agenda.entry(when).or_default().push(happening);
    }

    /// When something is seen next.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.agenda.keys().next().copied()
    }

    /// What is seen now.
    pub fn due(&mut self, now: Timestamp, world: &World) -> Vec<Observation> {
        let mut seen = Vec::new();
        while let Some(entry) = self.agenda.first_entry().filter(|entry| *entry.key() <= now) {
            for happening in entry.remove() {
                match happening {
                    Happening::Seen(observation) => {
                        if let Observation::MachineStarted { id } = &observation
                            && let Some(machine) = self.machines.get_mut(id)
                        {
                            machine.up = Some(now);
                        }
                        seen.push(observation);
                    }
                    Happening::Checks { pool } => seen.extend(self.check(now, &pool, world)),
                }
            }
        }
        seen
    }

    /// One round of health checks; only what changes something is worth telling.
    fn check(&mut self, now: Timestamp, name: &str, world: &World) -> Vec<Observation> {
        let Some(plan) = self.pools.get(name) else { return Vec::new() };
        let tells = telling(world, name);
        let mut seen = Vec::new();
        let mut next = None;
        for backend in &plan.backends {
            let Some(probe) = &backend.probe else { continue };
            next = Some(now + TimeDelta::seconds(i64::from(probe.interval)));
            let passed = self.passes(backend.address, now);
            if tells(&backend.id, passed) {
                let outcome = if passed { ProbeOutcome::Passed } else { ProbeOutcome::CodeMismatch(503) };
                seen.push(Observation::Probed {
                    pool: name.to_owned(),
                    backend: backend.id.clone(),
                    outcome,
                });
            }
        }
        if let Some(next) = next {
            self.at(next, Happening::Checks { pool: name.to_owned() });
        }
        seen
    }

    /// Whether an address passes a health check.
    fn passes(&self, address: Ipv4Addr, now: Timestamp) -> bool {
        let serves =
            |m: &Machine| m.up.is_some() && now >= m.serves && matches!(m.temper, Temper::Fit | Temper::Half);
        self.owners.get(&address).and_then(|id| self.machines.get(id)).is_some_and(serves)
    }

    /// What an address answers.
    #[must_use]
    pub fn reply(&self, address: Ipv4Addr, now: Timestamp) -> Reply {
        let owner = self.owners.get(&address).and_then(|id| self.machines.get(id));
        match owner.filter(|machine| machine.up.is_some()) {
            Some(machine) if machine.temper == Temper::Mute || now < machine.serves => Reply::Busy,
            Some(_) => Reply::Ready,
            None => Reply::Silence,
        }
    }

    /// What an instance wrote on its console.
    #[must_use]
    pub fn console(&self, id: &str, now: Timestamp) -> String {
        match self.machines.get(id) {
            Some(machine) if machine.up.is_none() => String::new(),
            Some(machine) if now < machine.serves => "boot\nmayfly: converging\n".to_owned(),
            Some(machine) if machine.temper == Temper::Half => {
                "boot\nmayfly: converging\nmayfly: failed: a state\n".to_owned()
            }
            Some(_) => "boot\nmayfly: converging\nmayfly: ready\n".to_owned(),
            None => String::new(),
        }
    }

    /// The release that an instance runs; empty for one that is gone.
    #[must_use]
    pub fn release(&self, id: &str) -> &str {
        self.machines.get(id).map_or("", |machine| &machine.release)
    }

    /// Whether an instance will never serve as it should, however long one waits.
    #[must_use]
    pub fn is_ill(&self, id: &str) -> bool {
        self.machines.get(id).is_some_and(|machine| machine.temper != Temper::Fit)
    }

    /// Makes an instance fail its checks from now on.
    pub fn sicken(&mut self, id: &str) {
        if let Some(machine) = self.machines.get_mut(id) {
            machine.temper = Temper::Mute;
        }
    }
}

fn draining(plan: &PoolPlan) -> Vec<String> {
    let backends = plan.backends.iter().filter(|backend| backend.traffic == Traffic::Draining);
    backends.map(|backend| backend.id.clone()).collect()
}

fn is_checked(plan: &PoolPlan) -> bool {
    plan.backends.iter().any(|backend| backend.probe.is_some())
}

/// By backend and whether it passes.
type Telling<'a> = Box<dyn Fn(&str, bool) -> bool + 'a>;

/// Whether the outcome of a check of a backend would change what the world knows of it.
fn telling<'a>(world: &'a World, pool: &str) -> Telling<'a> {
    if let Some(balancer) = world.balancers().find(|balancer| balancer.name == pool) {
        return Box::new(|id, passed| match balancer.members.get(id) {
            Some(Registration::Unproven) => passed,
            Some(Registration::InService { failures }) => !passed || *failures > 0,
            Some(Registration::Unhealthy { .. }) => true,
            _ => false,
        });
    }
    let Some(group) = world.target_groups().find(|group| group.arn == pool) else {
        return Box::new(|_, _| false);
    };
    Box::new(|backend, passed| {
        let target = TargetKey::of_backend(backend).and_then(|key| group.targets.get(&key));
        match target.map(|target| &target.state) {
            Some(TargetState::Initial { .. } | TargetState::Unhealthy { .. }) => true,
            Some(TargetState::Healthy { failures, .. }) => !passed || *failures > 0,
            _ => false,
        }
    })
}

fn word_after(text: &str, key: &str) -> Option<String> {
    let (_, rest) = text.split_once(key)?;
    Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect())
}
