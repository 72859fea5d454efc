//! Watches every call and every moment between: what must never be, whatever fails.
//!
//! Capacity is counted from the records, not from answers: members in service, not draining, whose instance runs. What
//! the world itself takes (an instance dies, a version sickens) lowers what can be asked of the deployer; what a call
//! takes does not.

use crate::machines::Reply;
use crate::membership::{self, Standing};
use crate::universe::Universe;
use mayfly_deployer::naming;
use mayfly_sandbox::world::{Ec2Request, Instance, InstanceState, Request, RunInstances, Tags};
use std::collections::{BTreeMap, BTreeSet};

/// How many serve, by balancer; without one, how many instances answer.
pub type Serving = BTreeMap<String, usize>;

/// The name in [`Serving`] where there is no balancer.
const UNBALANCED: &str = "(no balancer)";

/// What is watched for.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The service.
    pub service: String,
    /// Its environment.
    pub environment: String,
    /// Balancers that it serves behind.
    pub balancers: Vec<String>,
    /// How many instances the spec wants.
    pub count: usize,
    /// How many of them have to serve at any time.
    pub minimum: usize,
}

/// The watcher of one run.
#[derive(Debug, Clone)]
pub struct Monitor {
    watch: Watch,
    ours: Tags,
    old: BTreeSet<String>,
    floor: Serving,
    foreign: String,
    /// Destructive calls since the lock was taken away.
    since_unlocked: Option<usize>,
    breaches: Vec<String>,
}

impl Monitor {
    /// Begins to watch: what serves now, or the count where that is less, must go on serving.
    #[must_use]
    pub fn new(watch: Watch, universe: &Universe) -> Self {
        let ours = naming::ownership(&watch.service, &watch.environment);
        let mut monitor = Self {
            old: universe.live(&ours).map(|instance| instance.id.clone()).collect(),
            floor: Serving::new(),
            foreign: String::new(),
            since_unlocked: None,
            breaches: Vec::new(),
            ours,
            watch,
        };
        monitor.floor = monitor.capacity(universe);
        monitor.floor.values_mut().for_each(|floor| *floor = (*floor).min(monitor.watch.minimum));
        monitor.foreign = monitor.foreigners(universe);
        monitor
    }

    /// What broke.
    #[must_use]
    pub fn breaches(&self) -> &[String] {
        &self.breaches
    }

    /// The lock's name.
    #[must_use]
    pub fn lock_name(&self) -> String {
        naming::lock(&self.watch.service, &self.watch.environment)
    }

    /// The lock is gone by no fault of the deployer.
    pub fn lock_was_taken(&mut self) {
        self.since_unlocked.get_or_insert(0);
    }

    /// Instances of the service that were not there at first and live, oldest first.
    #[must_use]
    pub fn new_ones(&self, universe: &Universe) -> Vec<String> {
        self.by_age(universe, |id| !self.old.contains(id))
    }

    /// The newest of the new instances.
    #[must_use]
    pub fn newest(&self, universe: &Universe) -> Option<String> {
        self.new_ones(universe).pop()
    }

    /// The oldest of the old instances.
    #[must_use]
    pub fn oldest(&self, universe: &Universe) -> Option<String> {
        self.by_age(universe, |id| self.old.contains(id)).into_iter().next()
    }

    fn by_age(&self, universe: &Universe, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let live = universe.live(&self.ours).filter(|instance| wanted(&instance.id));
        let mut found: Vec<&Instance> = live.collect();
        found.sort_by_key(|instance| (instance.launch_time, &instance.id));
        found.into_iter().map(|instance| instance.id.clone()).collect()
    }

    /// How many serve now.
    #[must_use]
    pub fn capacity(&self, universe: &Universe) -> Serving {
        if self.watch.balancers.is_empty() {
            let answers = |i: &&Instance| {
                let reply = universe.machines.reply(i.private_ip, universe.now());
                i.state == InstanceState::Running && reply == Reply::Ready
            };
            return Serving::from([(
                UNBALANCED.to_owned(),
                universe.live(&self.ours).filter(answers).count(),
            )]);
        }
        let serving = |name: &String| {
            let members = membership::members(&universe.world, name).into_iter();
            members
                .filter(|(id, standing)| *standing == Standing::Serving && self.is_ours(universe, id))
                .count()
        };
        self.watch.balancers.iter().map(|name| (name.clone(), serving(name))).collect()
    }

    fn is_ours(&self, universe: &Universe, id: &str) -> bool {
        let Watch { service, environment, .. } = &self.watch;
        universe.world.instance(id).is_some_and(|i| naming::owned_by(&i.tags, service, environment))
    }

    /// Something happened by itself: what it took cannot be asked for any more.
    pub fn passed(&mut self, before: &Serving, universe: &Universe) {
        let now = self.capacity(universe);
        for (name, was) in before {
            let lost = was.saturating_sub(now.get(name).copied().unwrap_or_default());
            if let Some(floor) = self.floor.get_mut(name) {
                *floor = floor.saturating_sub(lost);
            }
        }
    }

    /// A call is about to take effect.
    pub fn before_call(&mut self, universe: &Universe, request: &Request) {
        let action = request.action();
        if needs_lock(action) {
            self.check_lock(universe, action);
        }
        let Request::Ec2(request, false) = request else { return };
        match request.as_ref() {
            Ec2Request::TerminateInstances(body) => {
                for id in &body.ids {
                    self.check_end(universe, id);
                }
            }
            Ec2Request::RunInstances(body) => self.check_intent(universe, body),
            _ => {}
        }
    }

