//! A model of EC2 and classic ELB in memory, in the time of the test's clock, with faults and a monitor of capacity.

use super::*;
use crate::naming;
use crate::run::{ProbeAnswer, Prober};
use chrono::DateTime;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

const TO_RUN: Duration = Duration::from_secs(5);
const TO_BAKE: Duration = Duration::from_secs(60);
const TO_SERVE: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
struct Machine {
    instance: Instance,
    born: Instant,
    token: String,
    user_data: String,
    /// Whoever terminates it.
    never_ends: bool,
}

impl Machine {
    fn is_builder(&self) -> bool {
        self.instance.tags.contains_key(mayfly_ami::bake::BAKE)
    }
}

/// How image builders do: they power themselves off in the end.
#[derive(Debug, Default)]
pub(crate) struct Builders {
    /// On the console.
    pub(crate) says: String,
    /// They cannot be terminated.
    pub(crate) never_end: bool,
}

#[derive(Debug, Clone, Copy)]
enum Membership {
    Since(Instant),
    DrainingSince(Instant),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Before,
    After,
}

#[derive(Debug, Default)]
struct State {
    machines: BTreeMap<String, Machine>,
    templates: BTreeMap<String, (Template, Vec<Version>)>,
    /// By balancer, then by instance.
    members: BTreeMap<String, BTreeMap<String, Membership>>,
    /// Content and tag of each object.
    objects: BTreeMap<String, Object>,
    faults: Vec<(&'static str, u32, When, Kind)>,
    calls: Vec<&'static str>,
    /// Instances whose image is this one never answer 200.
    sick_image: Option<String>,
    sick: std::collections::BTreeSet<String>,
    capacity: Option<usize>,
    /// Members are known by address, and an address that drains cannot come back.
    by_address: bool,
    slow_start: Duration,
    /// Instances of deployments whose id ends so are not shown.
    hidden: Option<String>,
    builders: Builders,
    floor: usize,
    breaches: Vec<String>,
    next: u32,
}

/// The model.
#[derive(Default)]
pub(crate) struct Memory(Mutex<State>);

impl Memory {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test thread panicked with it")
    }

    /// The `nth` call of an action (from 1) fails without effect.
    pub(crate) fn fail_before(&self, action: &'static str, nth: u32, kind: Kind) {
        self.state().faults.push((action, nth, When::Before, kind));
    }

    /// The `nth` call of an action (from 1) takes effect and then fails.
    pub(crate) fn fail_after(&self, action: &'static str, nth: u32, kind: Kind) {
        self.state().faults.push((action, nth, When::After, kind));
    }

    pub(crate) fn build_with(&self, builders: Builders) {
        self.state().builders = builders;
    }

    pub(crate) fn make_sick(&self, image: &str) {
        self.state().sick_image = Some(image.to_owned());
    }

    /// From now on balancers know their members by address.
    pub(crate) fn know_by_address(&self) {
        self.state().by_address = true;
    }

    /// From now on, instances of deployments whose id ends so are not shown, and all others are.
    pub(crate) fn hide(&self, end: &str) {
        self.state().hidden = Some(end.to_owned());
    }

    pub(crate) fn balancer_names(&self) -> Vec<String> {
        self.state().members.keys().cloned().collect()
    }

    pub(crate) fn start_slowly(&self, slow_start: Duration) {
        self.state().slow_start = slow_start;
    }

    /// An instance ends by itself.
    pub(crate) fn kill(&self, id: &str) {
        if let Some(machine) = self.state().machines.get_mut(id) {
            machine.instance.state = InstanceState::Terminated;
            machine.instance.reason = Some("Server.SpotInstanceTermination".to_owned());
        }
    }

    /// An instance answers no more, for good.
    pub(crate) fn sicken(&self, id: &str) {
        let mut state = self.state();
        state.sick.insert(id.to_owned());
    }

    /// The tags of the record.
    pub(crate) fn tags_of(&self, name: &str) -> Tags {
        self.state().templates[name].0.tags.clone()
    }

    pub(crate) fn mark(&self, name: &str, key: &str, value: &str) {
        if let Some((template, _)) = self.state().templates.get_mut(name) {
            template.tags.insert(key.to_owned(), value.to_owned());
        }
    }

