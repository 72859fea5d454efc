//! A name for this build: what one build has compiled and kept is nothing to another.
// Effects: reads the sources.
#![allow(clippy::disallowed_methods)]

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let mut files = vec![PathBuf::from("Cargo.toml"), PathBuf::from("build.rs")];
    gather(Path::new("src"), &mut files)?;
    files.sort();
    // Which versions of dependencies there are; a package on its own has no such file.
    let lock = Path::new("../Cargo.lock");
    files.extend(lock.is_file().then(|| lock.to_owned()));
    let mut hashes = [DefaultHasher::new(), DefaultHasher::new()];
    // Two that differ, as one is short.
    1_u8.hash(&mut hashes[1]);
    for file in files {
        println!("cargo:rerun-if-changed={}", file.display());
        let content = std::fs::read(&file)?;
        hashes.iter_mut().for_each(|hash| (&file, &content).hash(hash));
    }
    let [one, two] = hashes.map(|hash| hash.finish());
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rustc-env=MAYFLY_STATES_BUILD={one:016x}{two:016x}");
    Ok(())
}

/// The files below a directory.
fn gather(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { gather(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
