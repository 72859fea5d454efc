//! `saltutil.*` and its like: what a minion with a master does, and a compile without one answers as Salt does when there
//! is nothing to do.

use super::{Call, Table, list_of};
use crate::jinja::{Dict, Key, Py, Res};

pub(super) const FUNCTIONS: Table = &[
    ("saltutil.clear_cache", truth),
    ("saltutil.clear_job_cache", truth),
    ("saltutil.is_running", nothing),
    ("saltutil.list_extmods", nothing_by_name),
    ("saltutil.refresh_beacons", untruth),
    ("saltutil.refresh_grains", truth),
    ("saltutil.refresh_matchers", untruth),
    ("saltutil.refresh_modules", untruth),
    ("saltutil.refresh_pillar", untruth),
    ("saltutil.running", nothing),
    ("saltutil.sync_all", sync_all),
    ("saltutil.sync_beacons", nothing),
    ("saltutil.sync_clouds", nothing),
    ("saltutil.sync_engines", nothing),
    ("saltutil.sync_executors", nothing),
    ("saltutil.sync_grains", nothing),
    ("saltutil.sync_log_handlers", nothing),
    ("saltutil.sync_matchers", nothing),
    ("saltutil.sync_modules", nothing),
    ("saltutil.sync_output", nothing),
    ("saltutil.sync_outputters", nothing),
    ("saltutil.sync_pillar", nothing),
    ("saltutil.sync_proxymodules", nothing),
    ("saltutil.sync_renderers", nothing),
    ("saltutil.sync_returners", nothing),
    ("saltutil.sync_sdb", nothing),
    ("saltutil.sync_serializers", nothing),
    ("saltutil.sync_states", nothing),
    ("saltutil.sync_thorium", nothing),
    ("saltutil.sync_utils", nothing),
    ("saltutil.sync_wrapper", nothing),
];

/// What `saltutil.sync_all` says of each kind.
const KINDS: &[&str] = &[
    "tops",
    "clouds",
    "beacons",
    "modules",
    "states",
    "sdb",
    "grains",
    "renderers",
    "returners",
    "output",
    "utils",
    "log_handlers",
    "executors",
    "proxymodules",
    "engines",
    "thorium",
    "serializers",
    "matchers",
    "resources",
    "pillar",
    "wrapper",
];

fn truth(_: &mut Call<'_>) -> Res<Py> {
    Ok(Py::Bool(true))
}

/// There is no minion that could be told.
fn untruth(_: &mut Call<'_>) -> Res<Py> {
    Ok(Py::Bool(false))
}

fn nothing(_: &mut Call<'_>) -> Res<Py> {
    Ok(list_of::<&str>([]))
}

fn nothing_by_name(_: &mut Call<'_>) -> Res<Py> {
    Ok(Py::dict(Dict::new()))
}

fn sync_all(_: &mut Call<'_>) -> Res<Py> {
    Ok(Py::dict(KINDS.iter().map(|kind| (Key::str(*kind), Py::list(Vec::new()))).collect()))
}