    pub(crate) fn has_objects(&self) -> bool {
        !self.state().objects.is_empty()
    }

    pub(crate) fn default_image(&self, name: &str) -> String {
        let state = self.state();
        let (template, versions) = &state.templates[name];
        let found = versions.iter().find(|version| version.number == template.default_version);
        found.map(|version| version.data.image.clone()).unwrap_or_default()
    }

    /// How often something was launched, by deployment.
    pub(crate) fn launched(&self, deployment: &str) -> usize {
        let state = self.state();
        let of =
            |m: &&Machine| m.instance.tags.get(naming::DEPLOYMENT).map(String::as_str) == Some(deployment);
        state.machines.values().filter(of).count()
    }

    /// Room for this many launches in the first subnet, none in it after.
    pub(crate) fn limit_capacity(&self, most: usize) {
        self.state().capacity = Some(most);
    }

    /// From now on fewer instances in service than there are now is a breach.
    pub(crate) fn watch_capacity(&self) {
        let mut state = self.state();
        state.floor = state.serving();
        state.breaches.clear();
    }

    pub(crate) fn breaches(&self) -> Vec<String> {
        self.state().breaches.clone()
    }

    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    pub(crate) fn clear_calls(&self) {
        self.state().calls.clear();
    }

    /// Live instances as `id deployment`.
    pub(crate) fn live(&self) -> Vec<(String, String)> {
        let state = self.state();
        let live = state.machines.values().map(|m| &m.instance).filter(|i| !i.state.is_ending());
        live.map(|i| (i.id.clone(), i.tags.get(naming::DEPLOYMENT).cloned().unwrap_or_default())).collect()
    }

    /// In service with every balancer.
    pub(crate) fn in_service(&self) -> Vec<String> {
        let state = self.state();
        let mut lists = state.members.keys().map(|name| state.serving_with(name));
        let first = lists.next().unwrap_or_default();
        lists.fold(first, |both, list| both.into_iter().filter(|id| list.contains(id)).collect())
    }

    pub(crate) fn template_names(&self) -> Vec<String> {
        self.state().templates.keys().cloned().collect()
    }

    pub(crate) fn default_description(&self, name: &str) -> String {
        let state = self.state();
        let (template, versions) = &state.templates[name];
        let found = versions.iter().find(|version| version.number == template.default_version);
        found.map(|version| version.description.clone()).unwrap_or_default()
    }

    pub(crate) fn retag(&self, id: &str, key: &str, value: &str) {
        if let Some(machine) = self.state().machines.get_mut(id) {
            machine.instance.tags.insert(key.to_owned(), value.to_owned());
        }
    }

    pub(crate) fn drop_template(&self, name: &str) {
        self.state().templates.remove(name);
    }

    fn call<T>(&self, action: &'static str, act: impl FnOnce(&mut State) -> Answer<T>) -> Answer<T> {
        let mut state = self.state();
        state.advance();
        state.watch(action);
        state.calls.push(action);
        let count = u32::try_from(state.calls.iter().filter(|c| **c == action).count()).unwrap_or(0);
        let fault = state.faults.iter().find(|f| f.0 == action && f.1 == count).copied();
        if let Some((_, _, When::Before, kind)) = fault {
            return Err(CloudError::new(action, kind, "asked for by the test"));
        }
        let answer = act(&mut state);
        state.watch(action);
        match fault {
            Some((_, _, When::After, kind)) => {
                Err(CloudError::new(action, kind, "lost after it took effect"))
            }
            _ => answer,
        }
    }
}

impl State {
    fn advance(&mut self) {
        for machine in self.machines.values_mut() {
            if machine.instance.state == InstanceState::Pending && machine.born.elapsed() >= TO_RUN {
                machine.instance.state = InstanceState::Running;
            }
            let is_up = machine.instance.state == InstanceState::Running;
            if is_up && machine.is_builder() && machine.born.elapsed() >= TO_BAKE {
                machine.instance.state = InstanceState::Stopped;
            }
        }
        for members in self.members.values_mut() {
            members.retain(|_, membership| match membership {
                Membership::DrainingSince(since) => since.elapsed() < DRAIN,
                Membership::Since(_) => true,
            });
        }
    }

