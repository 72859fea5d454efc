//! The cloud as a pure state machine: calls, observations and the clock go in; answers and effects come out.
//!
//! Nothing here reads a clock, draws a random number or touches the machine. A caller
//!
//! 1. hands each API call to [`World::call`], which answers at once from the records;
//! 2. carries out the [`Effect`]s that come back (start a machine, copy a disk, re-plan a load balancer), in order;
//! 3. reports what it saw with [`World::observe`];
//! 4. calls [`World::tick`] when [`World::next_due`] has come, for transitions that take time.
//!
//! The same seed, calls, observations and times give the same cloud, so a simulation can drive it with virtual time.
mod attributes;
mod balancers;
mod config;
mod effect;
mod elb_request;
mod error;
mod faults;
mod filters;
mod health;
mod ids;
mod image_sharing;
mod images;
mod instances;
mod launch;
mod lifecycle;
mod load_balancers;
mod log;
mod model;
mod network;
mod parameters;
mod plans;
mod request;
mod response;
mod seed;
mod tags;
mod target_groups;
mod target_model;
mod target_request;
mod targets;
mod templates;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use config::{Capacity, Config, Delays, Fault, FaultKind, Throttle};
pub use effect::{
    Algorithm, Backend, BalancerPlan, Effect, HealthCheck, Listener, ListenerPlan, MachineSpec, Observation,
    PoolPlan, PortRange, ProbeOutcome, ProbePlan, ProbeTarget, Protocol, Route, SlowStart, Traffic,
};
pub use elb_request::*;
pub use error::{ApiError, ApiResult};
pub(crate) use instances::profile_arn;
pub use log::CallRecord;
pub use model::*;
pub use parameters::{Parameter, PutParameter, SsmRequest};
pub use request::*;
pub use response::*;
pub use seed::{
    ACCOUNT, DEBIAN_STOCK, DEFAULT_GROUP, INSTANCE_TYPES, MAYFLY_BARE, OTHER_REGION, REGION, STOCK_OWNER,
    VPC, ZONES,
};
pub use target_model::*;
pub use target_request::*;

/// The whole cloud.
#[derive(Debug, Clone)]
pub struct World {
    config: Config,
    ids: ids::Ids,
    faults: faults::Faults,
    buckets: faults::Buckets,
    calls: log::Calls,
    instances: BTreeMap<String, Instance>,
    images: BTreeMap<String, Image>,
    snapshots: BTreeMap<String, Snapshot>,
    templates: BTreeMap<String, Template>,
    subnets: BTreeMap<String, Subnet>,
    groups: BTreeMap<String, SecurityGroup>,
    vpc_tags: Tags,
    balancers: BTreeMap<String, Balancer>,
    load_balancers: BTreeMap<String, LoadBalancer>,
    target_groups: BTreeMap<String, TargetGroup>,
    parameters: BTreeMap<String, Parameter>,
    tokens: launch::Tokens,
    template_tokens: BTreeMap<String, (u64, String, u64)>,
    copy_tokens: BTreeMap<String, String>,
    /// The region that the call at hand is asked in.
    asked_in: &'static str,
    /// Data paths and open ports as they were last told.
    shown_balancers: BTreeMap<String, BalancerPlan>,
    shown_ports: BTreeMap<String, Vec<PortRange>>,
    outbox: Vec<Effect>,
}

/// What a call came to.
#[derive(Debug)]
pub struct Outcome {
    /// The answer.
    pub result: ApiResult<Response>,
    /// To be carried out, also when the answer is lost.
    pub effects: Vec<Effect>,
    /// What becomes of the answer.
    pub fate: Fate,
    /// The fault that the call met, for the call log.
    pub fault: Option<FaultKind>,
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is sent, after this long.
    Answer(Duration),
    /// It never comes; the connection stays open.
    Hang,
    /// The connection is closed instead.
    Drop,
}

impl World {
    /// A fresh cloud. `seed` decides all identifiers.
    #[must_use]
    pub fn new(config: Config, seed: u64, now: Timestamp) -> Self {
        let images = seed::images(now);
        Self {
            faults: faults::Faults::new(&config.faults),
            buckets: faults::Buckets::new(&config.throttles),
            config,
            ids: ids::Ids::new(seed),
            calls: log::Calls::default(),
            instances: BTreeMap::new(),
            snapshots: seed::snapshots(&images),
            images,
            templates: BTreeMap::new(),
            subnets: seed::subnets(),
            groups: seed::groups(),
            vpc_tags: Tags::new(),
            balancers: BTreeMap::new(),
            load_balancers: BTreeMap::new(),
            target_groups: BTreeMap::new(),
            parameters: BTreeMap::new(),
            tokens: launch::Tokens::default(),
            template_tokens: BTreeMap::new(),
            copy_tokens: BTreeMap::new(),
            asked_in: seed::REGION,
            shown_balancers: BTreeMap::new(),
            shown_ports: BTreeMap::new(),
            outbox: Vec::new(),
        }
    }

