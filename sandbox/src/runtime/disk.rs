//! Disks: the read-only base made from the host, image layers, and the directories of instances.
// Effects: mounts, copies and removes below the state directory.
#![allow(clippy::disallowed_methods)]

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::base;
use super::guest::BOOT_BINARY;
use super::spec::Graft;

/// Why a disk operation failed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A file operation failed; a full disk or too many open files say so here.
    #[error("cannot {what} {path}: {source}{}", hint(source))]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The kernel has no usable overlay file system for us.
    #[error("{0}")]
    Base(#[from] base::BaseError),
    /// No such image on disk.
    #[error("image {0} has no disk here (mayfly-bare needs a sandbox that was started with --boot-binary)")]
    NoImage(String),
    /// `cp` reported a failure.
    #[error("cannot copy the disk of {id}: {reason}")]
    Copy {
        /// The instance.
        id: String,
        /// What cp said.
        reason: String,
    },
}

/// What helps against errors that people cause and can mend.
fn hint(error: &std::io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => {
            " (free some space, or choose another place with --state-dir)"
        }
        Some(nix::libc::EMFILE | nix::libc::ENFILE) => " (raise the limit of open files: ulimit -n)",
        _ => "",
    }
}

impl DiskError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

/// All disks of one sandbox.
#[derive(Debug)]
pub struct Disk {
    state_dir: PathBuf,
    grafts: Vec<Graft>,
    /// Image id to layers, topmost first, relative to the state directory.
    images: Mutex<HashMap<String, Vec<PathBuf>>>,
}

impl Disk {
    /// Clears what an earlier sandbox left in `state_dir` and makes the base. The process must be alone in its mount
    /// namespace.
    ///
    /// # Errors
    /// When the directory cannot be written or the kernel has no usable overlay.
    pub fn prepare(state_dir: &Path) -> Result<Self, DiskError> {
        for name in ["instances", "layers", "base"] {
            remove_tree(&state_dir.join(name))?;
            make_dir(&state_dir.join(name))?;
        }
        let grafts = match base::prepare(state_dir) {
            // Containers: the state directory is on an overlay, which takes no writable layers. Memory does.
            Err(base::BaseError::Overlay { .. }) => {
                remove_tree(&state_dir.join("base"))?;
                make_dir(&state_dir.join("base"))?;
                base::in_memory(&[state_dir.join("instances"), state_dir.join("layers")])?;
                base::prepare(state_dir)?
            }
            prepared => prepared?,
        };
        Ok(Self { state_dir: state_dir.to_path_buf(), grafts, images: Mutex::default() })
    }

    /// How a root is put together.
    #[must_use]
    pub fn grafts(&self) -> &[Graft] {
        &self.grafts
    }

    /// The state directory.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The directory of instance `id`.
    #[must_use]
    pub fn instance(&self, id: &str) -> PathBuf {
        self.state_dir.join("instances").join(id)
    }

