//! The read-only base of every instance's root, made from the running host.
//!
//! As root one overlay over `/` hides what is the host's own. Where the kernel refuses that (ordinary users, whose `/`
//! holds locked mounts; containers, whose `/` is an overlay already) each system directory gets an overlay of its own,
//! over a *shim* of directories that belong to us, so that root inside may write where root may.
// Effects: mounts and directories below the state directory.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::spec::Graft;

/// Top-level entries of the host that instances see; everything else is hidden or fresh.
const VISIBLE: [&str; 11] =
    ["bin", "etc", "lib", "lib32", "lib64", "libx32", "opt", "sbin", "usr", "var", "libo32"];
/// Directories of the host below those that are nobody else's business.
const HIDDEN: [&str; 9] = [
    "var/tmp",
    "var/spool",
    "var/backups",
    "var/lib/docker",
    "var/lib/containerd",
    "var/lib/containers",
    "var/lib/mayfly",
    "etc/mayfly",
    "etc/ssl/private",
];
/// Files that instances need, without the hashes that the host has in them: whoever reaches the API is root inside.
const HASHES: [&str; 4] = ["etc/shadow", "etc/shadow-", "etc/gshadow", "etc/gshadow-"];
/// Commands that a host without its own init needs: they ask pid 1, see the signals there.
const SHUTDOWN: [(&str, &str); 4] =
    [("poweroff", "USR2"), ("halt", "USR1"), ("shutdown", "USR2"), ("reboot", "INT")];

/// Why there is no base.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// Neither form of overlay is allowed.
    #[error(
        "the kernel refuses an overlay over {path}: {reason}. Load the module (modprobe overlay); an ordinary user needs \
         Linux 5.11 or newer, and a state directory (--state-dir) on a local file system such as ext4, xfs or tmpfs"
    )]
    Overlay {
        /// The directory below.
        path: PathBuf,
        /// What the kernel said.
        reason: String,
    },
    /// A file operation failed.
    #[error("cannot make the base of instances at {path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BaseError {
    let path = path.to_path_buf();
    move |source| BaseError::Io { path, source }
}

/// Makes the base below `state_dir/base` and says how roots are put together over it.
pub(super) fn prepare(state_dir: &Path) -> Result<Vec<Graft>, BaseError> {
    let base = state_dir.join("base");
    if !in_user_namespace()
        && let Ok(grafts) = whole(state_dir, &base)
    {
        return Ok(grafts);
    }
    release(state_dir);
    by_directory(state_dir, &base)
}

/// Undoes the mounts of [`prepare`].
fn release(state_dir: &Path) {
    let base = state_dir.join("base");
    for path in [base.join("root"), base] {
        let _ = umount2(&path, MntFlags::MNT_DETACH);
    }
}

/// Undoes the mounts of [`prepare`] and [`in_memory`].
pub(super) fn release_all(state_dir: &Path) {
    release(state_dir);
    for name in ["instances", "layers"] {
        let _ = umount2(&state_dir.join(name), MntFlags::MNT_DETACH);
    }
}

/// Puts a file system in memory at each of `folders`, for this process and its children only.
pub(super) fn in_memory(folders: &[PathBuf]) -> Result<(), BaseError> {
    for folder in folders {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("mayfly"), folder, Some("tmpfs"), flags, Some("mode=755")).map_err(refused(folder))?;
    }
    Ok(())
}

/// Whether this process is root in a namespace only.
pub(crate) fn in_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
}

