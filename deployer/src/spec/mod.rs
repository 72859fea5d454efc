//! `mayfly.yaml`: text → tree with places → environment merged over it → validated [`Spec`]. `docs/spec.md` is its page.

mod error;
mod image;
pub(crate) mod keys;
mod node;
mod operate;
mod read;
pub(crate) mod strategy;
mod table;
mod told;

pub use error::{Problem, SpecError, nearest};
pub use node::{At, Node};
pub use operate::{Command, Github, Hook, Notice, OnFailure, ScheduleEntry, Secret, Webhook, When};
pub use strategy::{LockPlace, Promote, Share, Strategy};

use crate::cloud::BalancerRef;
use mayfly_ami::stock::Boot;
use mayfly_ami::user_data::States;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// The environment when none is named.
pub const DEFAULT_ENVIRONMENT: &str = "production";

/// What is to be deployed, complete and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Name of the service.
    pub service: String,
    /// The environment this spec was merged for.
    pub environment: String,
    /// Role in the user-data.
    pub role: String,
    /// How many instances.
    pub count: u32,
    /// What they boot from.
    pub image: ImageRef,
    /// Where `mayfly-boot` comes from, when the image may not have it.
    pub boot: Option<Boot>,
    /// Their types, tried in order when capacity runs out; never empty.
    pub instance_types: Vec<String>,
    /// Subnet ids; empty for the default subnets.
    pub subnets: Vec<String>,
    /// Security group ids; empty for the VPC's default.
    pub security_groups: Vec<String>,
    /// Name of the IAM instance profile.
    pub instance_profile: Option<String>,
    /// Name of the key pair.
    pub key_name: Option<String>,
    /// The load balancers they serve behind, all of them.
    pub load_balancers: Vec<BalancerRef>,
    /// In which waves the new replace the old.
    pub strategy: Strategy,
    /// Where the lock is kept.
    pub lock: LockPlace,
    /// The state tree.
    pub states: StatesSpec,
    /// Pillar, with `--set` merged over it.
    pub pillar: Map<String, Value>,
    /// Grains.
    pub grains: Map<String, Value>,
    /// Environment of the tree.
    pub saltenv: Option<String>,
    /// Nodegroups for top files.
    pub nodegroups: Map<String, Value>,
    /// Options of the minion.
    pub options: Map<String, Value>,
    /// Cron expression of the instances' schedule.
    pub schedule: Option<String>,
    /// Their splay, as written.
    pub splay: Option<String>,
    /// Cron expression: when they look for drift.
    pub drift: Option<String>,
    /// Where their `/ready` answers.
    pub listen: Option<String>,
    /// Their supervisor.
    pub supervisor: Option<String>,
    /// Watch rules, as written.
    pub watch: Vec<Value>,
    /// How readiness is asked, or nothing.
    pub probe: Option<Probe>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Tags beside Mayfly's own.
    pub tags: BTreeMap<String, String>,
    /// Region, when the SDK's chain is not to decide.
    pub region: Option<String>,
    /// Free-form; it reaches the record.
    pub metadata: Map<String, Value>,
    /// What was set on the command line, for the record.
    pub settings: Vec<Setting>,
    /// Who is told of deployments.
    pub notify: Vec<Webhook>,
    /// GitHub deployments.
    pub github: Option<Github>,
    /// The user's own commands before and after steps.
    pub hooks: Vec<Hook>,
    /// When `mayfly schedule` deploys.
    pub schedules: Vec<ScheduleEntry>,
}

/// What instances boot from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageRef {
    /// An AMI id.
    Id(String),
    /// The newest available image whose name matches.
    Newest {
        /// Pattern with `*` and `?`.
        name: String,
        /// `self`, `amazon`, or an account id.
        owner: String,
    },
    /// The one whose id an SSM parameter holds.
    Parameter(String),
    /// The newest that `mayfly bake` made for this role, or `bare`.
    Baked(String),
}

/// The branch of the state tree when none is named.
pub const DEFAULT_REFERENCE: &str = "main";

/// The state tree as the spec names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatesSpec {
    /// As instances are told; the commit is found out when deploying.
    pub tree: States,
    /// Address for the deployer, when it differs from theirs.
    pub deploy_url: Option<String>,
}

impl StatesSpec {
    /// The branch or tag that is deployed.
    #[must_use]
    pub fn reference(&self) -> &str {
        self.tree.reference.as_deref().unwrap_or(DEFAULT_REFERENCE)
    }
}

/// Which address of an instance is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Address {
    /// The private one.
    #[default]
    Private,
    /// The public one.
    Public,
}

/// How an instance is asked whether it is ready; 200 is the only good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Port.
    pub port: u16,
    /// Path, starting with `/`.
    pub path: String,
    /// Which address.
    pub address: Address,
    /// `http` or `https`.
    pub scheme: String,
    /// Time from one question to the next.
    pub interval: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// How long each wait may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Launched to running.
    pub running: Duration,
    /// Running to ready.
    pub probe: Duration,
    /// Registered to in service.
    pub in_service: Duration,
    /// Beyond the balancer's own draining time.
    pub drain: Duration,
    /// A pause before a step, to be let go on.
    pub pause: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let five_minutes = Duration::from_secs(300);
        Self {
            running: five_minutes,
            probe: five_minutes,
            in_service: five_minutes,
            drain: Duration::ZERO,
            pause: Duration::from_secs(3_600),
        }
    }
}

/// One `--set`: a dotted path into the pillar and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Keys from the outside in; never empty.
    pub path: Vec<String>,
    /// The value.
    pub value: Value,
}

impl std::str::FromStr for Setting {
    type Err = String;

    /// `a.b=text`, or `a.b:=JSON` for anything that is not text.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("write it as KEY=TEXT or KEY:=JSON")?;
        let (key, value) = match key.strip_suffix(':') {
            Some(key) => {
                (key, serde_json::from_str(value).map_err(|e| format!("`{value}` is not JSON: {e}"))?)
            }
            None => (key, Value::String(value.to_owned())),
        };
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(format!("`{key}` has an empty part"));
        }
        Ok(Self { path, value })
    }
}

impl Spec {
    /// Reads a spec for one environment. `file` is only for error messages.
    ///
    /// # Errors
    /// [`SpecError`] with the file, line and column.
    pub fn parse(text: &str, file: &str, environment: &str, settings: &[Setting]) -> Result<Self, SpecError> {
        let mut spec = read::spec(text, file, environment)?;
        for setting in settings {
            spec.set(setting);
        }
        spec.settings = settings.to_vec();
        Ok(spec)
    }

    /// The environments of a file, the default one first when its base is complete.
    ///
    /// # Errors
    /// [`SpecError`] with the file, line and column.
    pub fn environments(text: &str, file: &str) -> Result<Vec<String>, SpecError> {
        read::names(text, file)
    }

    /// What the record of a deployment says beside what its instances are told.
    #[must_use]
    pub fn record(&self) -> Map<String, Value> {
        let set: Map<String, Value> =
            self.settings.iter().map(|setting| (setting.path.join("."), setting.value.clone())).collect();
        let parts = [("set", set), ("metadata", self.metadata.clone())];
        let told = parts.into_iter().filter(|(_, part)| !part.is_empty());
        told.map(|(key, part)| (key.to_owned(), Value::Object(part))).collect()
    }

    fn set(&mut self, setting: &Setting) {
        let Some((last, parents)) = setting.path.split_last() else { return };
        let mut map = &mut self.pillar;
        for key in parents {
            let entry = map.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            let Some(inner) = entry.as_object_mut() else { return };
            map = inner;
        }
        map.insert(last.clone(), setting.value.clone());
    }
}
