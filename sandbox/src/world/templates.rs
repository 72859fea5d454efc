//! Calls about launch templates: immutable numbered versions, one of them the default.
use std::collections::BTreeMap;

use super::error::{ApiError, ApiResult};
use super::filters::{self, Field, tag_field};
use super::ids::is_well_formed;
use super::model::{LaunchSpec, Tags, Template, TemplateVersion, Timestamp};
use super::request::{
    CreateTemplate, CreateTemplateVersion, DeleteTemplateVersions, DescribeTemplateVersions,
    DescribeTemplates, ModifyTemplate, TemplateRef,
};
use super::response::{DeletedVersion, Response, VersionRecord};
use super::{World, tags};

/// EC2's limit on versions of one template.
const MAX_VERSIONS: usize = 10_000;

impl World {
    /// The template that a reference names.
    pub(super) fn template(&self, reference: &TemplateRef) -> ApiResult<&Template> {
        match (&reference.id, &reference.name) {
            (Some(_), Some(_)) => {
                Err(ApiError::combination("Name the launch template by its id or by its name, not by both."))
            }
            (Some(id), None) if !is_well_formed(id, "lt") => {
                let text = format!("The launch template id '{id}' is malformed.");
                Err(ApiError::client("InvalidLaunchTemplateId.Malformed", text))
            }
            (Some(id), None) => self.templates.get(id).ok_or_else(|| no_template_id(id)),
            (None, Some(name)) => self.template_named(name).ok_or_else(|| no_template_name(name)),
            (None, None) => Err(ApiError::missing("LaunchTemplateId")),
        }
    }

    fn template_named(&self, name: &str) -> Option<&Template> {
        self.templates.values().find(|template| template.name == name)
    }

