//! Calls about images and snapshots.
use super::config::ms;
use super::effect::Effect;
use super::error::{ApiError, ApiResult};
use super::filters::{self, Field, tag_field};
use super::ids::is_well_formed;
use super::model::{Accounts, Image, ImageState, InstanceState, Snapshot, Tags, Timestamp};
use super::request::{CreateImage, DeregisterImage, Describe, DescribeImages};
use super::response::Response;
use super::{World, seed, tags};

impl World {
    pub(super) fn describe_images(&self, now: Timestamp, body: &DescribeImages) -> ApiResult<Response> {
        filters::check(&body.describe.filters, |name| image_field(None, name))?;
        let seen = |image: &&Image| self.is_here(image) && now >= image.visible_at;
        for id in &body.describe.ids {
            self.image_id(id)?;
            self.images.get(id).filter(seen).ok_or_else(|| no_image(id))?;
        }
        let owned =
            |image: &Image| body.owners.is_empty() || body.owners.iter().any(|owner| is_owner(owner, image));
        let named = |image: &Image| body.describe.ids.is_empty() || body.describe.ids.contains(&image.id);
        let mut found = Vec::new();
        for image in self.images.values().filter(seen).filter(|image| named(image) && owned(image)) {
            if filters::matches(&body.describe.filters, |name| image_field(Some(image), name))? {
                found.push(image.clone());
            }
        }
        Ok(Response::Images(filters::page(&body.describe, (1, 1000), found, |image| image.id.clone())?))
    }

    /// Whether a call of the region that is asked knows the image.
    pub(super) fn is_here(&self, image: &Image) -> bool {
        image.state != ImageState::Deregistered && image.region == self.asked_in
    }

    pub(super) fn image_id(&self, id: &str) -> ApiResult<()> {
        if is_well_formed(id, "ami") {
            Ok(())
        } else {
            Err(ApiError::client("InvalidAMIID.Malformed", format!("Invalid id: \"{id}\"")))
        }
    }

    pub(super) fn create_image(&mut self, now: Timestamp, body: &CreateImage) -> ApiResult<Response> {
        self.named(now, std::slice::from_ref(&body.id))?;
        check_name(&body.name)?;
        tags::check_specifications(&body.tags, &["image", "snapshot"])?;
        self.check_unused(&body.name)?;
        let Some(instance) = self.instances.get(&body.id).cloned() else {
            return Err(ApiError::missing("InstanceId"));
        };
        if !matches!(
            instance.state,
            InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped
        ) {
            let text =
                format!("The instance '{}' is not in a state from which an image can be made.", body.id);
            return Err(ApiError::client("IncorrectState", text));
        }
        let (image_id, snapshot_id) = (self.ids.resource("ami"), self.ids.resource("snap"));
        let tags_of = |kind: &str| body.tags.get(kind).cloned().unwrap_or_default();
        let snapshot = Snapshot {
            id: snapshot_id.clone(),
            description: format!("Created by CreateImage({}) for {image_id}", body.id),
            started: now,
            completed: false,
            volume_id: instance.volume_id.clone(),
            tags: tags_of("snapshot"),
            owner: seed::ACCOUNT.to_owned(),
            region: seed::REGION,
            shared_with: Accounts::new(),
        };
        let image = Image {
            id: image_id.clone(),
            name: body.name.clone(),
            description: body.description.clone(),
            owner: seed::ACCOUNT.to_owned(),
            stock: false,
            state: ImageState::Pending,
            reason: None,
            created: now,
            source_instance: Some(body.id.clone()),
            source_image: Some((instance.image_id.clone(), seed::REGION.to_owned())),
            snapshot_id,
            tags: tags_of("image"),
            region: seed::REGION,
            shared_with: Accounts::new(),
            visible_at: now + ms(self.config.delays.visible_ms),
            copied: false,
            due: now,
        };
        self.snapshots.insert(snapshot.id.clone(), snapshot);
        self.images.insert(image_id.clone(), image);
        let reboot = !body.no_reboot && instance.state == InstanceState::Running;
        self.outbox.push(Effect::CopyImage {
            image_id: image_id.clone(),
            instance_id: body.id.clone(),
            reboot,
        });
        Ok(Response::ImageId(image_id))
    }

    pub(super) fn check_unused(&self, name: &str) -> ApiResult<()> {
        let mut here = self.images.values().filter(|image| self.is_here(image) && !image.stock);
        match here.find(|image| image.name == name) {
            Some(image) => {
                let text = format!("AMI name {name} is already in use by AMI {}", image.id);
                Err(ApiError::client("InvalidAMIName.Duplicate", text))
            }
            None => Ok(()),
        }
    }

