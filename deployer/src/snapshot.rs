//! Reads from the cloud all that a plan depends on.

use crate::cloud::{
    Answer, Balancer, BalancerRef, Cloud, CloudError, Image, ImageFilter, Instance, Kind, Member, Subnet,
    Tags, Template, Version, name_members,
};
use crate::naming;
use crate::plan::{Description, Task, candidate};
use crate::spec::{ImageRef, Spec};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// How long after a record its instances may still come to light.
const FRESH: TimeDelta = TimeDelta::minutes(10);

/// What the cloud looked like.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The image that the spec means now; of a rollback, the record's. Empty where the task takes none from the spec.
    pub image: String,
    /// The subnets to spread over; empty where the cloud has no default ones.
    pub subnets: Vec<Subnet>,
    /// This service's instances in this environment that are neither gone nor going.
    pub instances: Vec<Instance>,
    /// The load balancers that the spec names and their members, named by instance.
    pub balancers: Vec<(Balancer, Vec<Member>)>,
    /// The launch template that records deployments.
    pub record: Option<Template>,
    /// Its versions that matter: the newest, the last that succeeded, and of a rollback all.
    pub versions: Vec<Version>,
    /// The first slot that no instance of a deployment was launched in, dead ones included.
    pub free_slots: BTreeMap<String, u32>,
}

impl Snapshot {
    /// Reads it for a deployment of what the spec says; changes nothing.
    ///
    /// # Errors
    /// [`CloudError`] of the call that failed; an image that does not exist is [`Kind::NotFound`].
    pub async fn read(cloud: &dyn Cloud, spec: &Spec) -> Answer<Self> {
        Self::read_for(cloud, spec, Task::Deploy).await
    }

    /// Reads what a task depends on; changes nothing.
    ///
    /// # Errors
    /// [`CloudError`] of the call that failed; an image that does not exist is [`Kind::NotFound`].
    pub async fn read_for(cloud: &dyn Cloud, spec: &Spec, task: Task) -> Answer<Self> {
        let tags = naming::ownership(&spec.service, &spec.environment);
        let (image, subnets, seen, balancers, (record, versions)) = futures::try_join!(
            async {
                if task == Task::Deploy {
                    Self::image(cloud, &spec.image, &spec.service).await
                } else {
                    Ok(String::new())
                }
            },
            cloud.subnets(&spec.subnets),
            cloud.instances_tagged(&tags),
            futures::future::try_join_all(spec.load_balancers.iter().map(|b| balancer(cloud, b))),
            record(cloud, spec, task),
        )?;
        let free_slots = free_slots(&seen);
        let instances: Vec<Instance> =
            seen.into_iter().filter(|instance| !instance.state.is_ending()).collect();
        let balancers = balancers.into_iter().map(|(b, members)| named(b, members, &instances)).collect();
        let subnets = in_order(subnets, &spec.subnets);
        let mut snapshot = Self { image, subnets, instances, balancers, record, versions, free_slots };
        if let Task::Rollback(number) = task
            && let Ok(version) = candidate(&snapshot, number)
        {
            snapshot.image =
                Self::image(cloud, &ImageRef::Id(version.data.image.clone()), &spec.service).await?;
        }
        Ok(snapshot)
    }

    /// The newest record: the deployment that was begun last.
    #[must_use]
    pub fn latest(&self) -> Option<&Version> {
        let number = self.record.as_ref()?.latest_version;
        self.versions.iter().find(|version| version.number == number)
    }

    /// The record of the last deployment that succeeded.
    #[must_use]
    pub fn last_success(&self) -> Option<&Version> {
        let number = self.marked(naming::SUCCEEDED).into_iter().max()?;
        self.versions.iter().find(|version| version.number == number)
    }

    /// Version numbers that a tag of the record lists.
    #[must_use]
    pub fn marked(&self, key: &str) -> Vec<i64> {
        let text = self.record.as_ref().and_then(|record| record.tags.get(key));
        text.map(|text| naming::read_ranges(text)).unwrap_or_default()
    }

    /// Whether the newest record has no end yet and is so young that its instances may not all be seen.
    #[must_use]
    pub fn is_fresh_and_unfinished(&self, now: DateTime<Utc>) -> bool {
        let Some(latest) = self.latest() else { return false };
        let marks = [naming::SUCCEEDED, naming::FAILED, naming::ABORTED, naming::CANARY, naming::PARTIAL];
        let is_over = marks.iter().any(|key| self.marked(key).contains(&latest.number));
        let is_young = latest.created.is_none_or(|created| now.signed_duration_since(created) < FRESH);
        !is_over && is_young
    }

    /// The id of the deployment that a version records.
    #[must_use]
    pub fn deployment(version: &Version) -> String {
        Description::read(&version.description).deployment
    }