    /// The version that a number, `$Latest` or `$Default` means.
    pub(super) fn template_version<'a>(
        &self,
        template: &'a Template,
        version: &str,
    ) -> ApiResult<&'a TemplateVersion> {
        let found = match version {
            "$Default" => template.versions.get(&template.default_version),
            "$Latest" => template.versions.last_key_value().map(|(_, version)| version),
            number => {
                let why = "Expecting a version number, $Latest or $Default.";
                let number: u64 =
                    number.parse().map_err(|_| ApiError::invalid("launchTemplateVersion", number, why))?;
                template.versions.get(&number)
            }
        };
        let text =
            || format!("Could not find the specified version {version} of launch template {}.", template.id);
        found.ok_or_else(|| ApiError::client("InvalidLaunchTemplateId.VersionNotFound", text()))
    }

    pub(super) fn create_template(&mut self, now: Timestamp, body: &CreateTemplate) -> ApiResult<Response> {
        check_name(&body.name)?;
        tags::check(&body.tags)?;
        if let Some((template, _)) = self.repeated(body.client_token.as_ref(), hash(body))? {
            return Ok(Response::Template(Box::new(template.clone())));
        }
        if self.template_named(&body.name).is_some() {
            let text = format!("Launch template name already in use: {}", body.name);
            return Err(ApiError::client("InvalidLaunchTemplateName.AlreadyExistsException", text));
        }
        check_data(&body.spec)?;
        let version = TemplateVersion {
            number: 1,
            description: body.description.clone(),
            created: now,
            spec: body.spec.clone(),
        };
        let template = Template {
            id: self.ids.resource("lt"),
            name: body.name.clone(),
            created: now,
            tags: body.tags.clone(),
            default_version: 1,
            latest_version: 1,
            versions: BTreeMap::from([(1, version)]),
        };
        self.templates.insert(template.id.clone(), template.clone());
        self.remember(body.client_token.as_ref(), hash(body), &template.id, 1);
        Ok(Response::Template(Box::new(template)))
    }

    pub(super) fn create_template_version(
        &mut self,
        now: Timestamp,
        body: &CreateTemplateVersion,
    ) -> ApiResult<Response> {
        let template = self.template(&body.template)?;
        if let Some((template, number)) = self.repeated(body.client_token.as_ref(), hash(body))? {
            let version = template.versions.get(&number).cloned();
            let version = version.ok_or_else(|| no_template_id(&template.id))?;
            return Ok(Response::TemplateVersion(Box::new(record(template, version))));
        }
        let base = match &body.source {
            Some(source) => self.template_version(template, source)?.spec.clone(),
            None => LaunchSpec::default(),
        };
        if template.versions.len() >= MAX_VERSIONS {
            let text = format!("A launch template has at most {MAX_VERSIONS} versions.");
            return Err(ApiError::client("VersionLimitExceeded", text));
        }
        let spec = base.overlaid(body.spec.clone());
        check_data(&spec)?;
        let id = template.id.clone();
        let Some(template) = self.templates.get_mut(&id) else { return Err(no_template_id(&id)) };
        template.latest_version += 1;
        let version = TemplateVersion {
            number: template.latest_version,
            description: body.description.clone(),
            created: now,
            spec,
        };
        template.versions.insert(version.number, version.clone());
        let number = version.number;
        let answer = record(template, version);
        self.remember(body.client_token.as_ref(), hash(body), &id, number);
        Ok(Response::TemplateVersion(Box::new(answer)))
    }

    /// The result of the first call with the same token, if there was one and it asked for the same.
    fn repeated(&self, token: Option<&String>, hash: u64) -> ApiResult<Option<(&Template, u64)>> {
        let Some((first, id, number)) = token.and_then(|token| self.template_tokens.get(token)) else {
            return Ok(None);
        };
        if *first != hash {
            let text = "The client token was used with other parameters before.";
            return Err(ApiError::client("IdempotentParameterMismatch", text));
        }
        Ok(self.templates.get(id).map(|template| (template, *number)))
    }

    fn remember(&mut self, token: Option<&String>, hash: u64, id: &str, number: u64) {
        if let Some(token) = token {
            self.template_tokens.insert(token.clone(), (hash, id.to_owned(), number));
        }
    }

    pub(super) fn describe_templates(&self, body: &DescribeTemplates) -> ApiResult<Response> {
        filters::check(&body.describe.filters, |name| template_field(None, name))?;
        for id in &body.describe.ids {
            self.template(&TemplateRef { id: Some(id.clone()), name: None })?;
        }
        for name in &body.names {
            self.template(&TemplateRef { id: None, name: Some(name.clone()) })?;
        }
        let all = body.describe.ids.is_empty() && body.names.is_empty();
        let mut found = Vec::new();
        for template in self.templates.values() {
            let named =
                all || body.describe.ids.contains(&template.id) || body.names.contains(&template.name);
            if named && filters::matches(&body.describe.filters, |name| template_field(Some(template), name))?
            {
                found.push(template.clone());
            }
        }
        Ok(Response::Templates(filters::page(&body.describe, (1, 200), found, |template| {
            template.id.clone()
        })?))
    }

    pub(super) fn describe_template_versions(&self, body: &DescribeTemplateVersions) -> ApiResult<Response> {
        let mut found = if body.template == TemplateRef::default() {
            self.versions_of_all(&body.versions)?
        } else {
            self.versions_of_one(self.template(&body.template)?, body)?
        };
        let field = |record: &VersionRecord, name: &str| match name {
            "is-default-version" => Field::one(record.is_default.to_string()),
            "image-id" => Field::maybe(record.version.spec.image_id.clone()),
            "instance-type" => Field::maybe(record.version.spec.instance_type.clone()),
            "create-time" => Field::one(record.version.created.to_rfc3339()),
            _ => Field::Unknown,
        };
        let mut kept = Vec::new();
        for record in found.drain(..) {
            if filters::matches(&body.describe.filters, |name| field(&record, name))? {
                kept.push(record);
            }
        }
        // Newest first, so the key that pages are made by counts down.
        let key = |record: &VersionRecord| {
            format!("{}{:020}", record.template_id, u64::MAX - record.version.number)
        };
        kept.sort_by_key(key);
        Ok(Response::TemplateVersions(filters::page(&body.describe, (1, 200), kept, key)?))
    }

    fn versions_of_all(&self, wanted: &[String]) -> ApiResult<Vec<VersionRecord>> {
        if wanted.is_empty() || wanted.iter().any(|version| version != "$Latest" && version != "$Default") {
            return Err(ApiError::missing("LaunchTemplateId"));
        }
        let mut found: BTreeMap<(String, u64), VersionRecord> = BTreeMap::new();
        for template in self.templates.values() {
            for version in wanted {
                let version = self.template_version(template, version)?.clone();
                found.insert((template.id.clone(), version.number), record(template, version));
            }
        }
        Ok(found.into_values().collect())
    }

    fn versions_of_one(
        &self,
        template: &Template,
        body: &DescribeTemplateVersions,
    ) -> ApiResult<Vec<VersionRecord>> {
        let in_range = |number: u64| {
            body.min.is_none_or(|min| number >= min) && body.max.is_none_or(|max| number <= max)
        };
        if body.versions.is_empty() {
            let versions = template.versions.values().filter(|version| in_range(version.number));
            return Ok(versions.cloned().map(|version| record(template, version)).collect());
        }
        let mut found = BTreeMap::new();
        for version in &body.versions {
            let version = self.template_version(template, version)?;
            found.insert(version.number, record(template, version.clone()));
        }
        Ok(found.into_values().collect())
    }

    pub(super) fn modify_template(&mut self, body: &ModifyTemplate) -> ApiResult<Response> {
        let template = self.template(&body.template)?;
        let number = self.template_version(template, &body.default_version)?.number;
        let id = template.id.clone();
        let Some(template) = self.templates.get_mut(&id) else { return Err(no_template_id(&id)) };
        template.default_version = number;
        Ok(Response::Template(Box::new(template.clone())))
    }

    pub(super) fn delete_template(&mut self, body: &TemplateRef) -> ApiResult<Response> {
        let id = self.template(body)?.id.clone();
        self.template_tokens.retain(|_, (_, template, _)| *template != id);
        let removed = self.templates.remove(&id).ok_or_else(|| no_template_id(&id))?;
        Ok(Response::Template(Box::new(removed)))
    }

    /// Each version for itself; the default stays.
    pub(super) fn delete_template_versions(&mut self, body: &DeleteTemplateVersions) -> ApiResult<Response> {
        let id = self.template(&body.template)?.id.clone();
        if body.versions.is_empty() {
            return Err(ApiError::missing("LaunchTemplateVersion"));
        }
        let Some(template) = self.templates.get_mut(&id) else { return Err(no_template_id(&id)) };
        let mut deleted = Vec::new();
        for version in &body.versions {
            let why = "Expecting a version number.";
            let number: u64 =
                version.parse().map_err(|_| ApiError::invalid("launchTemplateVersion", version, why))?;
            let refused = if number == template.default_version {
                Some((
                    "unexpectedError",
                    "The default version cannot be deleted. Make another one the default first.",
                ))
            } else if template.versions.remove(&number).is_none() {
                Some(("launchTemplateVersionDoesNotExist", "The version does not exist."))
            } else {
                None
            };
            deleted.push(DeletedVersion {
                template_id: template.id.clone(),
                template_name: template.name.clone(),
                number,
                refused: refused.map(|(code, text)| (code.to_owned(), text.to_owned())),
            });
        }
        Ok(Response::DeletedVersions(deleted))
    }
}