    fn check_lock(&mut self, universe: &Universe, action: &str) {
        let name = self.lock_name();
        let held = universe.world.templates().any(|template| template.name == name);
        let destructive = action.starts_with("Terminate") || action.starts_with("Deregister");
        match &mut self.since_unlocked {
            None if !held => self.breach(format!("{action} without the lock")),
            Some(count) if destructive => {
                *count += 1;
                // The look at the lock and the call are two: one step may be under way.
                if *count > self.watch.balancers.len().max(1) {
                    self.breach(format!("{action} long after the lock was taken away"));
                }
            }
            _ => {}
        }
    }

    /// Only what is ours, and out of every balancer.
    fn check_end(&mut self, universe: &Universe, id: &str) {
        let Some(instance) = universe.world.instance(id) else { return };
        if !naming::owned_by(&instance.tags, &self.watch.service, &self.watch.environment) {
            self.breach(format!("{id} of another service is terminated"));
        }
        for name in membership::names(&universe.world) {
            let members = membership::members(&universe.world, name);
            match members.into_iter().find(|(member, _)| *member == id) {
                Some((_, Standing::Serving)) => {
                    self.breach(format!("{id} is terminated while in service with {name}"));
                }
                Some((_, Standing::Draining)) => {
                    self.breach(format!("{id} is terminated while draining from {name}"));
                }
                _ => {}
            }
        }
    }

    /// A launch names a version of the service's record that tells of the deployment its instances are tagged with.
    fn check_intent(&mut self, universe: &Universe, body: &RunInstances) {
        let record = naming::record(&self.watch.service, &self.watch.environment);
        let deployment = body.spec.tags.get("instance").and_then(|tags| tags.get(naming::DEPLOYMENT));
        let template = universe.world.templates().find(|template| template.name == record);
        let number = body.template_version.as_ref().and_then(|version| version.parse().ok());
        let version = template.zip(number).and_then(|(template, number)| template.versions.get(&number));
        let described = version.and_then(|version| version.description.as_deref()).unwrap_or_default();
        let told = deployment.is_some_and(|id| described.contains(&format!("deployment={id} ")));
        if !told {
            self.breach(format!("a launch for {deployment:?} that no record tells of: `{described}`"));
        }
    }

    /// A call has taken effect, or was refused.
    pub fn after_call(&mut self, universe: &Universe, request: &Request, before: &Serving) {
        if crate::fault::reads(request.action()) {
            return;
        }
        self.check_capacity(universe, request, before);
        self.check_duplicates(universe);
        if self.foreigners(universe) != self.foreign {
            self.breach(format!("{} touched another service", request.action()));
        }
    }

    fn check_capacity(&mut self, universe: &Universe, request: &Request, before: &Serving) {
        for (name, now) in self.capacity(universe) {
            let was = before.get(&name).copied().unwrap_or_default();
            let floor = self.floor.get(&name).copied().unwrap_or_default();
            if now < was && now < floor {
                let action = request.action();
                self.breach(format!(
                    "{action} leaves {now} in service with {name}; {was} were, {floor} must be"
                ));
            }
        }
    }

    /// No deployment has more instances than were asked for.
    fn check_duplicates(&mut self, universe: &Universe) {
        let mut live: BTreeMap<&str, usize> = BTreeMap::new();
        for instance in universe.live(&self.ours) {
            if let Some(deployment) = instance.tags.get(naming::DEPLOYMENT) {
                *live.entry(deployment).or_default() += 1;
            }
        }
        let most = self.watch.count.max(self.old.len());
        let over: Vec<String> =
            live.iter().filter(|(_, n)| **n > most).map(|(id, n)| format!("{n} instances of {id}")).collect();
        over.into_iter().for_each(|text| self.breach(format!("{text}; {most} at most")));
    }

    /// Everything of other services, in words.
    fn foreigners(&self, universe: &Universe) -> String {
        let ours = |tags: &Tags| naming::owned_by(tags, &self.watch.service, &self.watch.environment);
        let instances = universe.world.instances().filter(|instance| !ours(&instance.tags));
        let mut words: Vec<String> =
            instances.map(|i| format!("{} {} {:?}", i.id, i.state.name(), i.tags)).collect();
        for name in membership::names(&universe.world) {
            let foreign = |id: &str| universe.world.instance(id).is_none_or(|i| !ours(&i.tags));
            let members = membership::members(&universe.world, name).into_iter();
            let there = members.filter(|(id, standing)| *standing != Standing::Draining && foreign(id));
            words.extend(there.map(|(id, _)| format!("{id} member of {name}")));
        }
        let templates = universe.world.templates().filter(|template| !ours(&template.tags));
        words.extend(templates.map(|t| format!("{} {} {:?}", t.id, t.default_version, t.tags)));
        words.join("\n")
    }

    fn breach(&mut self, text: String) {
        self.breaches.push(text);
    }
}

/// Whether only the holder of the lock may do that.
fn needs_lock(action: &str) -> bool {
    matches!(
        action,
        "RunInstances" | "TerminateInstances" | "CreateLaunchTemplateVersion" | "ModifyLaunchTemplate"
    ) || action.starts_with("Register")
        || action.starts_with("Deregister")
}
