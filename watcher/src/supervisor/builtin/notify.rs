//! The receiving end of `NOTIFY_SOCKET`: tells once that a service is ready, as sd_notify(3).
//!
//! A service may run as any user, and may become another by itself, so that anybody can write to the socket. Who counts is
//! judged by what the kernel says of the sender.

// Effects: makes a socket file and a thread.
#![allow(clippy::disallowed_methods)]

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg};
use nix::unistd::{Pid, Uid, getsid};
use std::io::IoSliceMut;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The socket of one start of a service. It is closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) path: PathBuf,
    socket: Arc<UnixDatagram>,
    main: Sender<Pid>,
    over: Arc<AtomicBool>,
}

impl Notice {
    /// This is the process that was started. Before that nobody is heard.
    pub(crate) fn is_of(&self, main: Pid) {
        let _ = self.main.send(main);
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Listen on a new socket and call `ready` when `READY=1` comes from the service, which runs as `user`.
pub(crate) fn listen(
    directory: &Path,
    service: &str,
    user: Uid,
    ready: impl FnOnce(PathBuf) + Send + 'static,
) -> Result<Notice, String> {
    let wrong = |e: std::io::Error| format!("the notify socket in {}: {e}", directory.display());
    std::fs::create_dir_all(directory).map_err(wrong)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("{service}.{}.{number}", std::process::id()));
    let socket = Arc::new(UnixDatagram::bind(&path).map_err(wrong)?);
    // Before anybody may write: what comes earlier has no sender.
    rustix::net::sockopt::set_socket_passcred(&socket, true).map_err(|e| wrong(e.into()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).map_err(wrong)?;
    let (main, known) = channel();
    let notice = Notice { path: path.clone(), socket: socket.clone(), main, over: Arc::default() };
    let over = notice.over.clone();
    let heard = move || {
        let main = known.recv().ok()?;
        told_ready(&socket, &over, |sender| counts(sender, main, user)).then_some(())
    };
    let thread = std::thread::Builder::new().name(format!("ready {service}")).stack_size(64 * 1024);
    thread
        .spawn(move || {
            if heard().is_some() {
                ready(path.clone());
            }
            let _ = std::fs::remove_file(path);
        })
        .map_err(wrong)?;
    Ok(notice)
}

/// Root, the service's user, and what the service has started, whoever that has become since, while it is there.
fn counts(sender: UnixCredentials, main: Pid, user: Uid) -> bool {
    let uid = Uid::from_raw(sender.uid());
    uid.is_root() || uid == user || getsid(Some(Pid::from_raw(sender.pid()))) == Ok(main)
}

fn told_ready(socket: &UnixDatagram, over: &AtomicBool, counts: impl Fn(UnixCredentials) -> bool) -> bool {
    let mut buffer = [0u8; 4096];
    while !over.load(Ordering::Acquire) {
        match receive(socket, &mut buffer) {
            Ok((text, Some(sender))) => {
                if text.split(|b| *b == b'\n').any(|line| line == b"READY=1") && counts(sender) {
                    return true;
                }
            }
            Ok((_, None)) | Err(nix::Error::EINTR) => {}
            Err(_) => return false,
        }
    }
    false
}

/// A message, and who sent it. Nix and not rustix: a sender of another namespace has the process id 0, which rustix's
/// type says cannot be.
fn receive<'b>(
    socket: &UnixDatagram,
    buffer: &'b mut [u8],
) -> nix::Result<(&'b [u8], Option<UnixCredentials>)> {
    let mut space = nix::cmsg_space!(UnixCredentials);
    let mut text = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut text, Some(&mut space), flags)?;
    let length = message.bytes;
    // Whoever sends descriptors along has no room for them here, and is not heard.
    let sender = message.cmsgs().ok().and_then(|mut all| {
        all.find_map(|one| if let ControlMessageOwned::ScmCredentials(of) = one { Some(of) } else { None })
    });
    Ok((buffer.get(..length).unwrap_or_default(), sender))
}