/// One overlay over `/`, below it a mask of opaque directories and whiteouts.
fn whole(state_dir: &Path, base: &Path) -> Result<Vec<Graft>, BaseError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("mayfly"), base, Some("tmpfs"), flags, Some("mode=755,size=1m")).map_err(refused(base))?;
    let (mask, root) = (base.join("mask"), base.join("root"));
    for folder in [&mask, &root] {
        directory(folder)?;
    }
    for entry in fs::read_dir("/").map_err(at(Path::new("/")))?.flatten() {
        if !VISIBLE.iter().any(|name| entry.file_name() == *name) {
            hide(&mask.join(entry.file_name()), entry.path().is_dir() && !entry.path().is_symlink())?;
        }
    }
    for path in hidden(state_dir) {
        copy_modes(&mask, Path::new("/"), &path)?;
        hide(&mask.join(&path), true)?;
    }
    without_secrets(Path::new("/"), &mask)?;
    shutdown_commands(&mask)?;
    let options = format!("lowerdir={}:/", mask.display());
    mount(Some("overlay"), &root, Some("overlay"), MsFlags::MS_RDONLY, Some(options.as_str()))
        .map_err(refused(Path::new("/")))?;
    let graft = Graft { name: "root".to_owned(), at: "/".into(), base: vec![root] };
    try_graft(state_dir, &graft)?;
    Ok(vec![graft])
}

/// What is hidden below visible directories, relative to `/`, if it exists.
fn hidden(state_dir: &Path) -> Vec<PathBuf> {
    let own = state_dir.strip_prefix("/").unwrap_or(state_dir).to_path_buf();
    let visible = own.iter().next().is_some_and(|top| VISIBLE.iter().any(|name| top == *name));
    let own = visible.then_some(own);
    HIDDEN.iter().map(PathBuf::from).chain(own).filter(|path| Path::new("/").join(path).is_dir()).collect()
}

/// Hides one entry: an opaque directory, or a whiteout (character device 0:0) for anything else.
fn hide(path: &Path, is_dir: bool) -> Result<(), BaseError> {
    if is_dir {
        directory(path)?;
        return opaque(path, "trusted.overlay.opaque");
    }
    mknod(path, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0)).map_err(|e| at(path)(e.into()))
}

fn opaque(path: &Path, attribute: &str) -> Result<(), BaseError> {
    rustix::fs::setxattr(path, attribute, b"y", rustix::fs::XattrFlags::empty())
        .map_err(|e| at(path)(e.into()))
}

/// The parents of `path` in a mask must look as on the host: the topmost directory lends its mode.
fn copy_modes(mask: &Path, host: &Path, path: &Path) -> Result<(), BaseError> {
    let mut done = PathBuf::new();
    for part in path.parent().into_iter().flat_map(Path::iter) {
        done.push(part);
        let target = mask.join(&done);
        fs::create_dir_all(&target).map_err(at(&target))?;
        let mode = fs::metadata(host.join(&done)).map_or(0o755, |m| m.permissions().mode());
        fs::set_permissions(&target, fs::Permissions::from_mode(mode)).map_err(at(&target))?;
    }
    Ok(())
}

/// Puts what may be seen of the host's secret files below `into`: accounts without hashes, host keys without a key.
fn without_secrets(host: &Path, into: &Path) -> Result<(), BaseError> {
    for name in HASHES {
        // What we cannot read is not there for instances either.
        if let Ok(text) = fs::read(host.join(name)) {
            let text = without_hashes(&String::from_utf8_lossy(&text));
            stand_in(host, into, Path::new(name), &text)?;
        }
    }
    for entry in fs::read_dir(host.join("etc/ssh")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("ssh_host_") && name.ends_with("_key") && fs::File::open(entry.path()).is_ok() {
            stand_in(host, into, &Path::new("etc/ssh").join(name), "")?;
        }
    }
    Ok(())
}

/// A file with the mode and owner of the host's, and another text.
fn stand_in(host: &Path, into: &Path, name: &Path, text: &str) -> Result<(), BaseError> {
    copy_modes(into, host, name)?;
    let (from, to) = (host.join(name), into.join(name));
    let meta = fs::metadata(&from).map_err(at(&from))?;
    let _ = fs::remove_file(&to);
    fs::write(&to, text).map_err(at(&to))?;
    // An ordinary user has no other owners to give.
    let _ = std::os::unix::fs::chown(&to, Some(meta.uid()), Some(meta.gid()));
    fs::set_permissions(&to, meta.permissions()).map_err(at(&to))
}