    /// Answers one call to the other region, which has copies of images and nothing else.
    pub fn call_elsewhere(&mut self, now: Timestamp, request: &Request) -> Outcome {
        self.asked_in = seed::OTHER_REGION;
        let outcome = self.call(now, request);
        self.asked_in = seed::REGION;
        outcome
    }

    /// Answers one call.
    pub fn call(&mut self, now: Timestamp, request: &Request) -> Outcome {
        // A question asked while nothing is due finds everything settled and leaves it so: polling costs little.
        let settled = request.only_reads() && self.next_due().is_none_or(|due| due > now);
        if !settled {
            self.advance(now);
        }
        let fault = self.faults.meet(request.action());
        let result = match &fault {
            Some(FaultKind::Error { code, status, message }) => {
                let text = if message.is_empty() { "A fault that was asked for." } else { message };
                Err(ApiError::with_status(*status, code, text))
            }
            Some(FaultKind::Hang) => {
                Err(ApiError::with_status(503, "Unavailable", "A fault that was asked for."))
            }
            _ => self.admit(now, request).and_then(|()| self.dispatch(now, request, fault.as_ref())),
        };
        // A call can set things going that take no time.
        if !settled {
            self.advance(now);
        }
        let fate = match fault {
            Some(FaultKind::Hang) => Fate::Hang,
            Some(FaultKind::LostAfterEffect) => Fate::Drop,
            Some(FaultKind::Delay { ms }) => Fate::Answer(Duration::from_millis(ms)),
            _ => Fate::Answer(Duration::ZERO),
        };
        let effects = if settled { Vec::new() } else { self.settle() };
        Outcome { result, effects, fate, fault }
    }

    /// Takes in what the runtime saw.
    pub fn observe(&mut self, now: Timestamp, observation: &Observation) -> Vec<Effect> {
        self.advance(now);
        self.apply(now, observation);
        self.advance(now);
        self.settle()
    }

    /// Takes in all that the runtime saw at one moment.
    pub fn observe_all(&mut self, now: Timestamp, observations: &[Observation]) -> Vec<Effect> {
        self.advance(now);
        observations.iter().for_each(|observation| self.apply(now, observation));
        self.advance(now);
        self.settle()
    }