    /// Instances of what targets are called.
    fn ids(&self, targets: &[String]) -> Vec<String> {
        if !self.by_address {
            return targets.to_vec();
        }
        let of = |address: &String| {
            let found = self.machines.values().find(|m| m.instance.private_ip.as_ref() == Some(address));
            found.map_or_else(|| address.clone(), |machine| machine.instance.id.clone())
        };
        targets.iter().map(of).collect()
    }

    fn watch(&mut self, action: &str) {
        let serving = self.serving();
        if serving < self.floor {
            self.breaches.push(format!("{serving} in service at {action}, {} are needed", self.floor));
        }
    }

    /// In service with the balancer that has the fewest.
    fn serving(&self) -> usize {
        self.members.keys().map(|name| self.serving_with(name).len()).min().unwrap_or(0)
    }

    fn serving_with(&self, balancer: &str) -> Vec<String> {
        let members = self.member_list(balancer).into_iter();
        members.filter(|m| m.health == Health::InService).map(|m| m.instance).collect()
    }

    /// Instances of `ami-half` answer although a state failed.
    fn has_converged(&self, machine: &Machine) -> bool {
        let image = &machine.instance.image;
        image != "ami-half" && self.sick_image.as_ref() != Some(image)
    }

    fn is_well(&self, id: &str) -> bool {
        self.machines.get(id).is_some_and(|m| {
            m.instance.state == InstanceState::Running
                && self.sick_image.as_ref() != Some(&m.instance.image)
                && !self.sick.contains(id)
        })
    }

    fn member_list(&self, balancer: &str) -> Vec<Member> {
        let member = |(id, membership): (&String, &Membership)| {
            let health = match membership {
                Membership::DrainingSince(_) => Health::Draining,
                Membership::Since(since) if since.elapsed() >= TO_SERVE && self.is_well(id) => {
                    Health::InService
                }
                Membership::Since(_) => Health::OutOfService,
            };
            Member { instance: id.clone(), health, reason_code: None, description: None }
        };
        let live = |id: &str| self.machines.get(id).is_some_and(|m| !m.instance.state.is_ending());
        let members = self.members.get(balancer).into_iter().flatten();
        members.filter(|(id, _)| live(id)).map(member).collect()
    }

    fn launch(&mut self, launch: &Launch) -> Answer<Vec<Instance>> {
        let same: Vec<Instance> =
            self.machines.values().filter(|m| m.token == launch.token).map(|m| m.instance.clone()).collect();
        if !same.is_empty() {
            return Ok(same);
        }
        let mut count = launch.count as usize;
        if launch.subnet.as_deref() == Some("subnet-a")
            && let Some(room) = &mut self.capacity
        {
            count = count.min(*room);
            *room -= count;
        }
        if count == 0 {
            return Err(CloudError::new("RunInstances", Kind::Capacity, "no room"));
        }
        let data =
            self.templates.values().find(|(t, _)| t.id == launch.template).and_then(|(_, versions)| {
                versions.iter().find(|v| v.number == launch.version).map(|v| v.data.clone())
            });
        let data = data.ok_or_else(|| CloudError::new("RunInstances", Kind::NotFound, "no such version"))?;
        Ok((0..count).map(|_| self.start(launch, &data)).collect())
    }

    fn start(&mut self, launch: &Launch, data: &TemplateData) -> Instance {
        self.next += 1;
        let id = format!("i-{:04}", self.next);
        let instance = Instance {
            id: id.clone(),
            state: InstanceState::Pending,
            reason: None,
            private_ip: Some(format!("10.0.0.{}", self.next)),
            public_ip: None,
            subnet: launch.subnet.clone(),
            zone: None,
            instance_type: launch.instance_type.clone(),
            image: data.image.clone(),
            client_token: Some(launch.token.clone()),
            launched: None,
            tags: launch.tags.clone(),
        };
        let user_data = data.user_data.clone();
        let machine = Machine {
            instance: instance.clone(),
            born: Instant::now(),
            token: launch.token.clone(),
            user_data,
            never_ends: self.builders.never_end,
        };
        self.machines.insert(id, machine);
        instance
    }

