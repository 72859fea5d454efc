//! The root of an instance: overlays over the image's layers, fresh system directories, then `pivot_root` into them.
// Effects: mounts and a few files in the instance's own layer.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::GuestError;
use crate::runtime::spec::{Graft, GuestSpec, HOST_ADDRESS};

/// Device nodes that are bound from the host.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Kernel interfaces that are read-only inside.
const READ_ONLY: [&str; 2] = ["proc/sys", "proc/sysrq-trigger"];

/// Builds the root and makes it `/`. The calling process must be alone in a new mount namespace.
pub(crate) fn enter(spec: &GuestSpec) -> Result<(), GuestError> {
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(GuestError::kernel("private mounts"))?;
    // Layer paths are relative: mount options are limited to one page.
    std::env::set_current_dir(&spec.state_dir).map_err(GuestError::io("enter the state directory"))?;
    write_identity(spec)?;
    for graft in &spec.grafts {
        overlay(spec, graft)?;
    }
    let root = spec.root();
    system_directories(&root)?;
    pivot(&root)
}

/// Mounts one overlay; `userxattr` keeps layers portable between root and ordinary users.
fn overlay(spec: &GuestSpec, graft: &Graft) -> Result<(), GuestError> {
    let upper = spec.dir.join("upper").join(&graft.name);
    let work = spec.dir.join("work").join(&graft.name);
    for folder in [&upper, &work] {
        fs::create_dir_all(folder).map_err(GuestError::io(format!("make {}", folder.display())))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
            .map_err(GuestError::io("set the mode of a layer"))?;
    }
    let layers = spec.layers.iter().map(|layer| layer.join(&graft.name)).filter(|path| path.is_dir());
    let lower: Vec<String> =
        layers.chain(graft.base.iter().cloned()).map(|path| escape(&short(&path, &spec.state_dir))).collect();
    let relative = |path: &Path| escape(&short(path, &spec.state_dir));
    let options = format!(
        "userxattr,lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        relative(&upper),
        relative(&work)
    );
    let target = spec.root().join(graft.at.strip_prefix("/").unwrap_or(&graft.at));
    mount(Some("overlay"), &target, Some("overlay"), MsFlags::MS_NODEV, Some(options.as_str()))
        .map_err(GuestError::kernel(format!("the overlay of {} ({options})", graft.at.display())))
}

fn short(path: &Path, state_dir: &Path) -> PathBuf {
    path.strip_prefix(state_dir).unwrap_or(path).to_path_buf()
}

/// Overlay options separate with `:` and `,`.
fn escape(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
}

/// Host name, hosts and resolver files go into the upper layer, before the overlay exists.
fn write_identity(spec: &GuestSpec) -> Result<(), GuestError> {
    let holder = spec.grafts.first().map_or("root", |graft| graft.name.as_str());
    let etc = spec.dir.join("upper").join(holder).join("etc");
    fs::create_dir_all(&etc).map_err(GuestError::io("make etc"))?;
    for folder in [Some(etc.as_path()), etc.parent()].into_iter().flatten() {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
            .map_err(GuestError::io("set a mode"))?;
    }
    let GuestSpec { hostname, address, .. } = spec;
    let hosts = format!(
        "127.0.0.1 localhost\n::1 localhost ip6-localhost\n{address} {hostname}\n{HOST_ADDRESS} sandbox-host\n"
    );
    let files = [
        ("hostname", format!("{hostname}\n")),
        ("hosts", hosts),
        ("resolv.conf", "# The sandbox has no name service; see hosts(5).\n".to_owned()),
    ];
    for (name, text) in files {
        let path = etc.join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, text).map_err(GuestError::io(format!("write /etc/{name}")))?;
    }
    Ok(())
}

fn folder(path: &Path, mode: u32) -> Result<(), GuestError> {
    if !path.is_dir() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)
            .map_err(GuestError::io(format!("make {}", path.display())))?;
    }
    Ok(())
}

