//! Which supervisor runs the services: by name, or by looking.

use crate::userdata::Supervisor as Choice;
use mayfly_watcher::supervisor::builtin::Options;
use mayfly_watcher::supervisor::{Kind, Supervisor, detect, open};
use std::path::Path;
use std::sync::Arc;

/// The supervisor that was asked for.
pub(crate) fn choose(choice: Choice, root: &Path) -> Arc<dyn Supervisor> {
    let kind = match choice {
        Choice::Auto => detect(root),
        Choice::Supervisord => Kind::Supervisord,
        Choice::Systemd => Kind::Systemd,
        Choice::Builtin => Kind::Builtin,
    };
    open(kind, Options::at(root))
}

/// The supervisor that runs beside this program, if one does.
pub(crate) fn outside(root: &Path) -> Option<Arc<dyn Supervisor>> {
    let kind = detect(root);
    (kind != Kind::Builtin).then(|| open(kind, Options::at(root)))
}