    fn template_by_id(&mut self, id: &str) -> Answer<&mut (Template, Vec<Version>)> {
        let found = self.templates.values_mut().find(|(template, _)| template.id == id);
        found.ok_or_else(|| CloudError::new("DescribeLaunchTemplates", Kind::NotFound, "no such template"))
    }
}

/// An instance that runs, of which only its tags matter.
pub(crate) fn running(id: &str, tags: Tags) -> Instance {
    Instance {
        id: id.into(),
        state: InstanceState::Running,
        reason: None,
        private_ip: None,
        public_ip: None,
        subnet: None,
        zone: None,
        instance_type: "t3.micro".into(),
        image: "ami-0".into(),
        client_token: None,
        launched: None,
        tags,
    }
}

/// Of an image that was found by its tags: the recipe among them.
fn tags_of(image: &str) -> Tags {
    let recipe = image.strip_prefix("ami-of-").and_then(|values| values.split("-of-").next());
    recipe.map(|recipe| (naming::RECIPE.to_owned(), recipe.to_owned())).into_iter().collect()
}

fn version(number: i64, description: &str, data: &TemplateData) -> Version {
    let description = description.to_owned();
    Version {
        number,
        description,
        created: DateTime::from_timestamp(number, 0),
        created_by: None,
        data: data.clone(),
    }
}

#[async_trait]
impl Cloud for Memory {
    async fn images(&self, filter: &ImageFilter) -> Answer<Vec<Image>> {
        let (id, tags) = match filter {
            ImageFilter::Id(id) | ImageFilter::Own(id) => (id.clone(), tags_of(id)),
            ImageFilter::Named { .. } => ("ami-named".to_owned(), Tags::new()),
            ImageFilter::Tagged(tags) => {
                (format!("ami-of-{}", tags.values().cloned().collect::<Vec<_>>().join("-of-")), tags.clone())
            }
        };
        let recipe = tags.get(naming::RECIPE).cloned().unwrap_or_default();
        let name = format!("mayfly-{recipe}-20260102T030405Z-1a2b");
        let bake = [(mayfly_ami::bake::BAKE.to_owned(), name.clone())];
        let image = Image {
            name,
            id,
            state: "available".into(),
            reason: None,
            created: "2026".into(),
            parent: None,
            tags: tags.into_iter().chain(bake).collect(),
            snapshots: Vec::new(),
            encrypted: false,
        };
        self.call("DescribeImages", |_| Ok(vec![image]))
    }

    async fn parameter(&self, name: &str) -> Answer<String> {
        let value = match name {
            "/plain" => "ami-plain".to_owned(),
            "/nested" => r#"{"image_id": "ami-nested", "os": "x"}"#.to_owned(),
            _ => "nothing of use".to_owned(),
        };
        self.call("GetParameter", |_| Ok(value))
    }

    async fn subnets(&self, _ids: &[String]) -> Answer<Vec<Subnet>> {
        let subnet = |letter: &str| Subnet { id: format!("subnet-{letter}"), zone: format!("z-{letter}") };
        self.call("DescribeSubnets", |_| Ok(vec![subnet("a"), subnet("b")]))
    }

    async fn instances_tagged(&self, tags: &Tags) -> Answer<Vec<Instance>> {
        let tagged = |i: &&Instance| tags.iter().all(|(key, value)| i.tags.get(key) == Some(value));
        self.call("DescribeInstances", |state| {
            let shown = |i: &&Instance| {
                let deployment = i.tags.get(naming::DEPLOYMENT);
                !state.hidden.as_ref().is_some_and(|end| deployment.is_some_and(|d| d.ends_with(end)))
            };
            let all = state.machines.values().map(|m| &m.instance);
            Ok(all.filter(tagged).filter(shown).cloned().collect())
        })
    }

    async fn instances(&self, ids: &[String]) -> Answer<Vec<Instance>> {
        self.call("DescribeInstances", |state| {
            Ok(ids.iter().filter_map(|id| state.machines.get(id)).map(|m| m.instance.clone()).collect())
        })
    }

    async fn launch(&self, launch: &Launch) -> Answer<Vec<Instance>> {
        self.call("RunInstances", |state| state.launch(launch))
    }

