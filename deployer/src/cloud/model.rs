//! The deployer's picture of a cloud: instances, launch templates, images, without any SDK's types.

use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// The life of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Starting.
    Pending,
    /// Running.
    Running,
    /// On its way to be stopped.
    Stopping,
    /// Stopped.
    Stopped,
    /// On its way to be gone.
    ShuttingDown,
    /// Gone.
    Terminated,
    /// A state this program does not know: nothing is decided on it.
    Unknown,
}

impl InstanceState {
    /// Whether it is gone or going.
    #[must_use]
    pub fn is_ending(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }

    /// EC2's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Unknown => "unknown",
        }
    }
}

/// One instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: InstanceState,
    /// Why it is in that state, in EC2's words.
    pub reason: Option<String>,
    /// Its private address.
    pub private_ip: Option<String>,
    /// Its public address.
    pub public_ip: Option<String>,
    /// Its subnet.
    pub subnet: Option<String>,
    /// Its availability zone.
    pub zone: Option<String>,
    /// Its type.
    pub instance_type: String,
    /// Its image.
    pub image: String,
    /// The token of the request that launched it.
    pub client_token: Option<String>,
    /// When it was launched.
    pub launched: Option<DateTime<Utc>>,
    /// Its tags.
    pub tags: Tags,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its id.
    pub id: String,
    /// Its availability zone.
    pub zone: String,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `available`, `pending`, `failed`, …
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// When it was made, in ISO 8601, which sorts as text.
    pub created: String,
    /// What the instance that it was made of booted from, as the cloud itself keeps it: no tag changes that. `None` of copies,
    /// and where the cloud does not know it.
    pub parent: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// The snapshots behind it.
    pub snapshots: Vec<String>,
    /// Whether any of them is encrypted.
    pub encrypted: bool,
}

/// A copy of an image, as it is asked for where it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageCopy {
    /// The image.
    pub source: String,
    /// The region that has it.
    pub region: String,
    /// The copy's name.
    pub name: String,
    /// Tags of the copy and its snapshots.
    pub tags: Tags,
}

/// Which images are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFilter {
    /// The one with this id.
    Id(String),
    /// The same, if it is one of one's own account.
    Own(String),
    /// Available ones whose name matches.
    Named {
        /// Pattern with `*` and `?`.
        name: String,
        /// `self`, `amazon`, or an account id.
        owner: String,
    },
    /// Those of one's own account that carry all these tags, in any state.
    Tagged(Tags),
}

/// What a launch template tells EC2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateData {
    /// AMI id.
    pub image: String,
    /// Preferred type.
    pub instance_type: String,
    /// User-data in base64, as EC2 keeps it.
    pub user_data: String,
    /// Security group ids.
    pub security_groups: Vec<String>,
    /// Instance profile name.
    pub instance_profile: Option<String>,
    /// Key pair.
    pub key_name: Option<String>,
    /// Tags of the instances.
    pub tags: Tags,
}

/// A launch template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its default version.
    pub default_version: i64,
    /// Its newest version.
    pub latest_version: i64,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created: Option<DateTime<Utc>>,
}

/// One version of a launch template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: i64,
    /// Its description.
    pub description: String,
    /// When it was made.
    pub created: Option<DateTime<Utc>>,
    /// Who made it, as AWS knows them.
    pub created_by: Option<String>,
    /// What it says.
    pub data: TemplateData,
}

/// One request for instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Launch template id.
    pub template: String,
    /// Its version.
    pub version: i64,
    /// How many at most; at least one.
    pub count: u32,
    /// Type, in place of the template's.
    pub instance_type: String,
    /// Subnet; EC2 chooses a default one when there is none.
    pub subnet: Option<String>,
    /// Idempotency token, at most 64 characters.
    pub token: String,
    /// Tags at birth.
    pub tags: Tags,
}

/// A single instance without a template: an image builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderLaunch {
    /// AMI id.
    pub image: String,
    /// Type.
    pub instance_type: String,
    /// Subnet, if not the default.
    pub subnet: Option<String>,
    /// Security group ids.
    pub security_groups: Vec<String>,
    /// Instance profile name.
    pub instance_profile: Option<String>,
    /// User-data in base64.
    pub user_data: String,
    /// Idempotency token.
    pub token: String,
    /// Tags at birth.
    pub tags: Tags,
}

/// An object in S3: a lock, where the spec asks for one there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// The bucket.
    pub bucket: String,
    /// The key in it.
    pub key: String,
}

/// What an object said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The tag of this very content.
    pub etag: String,
    /// The content.
    pub body: String,
}

/// On what condition an object is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// There is none of that key.
    Absent,
    /// It still is the one with this tag.
    Is(String),
}
