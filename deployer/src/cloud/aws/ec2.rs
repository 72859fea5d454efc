//! EC2's calls.

use super::convert::{
    filter, image, instance, sdk_tags, sdk_template_data, subnet, tag_specification, template, version,
};
use super::{Aws, failed, incomplete};
use crate::clean;
use crate::cloud::{
    Answer, BuilderLaunch, CloudError, Image, ImageCopy, ImageFilter, Instance, Kind, Launch, Subnet, Tags,
    Template, TemplateData, Version,
};
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::operation::describe_images::builders::DescribeImagesFluentBuilder;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    CreateVolumePermission, CreateVolumePermissionModifications, HttpTokensState,
    IamInstanceProfileSpecification, InstanceMetadataOptionsRequest, LaunchPermission,
    LaunchPermissionModifications, LaunchTemplateSpecification, ResourceType, ShutdownBehavior,
    SnapshotAttributeName,
};
use base64::Engine;
use sha2::{Digest, Sha256};

/// Ids in one filter; EC2 takes 200 values.
const IDS: usize = 200;
/// More pages than any deployment has mean that something is wrong.
const PAGES: usize = 1_000;

impl Aws {
    pub(super) async fn describe_images(&self, wanted: &ImageFilter) -> Answer<Vec<Image>> {
        const ACTION: &str = "DescribeImages";
        let request = match wanted {
            ImageFilter::Id(id) => self.ec2.describe_images().filters(filter("image-id", [id])),
            ImageFilter::Own(id) => {
                self.ec2.describe_images().owners("self").filters(filter("image-id", [id]))
            }
            ImageFilter::Named { name, owner } => self
                .ec2
                .describe_images()
                .owners(owner)
                .filters(filter("name", [name]))
                .filters(filter("state", ["available"])),
            ImageFilter::Tagged(tags) => {
                let request = self.ec2.describe_images().owners("self");
                let with = |request: DescribeImagesFluentBuilder, (key, value): (&String, &String)| {
                    request.filters(filter(&format!("tag:{key}"), [value]))
                };
                tags.iter().fold(request, with)
            }
        };
        let mut pages = request.into_paginator().items().send();
        let mut images = Vec::new();
        while let Some(item) = pages.next().await {
            images.extend(image(&item.map_err(|error| failed(ACTION, &error))?));
        }
        Ok(images)
    }

    pub(super) async fn describe_subnets(&self, ids: &[String]) -> Answer<Vec<Subnet>> {
        const ACTION: &str = "DescribeSubnets";
        let wanted =
            if ids.is_empty() { filter("default-for-az", ["true"]) } else { filter("subnet-id", ids) };
        let mut pages = self.ec2.describe_subnets().filters(wanted).into_paginator().items().send();
        let mut subnets = Vec::new();
        while let Some(item) = pages.next().await {
            subnets.extend(subnet(&item.map_err(|error| failed(ACTION, &error))?));
        }
        match ids.iter().find(|id| !subnets.iter().any(|subnet| subnet.id == **id)) {
            Some(id) => Err(CloudError::new(
                ACTION,
                Kind::NotFound,
                format!("there is no subnet {id} in this region"),
            )),
            None => Ok(subnets),
        }
    }

