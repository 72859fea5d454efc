//! What becomes of baked images: which there are, who uses them, which go, and who else gets them.

use crate::bake;
use crate::cloud::{Answer, Cloud, CloudError, Image, ImageCopy, ImageFilter, Instance, Kind, Tags};
use crate::naming;
use crate::snapshot::Snapshot;
use crate::spec::{ImageRef, Spec};
use mayfly_ami::bake::{BAKED_FOR, INPUTS, PARENT};
use mayfly_ami::keep::{Baked, Fate, Use, judge};

/// Tag of a copy: `REGION/AMI` of what it was copied from.
pub const COPIED_FROM: &str = "mayfly:copied-from";
/// Successes of an environment whose images stay: what serves, and what `mayfly rollback` goes back to.
const SUCCESSES: usize = 2;

/// What `gc` would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// The images and what becomes of each.
    pub images: Vec<(Baked, Fate)>,
    /// Builders that nobody waits for any more.
    pub builders: Vec<String>,
}

impl Sweep {
    /// Ids of the images that go.
    pub fn going(&self) -> impl Iterator<Item = &Baked> {
        self.images.iter().filter(|(_, fate)| *fate == Fate::Goes).map(|(image, _)| image)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.builders.is_empty() && self.going().next().is_none()
    }
}

/// One service's images, with the spec in each of its environments.
pub struct Images<'a> {
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// The spec; never empty.
    pub specs: &'a [Spec],
    /// The service.
    pub service: &'a str,
}

impl Images<'_> {
    /// All that the service baked, in any state.
    ///
    /// # Errors
    /// [`CloudError`] of the call that failed.
    pub async fn all(&self) -> Answer<Vec<Image>> {
        let tags = Tags::from([(naming::SERVICE.to_owned(), self.service.to_owned())]);
        let found = self.cloud.images(&ImageFilter::Tagged(tags)).await?;
        Ok(found.into_iter().filter(|image| self.is_ours(image)).collect())
    }

    /// Only what a bake of this service made is ever touched.
    fn is_ours(&self, image: &Image) -> bool {
        naming::is_of_a_bake(image)
            && image.tags.get(naming::SERVICE).map(String::as_str) == Some(self.service)
    }

    /// What stays and what goes, as things stand now.
    ///
    /// # Errors
    /// [`CloudError`] of the call that failed: without knowing every user nothing goes.
    pub async fn sweep(&self, keep: usize, now: &str) -> Answer<Sweep> {
        let all = self.all().await?;
        let uses = self.uses(&all).await?;
        let baked: Vec<Baked> = all.iter().map(baked).collect();
        let builders = bake::abandoned(self.cloud, self.service, now).await?;
        Ok(Sweep { images: judge(&baked, &uses, keep), builders })
    }

    /// Everybody who needs one of these images.
    async fn uses(&self, images: &[Image]) -> Answer<Vec<Use>> {
        let ids: Vec<String> = images.iter().map(|image| image.id.clone()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let instances = self.cloud.instances_of(&ids).await?;
        let live = instances.into_iter().filter(|instance: &Instance| !instance.state.is_ending());
        let mut uses: Vec<Use> = live.map(|i| Use { image: i.image, by: i.id }).collect();
        for (template, version) in self.cloud.versions_in_use().await? {
            let by = format!("launch template {template}, version {}", version.number);
            uses.push(Use { image: version.data.image, by });
        }
        for spec in self.specs {
            uses.extend(self.successes(spec).await?);
            uses.extend(self.meant(spec).await?);
        }
        Ok(uses)
    }

    async fn successes(&self, spec: &Spec) -> Answer<Vec<Use>> {
        let Some(record) = self.cloud.template(&naming::record(&spec.service, &spec.environment)).await?
        else {
            return Ok(Vec::new());
        };
        let marked =
            record.tags.get(naming::SUCCEEDED).map(|text| naming::read_ranges(text)).unwrap_or_default();
        let mut numbers = marked;
        numbers.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
        numbers.truncate(SUCCESSES);
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let versions = self.cloud.versions_numbered(&record.id, &numbers).await?;
        let by = |number: i64| format!("deployment {number} of {}", spec.environment);
        Ok(versions.into_iter().map(|v| Use { image: v.data.image, by: by(v.number) }).collect())
    }

    /// The image that the spec names, whichever way.
    async fn meant(&self, spec: &Spec) -> Answer<Option<Use>> {
        match Snapshot::image(self.cloud, &spec.image, self.service).await {
            Ok(image) => Ok(Some(Use { image, by: format!("the spec, in {}", spec.environment) })),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes one image with its snapshots, if it still is ours and nobody uses it now. `false`: somebody does.
    ///
    /// # Errors
    /// [`CloudError`] of the call that failed.
    pub async fn remove(&self, image: &Baked) -> Answer<bool> {
        let now = self.cloud.images(&ImageFilter::Id(image.id.clone())).await?;
        let Some(now) = now.into_iter().find(|now| self.is_ours(now)) else { return Ok(false) };
        let uses = self.uses(std::slice::from_ref(&now)).await?;
        if uses.iter().any(|one| one.image == now.id) {
            return Ok(false);
        }
        self.cloud.delete_image(&now.id).await.map(|()| true)
    }

    /// Terminates builders that still are abandoned.
    ///
    /// # Errors
    /// [`CloudError`] of the call that failed.
    pub async fn remove_builders(&self, builders: &[String], now: &str) -> Answer<Vec<String>> {
        let mut still = bake::abandoned(self.cloud, self.service, now).await?;
        still.retain(|id| builders.contains(id));
        if !still.is_empty() {
            self.cloud.terminate(&still).await?;
        }
        Ok(still)
    }

    /// The one that is meant; it must be ours and available.
    ///
    /// # Errors
    /// [`CloudError`]; [`Kind::NotFound`] when there is none, [`Kind::Invalid`] when it is another's.
    pub async fn one(&self, wanted: &ImageRef) -> Answer<Image> {
        let id = Snapshot::image(self.cloud, wanted, self.service).await?;
        let found = self.cloud.images(&ImageFilter::Id(id.clone())).await?.pop();
        found.filter(|image| self.is_ours(image)).ok_or_else(|| {
            let text = format!("{id} was not baked for {}", self.service);
            CloudError::new("DescribeImages", Kind::Invalid, text)
        })
    }

    /// What the builder of an image booted from, if that is sure and is there: the cloud's own word for it. Where the cloud has
    /// none, the image's tag is believed of nothing but an image of this account that a bake made, for more people may
    /// change tags.
    ///
    /// # Errors
    /// [`CloudError`] of the call that failed.
    pub async fn parent_of(&self, image: &Image) -> Answer<Option<String>> {
        let filter = match (&image.parent, image.tags.get(PARENT)) {
            (Some(known), _) => ImageFilter::Id(known.clone()),
            (None, Some(tagged)) => ImageFilter::Own(tagged.clone()),
            (None, None) => return Ok(None),
        };
        let is_sure = |parent: &Image| image.parent.is_some() || naming::is_of_a_bake(parent);
        let found = self.cloud.images(&filter).await?.into_iter();
        Ok(found
            .filter(|parent| parent.state == "available" && is_sure(parent))
            .map(|parent| parent.id)
            .next())
    }

    /// The newest available image of these inputs.
    ///
    /// # Errors
    /// [`CloudError`] of the call that failed.
    pub async fn of_inputs(&self, inputs: &str) -> Answer<Option<Image>> {
        let all = self.all().await?.into_iter();
        let same = all.filter(|image| {
            image.state == "available" && image.tags.get(INPUTS).is_some_and(|is| is == inputs)
        });
        Ok(same.max_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id))))
    }
}

