//! The receiving end of `NOTIFY_SOCKET`: tells once that a service is ready, as sd_notify(3).

// Effects: makes a socket file and a thread.
#![allow(clippy::disallowed_methods)]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static NEXT: AtomicU64 = AtomicU64::new(0);
/// Nobody waits longer than this for readiness; the thread ends then.
const LONGEST: Duration = Duration::from_secs(3600);

/// Listen on a new socket and call `ready` when `READY=1` comes. Gives the socket's path.
pub(crate) fn listen(
    directory: &Path,
    service: &str,
    ready: impl FnOnce(PathBuf) + Send + 'static,
) -> Result<PathBuf, String> {
    let wrong = |e: std::io::Error| format!("the notify socket in {}: {e}", directory.display());
    std::fs::create_dir_all(directory).map_err(wrong)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("{service}.{}.{number}", std::process::id()));
    let socket = UnixDatagram::bind(&path).map_err(wrong)?;
    // The service may run as any user.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).map_err(wrong)?;
    socket.set_read_timeout(Some(LONGEST)).map_err(wrong)?;
    let file = path.clone();
    let thread = std::thread::Builder::new().name(format!("ready {service}")).stack_size(64 * 1024);
    thread
        .spawn(move || {
            if told_ready(&socket) {
                ready(file.clone());
            }
            let _ = std::fs::remove_file(file);
        })
        .map_err(wrong)?;
    Ok(path)
}

fn told_ready(socket: &UnixDatagram) -> bool {
    let mut buffer = [0u8; 4096];
    while let Ok(length) = socket.recv(&mut buffer) {
        if buffer[..length].split(|b| *b == b'\n').any(|line| line == b"READY=1") {
            return true;
        }
    }
    false
}