    fn images(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<PathBuf>>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layers of image `id`.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn layers(&self, id: &str) -> Result<Vec<PathBuf>, DiskError> {
        self.images().get(id).cloned().ok_or_else(|| DiskError::NoImage(id.to_owned()))
    }

    /// Adds the image of the bare host.
    pub fn add_stock(&self, id: &str) {
        self.images().insert(id.to_owned(), Vec::new());
    }

    /// Adds the image that holds the boot binary at `binary`.
    ///
    /// # Errors
    /// When the binary cannot be copied.
    pub fn add_bare(&self, id: &str, binary: &Path) -> Result<(), DiskError> {
        let layer = PathBuf::from("layers").join(id);
        let target = self.in_layer(&layer, Path::new(BOOT_BINARY));
        if let Some(folder) = target.parent() {
            make_dir(folder)?;
        }
        fs::copy(binary, &target).map_err(DiskError::io("copy the boot binary", binary))?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
            .map_err(DiskError::io("set the mode of", &target))?;
        self.images().insert(id.to_owned(), vec![layer]);
        Ok(())
    }

    /// Where the file that is `/path` inside an instance lies in `layer`.
    fn in_layer(&self, layer: &Path, path: &Path) -> PathBuf {
        let inside = Path::new("/").join(path);
        let holder = self.grafts.iter().filter(|graft| inside.starts_with(&graft.at));
        let deepest = holder.max_by_key(|graft| graft.at.as_os_str().len());
        let (name, rest) = deepest.map_or(("root", path), |graft| {
            (graft.name.as_str(), inside.strip_prefix(&graft.at).unwrap_or(path))
        });
        self.state_dir.join(layer).join(name).join(rest)
    }

    /// Copies what the instance `id`, made of image `of`, wrote, as the new image `image`. The instance must be stopped
    /// or frozen. Blocks.
    ///
    /// # Errors
    /// When the copy fails; nothing is left of it then.
    pub fn capture(&self, id: &str, of: &str, image: &str) -> Result<(), DiskError> {
        let layer = PathBuf::from("layers").join(image);
        let target = self.state_dir.join(&layer);
        make_dir(&target)?;
        if let Err(error) = copy_tree(id, &self.instance(id).join("upper"), &target) {
            remove_tree(&target)?;
            return Err(error);
        }
        let mut layers = vec![layer];
        layers.extend(self.layers(of).unwrap_or_default());
        self.images().insert(image.to_owned(), layers);
        Ok(())
    }

    /// Image `image` has the layers of image `of`.
    pub fn share(&self, of: &str, image: &str) {
        let layers = self.layers(of).unwrap_or_default();
        self.images().insert(image.to_owned(), layers);
    }

    /// Forgets image `id`. Its layer stays while another image or an instance may stand on it, and goes with the
    /// sandbox.
    pub fn forget(&self, id: &str, still_used: bool) {
        let layer = PathBuf::from("layers").join(id);
        let mut images = self.images();
        images.remove(id);
        let shared = images.values().any(|layers| layers.contains(&layer));
        drop(images);
        if !shared && !still_used {
            let _ = remove_tree(&self.state_dir.join(layer));
        }
    }

    /// Makes the directory of a new instance.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_instance(&self, id: &str) -> Result<PathBuf, DiskError> {
        let dir = self.instance(id);
        for name in ["upper", "work", "root"] {
            make_dir(&dir.join(name))?;
        }
        Ok(dir)
    }

    /// Removes the disk of instance `id`.
    ///
    /// # Errors
    /// When files resist.
    pub fn remove_instance(&self, id: &str) -> Result<(), DiskError> {
        remove_tree(&self.instance(id))
    }

    /// Removes everything below the state directory that this sandbox made.
    ///
    /// # Errors
    /// When files resist.
    pub fn remove_all(&self) -> Result<(), DiskError> {
        base::release_all(&self.state_dir);
        for name in ["instances", "layers", "base"] {
            remove_tree(&self.state_dir.join(name))?;
        }
        Ok(())
    }
}

/// Makes a directory with its parents, mode 0755: it may become the root of an instance.
pub(super) fn make_dir(path: &Path) -> Result<(), DiskError> {
    fs::create_dir_all(path).map_err(DiskError::io("make", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(DiskError::io("set the mode of", path))
}

fn remove_tree(path: &Path) -> Result<(), DiskError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DiskError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// `cp` keeps owners, modes, times, extended attributes, holes and links, and shares blocks where it can.
fn copy_tree(id: &str, from: &Path, to: &Path) -> Result<(), DiskError> {
    let failed = |reason: String| DiskError::Copy { id: id.to_owned(), reason };
    let output = Command::new("cp")
        .args(["-a", "--reflink=auto", "--"])
        .arg(from.join("."))
        .arg(to)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| failed(format!("cannot run cp: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("cp failed").to_owned()))
}
