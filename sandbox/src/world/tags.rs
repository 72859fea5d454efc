//! Tags on EC2 resources: the rules, and the calls that set, remove and list them.
use std::collections::BTreeMap;

use super::error::{ApiError, ApiResult};
use super::filters::{self, Field};
use super::ids::is_well_formed;
use super::model::{ImageState, Tags, Timestamp};
use super::request::{Describe, TagResources, UntagResources};
use super::response::{Response, TagRecord};
use super::{World, seed};

/// EC2 and ELB alike.
pub(super) const MAX_TAGS: usize = 50;

/// Refuses tags that AWS refuses.
pub(super) fn check(tags: &Tags) -> ApiResult<()> {
    if tags.len() > MAX_TAGS {
        let text = format!("A resource can have at most {MAX_TAGS} tags.");
        return Err(ApiError::client("TagLimitExceeded", text));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 {
            let text = "Tag keys must have between 1 and 128 characters.";
            return Err(ApiError::client("InvalidParameterValue", text));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            let text = format!("Tag keys starting with 'aws:' are reserved for internal use: {key}");
            return Err(ApiError::client("InvalidParameterValue", text));
        }
        if value.chars().count() > 256 {
            let text = format!("The value of tag {key} has more than 256 characters.");
            return Err(ApiError::client("InvalidParameterValue", text));
        }
    }
    Ok(())
}

/// `TagSpecifications` of a call that makes these types of resource.
pub(super) fn check_specifications(specs: &BTreeMap<String, Tags>, allowed: &[&str]) -> ApiResult<()> {
    for (kind, tags) in specs {
        if !allowed.contains(&kind.as_str()) {
            let text = format!("'{kind}' is not a valid taggable resource type for this operation.");
            return Err(ApiError::client("InvalidParameterValue", text));
        }
        check(tags)?;
    }
    Ok(())
}

impl World {
    /// All or none.
    pub(super) fn create_tags(&mut self, now: Timestamp, body: &TagResources) -> ApiResult<Response> {
        if body.tags.is_empty() {
            return Err(ApiError::missing("Tag"));
        }
        check(&body.tags)?;
        self.check_resources(now, &body.ids)?;
        let full = body.ids.iter().find(|id| {
            let merged = self.tags_of(id).cloned().unwrap_or_default().into_iter().chain(body.tags.clone());
            merged.filter(|(key, _)| !key.starts_with("aws:")).collect::<Tags>().len() > MAX_TAGS
        });
        if let Some(id) = full {
            let text = format!("{id} would have more than {MAX_TAGS} tags.");
            return Err(ApiError::client("TagLimitExceeded", text));
        }
        for id in &body.ids {
            if let Some(tags) = self.tags_mut(id) {
                tags.extend(body.tags.clone());
            }
        }
        Ok(Response::Done)
    }

    /// A key with a value removes the tag only where it has that value.
    pub(super) fn delete_tags(&mut self, now: Timestamp, body: &UntagResources) -> ApiResult<Response> {
        self.check_resources(now, &body.ids)?;
        let doomed = |key: &str, value: &str| match body.tags.get(key) {
            _ if key.starts_with("aws:") => false,
            None => body.tags.is_empty(),
            Some(None) => true,
            Some(Some(wanted)) => wanted == value,
        };
        for id in &body.ids {
            if let Some(tags) = self.tags_mut(id) {
                tags.retain(|key, value| !doomed(key, value));
            }
        }
        Ok(Response::Done)
    }

    pub(super) fn describe_tags(&self, now: Timestamp, body: &Describe) -> ApiResult<Response> {
        let field = |tag: Option<&TagRecord>, name: &str| match (name, tag) {
            ("key" | "value" | "resource-id" | "resource-type", None) => Field::Values(Vec::new()),
            ("key", Some(tag)) => Field::one(&tag.key),
            ("value", Some(tag)) => Field::one(&tag.value),
            ("resource-id", Some(tag)) => Field::one(&tag.resource_id),
            ("resource-type", Some(tag)) => Field::one(tag.resource_type),
            (other, tag) => match (other.strip_prefix("tag:"), tag) {
                (None, _) => Field::Unknown,
                (Some(_), None) => Field::Values(Vec::new()),
                (Some(key), Some(tag)) => Field::maybe((tag.key == key).then(|| tag.value.clone())),
            },
        };
        filters::check(&body.filters, |name| field(None, name))?;
        let mut found = Vec::new();
        for (resource_id, resource_type, tags) in self.tagged(now) {
            for (key, value) in tags {
                let record = TagRecord {
                    resource_id: resource_id.to_owned(),
                    resource_type,
                    key: key.clone(),
                    value: value.clone(),
                };
                if filters::matches(&body.filters, |name| field(Some(&record), name))? {
                    found.push(record);
                }
            }
        }
        found.sort_by(|a, b| (&a.resource_id, &a.key).cmp(&(&b.resource_id, &b.key)));
        let key = |tag: &TagRecord| format!("{}\n{}", tag.resource_id, tag.key);
        Ok(Response::Tags(filters::page(body, (5, 1000), found, key)?))
    }