/// Starts the copy of an image to the region of `cloud`, unless there is one already; its id.
///
/// # Errors
/// [`CloudError`] of the call that failed.
pub async fn copy(cloud: &dyn Cloud, image: &Image, region: &str) -> Answer<String> {
    let origin = format!("{region}/{}", image.id);
    let service = image.tags.get(naming::SERVICE).cloned().unwrap_or_default();
    let wanted =
        Tags::from([(COPIED_FROM.to_owned(), origin.clone()), (naming::SERVICE.to_owned(), service)]);
    let there = cloud.images(&ImageFilter::Tagged(wanted)).await?;
    let is_it = |there: &Image| {
        naming::is_of_a_bake(there)
            && there.name == image.name
            && matches!(there.state.as_str(), "available" | "pending")
    };
    if let Some(there) = there.into_iter().find(is_it) {
        return Ok(there.id);
    }
    let mut tags = image.tags.clone();
    tags.insert(COPIED_FROM.to_owned(), origin);
    let (source, region, name) = (image.id.clone(), region.to_owned(), image.name.clone());
    cloud.copy_image(&ImageCopy { source, region, name, tags }).await
}

/// As the decision needs it.
#[must_use]
pub fn baked(image: &Image) -> Baked {
    let tag = |key: &str| image.tags.get(key).cloned().unwrap_or_default();
    Baked {
        id: image.id.clone(),
        name: image.name.clone(),
        recipe: tag(naming::RECIPE),
        environment: tag(BAKED_FOR),
        state: image.state.clone(),
        created: image.created.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::memory::Memory;

    #[tokio::test]
    async fn a_parent_is_what_the_cloud_says_or_an_image_of_a_bake_and_never_any_image_that_a_tag_names() {
        let cloud = Memory::new();
        let images = Images { cloud: &cloud, specs: &[], service: "shop" };
        let mut image =
            cloud.images(&ImageFilter::Id("ami-of-web-of-shop".into())).await.expect("one").remove(0);
        assert!(naming::is_of_a_bake(&image));
        assert_eq!(images.parent_of(&image).await, Ok(None), "nothing is said of it");
        image.tags.insert(PARENT.to_owned(), "ami-anybodys".to_owned());
        assert_eq!(images.parent_of(&image).await, Ok(None), "a tag alone");
        image.tags.insert(PARENT.to_owned(), "ami-of-base-of-shop".to_owned());
        assert_eq!(images.parent_of(&image).await, Ok(Some("ami-of-base-of-shop".to_owned())));
        image.parent = Some("ami-stock".to_owned());
        assert_eq!(images.parent_of(&image).await, Ok(Some("ami-stock".to_owned())), "whatever the tag says");
    }
}