    async fn launch_builder(&self, builder: &BuilderLaunch) -> Answer<Instance> {
        let (image, user_data) = (builder.image.clone(), builder.user_data.clone());
        let data = TemplateData { image, user_data, ..TemplateData::default() };
        let launch = Launch {
            template: String::new(),
            version: 0,
            count: 1,
            instance_type: builder.instance_type.clone(),
            subnet: builder.subnet.clone(),
            token: builder.token.clone(),
            tags: builder.tags.clone(),
        };
        self.call("RunInstances", |state| Ok(state.start(&launch, &data)))
    }

    async fn terminate(&self, ids: &[String]) -> Answer<()> {
        self.call("TerminateInstances", |state| {
            for id in ids {
                if let Some(machine) = state.machines.get_mut(id).filter(|m| !m.never_ends) {
                    machine.instance.state = InstanceState::ShuttingDown;
                }
            }
            Ok(())
        })
    }

    async fn console(&self, id: &str) -> Answer<String> {
        self.call("GetConsoleOutput", |state| {
            let word =
                |m: &Machine| if state.has_converged(m) { "mayfly: ready" } else { "mayfly: failed: test" };
            let machine = state.machines.get(id);
            if machine.is_some_and(Machine::is_builder) {
                return Ok(Some(state.builders.says.clone()));
            }
            Ok(machine.map(|m| format!("user-data of {} bytes\n{}\n", m.user_data.len(), word(m))))
        })
        .map(Option::unwrap_or_default)
    }

    async fn tag(&self, id: &str, tags: &Tags) -> Answer<()> {
        self.call("CreateTags", |state| {
            state.template_by_id(id)?.0.tags.extend(tags.clone());
            Ok(())
        })
    }

    async fn template(&self, name: &str) -> Answer<Option<Template>> {
        self.call("DescribeLaunchTemplates", |state| Ok(state.templates.get(name).map(|(t, _)| t.clone())))
    }

    async fn create_template(
        &self,
        name: &str,
        tags: &Tags,
        description: &str,
        data: &TemplateData,
    ) -> Answer<Template> {
        self.call("CreateLaunchTemplate", |state| {
            if state.templates.contains_key(name) {
                return Err(CloudError::new("CreateLaunchTemplate", Kind::Duplicate, "taken"));
            }
            state.next += 1;
            let id = format!("lt-{}", state.next);
            let (name, tags) = (name.to_owned(), tags.clone());
            let template = Template {
                id,
                name: name.clone(),
                default_version: 1,
                latest_version: 1,
                tags,
                created: None,
            };
            state.templates.insert(name, (template.clone(), vec![version(1, description, data)]));
            Ok(template)
        })
    }

    async fn create_version(&self, template: &str, description: &str, data: &TemplateData) -> Answer<i64> {
        self.call("CreateLaunchTemplateVersion", |state| {
            let (template, versions) = state.template_by_id(template)?;
            template.latest_version += 1;
            versions.push(version(template.latest_version, description, data));
            Ok(template.latest_version)
        })
    }

    async fn versions(&self, template: &str) -> Answer<Vec<Version>> {
        self.call("DescribeLaunchTemplateVersions", |state| {
            Ok(state.template_by_id(template)?.1.iter().rev().cloned().collect())
        })
    }

    async fn versions_numbered(&self, template: &str, numbers: &[i64]) -> Answer<Vec<Version>> {
        self.call("DescribeLaunchTemplateVersions", |state| {
            let versions = &state.template_by_id(template)?.1;
            Ok(versions.iter().filter(|version| numbers.contains(&version.number)).cloned().collect())
        })
    }

    async fn set_default(&self, template: &str, version: i64) -> Answer<()> {
        self.call("ModifyLaunchTemplate", |state| {
            state.template_by_id(template)?.0.default_version = version;
            Ok(())
        })
    }

    async fn delete_template(&self, template: &str) -> Answer<()> {
        self.call("DeleteLaunchTemplate", |state| {
            let name = state.template_by_id(template)?.0.name.clone();
            state.templates.remove(&name);
            Ok(())
        })
    }

    async fn balancer(&self, balancer: &BalancerRef) -> Answer<Balancer> {
        self.call("DescribeLoadBalancers", |state| {
            let zones = vec!["z-a".to_owned(), "z-b".to_owned()];
            let reference = balancer.clone();
            let targets = if state.by_address { TargetKind::Ip } else { TargetKind::Instance };
            let slow_start = state.slow_start;
            let classic = Balancer::classic(balancer.name());
            Ok(Balancer { reference, zones, drain: Some(DRAIN), targets, slow_start, ..classic })
        })
    }

