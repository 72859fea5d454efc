//! The listening sockets held for a service, so that a restart refuses no connection.

// Effects: binds sockets and removes the files of unix ones.
#![allow(clippy::disallowed_methods)]

use super::identity;
use super::socket_unit::{Listen, Sockets};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrLike, UnixAddr, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The sockets of one service, in the order of its file.
#[derive(Debug, Default)]
pub(crate) struct Held {
    open: Vec<(Listen, Arc<OwnedFd>)>,
}

impl Held {
    /// What the file asks for now: kept where it is open already, opened where it is new. `self` stays as it was, so
    /// that a port that is taken costs a running service nothing.
    pub(crate) fn adjusted(&self, wanted: &Sockets, root: &Path) -> Result<Self, String> {
        let mut open = Vec::new();
        for listen in &wanted.listen {
            let kept = self.open.iter().find(|(l, _)| l == listen).map(|(_, fd)| fd.clone());
            let fd = match kept {
                Some(fd) => fd,
                None => {
                    Arc::new(bind(listen, wanted, root).map_err(|e| format!("ListenStream={listen}: {e}"))?)
                }
            };
            open.push((listen.clone(), fd));
        }
        Ok(Self { open })
    }

    /// The sockets that a process was given before our time, as far as the kernel (5.6 and newer) lets us copy them.
    /// Those that it closed meanwhile are not among them, and are opened anew at the next start.
    pub(crate) fn taken_back(pid: i32, sockets: &[(Listen, u64)]) -> Self {
        let pidfd = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let Some(pidfd) = pidfd.filter(|_| !sockets.is_empty()) else { return Self::default() };
        let open = sockets.iter().filter_map(|(listen, inode)| {
            take_back(&pidfd, pid, *inode).map(|fd| (listen.clone(), Arc::new(fd)))
        });
        Self { open: open.collect() }
    }

    /// Each socket with what the kernel knows it by.
    pub(crate) fn by_inode(&self) -> Vec<(Listen, u64)> {
        self.open.iter().filter_map(|(listen, fd)| Some((listen.clone(), inode_of(fd)?))).collect()
    }

    /// The descriptors to pass, first to last.
    pub(crate) fn descriptors(&self) -> Vec<Arc<OwnedFd>> {
        self.open.iter().map(|(_, fd)| fd.clone()).collect()
    }

    /// The addresses of the TCP sockets, with the ports that the kernel chose.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.iter().filter_map(|(_, fd)| address(fd)).collect()
    }

    /// Close all and remove the files of unix sockets.
    pub(crate) fn close(&mut self, root: &Path) {
        for (listen, fd) in self.open.drain(..) {
            // A child forked at this moment may hold a copy until it executes; the socket ends listening all the same.
            let _ = socket::shutdown(fd.as_raw_fd(), socket::Shutdown::Both);
            if let Some(path) = file_of(&listen, root) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// A copy of the descriptor of another process that is the socket with this inode.
fn take_back(pidfd: &OwnedFd, pid: i32, inode: u64) -> Option<OwnedFd> {
    let wanted = format!("socket:[{inode}]");
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let is_it = |path: &PathBuf| std::fs::read_link(path).is_ok_and(|link| link == Path::new(&wanted));
    let found = entries.map(|e| e.path()).find(is_it)?;
    let number: i32 = found.file_name()?.to_str()?.parse().ok()?;
    let fd = pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()).ok()?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).ok()?;
    (inode_of(&fd)? == inode && socket::getsockopt(&fd, sockopt::AcceptConn).ok()?).then_some(fd)
}

fn inode_of(fd: &OwnedFd) -> Option<u64> {
    rustix::fs::fstat(fd).ok().map(|stat| stat.st_ino)
}

fn address(fd: &OwnedFd) -> Option<SocketAddr> {
    let name: socket::SockaddrStorage = socket::getsockname(fd.as_raw_fd()).ok()?;
    if let Some(v4) = name.as_sockaddr_in() {
        return Some(SocketAddr::new(IpAddr::V4(v4.ip()), v4.port()));
    }
    name.as_sockaddr_in6().map(|v6| SocketAddr::new(IpAddr::V6(v6.ip()), v6.port()))
}

fn file_of(listen: &Listen, root: &Path) -> Option<PathBuf> {
    match listen {
        Listen::Unix(path) => path.strip_prefix("/").ok().map(|relative| root.join(relative)),
        _ => None,
    }
}

fn bind(listen: &Listen, wanted: &Sockets, root: &Path) -> Result<OwnedFd, std::io::Error> {
    match listen {
        Listen::Address(address) => bind_tcp(*address, wanted.backlog),
        // Every address of both families; where the kernel has no IPv6, of IPv4.
        Listen::Port(port) => {
            let any = |ip| SocketAddr::new(ip, *port);
            bind_tcp(any(Ipv6Addr::UNSPECIFIED.into()), wanted.backlog).or_else(|e| match e.raw_os_error() {
                Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL) => {
                    bind_tcp(any(Ipv4Addr::UNSPECIFIED.into()), wanted.backlog)
                }
                _ => Err(e),
            })
        }
        Listen::Unix(name) => bind_unix(name, wanted, root),
    }
}

fn bind_tcp(address: SocketAddr, backlog: i32) -> Result<OwnedFd, std::io::Error> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    socket::setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        socket::setsockopt(&fd, sockopt::Ipv6V6Only, &!address.ip().is_unspecified())?;
    }
    socket::bind(fd.as_raw_fd(), &socket::SockaddrStorage::from(address))?;
    socket::listen(&fd, queue(backlog)?)?;
    Ok(fd)
}

fn bind_unix(name: &Path, wanted: &Sockets, root: &Path) -> Result<OwnedFd, std::io::Error> {
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    if let Some(abstract_name) = name.to_str().and_then(|n| n.strip_prefix('@')) {
        listen_on(&fd, &UnixAddr::new_abstract(abstract_name.as_bytes())?, wanted.backlog)?;
        return Ok(fd);
    }
    let path = root.join(name.strip_prefix("/").unwrap_or(name));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    // A socket file that nobody closed is left from a life before; nothing but a socket is removed.
    if std::fs::symlink_metadata(&path)
        .is_ok_and(|m| std::os::unix::fs::FileTypeExt::is_socket(&m.file_type()))
    {
        std::fs::remove_file(&path)?;
    }
    listen_on(&fd, &UnixAddr::new(&path)?, wanted.backlog)?;
    let owner =
        identity::ids(wanted.user.as_deref(), wanted.group.as_deref()).map_err(std::io::Error::other)?;
    std::os::unix::fs::chown(&path, owner.0, owner.1)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(wanted.mode))?;
    Ok(fd)
}

fn listen_on(fd: &OwnedFd, address: &dyn SockaddrLike, backlog: i32) -> Result<(), std::io::Error> {
    socket::bind(fd.as_raw_fd(), address)?;
    Ok(socket::listen(fd, queue(backlog)?)?)
}

/// The backlog, no more than the kernel takes by itself.
fn queue(backlog: i32) -> Result<Backlog, nix::Error> {
    Backlog::new(backlog.clamp(1, 4096)).or_else(|_| Backlog::new(libc::SOMAXCONN))
}
