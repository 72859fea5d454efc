//! The deployer's cloud over the world model: the same calls in the same order as its client of AWS makes, typed.

use crate::balancers::group_targets;
use crate::machines::Reply;
use crate::session::Session;
use async_trait::async_trait;
use mayfly_deployer::cloud::{
    Answer, Balancer, BalancerRef, BuilderLaunch, Cloud, CloudError, Image, ImageFilter, Instance,
    InstanceState, Kind, Launch, Member, Subnet, Tags, Template, TemplateData, Version,
};
use mayfly_deployer::run::{ProbeAnswer, Prober};
use mayfly_sandbox::world::{
    self, BalancerInstances, CreateTemplate, CreateTemplateVersion, Describe, DescribeImages,
    DescribeTemplateVersions, DescribeTemplates, Ec2Request, ElbRequest, Elbv2Request, Filter, InstanceIds,
    LaunchSpec, ModifyTemplate, Request, Response, RunInstances, TagResources, TemplateRef,
};
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Ids in one call, as in the client of AWS.
const IDS: usize = 200;

/// The cloud and the instances' HTTP, as one deployer sees them.
#[derive(Clone)]
pub struct SimulatedCloud {
    session: Session,
    /// Target groups by name, once they were looked up.
    pub(crate) arns: Arc<Mutex<BTreeMap<String, String>>>,
}

impl SimulatedCloud {
    /// For one process.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self { session, arns: Arc::default() }
    }

    async fn ec2(&self, request: Ec2Request) -> Answer<Response> {
        self.session.call(&Request::Ec2(Box::new(request), false)).await
    }

    pub(crate) async fn elbv2(&self, request: Elbv2Request) -> Answer<Response> {
        self.session.call(&Request::Elbv2(Box::new(request))).await
    }

    async fn numbered(&self, template: &str, numbers: &[i64]) -> Answer<Vec<Version>> {
        let versions = numbers.iter().map(i64::to_string).collect();
        let body = DescribeTemplateVersions {
            template: by_id(template),
            versions,
            ..DescribeTemplateVersions::default()
        };
        match self.ec2(Ec2Request::DescribeLaunchTemplateVersions(body)).await? {
            Response::TemplateVersions(page) => {
                Ok(page.items.iter().map(|found| version(&found.version)).collect())
            }
            other => Err(odd("DescribeLaunchTemplateVersions", &other)),
        }
    }

    pub(crate) async fn elb(&self, request: ElbRequest) -> Answer<Response> {
        self.session.call(&Request::Elb(Box::new(request))).await
    }

    async fn describe(&self, filters: Vec<Filter>) -> Answer<Vec<Instance>> {
        let body = Describe { filters, ..Describe::default() };
        match self.ec2(Ec2Request::DescribeInstances(body)).await? {
            Response::Instances(page) => Ok(page
                .items
                .iter()
                .flat_map(|reservation| reservation.instances.iter().map(instance))
                .collect()),
            other => Err(odd("DescribeInstances", &other)),
        }
    }

    async fn tags_of(&self, id: &str) -> Answer<Tags> {
        let body = Describe { filters: vec![filter("resource-id", [id])], ..Describe::default() };
        match self.ec2(Ec2Request::DescribeTags(body)).await? {
            Response::Tags(page) => Ok(page.items.into_iter().map(|tag| (tag.key, tag.value)).collect()),
            other => Err(odd("DescribeTags", &other)),
        }
    }

    async fn terminate_batch(&self, ids: &[String]) -> Answer<()> {
        let body = InstanceIds { ids: ids.to_vec(), force: false };
        self.ec2(Ec2Request::TerminateInstances(body)).await.map(|_| ())
    }
}

pub(crate) fn odd(action: &'static str, response: &Response) -> CloudError {
    CloudError::new(action, Kind::Unusable, format!("an answer of another kind: {response:?}"))
}

fn filter<T: Into<String>>(name: &str, values: impl IntoIterator<Item = T>) -> Filter {
    Filter { name: name.to_owned(), values: values.into_iter().map(Into::into).collect() }
}

fn by_id(id: &str) -> TemplateRef {
    TemplateRef { id: Some(id.to_owned()), name: None }
}

