//! User-data: from the bytes that the metadata service serves to a validated [`UserData`]. Pure.
//!
//! Three types, in order: bytes → [`envelope::Document`] (unzipped, unwrapped, named) → [`raw::RawUserData`] (as
//! written, with positions) → [`UserData`] (every value checked). docs/user-data.md is the contract.

mod envelope;
mod pillar;
mod raw;
mod remote;
mod rule;
mod schedule;
mod signer;
mod source;
mod validate;

pub(crate) use pillar::{odd_in_pillar, rules_of};
pub(crate) use remote::{Remote, SshAddress};
pub(crate) use rule::{How, WatchRule};
pub(crate) use schedule::{Schedule, default_splay, splay_of};
pub(crate) use signer::Signer;
pub(crate) use source::{App, Formula, Login, Secret, Source};

use mayfly_states::options::Options;
use mayfly_states::value::Map;
use std::net::SocketAddr;
use std::time::Duration;

/// What an instance is told at birth, every value checked.
#[derive(Debug, Clone)]
pub(crate) struct UserData {
    /// The grain `role`.
    pub(crate) role: String,
    /// The grain `environment`.
    pub(crate) environment: String,
    /// The minion id, where it was given.
    pub(crate) id: Option<String>,
    /// The deployment that launched the instance.
    pub(crate) deployment: Option<String>,
    /// Where the state tree is.
    pub(crate) states: Source,
    /// Merged over the tree's pillar.
    pub(crate) pillar: Map,
    /// Merged over the computed grains.
    pub(crate) grains: Map,
    /// The environment of the tree; empty: all of them.
    pub(crate) saltenv: String,
    /// What changes the compile of the tree, nodegroups among it.
    pub(crate) options: Options,
    /// When to ask the remote again.
    pub(crate) schedule: Schedule,
    /// A delay up to this long, fixed for each instance id; `None`: what suits the schedule.
    pub(crate) splay: Option<Duration>,
    /// When drift is looked for, and told.
    pub(crate) drift: Schedule,
    /// Where `/ready`, `/status` and `/metrics` answer.
    pub(crate) listen: SocketAddr,
    /// Which supervisor runs the services.
    pub(crate) supervisor: Supervisor,
    /// Rules beside those of the states.
    pub(crate) watch: Vec<WatchRule>,
    /// What to do after the first converge.
    pub(crate) finish: Finish,
}

/// Which supervisor to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supervisor {
    /// systemd where it runs, else supervisord where it answers, else the built-in one.
    Auto,
    /// supervisord.
    Supervisord,
    /// systemd.
    Systemd,
    /// Init scripts.
    Sysv,
    /// The one inside this program.
    Builtin,
}

/// What happens after the first converge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Stay and follow the remote.
    Stay,
    /// Turn the machine off (image builders).
    Poweroff,
}

/// Why user-data could not be used. Messages name the place and what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    /// There is none, or none for us.
    #[error("user-data: {0}")]
    Absent(String),
    /// The wrapping could not be undone.
    #[error("user-data: {0}")]
    Envelope(String),
    /// Something written is wrong, with its place.
    #[error("{source_name}:{line}:{column}: {message}")]
    At {
        /// `user-data`, or `user-data part 2` within MIME multi-part.
        source_name: String,
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
        /// What is wrong and what to do.
        message: String,
    },
}

/// Where the endpoints answer when user-data does not say.
pub(crate) fn default_listen() -> SocketAddr {
    SocketAddr::from(validate::DEFAULT_LISTEN)
}

/// Reads user-data.
///
/// # Errors
/// See [`Error`]; the first problem is reported.
pub(crate) fn parse(bytes: &[u8]) -> Result<UserData, Error> {
    let document = envelope::open(bytes)?;
    let raw = raw::read(&document)?;
    validate::user_data(raw, &document.name)
}