    /// Makes the transitions whose time has come.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        self.advance(now);
        self.settle()
    }

    /// When [`World::tick`] has something to do next.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lifecycle_due().into_iter().chain(self.health_due()).chain(self.targets_due()).min()
    }

    /// Puts other delays, limits and faults in place. Faults and buckets start over.
    pub fn configure(&mut self, config: Config) {
        self.faults = faults::Faults::new(&config.faults);
        self.buckets = faults::Buckets::new(&config.throttles);
        self.config = config;
    }

    /// What is in place.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A request id for an answer.
    pub fn request_id(&mut self) -> String {
        self.ids.request()
    }

    /// Keeps a call in the log; its number is given here.
    pub fn record(&mut self, record: CallRecord) {
        self.calls.push(record);
    }

    /// Logged calls with a number above `number`.
    pub fn calls_after(&self, number: u64) -> impl Iterator<Item = &CallRecord> {
        self.calls.after(number)
    }

    /// All instances, terminated ones too.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    /// One instance: what its metadata service tells it.
    #[must_use]
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.get(id)
    }

    /// All images, deregistered ones left out.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.images.values().filter(|image| image.state != ImageState::Deregistered)
    }

    /// All launch templates.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.templates.values()
    }

    /// All application and network balancers.
    pub fn load_balancers(&self) -> impl Iterator<Item = &LoadBalancer> {
        self.load_balancers.values()
    }

    /// All target groups with their targets.
    pub fn target_groups(&self) -> impl Iterator<Item = &TargetGroup> {
        self.target_groups.values()
    }

    /// All classic balancers.
    pub fn balancers(&self) -> impl Iterator<Item = &Balancer> {
        self.balancers.values()
    }

    /// Throttling, by calls.
    fn admit(&mut self, now: Timestamp, request: &Request) -> ApiResult<()> {
        if self.buckets.take(now, request.action(), 1) {
            return Ok(());
        }
        Err(match request {
            Request::Ec2(..) => ApiError::with_status(503, "RequestLimitExceeded", "Request limit exceeded."),
            Request::Ssm(_) => ApiError::client("ThrottlingException", "Rate exceeded"),
            Request::Elb(_) | Request::Elbv2(_) | Request::CallerIdentity => {
                ApiError::client("Throttling", "Rate exceeded")
            }
        })
    }

    fn dispatch(
        &mut self,
        now: Timestamp,
        request: &Request,
        fault: Option<&FaultKind>,
    ) -> ApiResult<Response> {
        match request {
            Request::Ec2(request, false) => self.ec2(now, request, fault),
            // A dry run is the call itself, on a copy of the world.
            Request::Ec2(request, true) => self.clone().ec2(now, request, None).and_then(|_| {
                let text = "Request would have succeeded, but DryRun flag is set.";
                Err(ApiError::with_status(412, "DryRunOperation", text))
            }),
            Request::Elb(request) => self.elb(now, request),
            Request::Elbv2(request) => self.elbv2(now, request),
            Request::Ssm(request) => self.ssm(now, request),
            Request::CallerIdentity => Ok(Response::CallerIdentity),
        }
    }

    #[rustfmt::skip]
    fn ec2(&mut self, now: Timestamp, request: &Ec2Request, fault: Option<&FaultKind>) -> ApiResult<Response> {
        use Ec2Request as R;
        if self.asked_in != seed::REGION && !request.is_of_images() {
            let text = format!("The sandbox's region {} has images and nothing else.", self.asked_in);
            return Err(ApiError::client("UnsupportedOperation", text));
        }
        match request {
            R::RunInstances(body) => self.run_instances(now, body, fault),
            R::DescribeInstances(body) => self.describe_instances(now, body),
            R::DescribeInstanceStatus(body) => self.describe_instance_status(now, body),
            R::DescribeInstanceTypes(body) => Self::describe_instance_types(body),
            R::TerminateInstances(body) => self.terminate_instances(now, body),
            R::StopInstances(body) => self.stop_instances(now, body),
            R::StartInstances(body) => self.start_instances(now, body),
            R::RebootInstances(body) => self.reboot_instances(now, body),
            R::ModifyInstanceAttribute(body) => self.modify_instance_attribute(now, body),
            R::DescribeInstanceAttribute(body) => self.describe_instance_attribute(now, body),
            R::ModifyInstanceMetadataOptions(body) => self.modify_metadata(now, body),
            R::GetConsoleOutput(id) => self.console_output(now, id),
            R::CreateTags(body) => self.create_tags(now, body),
            R::DeleteTags(body) => self.delete_tags(now, body),
            R::DescribeTags(body) => self.describe_tags(now, body),
            R::DescribeImages(body) => self.describe_images(now, body),
            R::CreateImage(body) => self.create_image(now, body),
            R::CopyImage(body) => self.copy_image(now, body),
            R::ModifyImageAttribute(body) => self.share_image(body),
            R::DescribeImageAttribute(body) => self.image_attribute(body),
            R::ModifySnapshotAttribute(body) => self.share_snapshot(body),
            R::DescribeSnapshotAttribute(body) => self.snapshot_attribute(body),
            R::DeregisterImage(body) => self.deregister_image(body),
            R::DescribeSnapshots(body) => self.describe_snapshots(body),
            R::DeleteSnapshot(id) => self.delete_snapshot(id),
            R::DescribeSubnets(body) => self.describe_subnets(body),
            R::DescribeVpcs(body) => self.describe_vpcs(body),
            R::DescribeSecurityGroups(body) => self.describe_groups(body),
            R::CreateSecurityGroup(body) => self.create_group(body),
            R::DeleteSecurityGroup(body) => self.delete_group(body),
            R::AuthorizeSecurityGroupIngress(body) => self.authorize_ingress(body),
            R::RevokeSecurityGroupIngress(body) => self.revoke_ingress(body),
            R::DescribeAvailabilityZones(body) => Self::describe_zones(body),
            R::DescribeRegions(body) => Self::describe_regions(body),
            R::CreateLaunchTemplate(body) => self.create_template(now, body),
            R::CreateLaunchTemplateVersion(body) => self.create_template_version(now, body),
            R::DescribeLaunchTemplates(body) => self.describe_templates(body),
            R::DescribeLaunchTemplateVersions(body) => self.describe_template_versions(body),
            R::ModifyLaunchTemplate(body) => self.modify_template(body),
            R::DeleteLaunchTemplate(body) => self.delete_template(body),
            R::DeleteLaunchTemplateVersions(body) => self.delete_template_versions(body),
        }
    }

    #[rustfmt::skip]
    fn elb(&mut self, now: Timestamp, request: &ElbRequest) -> ApiResult<Response> {
        use ElbRequest as R;
        match request {
            R::CreateLoadBalancer(body) => self.create_balancer(now, body),
            R::DeleteLoadBalancer(name) => self.delete_balancer(name),
            R::DescribeLoadBalancers(body) => self.describe_balancers(body),
            R::CreateLoadBalancerListeners(body) => self.create_listeners(body),
            R::DeleteLoadBalancerListeners(body) => self.delete_listeners(body),
            R::DescribeLoadBalancerAttributes(name) => self.balancer_attributes(name),
            R::ModifyLoadBalancerAttributes(body) => self.modify_balancer(body),
            R::ConfigureHealthCheck(body) => self.configure_health_check(body),
            R::RegisterInstancesWithLoadBalancer(body) => self.register(now, body),
            R::DeregisterInstancesFromLoadBalancer(body) => self.deregister(now, body),
            R::DescribeInstanceHealth(body) => self.describe_health(now, body),
            R::EnableAvailabilityZonesForLoadBalancer(body) => self.enable_zones(body),
            R::DisableAvailabilityZonesForLoadBalancer(body) => self.disable_zones(body),
            R::AttachLoadBalancerToSubnets(body) => self.attach_subnets(body),
            R::DetachLoadBalancerFromSubnets(body) => self.detach_subnets(body),
            R::ApplySecurityGroupsToLoadBalancer(body) => self.apply_groups(body),
            R::AddTags(body) => self.add_balancer_tags(body),
            R::RemoveTags(body) => self.remove_balancer_tags(body),
            R::DescribeTags(names) => self.describe_balancer_tags(names),
        }
    }

    #[rustfmt::skip]
    fn elbv2(&mut self, now: Timestamp, request: &Elbv2Request) -> ApiResult<Response> {
        use Elbv2Request as R;
        match request {
            R::CreateLoadBalancer(body) => self.create_load_balancer(now, body),
            R::DeleteLoadBalancer(arn) => self.delete_load_balancer(arn),
            R::DescribeLoadBalancers(body) => self.describe_load_balancers(body),
            R::DescribeLoadBalancerAttributes(arn) => self.load_balancer_attributes(arn),
            R::ModifyLoadBalancerAttributes(body) => self.modify_load_balancer_attributes(body),
            R::SetSubnets(body) => self.set_subnets(body),
            R::SetSecurityGroups(body) => self.set_security_groups(body),
            R::CreateListener(body) => self.create_listener(body),
            R::ModifyListener(body) => self.modify_listener(body),
            R::DeleteListener(arn) => self.delete_listener(arn),
            R::DescribeListeners(body) => self.describe_listeners(body),
            R::DescribeRules(body) => self.describe_rules(body),
            R::CreateTargetGroup(body) => self.create_target_group(body),
            R::ModifyTargetGroup(body) => self.modify_target_group(body),
            R::DeleteTargetGroup(arn) => self.delete_target_group(arn),
            R::DescribeTargetGroups(body) => self.describe_target_groups(body),
            R::DescribeTargetGroupAttributes(arn) => self.target_group_attributes(arn),
            R::ModifyTargetGroupAttributes(body) => self.modify_target_group_attributes(body),
            R::RegisterTargets(body) => self.register_targets(now, body),
            R::DeregisterTargets(body) => self.deregister_targets(now, body),
            R::DescribeTargetHealth(body) => self.describe_target_health(now, body),
            R::AddTags(body) => self.add_arn_tags(body),
            R::RemoveTags(body) => self.remove_arn_tags(body),
            R::DescribeTags(arns) => self.describe_arn_tags(arns),
        }
    }

    fn ssm(&mut self, now: Timestamp, request: &SsmRequest) -> ApiResult<Response> {
        match request {
            SsmRequest::GetParameter(name) => self.get_parameter(name),
            SsmRequest::GetParameters(names) => self.get_parameters(names),
            SsmRequest::PutParameter(body) => self.put_parameter(now, body),
        }
    }

    /// Everything that the clock alone brings about.
    fn advance(&mut self, now: Timestamp) {
        self.advance_lifecycle(now);
        self.advance_health(now);
        self.advance_targets(now);
    }

    /// Adds what follows from the records as they now are, and hands out the effects.
    fn settle(&mut self) -> Vec<Effect> {
        self.settle_ports();
        self.settle_balancers();
        std::mem::take(&mut self.outbox)
    }
}