/// An idempotency token: the same text, the same token.
fn once(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn instance(instance: &world::Instance) -> Instance {
    let state = match instance.state {
        world::InstanceState::Pending => InstanceState::Pending,
        world::InstanceState::Running => InstanceState::Running,
        world::InstanceState::ShuttingDown => InstanceState::ShuttingDown,
        world::InstanceState::Terminated => InstanceState::Terminated,
        world::InstanceState::Stopping => InstanceState::Stopping,
        world::InstanceState::Stopped => InstanceState::Stopped,
    };
    Instance {
        id: instance.id.clone(),
        state,
        reason: instance.reason.as_ref().map(|reason| reason.message.clone()),
        private_ip: Some(instance.private_ip.to_string()),
        public_ip: Some(instance.public_ip.to_string()),
        subnet: Some(instance.subnet_id.clone()),
        zone: Some(instance.zone.clone()),
        instance_type: instance.instance_type.clone(),
        image: instance.image_id.clone(),
        client_token: instance.client_token.clone(),
        launched: Some(instance.launch_time),
        tags: instance.tags.clone(),
    }
}

fn image(image: &world::Image) -> Image {
    Image {
        id: image.id.clone(),
        name: image.name.clone(),
        state: image.state.name().to_owned(),
        reason: image.reason.clone(),
        created: image.created.to_rfc3339(),
        parent: image
            .source_image
            .as_ref()
            .filter(|_| image.source_instance.is_some())
            .map(|(id, _)| id.clone()),
        tags: image.tags.clone(),
        snapshots: vec![image.snapshot_id.clone()],
        encrypted: false,
    }
}

fn template(template: &world::Template) -> Template {
    Template {
        id: template.id.clone(),
        name: template.name.clone(),
        default_version: i64::try_from(template.default_version).unwrap_or_default(),
        latest_version: i64::try_from(template.latest_version).unwrap_or_default(),
        tags: template.tags.clone(),
        created: Some(template.created),
    }
}

fn version(version: &world::TemplateVersion) -> Version {
    let spec = &version.spec;
    Version {
        number: i64::try_from(version.number).unwrap_or_default(),
        description: version.description.clone().unwrap_or_default(),
        created: Some(version.created),
        created_by: None,
        data: TemplateData {
            image: spec.image_id.clone().unwrap_or_default(),
            instance_type: spec.instance_type.clone().unwrap_or_default(),
            user_data: spec.user_data.clone().unwrap_or_default(),
            security_groups: spec.group_ids.clone(),
            instance_profile: spec.instance_profile.clone(),
            key_name: spec.key_name.clone(),
            tags: spec.tags.get("instance").cloned().unwrap_or_default(),
        },
    }
}

fn launch_spec(data: &TemplateData) -> LaunchSpec {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut spec = LaunchSpec {
        image_id: some(&data.image),
        instance_type: some(&data.instance_type),
        user_data: some(&data.user_data),
        key_name: data.key_name.clone(),
        group_ids: data.security_groups.clone(),
        instance_profile: data.instance_profile.clone(),
        ..LaunchSpec::default()
    };
    if !data.image.is_empty() {
        spec.http_tokens = Some("required".to_owned());
        spec.http_endpoint = Some("enabled".to_owned());
        spec.hop_limit = Some(2);
    }
    if !data.tags.is_empty() {
        spec.tags.insert("instance".to_owned(), data.tags.clone());
        spec.tags.insert("volume".to_owned(), data.tags.clone());
    }
    spec
}

fn run_instances(launch: &Launch) -> RunInstances {
    let mut spec = LaunchSpec {
        instance_type: Some(launch.instance_type.clone()),
        subnet_id: launch.subnet.clone(),
        ..LaunchSpec::default()
    };
    spec.tags.insert("instance".to_owned(), launch.tags.clone());
    spec.tags.insert("volume".to_owned(), launch.tags.clone());
    RunInstances {
        spec,
        template: Some(by_id(&launch.template)),
        template_version: Some(launch.version.to_string()),
        min: 1,
        max: launch.count,
        client_token: Some(launch.token.clone()),
        private_ip: None,
    }
}

#[async_trait]
impl Cloud for SimulatedCloud {
    async fn images(&self, wanted: &ImageFilter) -> Answer<Vec<Image>> {
        let mut body = DescribeImages::default();
        match wanted {
            ImageFilter::Id(id) => body.describe.filters.push(filter("image-id", [id])),
            ImageFilter::Own(id) => {
                body.owners.push("self".to_owned());
                body.describe.filters.push(filter("image-id", [id]));
            }
            ImageFilter::Named { name, owner } => {
                body.owners.push(owner.clone());
                body.describe.filters.push(filter("name", [name]));
                body.describe.filters.push(filter("state", ["available"]));
            }
            ImageFilter::Tagged(tags) => {
                body.owners.push("self".to_owned());
                let tagged = tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), [value]));
                body.describe.filters.extend(tagged);
            }
        }
        match self.ec2(Ec2Request::DescribeImages(body)).await? {
            Response::Images(page) => Ok(page.items.iter().map(image).collect()),
            other => Err(odd("DescribeImages", &other)),
        }
    }

    async fn subnets(&self, ids: &[String]) -> Answer<Vec<Subnet>> {
        let wanted =
            if ids.is_empty() { filter("default-for-az", ["true"]) } else { filter("subnet-id", ids) };
        let body = Describe { filters: vec![wanted], ..Describe::default() };
        match self.ec2(Ec2Request::DescribeSubnets(body)).await? {
            Response::Subnets(page) => {
                let subnet = |(subnet, _): (world::Subnet, u32)| Subnet { id: subnet.id, zone: subnet.zone };
                Ok(page.items.into_iter().map(subnet).collect())
            }
            other => Err(odd("DescribeSubnets", &other)),
        }
    }

    async fn instances_tagged(&self, tags: &Tags) -> Answer<Vec<Instance>> {
        self.describe(tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), [value])).collect()).await
    }

    async fn instances(&self, ids: &[String]) -> Answer<Vec<Instance>> {
        let mut found = Vec::new();
        for ids in ids.chunks(IDS) {
            found.extend(self.describe(vec![filter("instance-id", ids)]).await?);
        }
        Ok(found)
    }

    async fn launch(&self, launch: &Launch) -> Answer<Vec<Instance>> {
        match self.ec2(Ec2Request::RunInstances(run_instances(launch))).await? {
            Response::Launched(reservation) => Ok(reservation.instances.iter().map(instance).collect()),
            other => Err(odd("RunInstances", &other)),
        }
    }

    async fn launch_builder(&self, _launch: &BuilderLaunch) -> Answer<Instance> {
        Err(CloudError::new("RunInstances", Kind::Invalid, "the simulation bakes no images"))
    }

    async fn terminate(&self, ids: &[String]) -> Answer<()> {
        for batch in ids.chunks(IDS) {
            match self.terminate_batch(batch).await {
                Err(error) if error.kind == Kind::NotFound => {
                    for id in batch {
                        match self.terminate_batch(std::slice::from_ref(id)).await {
                            Err(error) if error.kind == Kind::NotFound => {}
                            other => other?,
                        }
                    }
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn console(&self, id: &str) -> Answer<String> {
        self.ec2(Ec2Request::GetConsoleOutput(id.to_owned())).await?;
        Ok(self.session.see(|universe| universe.machines.console(id, universe.now())))
    }

    async fn tag(&self, id: &str, tags: &Tags) -> Answer<()> {
        let body = TagResources { ids: vec![id.to_owned()], tags: tags.clone() };
        self.ec2(Ec2Request::CreateTags(body)).await.map(|_| ())
    }

    async fn template(&self, name: &str) -> Answer<Option<Template>> {
        let describe =
            Describe { filters: vec![filter("launch-template-name", [name])], ..Describe::default() };
        let body = DescribeTemplates { describe, names: Vec::new() };
        let found = match self.ec2(Ec2Request::DescribeLaunchTemplates(body)).await? {
            Response::Templates(page) => page.items.iter().find(|found| found.name == name).map(template),
            other => return Err(odd("DescribeLaunchTemplates", &other)),
        };
        let Some(mut found) = found else { return Ok(None) };
        found.tags.extend(self.tags_of(&found.id).await?);
        Ok(Some(found))
    }

    async fn create_template(
        &self,
        name: &str,
        tags: &Tags,
        description: &str,
        data: &TemplateData,
    ) -> Answer<Template> {
        let body = CreateTemplate {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            spec: launch_spec(data),
            tags: tags.clone(),
            client_token: Some(once(&format!("{name}\n{tags:?}\n{description}"))),
        };
        match self.ec2(Ec2Request::CreateLaunchTemplate(body)).await? {
            Response::Template(made) => Ok(template(&made)),
            other => Err(odd("CreateLaunchTemplate", &other)),
        }
    }

    async fn create_version(&self, template: &str, description: &str, data: &TemplateData) -> Answer<i64> {
        let body = CreateTemplateVersion {
            template: by_id(template),
            source: None,
            description: Some(description.to_owned()),
            spec: launch_spec(data),
            client_token: Some(once(&format!("{template}\n{description}"))),
        };
        match self.ec2(Ec2Request::CreateLaunchTemplateVersion(body)).await? {
            Response::TemplateVersion(made) => Ok(i64::try_from(made.version.number).unwrap_or_default()),
            other => Err(odd("CreateLaunchTemplateVersion", &other)),
        }
    }

    async fn versions(&self, template: &str) -> Answer<Vec<Version>> {
        let body =
            DescribeTemplateVersions { template: by_id(template), ..DescribeTemplateVersions::default() };
        match self.ec2(Ec2Request::DescribeLaunchTemplateVersions(body)).await? {
            Response::TemplateVersions(page) => {
                Ok(page.items.iter().map(|found| version(&found.version)).collect())
            }
            other => Err(odd("DescribeLaunchTemplateVersions", &other)),
        }
    }

    async fn set_default(&self, template: &str, version: i64) -> Answer<()> {
        let body = ModifyTemplate { template: by_id(template), default_version: version.to_string() };
        self.ec2(Ec2Request::ModifyLaunchTemplate(body)).await.map(|_| ())
    }

    async fn delete_template(&self, template: &str) -> Answer<()> {
        self.ec2(Ec2Request::DeleteLaunchTemplate(by_id(template))).await.map(|_| ())
    }

    async fn versions_numbered(&self, template: &str, numbers: &[i64]) -> Answer<Vec<Version>> {
        match self.numbered(template, numbers).await {
            Err(error) if error.kind == Kind::NotFound && numbers.len() > 1 => {
                let mut versions = Vec::new();
                for number in numbers {
                    match self.numbered(template, &[*number]).await {
                        Err(error) if error.kind == Kind::NotFound => {}
                        found => versions.extend(found?),
                    }
                }
                Ok(versions)
            }
            Err(error) if error.kind == Kind::NotFound => Ok(Vec::new()),
            found => found,
        }
    }

    async fn balancer(&self, balancer: &BalancerRef) -> Answer<Balancer> {
        match balancer {
            BalancerRef::Classic(name) => self.classic(name).await,
            BalancerRef::TargetGroup(group) => self.group(group).await,
        }
    }

    async fn members(&self, balancer: &BalancerRef) -> Answer<Vec<Member>> {
        match balancer {
            BalancerRef::Classic(name) => self.classic_members(name).await,
            BalancerRef::TargetGroup(group) => self.targets(group).await,
        }
    }

    async fn register(&self, balancer: &BalancerRef, ids: &[String]) -> Answer<()> {
        match balancer {
            BalancerRef::Classic(name) => {
                let body = BalancerInstances { name: name.clone(), ids: ids.to_vec() };
                self.elb(ElbRequest::RegisterInstancesWithLoadBalancer(body)).await?;
            }
            BalancerRef::TargetGroup(group) => {
                let arn = self.arn(group).await?;
                for ids in ids.chunks(IDS) {
                    self.elbv2(Elbv2Request::RegisterTargets(group_targets(&arn, ids))).await?;
                }
            }
        }
        Ok(())
    }

    async fn deregister(&self, balancer: &BalancerRef, ids: &[String]) -> Answer<()> {
        match balancer {
            BalancerRef::Classic(name) => {
                let body = BalancerInstances { name: name.clone(), ids: ids.to_vec() };
                self.elb(ElbRequest::DeregisterInstancesFromLoadBalancer(body)).await?;
            }
            BalancerRef::TargetGroup(group) => {
                let arn = self.arn(group).await?;
                for ids in ids.chunks(IDS) {
                    self.elbv2(Elbv2Request::DeregisterTargets(group_targets(&arn, ids))).await?;
                }
            }
        }
        Ok(())
    }

    async fn create_image(&self, _instance: &str, _name: &str, _tags: &Tags) -> Answer<String> {
        Err(CloudError::new("CreateImage", Kind::Invalid, "the simulation bakes no images"))
    }

    async fn delete_image(&self, _image: &str) -> Answer<()> {
        Err(CloudError::new("DeregisterImage", Kind::Invalid, "the simulation bakes no images"))
    }
}

#[async_trait]
impl Prober for SimulatedCloud {
    async fn probe(&self, url: &str, _timeout: Duration) -> ProbeAnswer {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let host = url.split('/').nth(2).and_then(|host| host.split(':').next()).unwrap_or_default();
        let address = host.parse().ok();
        let reply = address
            .map(|address| self.session.see(|universe| universe.machines.reply(address, universe.now())));
        match reply {
            Some(Reply::Ready) => ProbeAnswer::Ready,
            Some(Reply::Busy) => ProbeAnswer::Status(503, "starting".to_owned()),
            _ => ProbeAnswer::Nothing("connection refused".to_owned()),
        }
    }
}
