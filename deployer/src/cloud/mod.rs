//! The cloud as the deployer needs it: a narrow trait, AWS behind it, and a model of it for tests.

pub mod aws;
mod balancer;
mod error;
#[cfg(test)]
pub(crate) mod memory;
mod model;

pub use aws::{Aws, AwsOptions};
pub use balancer::*;
pub use error::{CloudError, Kind, classify};
pub use model::*;

use async_trait::async_trait;

/// What a call answers.
pub type Answer<T> = Result<T, CloudError>;

/// Everything the deployer asks of a cloud. Each method is one action (all its pages), bounded in time; it retries
/// throttling by itself, and never retries what may have taken effect unless repeating is harmless.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Images that match, in no order.
    async fn images(&self, filter: &ImageFilter) -> Answer<Vec<Image>>;
    /// The value of an SSM parameter. A cloud without parameters has none of that name.
    async fn parameter(&self, name: &str) -> Answer<String> {
        Err(CloudError::new("GetParameter", Kind::NotFound, format!("there is no parameter {name}")))
    }
    /// The named subnets, or the default ones of the region when none is named.
    async fn subnets(&self, ids: &[String]) -> Answer<Vec<Subnet>>;
    /// Instances that carry all these tags, in any state that EC2 still shows.
    async fn instances_tagged(&self, tags: &Tags) -> Answer<Vec<Instance>>;
    /// Instances by id. Ids that EC2 does not know (yet, or any more) are left out.
    async fn instances(&self, ids: &[String]) -> Answer<Vec<Instance>>;
    /// Launches up to `launch.count` instances, at least one. One attempt only: the caller reconciles.
    async fn launch(&self, launch: &Launch) -> Answer<Vec<Instance>>;
    /// Launches one image builder. It stops, and does not terminate, when it powers off.
    async fn launch_builder(&self, launch: &BuilderLaunch) -> Answer<Instance>;
    /// Terminates. Idempotent.
    async fn terminate(&self, ids: &[String]) -> Answer<()>;
    /// What an instance wrote to its console; best effort.
    async fn console(&self, id: &str) -> Answer<String>;
    /// Writes tags on any resource.
    async fn tag(&self, id: &str, tags: &Tags) -> Answer<()>;

    /// The launch template of that name.
    async fn template(&self, name: &str) -> Answer<Option<Template>>;
    /// Makes a launch template with its first version. [`Kind::Duplicate`] when the name is taken.
    async fn create_template(
        &self,
        name: &str,
        tags: &Tags,
        description: &str,
        data: &TemplateData,
    ) -> Answer<Template>;
    /// Adds a version and answers its number.
    async fn create_version(&self, template: &str, description: &str, data: &TemplateData) -> Answer<i64>;
    /// All versions of a launch template, newest first.
    async fn versions(&self, template: &str) -> Answer<Vec<Version>>;
    /// Some versions of a launch template by number; those that do not exist are left out.
    async fn versions_numbered(&self, template: &str, numbers: &[i64]) -> Answer<Vec<Version>>;
    /// Sets the default version.
    async fn set_default(&self, template: &str, version: i64) -> Answer<()>;
    /// Deletes a launch template by id.
    async fn delete_template(&self, template: &str) -> Answer<()>;

    /// A load balancer with its attributes.
    async fn balancer(&self, balancer: &BalancerRef) -> Answer<Balancer>;
    /// Its members, draining ones included; by address where the balancer knows them so.
    async fn members(&self, balancer: &BalancerRef) -> Answer<Vec<Member>>;
    /// Registers targets: instance ids, or addresses where the balancer knows its members so. Idempotent.
    async fn register(&self, balancer: &BalancerRef, targets: &[String]) -> Answer<()>;
    /// Deregisters targets. Idempotent.
    async fn deregister(&self, balancer: &BalancerRef, targets: &[String]) -> Answer<()>;

    /// Makes an image of a stopped instance, tagged from birth, and answers its id.
    async fn create_image(&self, instance: &str, name: &str, tags: &Tags) -> Answer<String>;
    /// Instances of these images, whoever's they are, in any state that EC2 still shows.
    async fn instances_of(&self, images: &[String]) -> Answer<Vec<Instance>> {
        let _ = images;
        Err(no_images("DescribeInstances"))
    }
    /// The default and the newest version of every launch template of the account, each with the template's id.
    async fn versions_in_use(&self) -> Answer<Vec<(String, Version)>> {
        Err(no_images("DescribeLaunchTemplateVersions"))
    }
    /// Lets other accounts launch an image, and use its snapshots. Idempotent.
    async fn share_image(&self, image: &Image, accounts: &[String]) -> Answer<()> {
        let _ = (image, accounts);
        Err(no_images("ModifyImageAttribute"))
    }
    /// Copies an image of another region to this one, tagged from birth, and answers the copy's id. Idempotent.
    async fn copy_image(&self, copy: &ImageCopy) -> Answer<String> {
        let _ = copy;
        Err(no_images("CopyImage"))
    }
    /// Deregisters an image and deletes its snapshots where the cloud can.
    async fn delete_image(&self, image: &str) -> Answer<()>;

    /// An object's content; `None` when there is none.
    async fn read_object(&self, object: &ObjectRef) -> Answer<Option<Object>> {
        Err(no_objects("GetObject", object))
    }
    /// Writes an object on a condition and answers its tag. [`Kind::Duplicate`] when the condition does not hold.
    async fn write_object(&self, object: &ObjectRef, body: &str, condition: &Condition) -> Answer<String> {
        let _ = (body, condition);
        Err(no_objects("PutObject", object))
    }
    /// Removes an object, if it still is the one with this tag.
    async fn delete_object(&self, object: &ObjectRef, etag: &str) -> Answer<()> {
        let _ = etag;
        Err(no_objects("DeleteObject", object))
    }
}

fn no_images(action: &'static str) -> CloudError {
    CloudError::new(action, Kind::Invalid, "this cloud bakes no images")
}

fn no_objects(action: &'static str, object: &ObjectRef) -> CloudError {
    let message = format!("this cloud keeps no objects, so none in bucket {}", object.bucket);
    CloudError::new(action, Kind::Invalid, message)
}
