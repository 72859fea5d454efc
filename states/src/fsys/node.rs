//! FIFOs and device nodes.

// Effects: changes the file system.
#![allow(clippy::disallowed_methods)]

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, major, makedev, minor, mknod};

use super::{Error, Owner, Result, TEMP_PREFIX, parent, plain, set_mode, set_owner, sweep, sync_dir};

/// What kind of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A FIFO.
    Fifo,
    /// A character device by its numbers.
    Character(u64, u64),
    /// A block device by its numbers.
    Block(u64, u64),
}

/// The node that stands at a path, itself and not what a link points to; `None` for anything else.
pub fn node(path: &Path) -> Result<Option<Node>> {
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::at("look at", path)(e)),
    };
    let (kind, device) = (meta.file_type(), meta.rdev());
    Ok(match (kind.is_fifo(), kind.is_char_device(), kind.is_block_device()) {
        (true, ..) => Some(Node::Fifo),
        (_, true, _) => Some(Node::Character(major(device), minor(device))),
        (_, _, true) => Some(Node::Block(major(device), minor(device))),
        _ => None,
    })
}

/// Make a node where nothing stands; it has its owner and mode from the moment on that it has its name.
pub fn make_node(path: &Path, node: Node, owner: Owner) -> Result<()> {
    let dir = parent(path);
    sweep(dir);
    let (kind, device) = match node {
        Node::Fifo => (SFlag::S_IFIFO, 0),
        Node::Character(high, low) => (SFlag::S_IFCHR, makedev(high, low)),
        Node::Block(high, low) => (SFlag::S_IFBLK, makedev(high, low)),
    };
    let make =
        |temp: &Path| mknod(temp, kind, Mode::S_IRUSR | Mode::S_IWUSR, device).map_err(io::Error::from);
    let named = tempfile::Builder::new().prefix(TEMP_PREFIX).make_in(dir, make);
    let temp = named.map_err(plain).map_err(Error::at("make a node in", dir))?.into_temp_path();
    set_owner(&temp, owner.uid, owner.gid)?;
    set_mode(&temp, owner.mode)?;
    temp.persist_noclobber(path).map_err(|e| Error::at("make", path)(e.error))?;
    sync_dir(dir)
}