    fn tagged(&self, now: Timestamp) -> impl Iterator<Item = (&str, &'static str, &Tags)> {
        let instances = self.instances.values().filter(move |i| self.sees(now, i));
        let images = self.images.values().filter(|image| image.state != ImageState::Deregistered);
        (instances.map(|i| (i.id.as_str(), "instance", &i.tags)))
            .chain(images.map(|i| (i.id.as_str(), "image", &i.tags)))
            .chain(self.snapshots.values().map(|s| (s.id.as_str(), "snapshot", &s.tags)))
            .chain(self.templates.values().map(|t| (t.id.as_str(), "launch-template", &t.tags)))
            .chain(self.groups.values().map(|g| (g.id.as_str(), "security-group", &g.tags)))
            .chain(self.subnets.values().map(|s| (s.id.as_str(), "subnet", &s.tags)))
            .chain([(seed::VPC, "vpc", &self.vpc_tags)])
    }

    fn check_resources(&self, now: Timestamp, ids: &[String]) -> ApiResult<()> {
        if ids.is_empty() {
            return Err(ApiError::missing("ResourceId"));
        }
        for id in ids {
            if id.starts_with("i-") {
                self.named(now, std::slice::from_ref(id))?;
            } else if self.tags_of(id).is_none() {
                return Err(unknown_resource(id));
            }
        }
        Ok(())
    }

    fn tags_of(&self, id: &str) -> Option<&Tags> {
        let prefix = id.split_once('-').map_or("", |(prefix, _)| prefix);
        match prefix {
            "i" => self.instances.get(id).map(|record| &record.tags),
            "ami" => {
                let registered = self.images.get(id).filter(|image| image.state != ImageState::Deregistered);
                registered.map(|record| &record.tags)
            }
            "snap" => self.snapshots.get(id).map(|record| &record.tags),
            "lt" => self.templates.get(id).map(|record| &record.tags),
            "sg" => self.groups.get(id).map(|record| &record.tags),
            "subnet" => self.subnets.get(id).map(|record| &record.tags),
            "vpc" => (id == seed::VPC).then_some(&self.vpc_tags),
            _ => None,
        }
    }

    fn tags_mut(&mut self, id: &str) -> Option<&mut Tags> {
        let prefix = id.split_once('-').map_or("", |(prefix, _)| prefix);
        match prefix {
            "i" => self.instances.get_mut(id).map(|record| &mut record.tags),
            "ami" => self.images.get_mut(id).map(|record| &mut record.tags),
            "snap" => self.snapshots.get_mut(id).map(|record| &mut record.tags),
            "lt" => self.templates.get_mut(id).map(|record| &mut record.tags),
            "sg" => self.groups.get_mut(id).map(|record| &mut record.tags),
            "subnet" => self.subnets.get_mut(id).map(|record| &mut record.tags),
            "vpc" => (id == seed::VPC).then_some(&mut self.vpc_tags),
            _ => None,
        }
    }
}

fn unknown_resource(id: &str) -> ApiError {
    let prefix = id.split_once('-').map_or("", |(prefix, _)| prefix);
    let code = match prefix {
        "ami" => "InvalidAMIID",
        "snap" => "InvalidSnapshot",
        "lt" => "InvalidLaunchTemplateId",
        "sg" => "InvalidGroup",
        "subnet" => "InvalidSubnetID",
        "vpc" => "InvalidVpcID",
        _ => return ApiError::client("InvalidID", format!("The ID '{id}' is not valid")),
    };
    let kind = if is_well_formed(id, prefix) { "NotFound" } else { "Malformed" };
    ApiError::client(format!("{code}.{kind}"), format!("The ID '{id}' does not exist"))
}