/// shadow(5) and gshadow(5) with every password locked.
fn without_hashes(text: &str) -> String {
    let line = |line: &str| match line.splitn(3, ':').collect::<Vec<_>>()[..] {
        [name, hash, rest] if !hash.is_empty() && !matches!(hash, "*" | "!" | "!!" | "!*") => {
            format!("{name}:*:{rest}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn directory(path: &Path) -> Result<(), BaseError> {
    fs::create_dir_all(path).map_err(at(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(at(path))
}

fn shutdown_commands(root: &Path) -> Result<(), BaseError> {
    commands(&root.join("usr/sbin"))
}

fn commands(folder: &Path) -> Result<(), BaseError> {
    for parent in [folder.parent(), Some(folder)].into_iter().flatten() {
        directory(parent)?;
    }
    for (name, signal) in SHUTDOWN {
        let path = folder.join(name);
        let again =
            if name == "shutdown" { "case \" $* \" in *' -r '*) exec kill -INT 1;; esac\n" } else { "" };
        let text = format!(
            "#!/bin/sh\n# The sandbox's init is asked by signal.\n{again}exec /bin/kill -{signal} 1\n"
        );
        fs::write(&path, text.replace("exec kill", "exec /bin/kill")).map_err(at(&path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(at(&path))?;
    }
    Ok(())
}

/// An overlay for each system directory.
fn by_directory(state_dir: &Path, base: &Path) -> Result<Vec<Graft>, BaseError> {
    let shim = base.join("shim");
    let root = shim.join("root");
    directory(&root)?;
    let mut grafts = vec![Graft { name: "root".to_owned(), at: "/".into(), base: vec![root.clone()] }];
    for name in VISIBLE {
        let host = Path::new("/").join(name);
        if host.is_symlink() {
            let target = fs::read_link(&host).map_err(at(&host))?;
            symlink(target, root.join(name)).map_err(at(&host))?;
        } else if name != "etc" && host.is_dir() {
            directory(&root.join(name))?;
            let own = shim.join(name);
            skeleton(&host, &own, if name == "usr" { 2 } else { 4 })?;
            grafts.push(Graft { name: name.to_owned(), at: host.clone(), base: vec![own, host] });
        }
    }
    skeleton(Path::new("/usr/local"), &shim.join("usr/local"), 4)?;
    copy_etc(&root)?;
    without_secrets(Path::new("/"), &root)?;
    commands(&shim.join("usr/sbin"))?;
    for path in hidden(state_dir) {
        let target = if path.starts_with("etc") { root.join(&path) } else { shim.join(&path) };
        let _ = fs::remove_dir_all(&target);
        directory(&target)?;
        opaque(&target, "user.overlay.opaque")?;
    }
    grafts.into_iter().map(|graft| usable(state_dir, graft)).collect()
}

/// `graft` itself, or without the host's directory where only that is refused and nothing vital is lost.
fn usable(state_dir: &Path, graft: Graft) -> Result<Graft, BaseError> {
    match try_graft(state_dir, &graft) {
        Ok(()) => Ok(graft),
        Err(error) if graft.name != "var" && graft.name != "opt" => Err(error),
        Err(_) => {
            let own = Graft { base: graft.base.into_iter().take(1).collect(), ..graft };
            try_graft(state_dir, &own)?;
            Ok(own)
        }
    }
}

/// Directories of `host`, `depth` deep, made anew as ours.
fn skeleton(host: &Path, own: &Path, depth: usize) -> Result<(), BaseError> {
    let tree = walkdir::WalkDir::new(host).max_depth(depth).same_file_system(true);
    for entry in tree.into_iter().flatten().filter(|entry| entry.file_type().is_dir()) {
        let target = own.join(entry.path().strip_prefix(host).unwrap_or(Path::new("")));
        fs::create_dir_all(&target).map_err(at(&target))?;
        let mode = entry.metadata().map_or(0o755, |m| m.permissions().mode() | 0o700);
        fs::set_permissions(&target, fs::Permissions::from_mode(mode)).map_err(at(&target))?;
    }
    Ok(())
}

/// Copies of the files in `/etc` that we may read, so that root inside may edit them.
fn copy_etc(root: &Path) -> Result<(), BaseError> {
    let keep = if in_user_namespace() { "--preserve=mode,timestamps,links" } else { "--preserve=all" };
    Command::new("cp")
        .args(["-R", "-P", keep, "/etc"])
        .arg(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Unreadable files (shadow, keys) are left out on purpose.
        .stderr(Stdio::null())
        .status()
        .map_err(at(Path::new("/etc")))?;
    directory(&root.join("etc"))
}

/// Mounts `graft` once as an instance would, so that a refusal is known before the first launch.
fn try_graft(state_dir: &Path, graft: &Graft) -> Result<(), BaseError> {
    let trial = state_dir.join("instances/base-trial");
    let target = trial.join("root");
    for folder in [trial.join("upper"), trial.join("work"), target.clone()] {
        directory(&folder)?;
    }
    let lower: Vec<String> = graft.base.iter().map(|path| path.display().to_string()).collect();
    let (upper, work) = (trial.join("upper"), trial.join("work"));
    let options = format!(
        "userxattr,lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        upper.display(),
        work.display()
    );
    let outcome = mount(Some("overlay"), &target, Some("overlay"), MsFlags::MS_NODEV, Some(options.as_str()))
        .map_err(refused(&graft.at));
    let _ = umount2(&target, MntFlags::MNT_DETACH);
    let _ = fs::remove_dir_all(&trial);
    outcome
}

fn refused(path: &Path) -> impl FnOnce(nix::errno::Errno) -> BaseError {
    let path = path.to_path_buf();
    move |errno| BaseError::Overlay { path, reason: errno.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_see_accounts_and_no_secrets_of_the_host() {
        let dir = tempfile::tempdir().expect("a folder");
        let (host, into) = (dir.path().join("host"), dir.path().join("into"));
        fs::create_dir_all(host.join("etc/ssh")).expect("made");
        fs::create_dir_all(into.join("etc")).expect("made");
        let shadow =
            "root:$y$j9T$salt$hash:1:0:9:7:::\nann:!$6$locked:1::::::\nbin:*:1::::::\nbob::1::::::\n";
        for (name, text) in [
            ("etc/shadow", shadow),
            ("etc/gshadow", "sudo:$6$hash::ann\n"),
            ("etc/ssh/ssh_host_rsa_key", "PRIVATE"),
            ("etc/ssh/ssh_host_rsa_key.pub", "public"),
        ] {
            fs::write(host.join(name), text).expect("written");
            fs::set_permissions(host.join(name), fs::Permissions::from_mode(0o640)).expect("set");
        }
        fs::write(into.join("etc/shadow"), shadow).expect("a copy that was made before");
        without_secrets(&host, &into).expect("done");
        let seen = |name: &str| fs::read_to_string(into.join(name)).expect("there");
        let open = "root:*:1:0:9:7:::\nann:*:1::::::\nbin:*:1::::::\nbob::1::::::\n";
        assert_eq!(seen("etc/shadow"), open);
        assert_eq!(seen("etc/gshadow"), "sudo:*::ann\n");
        assert_eq!(seen("etc/ssh/ssh_host_rsa_key"), "");
        assert!(!into.join("etc/ssh/ssh_host_rsa_key.pub").exists());
        assert_eq!(fs::metadata(into.join("etc/shadow")).expect("there").permissions().mode() & 0o777, 0o640);
    }
}
