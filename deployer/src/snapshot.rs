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
            ImageRef::Parameter(name) => ImageFilter::Id(held_by(cloud, name).await?),
            ImageRef::Baked(role) => {
                ImageFilter::Tagged { key: naming::RECIPE.to_owned(), value: role.clone() }
            }
        };
        newest(cloud.images(&filter).await?).ok_or_else(|| {
            let text = match wanted {
                ImageRef::Id(id) => format!("there is no image {id} that is available in this region"),
                ImageRef::Newest { name, owner } => {
                    format!("no available image of owner `{owner}` has a name like `{name}`")
                }
                ImageRef::Parameter(name) => {
                    format!("the image that the SSM parameter {name} names is not available in this region")
                }
                ImageRef::Baked(role) => {
                    format!("there is no available image of `{role}`; make one with `mayfly bake`")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::memory::Memory;

    #[tokio::test]
    async fn an_image_is_found_by_each_way_the_spec_knows() {
        let cloud = Memory::new();
        let image = async |wanted| Snapshot::image(&cloud, &wanted).await.map_err(|error| error.to_string());
        let parameter = |name: &str| ImageRef::Parameter(name.to_owned());
        assert_eq!(image(ImageRef::Id("ami-1".into())).await.as_deref(), Ok("ami-1"));
        assert_eq!(image(parameter("/plain")).await.as_deref(), Ok("ami-plain"));
        assert_eq!(image(parameter("/nested")).await.as_deref(), Ok("ami-nested"));
        assert_eq!(image(ImageRef::Baked("web".into())).await.as_deref(), Ok("ami-of-web"));
        let refused = image(parameter("/odd")).await.expect_err("it holds no id");
        assert_eq!(refused, "GetParameter: the SSM parameter /odd holds no image id");
    }
}