fn record(template: &Template, version: TemplateVersion) -> VersionRecord {
    VersionRecord {
        template_id: template.id.clone(),
        template_name: template.name.clone(),
        is_default: version.number == template.default_version,
        version,
    }
}

/// Equal requests have equal hashes; the hasher is fixed, so a run is repeatable.
fn hash(request: &impl std::hash::Hash) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    request.hash(&mut hasher);
    hasher.finish()
}

fn check_name(name: &str) -> ApiResult<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "()./_-".contains(c);
    if (3..=128).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    let text = "A launch template name has 3 to 128 characters: letters, digits and ( ) . / _ -";
    Err(ApiError::client("InvalidLaunchTemplateName.MalformedException", text))
}

/// Only the form is checked, as in EC2: whether the image or subnet exists shows at launch (or in a dry run).
fn check_data(spec: &LaunchSpec) -> ApiResult<()> {
    let kinds = ["instance", "volume", "network-interface", "spot-instances-request"];
    tags::check_specifications(&spec.tags, &kinds)?;
    spec.user_data.as_deref().map(super::launch::decode_user_data).transpose()?;
    Ok(())
}

fn no_template_id(id: &str) -> ApiError {
    let text = format!("The specified launch template, with template ID {id}, does not exist.");
    ApiError::client("InvalidLaunchTemplateId.NotFound", text)
}

fn no_template_name(name: &str) -> ApiError {
    let text = format!("The specified launch template, with template name {name}, does not exist.");
    ApiError::client("InvalidLaunchTemplateName.NotFoundException", text)
}

fn template_field(template: Option<&Template>, name: &str) -> Field {
    let Some(t) = template else {
        let known = ["launch-template-name", "create-time"].contains(&name);
        return if known { Field::Values(Vec::new()) } else { tag_field(&Tags::new(), name) };
    };
    match name {
        "launch-template-name" => Field::one(&t.name),
        "create-time" => Field::one(t.created.to_rfc3339()),
        _ => tag_field(&t.tags, name),
    }
}