    /// The snapshot stays unless it is asked for too.
    pub(super) fn deregister_image(&mut self, body: &DeregisterImage) -> ApiResult<Response> {
        let image = self.own_image(&body.id)?;
        image.state = ImageState::Deregistered;
        let snapshot_id = image.snapshot_id.clone();
        if body.delete_snapshots {
            self.snapshots.remove(&snapshot_id);
        }
        self.outbox.push(Effect::DropImage { image_id: body.id.clone() });
        Ok(Response::Done)
    }

    /// An image of the account in the region that is asked.
    pub(super) fn own_image(&mut self, id: &str) -> ApiResult<&mut Image> {
        self.image_id(id)?;
        let asked_in = self.asked_in;
        let here = |image: &&mut Image| image.state != ImageState::Deregistered && image.region == asked_in;
        let image = self.images.get_mut(id).filter(here).ok_or_else(|| no_image(id))?;
        if image.stock {
            let text = format!("You do not own the image {id}.");
            return Err(ApiError::client("AuthFailure", text));
        }
        Ok(image)
    }

    pub(super) fn describe_snapshots(&self, body: &Describe) -> ApiResult<Response> {
        filters::check(&body.filters, |name| snapshot_field(None, name))?;
        let here = |s: &&Snapshot| s.region == self.asked_in;
        if let Some(id) = body.ids.iter().find(|id| self.snapshots.get(*id).filter(here).is_none()) {
            return Err(no_snapshot(id));
        }
        let mut found = Vec::new();
        let named = |s: &&Snapshot| body.ids.is_empty() || body.ids.contains(&s.id);
        for snapshot in self.snapshots.values().filter(here).filter(named) {
            if filters::matches(&body.filters, |name| snapshot_field(Some(snapshot), name))? {
                found.push(snapshot.clone());
            }
        }
        Ok(Response::Snapshots(filters::page(body, (5, 1000), found, |snapshot| snapshot.id.clone())?))
    }

    pub(super) fn delete_snapshot(&mut self, id: &str) -> ApiResult<Response> {
        let user = self.images().find(|image| image.snapshot_id == id);
        if let Some(image) = user {
            let text = format!("The snapshot {id} is currently in use by {}", image.id);
            return Err(ApiError::client("InvalidSnapshot.InUse", text));
        }
        self.snapshots.remove(id).map(|_| Response::Done).ok_or_else(|| no_snapshot(id))
    }
}

fn is_owner(owner: &str, image: &Image) -> bool {
    match owner {
        "self" => image.owner == super::ACCOUNT,
        "amazon" => image.owner == super::STOCK_OWNER,
        account => image.owner == account,
    }
}

pub(super) fn check_name(name: &str) -> ApiResult<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
    if (3..=128).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    let text = "AMI names must be between 3 and 128 characters long, and may contain letters, digits and ()[] ./-'@_";
    Err(ApiError::client("InvalidAMIName.Malformed", text))
}

pub(super) fn no_image(id: &str) -> ApiError {
    ApiError::client("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"))
}

pub(super) fn no_snapshot(id: &str) -> ApiError {
    ApiError::client("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."))
}

fn image_field(image: Option<&Image>, name: &str) -> Field {
    let known = [
        "image-id",
        "name",
        "state",
        "owner-id",
        "owner-alias",
        "description",
        "architecture",
        "root-device-type",
        "virtualization-type",
        "image-type",
        "is-public",
        "source-instance-id",
        "block-device-mapping.snapshot-id",
    ];
    let Some(i) = image else {
        return if known.contains(&name) { Field::Values(Vec::new()) } else { tag_field(&Tags::new(), name) };
    };
    match name {
        "image-id" => Field::one(&i.id),
        "name" => Field::one(&i.name),
        "state" => Field::one(i.state.name()),
        "owner-id" => Field::one(&i.owner),
        "owner-alias" => Field::maybe((i.owner == super::STOCK_OWNER).then_some("amazon")),
        "description" => Field::one(&i.description),
        "architecture" => Field::one("x86_64"),
        "root-device-type" => Field::one("ebs"),
        "virtualization-type" => Field::one("hvm"),
        "image-type" => Field::one("machine"),
        "is-public" => Field::one((i.owner == super::STOCK_OWNER).to_string()),
        "source-instance-id" => Field::maybe(i.source_instance.clone()),
        "block-device-mapping.snapshot-id" => Field::one(&i.snapshot_id),
        _ => tag_field(&i.tags, name),
    }
}

fn snapshot_field(snapshot: Option<&Snapshot>, name: &str) -> Field {
    let known = ["snapshot-id", "description", "status", "owner-id", "volume-id"];
    let Some(s) = snapshot else {
        return if known.contains(&name) { Field::Values(Vec::new()) } else { tag_field(&Tags::new(), name) };
    };
    match name {
        "snapshot-id" => Field::one(&s.id),
        "description" => Field::one(&s.description),
        "status" => Field::one(if s.completed { "completed" } else { "pending" }),
        "owner-id" => Field::one(&s.owner),
        "volume-id" => Field::one(&s.volume_id),
        _ => tag_field(&s.tags, name),
    }
}