    pub(super) async fn describe_tagged(&self, tags: &Tags) -> Answer<Vec<Instance>> {
        let filters = tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), [value])).collect();
        self.describe_instances(filters).await
    }

    /// By filter, not by id: an id that EC2 does not know would fail the whole call.
    pub(super) async fn describe_ids(&self, ids: &[String]) -> Answer<Vec<Instance>> {
        let mut instances = Vec::new();
        for ids in ids.chunks(IDS) {
            instances.extend(self.describe_instances(vec![filter("instance-id", ids)]).await?);
        }
        Ok(instances)
    }

    /// Whoever's they are; corpses too.
    pub(super) async fn describe_of_images(&self, images: &[String]) -> Answer<Vec<Instance>> {
        let mut instances = Vec::new();
        for images in images.chunks(IDS) {
            instances.extend(self.describe_instances(vec![filter("image-id", images)]).await?);
        }
        Ok(instances)
    }

    async fn describe_instances(&self, filters: Vec<aws_sdk_ec2::types::Filter>) -> Answer<Vec<Instance>> {
        const ACTION: &str = "DescribeInstances";
        let mut pages = self.ec2.describe_instances().set_filters(Some(filters)).into_paginator().send();
        let mut instances = Vec::new();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(ACTION, &error))?;
            let all = page.reservations().iter().flat_map(|reservation| reservation.instances());
            instances.extend(all.filter_map(instance));
            count += 1;
            if count > PAGES {
                return Err(CloudError::new(ACTION, Kind::Unusable, "the pages do not end"));
            }
        }
        Ok(instances)
    }

    pub(super) async fn run_from_template(&self, launch: &Launch) -> Answer<Vec<Instance>> {
        let version = launch.version.to_string();
        let template = LaunchTemplateSpecification::builder()
            .launch_template_id(&launch.template)
            .version(version)
            .build();
        let request = self
            .ec2
            .run_instances()
            .launch_template(template)
            .instance_type(launch.instance_type.as_str().into())
            .set_subnet_id(launch.subnet.clone())
            .min_count(1)
            .max_count(i32::try_from(launch.count).unwrap_or(i32::MAX))
            .client_token(&launch.token)
            .tag_specifications(tag_specification(ResourceType::Instance, &launch.tags))
            .tag_specifications(tag_specification(ResourceType::Volume, &launch.tags));
        run(request).await
    }

    pub(super) async fn run_builder(&self, launch: &BuilderLaunch) -> Answer<Instance> {
        let groups = (!launch.security_groups.is_empty()).then(|| launch.security_groups.clone());
        let profile = launch
            .instance_profile
            .as_ref()
            .map(|name| IamInstanceProfileSpecification::builder().name(name).build());
        let metadata =
            InstanceMetadataOptionsRequest::builder().http_tokens(HttpTokensState::Required).build();
        let request = self
            .ec2
            .run_instances()
            .image_id(&launch.image)
            .instance_type(launch.instance_type.as_str().into())
            .set_subnet_id(launch.subnet.clone())
            .set_security_group_ids(groups)
            .set_iam_instance_profile(profile)
            .metadata_options(metadata)
            .instance_initiated_shutdown_behavior(ShutdownBehavior::Stop)
            .user_data(&launch.user_data)
            .min_count(1)
            .max_count(1)
            .client_token(&launch.token)
            .tag_specifications(tag_specification(ResourceType::Instance, &launch.tags))
            .tag_specifications(tag_specification(ResourceType::Volume, &launch.tags));
        run(request).await?.pop().ok_or_else(|| incomplete("RunInstances", "an instance"))
    }

    /// One bad id would keep all from ending, so a batch that has one is done one by one.
    pub(super) async fn terminate_instances(&self, ids: &[String]) -> Answer<()> {
        for batch in ids.chunks(IDS) {
            match self.terminate_batch(batch).await {
                Err(error) if error.kind == Kind::NotFound => self.terminate_each(batch).await?,
                other => other?,
            }
        }
        Ok(())
    }

    async fn terminate_each(&self, ids: &[String]) -> Answer<()> {
        for id in ids {
            match self.terminate_batch(std::slice::from_ref(id)).await {
                Err(error) if error.kind == Kind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    async fn terminate_batch(&self, ids: &[String]) -> Answer<()> {
        let request = self.ec2.terminate_instances().set_instance_ids(Some(ids.to_vec()));
        request.send().await.map(|_| ()).map_err(|error| failed("TerminateInstances", &error))
    }

    /// The newest output where the instance's type can give it, else what EC2 has buffered.
    pub(super) async fn console_output(&self, id: &str) -> Answer<String> {
        let ask =
            |latest: Option<bool>| self.ec2.get_console_output().instance_id(id).set_latest(latest).send();
        let answer = match ask(Some(true)).await {
            Ok(answer) => answer,
            Err(_) => ask(None).await.map_err(|error| failed("GetConsoleOutput", &error))?,
        };
        let encoded: String = answer.output().unwrap_or_default().split_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(&encoded)
            .unwrap_or_else(|_| encoded.into_bytes());
        // Whatever an instance writes there comes to terminals and logs.
        Ok(clean::block(&String::from_utf8_lossy(&bytes).replace('\r', "")))
    }

    pub(super) async fn create_tags(&self, id: &str, tags: &Tags) -> Answer<()> {
        let request = self.ec2.create_tags().resources(id).set_tags(Some(sdk_tags(tags)));
        request.send().await.map(|_| ()).map_err(|error| failed("CreateTags", &error))
    }

    pub(super) async fn describe_template(&self, name: &str) -> Answer<Option<Template>> {
        let request = self.ec2.describe_launch_templates().filters(filter("launch-template-name", [name]));
        let answer = request.send().await.map_err(|error| failed("DescribeLaunchTemplates", &error))?;
        // A filter knows wildcards; a name is only ever itself.
        let found =
            answer.launch_templates().iter().filter_map(template).find(|template| template.name == name);
        let Some(mut found) = found else { return Ok(None) };
        found.tags.extend(self.describe_tags(&found.id).await?);
        Ok(Some(found))
    }

    /// Tags by their own call: not every EC2 shows in a launch template the tags that it got after its birth.
    async fn describe_tags(&self, id: &str) -> Answer<Tags> {
        let mut pages =
            self.ec2.describe_tags().filters(filter("resource-id", [id])).into_paginator().items().send();
        let mut tags = Tags::new();
        while let Some(item) = pages.next().await {
            let tag = item.map_err(|error| failed("DescribeTags", &error))?;
            tags.extend(tag.key().map(|key| (key.to_owned(), tag.value().unwrap_or_default().to_owned())));
        }
        Ok(tags)
    }

    pub(super) async fn create_launch_template(
        &self,
        name: &str,
        tags: &Tags,
        description: &str,
        data: &TemplateData,
    ) -> Answer<Template> {
        const ACTION: &str = "CreateLaunchTemplate";
        let request = self
            .ec2
            .create_launch_template()
            .launch_template_name(name)
            .version_description(description)
            .launch_template_data(sdk_template_data(data))
            .tag_specifications(tag_specification(ResourceType::LaunchTemplate, tags))
            .client_token(once(&format!("{name}\n{tags:?}\n{description}")));
        let answer = request.send().await.map_err(|error| failed(ACTION, &error))?;
        answer.launch_template().and_then(template).ok_or_else(|| incomplete(ACTION, "the launch template"))
    }

    pub(super) async fn create_template_version(
        &self,
        template: &str,
        description: &str,
        data: &TemplateData,
    ) -> Answer<i64> {
        const ACTION: &str = "CreateLaunchTemplateVersion";
        let request = self
            .ec2
            .create_launch_template_version()
            .launch_template_id(template)
            .version_description(description)
            .launch_template_data(sdk_template_data(data))
            .client_token(once(&format!("{template}\n{description}")));
        let answer = request.send().await.map_err(|error| failed(ACTION, &error))?;
        let version = answer.launch_template_version().and_then(|version| version.version_number());
        version.ok_or_else(|| incomplete(ACTION, "the version's number"))
    }

    pub(super) async fn describe_versions(&self, template: &str) -> Answer<Vec<Version>> {
        const ACTION: &str = "DescribeLaunchTemplateVersions";
        let request = self.ec2.describe_launch_template_versions().launch_template_id(template);
        let mut pages = request.into_paginator().items().send();
        let mut versions = Vec::new();
        while let Some(item) = pages.next().await {
            versions.extend(version(&item.map_err(|error| failed(ACTION, &error))?));
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.number));
        Ok(versions)
    }

    /// A number that does not exist would fail the whole call, so a call that says so is done one by one.
    pub(super) async fn describe_versions_numbered(
        &self,
        template: &str,
        numbers: &[i64],
    ) -> Answer<Vec<Version>> {
        match self.describe_some_versions(template, numbers).await {
            Err(error) if error.kind == Kind::NotFound && numbers.len() > 1 => {
                let mut versions = Vec::new();
                for number in numbers {
                    match self.describe_some_versions(template, &[*number]).await {
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

    async fn describe_some_versions(&self, template: &str, numbers: &[i64]) -> Answer<Vec<Version>> {
        const ACTION: &str = "DescribeLaunchTemplateVersions";
        let numbers = numbers.iter().map(i64::to_string).collect();
        let request = self.ec2.describe_launch_template_versions().launch_template_id(template);
        let mut pages = request.set_versions(Some(numbers)).into_paginator().items().send();
        let mut versions = Vec::new();
        while let Some(item) = pages.next().await {
            versions.extend(version(&item.map_err(|error| failed(ACTION, &error))?));
        }
        Ok(versions)
    }

    /// Without a template's name EC2 answers for all of them.
    pub(super) async fn describe_versions_in_use(&self) -> Answer<Vec<(String, Version)>> {
        const ACTION: &str = "DescribeLaunchTemplateVersions";
        let request = self.ec2.describe_launch_template_versions().versions("$Default").versions("$Latest");
        let mut pages = request.into_paginator().items().send();
        let mut versions = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| failed(ACTION, &error))?;
            let template = item.launch_template_id().unwrap_or_default().to_owned();
            versions.extend(version(&item).map(|version| (template, version)));
        }
        Ok(versions)
    }

    pub(super) async fn modify_default(&self, template: &str, version: i64) -> Answer<()> {
        let version = version.to_string();
        let request = self.ec2.modify_launch_template().launch_template_id(template).default_version(version);
        request.send().await.map(|_| ()).map_err(|error| failed("ModifyLaunchTemplate", &error))
    }

    pub(super) async fn delete_launch_template(&self, template: &str) -> Answer<()> {
        let request = self.ec2.delete_launch_template().launch_template_id(template);
        request.send().await.map(|_| ()).map_err(|error| failed("DeleteLaunchTemplate", &error))
    }

    pub(super) async fn create_image_of(&self, instance: &str, name: &str, tags: &Tags) -> Answer<String> {
        const ACTION: &str = "CreateImage";
        let request = self
            .ec2
            .create_image()
            .instance_id(instance)
            .name(name)
            .tag_specifications(tag_specification(ResourceType::Image, tags))
            .tag_specifications(tag_specification(ResourceType::Snapshot, tags));
        let answer = request.send().await.map_err(|error| failed(ACTION, &error))?;
        answer.image_id().map(str::to_owned).ok_or_else(|| incomplete(ACTION, "the image's id"))
    }

    /// The snapshots first: an image that is launched without them cannot be.
    pub(super) async fn share(&self, image: &Image, accounts: &[String]) -> Answer<()> {
        for snapshot in &image.snapshots {
            let add =
                accounts.iter().map(|id| CreateVolumePermission::builder().user_id(id).build()).collect();
            let permissions = CreateVolumePermissionModifications::builder().set_add(Some(add)).build();
            let request = self
                .ec2
                .modify_snapshot_attribute()
                .snapshot_id(snapshot)
                .attribute(SnapshotAttributeName::CreateVolumePermission)
                .create_volume_permission(permissions);
            request.send().await.map_err(|error| failed("ModifySnapshotAttribute", &error))?;
        }
        let add = accounts.iter().map(|id| LaunchPermission::builder().user_id(id).build()).collect();
        let permissions = LaunchPermissionModifications::builder().set_add(Some(add)).build();
        let request = self.ec2.modify_image_attribute().image_id(&image.id).launch_permission(permissions);
        request.send().await.map(|_| ()).map_err(|error| failed("ModifyImageAttribute", &error))
    }

    pub(super) async fn copy_image_here(&self, copy: &ImageCopy) -> Answer<String> {
        const ACTION: &str = "CopyImage";
        let request = self
            .ec2
            .copy_image()
            .source_image_id(&copy.source)
            .source_region(&copy.region)
            .name(&copy.name)
            .client_token(once(&format!("{}\n{}\n{}", copy.region, copy.source, copy.name)))
            .tag_specifications(tag_specification(ResourceType::Image, &copy.tags))
            .tag_specifications(tag_specification(ResourceType::Snapshot, &copy.tags));
        let answer = request.send().await.map_err(|error| failed(ACTION, &error))?;
        answer.image_id().map(str::to_owned).ok_or_else(|| incomplete(ACTION, "the image's id"))
    }

    /// Deregistering keeps the snapshots unless they are asked for too; of an image that is still being made they are not
    /// known yet, so that they could not be deleted one by one.
    pub(super) async fn deregister_image(&self, id: &str) -> Answer<()> {
        let request = self.ec2.deregister_image().image_id(id).delete_associated_snapshots(true);
        request.send().await.map(|_| ()).map_err(|error| failed("DeregisterImage", &error))
    }
}

/// One attempt: the SDK would repeat a lack of capacity, which EC2 calls a 500, until the time is up.
async fn run(request: RunInstancesFluentBuilder) -> Answer<Vec<Instance>> {
    let once = aws_sdk_ec2::config::Builder::new().retry_config(RetryConfig::disabled());
    let answer = request.customize().config_override(once).send().await;
    let answer = answer.map_err(|error| failed("RunInstances", &error))?;
    Ok(answer.instances().iter().filter_map(instance).collect())
}

/// An idempotency token for a request that is described by `text`.
fn once(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
