//! Which supervisor this machine has.

use super::Supervisor;
use super::builtin::{Builtin, Options};
use super::supervisord::Supervisord;
use super::systemd::Systemd;
use super::sysv::Sysv;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

/// The kinds there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// systemd runs as process 1.
    Systemd,
    /// A supervisord answers on its socket.
    Supervisord,
    /// Init scripts, where somebody asks for them.
    Sysv,
    /// Neither: services are our own children.
    Builtin,
}

impl Kind {
    /// The name that user-data uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Supervisord => "supervisord",
            Self::Sysv => "sysv",
            Self::Builtin => "builtin",
        }
    }
}

/// A name that is no supervisor's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no supervisor: use auto, supervisord, systemd, sysv or builtin")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        [Self::Systemd, Self::Supervisord, Self::Sysv, Self::Builtin]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// The kind that runs below this root (`/`): systemd where `/run/systemd/system` exists, as sd_booted(3) says; else
/// supervisord where it answers; else ours.
pub fn detect(root: &Path) -> Kind {
    if root.join("run/systemd/system").is_dir() {
        Kind::Systemd
    } else if Supervisord::find(root).answers() {
        Kind::Supervisord
    } else {
        Kind::Builtin
    }
}

/// A supervisor of a kind. Services of the built-in one end with [`Supervisor::shutdown`].
pub fn open(kind: Kind, options: Options) -> Arc<dyn Supervisor> {
    match kind {
        Kind::Systemd => Arc::new(Systemd::default().below(&options.root)),
        Kind::Supervisord => Arc::new(Supervisord::find(&options.root)),
        Kind::Sysv => Arc::new(Sysv::new(&options.root)),
        Kind::Builtin => Arc::new(Builtin::new(options)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_follows_what_is_there() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(detect(root.path()), Kind::Builtin);
        std::fs::DirBuilder::new().recursive(true).create(root.path().join("run/systemd/system")).unwrap();
        assert_eq!(detect(root.path()), Kind::Systemd);
    }

    #[test]
    fn names() {
        for kind in [Kind::Systemd, Kind::Supervisord, Kind::Sysv, Kind::Builtin] {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!("upstart".parse::<Kind>().unwrap_err().to_string().contains("builtin"));
    }
}
