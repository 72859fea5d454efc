//! `mount.swap`: a device or file that is swapped to, now and by fstab at every boot.

use std::path::Path;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys;
use crate::modules::args::Args;
use crate::modules::cmd::tool;
use crate::modules::fstab::{self, By, Entry, escape};
use crate::modules::mount::{INFO_LIMIT, TIMEOUT, config, only_here};
use crate::modules::textfile::{TextFile, place, roots};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &["persist", "config"];

/// A device or file to swap to.
pub(crate) struct Swap;

impl StateFn for Swap {
    type Want = (String, bool, String);
    type Observed = (bool, TextFile);
    type Plan = (bool, Option<(TextFile, String)>);

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        place(&call.chunk.name, call)?;
        Ok((call.chunk.name.clone(), args.flag("persist", true)?, config(args)?))
    }

    fn observe((name, _, config): &Self::Want, call: &Call<'_>) -> Result<Self::Observed, Failure> {
        only_here(call)?;
        let on = fstab::swap(&swaps()?, &real_swap(name)).is_some();
        Ok((on, TextFile::read(config, roots(0o644), call)?))
    }

    fn diff((name, persist, _): &Self::Want, (on, file): &Self::Observed) -> Diff<Self::Plan> {
        let mut changes = Map::new();
        if !on {
            changes.insert("active".to_owned(), Value::Bool(true));
        }
        let added = fstab::with(&file.text, &swap_entry(name), By::Device).filter(|_| *persist);
        if let Some((_, found)) = &added {
            let word = if *found { "update" } else { "new" };
            changes.insert("persist".to_owned(), Value::Str(word.to_owned()));
        }
        if changes.is_empty() {
            return Diff::Same(format!("Swap {name} already active"));
        }
        let plan = (!on, added.map(|(text, _)| (file.clone(), text)));
        Diff::Change { plan, changes, would: format!("Swap {name} would be activated") }
    }

    fn apply((name, ..): &Self::Want, (on, fstab): Self::Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        let mut changes = Map::new();
        if on {
            tool(call, &["swapon", "--", name].map(str::to_owned), TIMEOUT)?;
            let told = fstab::swap(&swaps()?, &real_swap(name)).unwrap_or_default();
            let keys = ["type", "size", "used", "priority"].map(str::to_owned);
            changes.extend(keys.into_iter().zip(told.map(Value::Str)));
        }
        if let Some((file, text)) = fstab {
            let word = if file.text.contains(name.as_str()) { "update" } else { "new" };
            changes.insert("persist".to_owned(), Value::Str(word.to_owned()));
            file.write(&text)?;
        }
        Ok(Applied { comment: format!("Swap {name} activated"), changes: Some(changes), failed: false })
    }
}

fn swaps() -> Result<String, Failure> {
    Ok(fsys::read_text(Path::new("/proc/swaps"), INFO_LIMIT)?)
}

fn real_swap(name: &str) -> String {
    fsys::canonical(Path::new(name)).map_or_else(|_| name.to_owned(), |p| p.display().to_string())
}

fn swap_entry(name: &str) -> Entry {
    let text = |s: &str| s.to_owned();
    Entry {
        device: escape(name),
        name: text("none"),
        fstype: text("swap"),
        opts: text("defaults"),
        dump: text("0"),
        pass: text("0"),
    }
}
