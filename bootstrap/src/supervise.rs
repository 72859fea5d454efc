//! Which supervisor runs the services: by name, or by looking.

use crate::userdata::Supervisor as Choice;
use mayfly_watcher::Listener;
use mayfly_watcher::supervisor::builtin::{Event, Options};
use mayfly_watcher::supervisor::{Fallback, Kind, Supervisor, Sysv, detect, open};
use std::path::Path;
use std::sync::Arc;

/// The supervisor that was asked for; nobody hears it.
pub(crate) fn choose(choice: Choice, root: &Path) -> Arc<dyn Supervisor> {
    opened(choice, Options::at(root))
}

/// The same, heard by this listener where it is the built-in one.
pub(crate) fn heard_by(
    listener: Arc<dyn Listener<Event>>,
    choice: Choice,
    root: &Path,
) -> Arc<dyn Supervisor> {
    opened(choice, Options::at(root).heard_by(listener))
}

fn opened(choice: Choice, options: Options) -> Arc<dyn Supervisor> {
    let kind = match choice {
        Choice::Auto => detect(&options.root),
        Choice::Supervisord => Kind::Supervisord,
        Choice::Systemd => Kind::Systemd,
        Choice::Sysv => Kind::Sysv,
        Choice::Builtin => Kind::Builtin,
    };
    open(kind, options)
}

/// The supervisor that runs beside this program, if one does. A machine without systemd has its init scripts, alone or
/// for the services that its supervisord does not know; they are this machine's own, so another root has none.
pub(crate) fn outside(root: &Path) -> Option<Arc<dyn Supervisor>> {
    let kind = detect(root);
    let found = (kind != Kind::Builtin).then(|| open(kind, Options::at(root)));
    let scripts = Sysv::new(root).yielding_to_systemd();
    if kind == Kind::Systemd || root != Path::new("/") || !scripts.is_there() {
        return found;
    }
    let scripts: Arc<dyn Supervisor> = Arc::new(scripts);
    Some(match found {
        Some(first) => Arc::new(Fallback::new(first, scripts)),
        None => scripts,
    })
}