    async fn members(&self, balancer: &BalancerRef) -> Answer<Vec<Member>> {
        self.call("DescribeInstanceHealth", |state| {
            let mut members = state.member_list(balancer.name());
            for member in members.iter_mut().filter(|_| state.by_address) {
                let machine = &state.machines[&member.instance];
                member.instance = machine.instance.private_ip.clone().unwrap_or_default();
            }
            Ok(members)
        })
    }

    async fn register(&self, balancer: &BalancerRef, targets: &[String]) -> Answer<()> {
        self.call("RegisterInstancesWithLoadBalancer", |state| {
            let (ids, by_address) = (state.ids(targets), state.by_address);
            let members = state.members.entry(balancer.name().to_owned()).or_default();
            for id in &ids {
                match members.get(id) {
                    Some(Membership::Since(_)) => {}
                    Some(Membership::DrainingSince(_)) if by_address => {
                        return Err(CloudError::new("RegisterTargets", Kind::Invalid, "the address drains"));
                    }
                    _ => {
                        members.insert(id.clone(), Membership::Since(Instant::now()));
                    }
                }
            }
            Ok(())
        })
    }

    async fn deregister(&self, balancer: &BalancerRef, targets: &[String]) -> Answer<()> {
        self.call("DeregisterInstancesFromLoadBalancer", |state| {
            let ids = state.ids(targets);
            let members = state.members.entry(balancer.name().to_owned()).or_default();
            for id in &ids {
                if !members.contains_key(id) {
                    let text = format!("{id} is not registered");
                    return Err(CloudError::new("DeregisterInstancesFromLoadBalancer", Kind::Invalid, text));
                }
                members.insert(id.clone(), Membership::DrainingSince(Instant::now()));
            }
            Ok(())
        })
    }

    async fn read_object(&self, object: &ObjectRef) -> Answer<Option<Object>> {
        self.call("GetObject", |state| Ok(state.objects.get(&object.key).cloned()))
    }

    async fn write_object(&self, object: &ObjectRef, body: &str, condition: &Condition) -> Answer<String> {
        self.call("PutObject", |state| {
            let holds = match (condition, state.objects.get(&object.key)) {
                (Condition::Absent, found) => found.is_none(),
                (Condition::Is(etag), found) => found.is_some_and(|found| found.etag == *etag),
            };
            if !holds {
                return Err(CloudError::new("PutObject", Kind::Duplicate, "the condition does not hold"));
            }
            state.next += 1;
            let etag = state.next.to_string();
            let content = Object { etag: etag.clone(), body: body.to_owned() };
            state.objects.insert(object.key.clone(), content);
            Ok(etag)
        })
    }

    async fn delete_object(&self, object: &ObjectRef, etag: &str) -> Answer<()> {
        self.call("DeleteObject", |state| {
            if state.objects.get(&object.key).is_some_and(|found| found.etag == etag) {
                state.objects.remove(&object.key);
            }
            Ok(())
        })
    }

    async fn create_image(&self, _instance: &str, _name: &str, _tags: &Tags) -> Answer<String> {
        self.call("CreateImage", |_| Ok("ami-baked".to_owned()))
    }

    async fn delete_image(&self, _image: &str) -> Answer<()> {
        self.call("DeregisterImage", |_| Ok(()))
    }
}

#[async_trait]
impl Prober for Memory {
    async fn probe(&self, url: &str, _timeout: Duration) -> ProbeAnswer {
        let mut state = self.state();
        state.advance();
        let host = url.split('/').nth(2).and_then(|host| host.split(':').next()).unwrap_or_default();
        let id = state.machines.values().find(|m| m.instance.private_ip.as_deref() == Some(host));
        match id.map(|machine| machine.instance.id.clone()) {
            Some(id) if state.is_well(&id) => ProbeAnswer::Ready,
            Some(_) => ProbeAnswer::Status(503, "starting".into()),
            None => ProbeAnswer::Nothing("no such host".into()),
        }
    }
}
