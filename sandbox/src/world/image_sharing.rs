//! Images for others: copies, in this region or the other one, and who else may use an image or a snapshot.
use super::config::ms;
use super::effect::Effect;
use super::error::{ApiError, ApiResult};
use super::images::{check_name, no_image, no_snapshot};
use super::model::{Accounts, Image, ImageState, Snapshot, Timestamp};
use super::request::{AttributeOf, CopyImage, Share};
use super::response::Response;
use super::{World, seed, tags};

impl World {
    /// Asked in the region that is to have it. Tags are not copied unless that is asked for.
    pub(super) fn copy_image(&mut self, now: Timestamp, body: &CopyImage) -> ApiResult<Response> {
        if let Some(made) = body.client_token.as_ref().and_then(|token| self.copy_tokens.get(token)) {
            return Ok(Response::ImageId(made.clone()));
        }
        self.image_id(&body.source)?;
        check_name(&body.name)?;
        tags::check_specifications(&body.tags, &["image", "snapshot"])?;
        self.check_unused(&body.name)?;
        let in_source =
            |image: &&Image| image.region == body.region && image.state != ImageState::Deregistered;
        let source = self.images.get(&body.source).filter(in_source).cloned();
        let source = source.ok_or_else(|| no_image(&body.source))?;
        if source.state != ImageState::Available {
            let text = format!("The image {} is not in the state available.", source.id);
            return Err(ApiError::client("InvalidRequest", text));
        }
        let (id, snapshot_id) = (self.ids.resource("ami"), self.ids.resource("snap"));
        let tags_of = |kind: &str| body.tags.get(kind).cloned().unwrap_or_default();
        let snapshot = Snapshot {
            id: snapshot_id.clone(),
            description: format!("Copied for DestinationAmi {id} from SourceAmi {}", source.id),
            started: now,
            completed: false,
            volume_id: "vol-ffffffff".to_owned(),
            tags: tags_of("snapshot"),
            owner: seed::ACCOUNT.to_owned(),
            region: self.asked_in,
            shared_with: Accounts::new(),
        };
        let mut image_tags = if body.copy_tags { source.tags.clone() } else { super::Tags::new() };
        image_tags.extend(tags_of("image"));
        let image = Image {
            id: id.clone(),
            name: body.name.clone(),
            description: body.description.clone(),
            owner: seed::ACCOUNT.to_owned(),
            stock: false,
            state: ImageState::Pending,
            reason: None,
            created: now,
            source_instance: None,
            source_image: Some((source.id.clone(), source.region.to_owned())),
            snapshot_id,
            tags: image_tags,
            region: self.asked_in,
            shared_with: Accounts::new(),
            visible_at: now + ms(self.config.delays.visible_ms),
            copied: false,
            due: now,
        };
        self.snapshots.insert(snapshot.id.clone(), snapshot);
        self.images.insert(id.clone(), image);
        if let Some(token) = &body.client_token {
            self.copy_tokens.insert(token.clone(), id.clone());
        }
        self.outbox.push(Effect::CloneImage { image_id: id.clone(), of: source.id });
        Ok(Response::ImageId(id))
    }

    pub(super) fn share_image(&mut self, body: &Share) -> ApiResult<Response> {
        check_accounts(body, "InvalidAMIAttributeItemValue")?;
        change(&mut self.own_image(&body.id)?.shared_with, body);
        Ok(Response::Done)
    }

    pub(super) fn share_snapshot(&mut self, body: &Share) -> ApiResult<Response> {
        check_accounts(body, "InvalidAttributeItemValue")?;
        let asked_in = self.asked_in;
        let snapshot = self.snapshots.get_mut(&body.id).filter(|snapshot| snapshot.region == asked_in);
        change(&mut snapshot.ok_or_else(|| no_snapshot(&body.id))?.shared_with, body);
        Ok(Response::Done)
    }

    pub(super) fn image_attribute(&mut self, body: &AttributeOf) -> ApiResult<Response> {
        known(&body.attribute, "launchPermission")?;
        let accounts = self.own_image(&body.id)?.shared_with.clone();
        Ok(Response::SharedWith { id: body.id.clone(), of_image: true, accounts })
    }

    pub(super) fn snapshot_attribute(&self, body: &AttributeOf) -> ApiResult<Response> {
        known(&body.attribute, "createVolumePermission")?;
        let snapshot = self.snapshots.get(&body.id).filter(|snapshot| snapshot.region == self.asked_in);
        let accounts = snapshot.ok_or_else(|| no_snapshot(&body.id))?.shared_with.clone();
        Ok(Response::SharedWith { id: body.id.clone(), of_image: false, accounts })
    }
}

fn change(shared_with: &mut Accounts, body: &Share) {
    shared_with.extend(body.add.iter().cloned());
    shared_with.retain(|account| !body.remove.contains(account));
}

fn check_accounts(body: &Share, code: &str) -> ApiResult<()> {
    let is_account = |text: &str| text.len() == 12 && text.chars().all(|c| c.is_ascii_digit());
    match body.add.iter().chain(&body.remove).find(|text| *text != "all" && !is_account(text)) {
        Some(odd) => Err(ApiError::client(
            code,
            format!("Invalid attribute item value \"{odd}\" for userId item type."),
        )),
        None => Ok(()),
    }
}

/// The sandbox has one attribute of each.
fn known(attribute: &str, known: &str) -> ApiResult<()> {
    if attribute == known {
        return Ok(());
    }
    Err(ApiError::invalid("attribute", attribute, &format!("The sandbox has {known} alone.")))
}