fn system_directories(root: &Path) -> Result<(), GuestError> {
    for name in ["proc", "sys", "dev", "run", "tmp", "root", "home", "mnt", "srv", "var/tmp"] {
        folder(&root.join(name), 0o755)?;
    }
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    fresh(root, "proc", "proc", quiet | MsFlags::MS_NOEXEC, "")?;
    // A container on the host may hide parts of sysfs, and then the kernel refuses a new one: do without.
    if fresh(root, "sys", "sysfs", quiet | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY, "").is_err() {
        fresh(root, "sys", "tmpfs", quiet | MsFlags::MS_RDONLY, "size=4k")?;
    }
    fresh(root, "run", "tmpfs", quiet, "mode=755")?;
    fresh(root, "tmp", "tmpfs", quiet, "mode=1777")?;
    folder(&root.join("run/lock"), 0o1777)?;
    fs::set_permissions(root.join("run/lock"), fs::Permissions::from_mode(0o1777))
        .and_then(|()| fs::set_permissions(root.join("var/tmp"), fs::Permissions::from_mode(0o1777)))
        .map_err(GuestError::io("set a mode"))?;
    devices(root)?;
    for name in READ_ONLY {
        protect(&root.join(name))?;
    }
    Ok(())
}

fn fresh(root: &Path, at: &str, kind: &str, flags: MsFlags, options: &str) -> Result<(), GuestError> {
    mount(Some(kind), &root.join(at), Some(kind), flags, Some(options))
        .map_err(GuestError::kernel(format!("a new {kind} at /{at}")))
}

fn devices(root: &Path) -> Result<(), GuestError> {
    fresh(root, "dev", "tmpfs", MsFlags::MS_NOSUID, "mode=755,size=64k")?;
    let dev = root.join("dev");
    for name in DEVICES {
        let target = dev.join(name);
        fs::File::create(&target).map_err(GuestError::io(format!("make /dev/{name}")))?;
        let source = Path::new("/dev").join(name);
        mount(Some(&source), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(GuestError::kernel(format!("/dev/{name}")))?;
    }
    folder(&dev.join("pts"), 0o755)?;
    folder(&dev.join("shm"), 0o1777)?;
    fresh(root, "dev/shm", "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=1777")?;
    let terminals = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    fresh(root, "dev/pts", "devpts", terminals, "newinstance,ptmxmode=0666,mode=620")?;
    let links = [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        // Pid 1's error output is the console's pipe.
        ("/proc/1/fd/2", "console"),
    ];
    for (to, name) in links {
        symlink(to, dev.join(name)).map_err(GuestError::io(format!("make /dev/{name}")))?;
    }
    Ok(())
}

/// Makes one kernel interface read-only where it stands.
fn protect(path: &Path) -> Result<(), GuestError> {
    if !path.exists() {
        return Ok(());
    }
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    let refused = || GuestError::kernel(format!("a read-only {}", path.display()));
    mount(Some(path), path, None::<&str>, bind, None::<&str>).map_err(refused())?;
    let flags = MsFlags::MS_BIND
        | MsFlags::MS_REMOUNT
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV
        | MsFlags::MS_NOEXEC;
    mount(None::<&str>, path, None::<&str>, flags, None::<&str>).map_err(refused())
}

/// pivot_root(2), "pivot_root(".", ".")": the old root is stacked below the new one and then detached.
fn pivot(root: &Path) -> Result<(), GuestError> {
    std::env::set_current_dir(root).map_err(GuestError::io("enter the new root"))?;
    nix::unistd::pivot_root(".", ".").map_err(GuestError::kernel("a new root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(GuestError::kernel("leaving the old root"))?;
    std::env::set_current_dir("/").map_err(GuestError::io("enter /"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_of_mount_options_are_escaped() {
        assert_eq!(escape(Path::new("a:b,c\\d")), "a\\:b\\,c\\\\d");
    }
}