    /// The id of the image that a spec means now.
    ///
    /// # Errors
    /// [`CloudError`]; [`Kind::NotFound`] when no available image is meant.
    pub async fn image(cloud: &dyn Cloud, wanted: &ImageRef, service: &str) -> Answer<String> {
        let filter = match wanted {
            ImageRef::Id(id) => ImageFilter::Id(id.clone()),
            ImageRef::Newest { name, owner } => {
                ImageFilter::Named { name: name.clone(), owner: owner.clone() }
            }
            ImageRef::Parameter(name) => ImageFilter::Id(held_by(cloud, name).await?),
            ImageRef::Baked(role) => {
                let mut tags = Tags::from([(naming::RECIPE.to_owned(), role.clone())]);
                // An image with a role in it holds what its own service put there; a bare one is everybody's.
                if role != naming::BARE {
                    tags.insert(naming::SERVICE.to_owned(), service.to_owned());
                }
                ImageFilter::Tagged(tags)
            }
        };
        let mut found = cloud.images(&filter).await?;
        if let ImageRef::Baked(_) = wanted {
            found.retain(naming::is_of_a_bake);
        }
        newest(found).ok_or_else(|| {
            let text = match wanted {
                ImageRef::Id(id) => format!("there is no image {id} that is available in this region"),
                ImageRef::Newest { name, owner } => {
                    format!("no available image of owner `{owner}` has a name like `{name}`")
                }
                ImageRef::Parameter(name) => {
                    format!("the image that the SSM parameter {name} names is not available in this region")
                }
                ImageRef::Baked(role) => {
                    let what =
                        if role == naming::BARE { "--recipe bare".to_owned() } else { format!("--role {role}") };
                    format!(
                        "there is no available image of `{role}`; make one with `mayfly bake {what}`, the first \
                         time with `--from AMI`"
                    )
                }
            };
            CloudError::new("DescribeImages", Kind::NotFound, text)
        })
    }
}

/// The image id in a parameter: the value itself, or `image_id` of a JSON object, as some of AWS's own parameters are.
async fn held_by(cloud: &dyn Cloud, name: &str) -> Answer<String> {
    let value = cloud.parameter(name).await?;
    let object: Option<serde_json::Value> = serde_json::from_str(&value).ok();
    let inner = object.as_ref().and_then(|object| object.get("image_id")?.as_str());
    let id = inner.unwrap_or(value.trim());
    if id.starts_with("ami-") {
        return Ok(id.to_owned());
    }
    let text = format!("the SSM parameter {name} holds no image id");
    Err(CloudError::new("GetParameter", Kind::NotFound, text))
}

/// The newest available image; of two made in the same second the one that sorts last, so that all agree.
fn newest(images: Vec<Image>) -> Option<String> {
    let available = images.into_iter().filter(|image| image.state == "available");
    available.max_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id))).map(|image| image.id)
}

async fn balancer(cloud: &dyn Cloud, balancer: &BalancerRef) -> Answer<(Balancer, Vec<Member>)> {
    // One after the other: of a balancer that does not exist, the same call says so every time.
    let found = cloud.balancer(balancer).await?;
    Ok((found, cloud.members(balancer).await?))
}

fn named(balancer: Balancer, members: Vec<Member>, instances: &[Instance]) -> (Balancer, Vec<Member>) {
    let addresses = instances.iter().filter_map(|i| Some((i.id.as_str(), i.private_ip.as_deref()?)));
    let members = name_members(members, balancer.targets, addresses);
    (balancer, members)
}

async fn record(cloud: &dyn Cloud, spec: &Spec, task: Task) -> Answer<(Option<Template>, Vec<Version>)> {
    let Some(record) = cloud.template(&naming::record(&spec.service, &spec.environment)).await? else {
        return Ok((None, Vec::new()));
    };
    let succeeded = record.tags.get(naming::SUCCEEDED).map(|text| naming::read_ranges(text));
    let last = succeeded.and_then(|numbers| numbers.into_iter().max());
    let mut numbers: Vec<i64> = last.into_iter().chain([record.latest_version]).collect();
    numbers.dedup();
    let versions = match task {
        Task::Rollback(_) => cloud.versions(&record.id).await?,
        _ => cloud.versions_numbered(&record.id, &numbers).await?,
    };
    Ok((Some(record), versions))
}

fn free_slots(seen: &[Instance]) -> BTreeMap<String, u32> {
    let mut free: BTreeMap<String, u32> = BTreeMap::new();
    for instance in seen {
        let slot = instance.tags.get(naming::SLOT).and_then(|slot| slot.parse::<u32>().ok());
        if let (Some(deployment), Some(slot)) = (instance.tags.get(naming::DEPLOYMENT), slot) {
            let next = free.entry(deployment.clone()).or_default();
            *next = (*next).max(slot.saturating_add(1));
        }
    }
    free
}

/// Subnets in the order of the spec, which is the order they are tried in.
fn in_order(mut subnets: Vec<Subnet>, ids: &[String]) -> Vec<Subnet> {
    let place = |subnet: &Subnet| ids.iter().position(|id| *id == subnet.id).unwrap_or(usize::MAX);
    subnets.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| (&a.zone, &a.id).cmp(&(&b.zone, &b.id))));
    subnets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::memory::Memory;

    #[tokio::test]
    async fn an_image_is_found_by_each_way_the_spec_knows() {
        let cloud = Memory::new();
        let image =
            async |wanted| Snapshot::image(&cloud, &wanted, "shop").await.map_err(|error| error.to_string());
        let parameter = |name: &str| ImageRef::Parameter(name.to_owned());
        assert_eq!(image(ImageRef::Id("ami-1".into())).await.as_deref(), Ok("ami-1"));
        assert_eq!(image(parameter("/plain")).await.as_deref(), Ok("ami-plain"));
        assert_eq!(image(parameter("/nested")).await.as_deref(), Ok("ami-nested"));
        assert_eq!(image(ImageRef::Baked("web".into())).await.as_deref(), Ok("ami-of-web-of-shop"));
        assert_eq!(image(ImageRef::Baked("bare".into())).await.as_deref(), Ok("ami-of-bare"));
        let refused = image(parameter("/odd")).await.expect_err("it holds no id");
        assert_eq!(refused, "GetParameter: the SSM parameter /odd holds no image id");
    }
}
