//! The way to a path: root must not be led elsewhere by a link that somebody else could have put there.

use std::path::{Component, Path, PathBuf};

use crate::engine::step::{Call, Failure};
use crate::fsys::{self, Kind, Stat};

/// Links on one way, those behind links included.
const MOST_LINKS: usize = 40;
/// Whoever may write to a directory may exchange what is in it, but for what is another's below the sticky bit.
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Refuses a path that is reached through a link of another than root. A way on which nobody but root can change anything
/// is looked at once a run.
pub(crate) fn check(path: &Path, call: &Call<'_>) -> Result<(), Failure> {
    let Some(above) = path.parent() else { return Ok(()) };
    if call.facts.safe_ways.borrow().contains(above) || !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    if walk(above, &mut 0)? {
        call.facts.safe_ways.borrow_mut().insert(above.to_owned());
    }
    Ok(())
}

/// Refuses a link that is another's than root's: what it leads to is that one's choice.
pub(crate) fn check_link(path: &Path) -> Result<(), Failure> {
    let stat = fsys::stat(path)?;
    if stat.kind == Kind::Symlink && stat.uid != 0 && nix::unistd::geteuid().is_root() {
        return Err(refusal(path, path, stat));
    }
    Ok(())
}

/// Whether nobody but root can change the way down to this directory.
fn walk(dir: &Path, links: &mut usize) -> Result<bool, Failure> {
    let (mut at, mut safe) = (PathBuf::new(), true);
    for component in dir.components() {
        if component == Component::ParentDir {
            // From a link's target; where it leads is looked at as it is.
            at = fsys::canonical(&at)?.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
            continue;
        }
        at.push(component);
        let stat = fsys::stat(&at)?;
        match stat.kind {
            Kind::Missing => return Ok(false),
            Kind::Symlink => safe &= follow(dir, &at, stat, links)?,
            Kind::Directory => safe &= is_roots(stat),
            // Nothing can be below it.
            _ => return Ok(false),
        }
    }
    Ok(safe)
}

fn follow(whole: &Path, link: &Path, stat: Stat, links: &mut usize) -> Result<bool, Failure> {
    *links += 1;
    if stat.uid != 0 || *links > MOST_LINKS {
        return Err(refusal(whole, link, stat));
    }
    let target = fsys::read_link(link)?;
    walk(&link.parent().unwrap_or(Path::new("/")).join(target), links)
}

fn is_roots(stat: Stat) -> bool {
    stat.uid == 0 && (stat.mode & OTHERS_WRITE == 0 || stat.mode & STICKY != 0)
}

fn refusal(whole: &Path, link: &Path, stat: Stat) -> Failure {
    Failure::machine(format!(
        "{} is reached through {}, a link of the user {}; only links of root are followed",
        whole.display(),
        link.display(),
        stat.uid
    ))
}
