//! Reads from the cloud all that a plan depends on.

use crate::cloud::{
    Answer, Balancer, Cloud, CloudError, Image, ImageFilter, Instance, Kind, Member, Subnet, Template,
};
use crate::naming;
use crate::spec::{ImageRef, Spec};

/// What the cloud looked like.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The image that the spec means now.
    pub image: String,
    /// The subnets to spread over; empty where the cloud has no default ones.
    pub subnets: Vec<Subnet>,
    /// This service's instances in this environment that are neither gone nor going.
    pub instances: Vec<Instance>,
    /// The load balancer and its members, when the spec names one.
    pub balancer: Option<(Balancer, Vec<Member>)>,
    /// The launch template that records deployments.
    pub record: Option<Template>,
}

impl Snapshot {
    /// Reads it; changes nothing.
    ///
    /// # Errors
    /// [`CloudError`] of the call that failed; an image that does not exist is [`Kind::NotFound`].
    pub async fn read(cloud: &dyn Cloud, spec: &Spec) -> Answer<Self> {
        let tags = naming::ownership(&spec.service, &spec.environment);
        let name = naming::record(&spec.service, &spec.environment);
        let (image, subnets, instances, balancer, record) = futures::try_join!(
            Self::image(cloud, &spec.image),
            cloud.subnets(&spec.subnets),
            cloud.instances_tagged(&tags),
            balancer(cloud, spec.load_balancer.as_deref()),
            cloud.template(&name),
        )?;
        let instances = instances.into_iter().filter(|instance| !instance.state.is_ending()).collect();
        Ok(Self { image, subnets: in_order(subnets, &spec.subnets), instances, balancer, record })
    }

    /// The id of the image that a spec means now.
    ///
    /// # Errors
    /// [`CloudError`]; [`Kind::NotFound`] when no available image is meant.
    pub async fn image(cloud: &dyn Cloud, wanted: &ImageRef) -> Answer<String> {
        let filter = match wanted {
            ImageRef::Id(id) => ImageFilter::Id(id.clone()),
            ImageRef::Newest { name, owner } => {
                ImageFilter::Named { name: name.clone(), owner: owner.clone() }
            }
        };
        newest(cloud.images(&filter).await?).ok_or_else(|| {
            let text = match wanted {
                ImageRef::Id(id) => format!("there is no image {id} that is available in this region"),
                ImageRef::Newest { name, owner } => {
                    format!("no available image of owner `{owner}` has a name like `{name}`")
                }
            };
            CloudError::new("DescribeImages", Kind::NotFound, text)
        })
    }
}

/// The newest available image; of two made in the same second the one that sorts last, so that all agree.
fn newest(images: Vec<Image>) -> Option<String> {
    let available = images.into_iter().filter(|image| image.state == "available");
    available.max_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id))).map(|image| image.id)
}

async fn balancer(cloud: &dyn Cloud, name: Option<&str>) -> Answer<Option<(Balancer, Vec<Member>)>> {
    let Some(name) = name else { return Ok(None) };
    // One after the other: of a balancer that does not exist, the same call says so every time.
    let balancer = cloud.balancer(name).await?;
    Ok(Some((balancer, cloud.members(name).await?)))
}

/// Subnets in the order of the spec, which is the order they are tried in.
fn in_order(mut subnets: Vec<Subnet>, ids: &[String]) -> Vec<Subnet> {
    let place = |subnet: &Subnet| ids.iter().position(|id| *id == subnet.id).unwrap_or(usize::MAX);
    subnets.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| (&a.zone, &a.id).cmp(&(&b.zone, &b.id))));
    subnets
}
