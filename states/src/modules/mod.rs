//! The registry of state functions: which there are, what they take, and who reacts to a watch.

pub(crate) mod accounts;
pub(crate) mod alias;
pub(crate) mod alternatives;
pub(crate) mod apt_sources;
pub(crate) mod archive;
pub(crate) mod archive_file;
pub(crate) mod args;
pub(crate) mod authorized_keys;
pub(crate) mod cmd;
pub(crate) mod cmd_script;
pub(crate) mod cron;
pub(crate) mod cron_env;
pub(crate) mod crontab;
pub(crate) mod debconf;
pub(crate) mod environ;
pub(crate) mod file;
pub(crate) mod fstab;
pub(crate) mod gecos;
pub(crate) mod gem;
pub(crate) mod git;
pub(crate) mod git_cmd;
pub(crate) mod git_config;
pub(crate) mod git_more;
pub(crate) mod gone;
pub(crate) mod group;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod ini;
pub(crate) mod ini_file;
pub(crate) mod iptables;
pub(crate) mod iptables_rule;
pub(crate) mod listed;
pub(crate) mod locale;
pub(crate) mod module;
pub(crate) mod mount;
pub(crate) mod npm;
pub(crate) mod packages;
pub(crate) mod pip;
pub(crate) mod pip_env;
pub(crate) mod pip_more;
pub(crate) mod pip_wish;
pub(crate) mod pkg;
pub(crate) mod pkg_held;
pub(crate) mod pkg_removed;
pub(crate) mod pkg_uptodate;
pub(crate) mod pkgrepo;
pub(crate) mod pkgrepo_apk;
pub(crate) mod pkgrepo_rpm;
pub(crate) mod release;
pub(crate) mod service;
pub(crate) mod service_boot;
pub(crate) mod shadow;
pub(crate) mod ssh_auth;
pub(crate) mod ssh_known_hosts;
pub(crate) mod supervisord;
pub(crate) mod swap;
pub(crate) mod sysctl;
mod table;
pub(crate) mod test;
pub(crate) mod textfile;
pub(crate) mod timezone;
mod unsupported;
pub(crate) mod user;
pub(crate) mod user_known;
pub(crate) mod virtualenv;

use crate::engine::step::{Call, Return, perform};
use crate::modules::file::edit::{self, Editing};
use crate::nearest::nearest;
use crate::session::StateFunctions;
use crate::value::Map;

/// A state function.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) state: &'static str,
    pub(crate) fun: &'static str,
    /// Arguments that it honours.
    pub(crate) args: &'static [&'static str],
    /// Arguments that Salt has and that make no difference here.
    pub(crate) ignored: &'static [&'static str],
    pub(crate) perform: fn(&Call<'_>) -> Return,
    /// mod_watch, where the module has one.
    pub(crate) watch: Option<fn(&Call<'_>) -> Return>,
    /// It asks `check_cmd` itself, before the change.
    pub(crate) own_check: bool,
}

/// Keys that every declaration may have: Salt's own, honoured by the compiler or the engine.
const COMMON: &[&str] = &[
    "name",
    "names",
    "order",
    "require",
    "require_any",
    "require_in",
    "watch",
    "watch_any",
    "watch_in",
    "onchanges",
    "onchanges_any",
    "onchanges_in",
    "onfail",
    "onfail_any",
    "onfail_all",
    "onfail_in",
    "onfail_stop",
    "prereq",
    "prereq_in",
    "prerequired",
    "listen",
    "listen_in",
    "use",
    "use_in",
    "unless",
    "onlyif",
    "creates",
    "check_cmd",
    "failhard",
    "retry",
    "runas",
    "cwd",
    "env",
    "shell",
    "timeout",
    "umask",
    "saltenv",
    "parallel",
    "aggregate",
    "reload_modules",
    "reload_grains",
    "reload_pillar",
    "fire_event",
    "state",
    "fun",
    "cmd_opts_exclude",
    "no_log",
    "provider",
    "prepend_path",
];

const fn entry(
    state: &'static str,
    fun: &'static str,
    args: &'static [&'static str],
    perform: fn(&Call<'_>) -> Return,
) -> Entry {
    Entry { state, fun, args, ignored: &[], perform, watch: None, own_check: false }
}

const fn watched(entry: Entry, watch: fn(&Call<'_>) -> Return) -> Entry {
    Entry { watch: Some(watch), ..entry }
}

const fn ignoring(entry: Entry, ignored: &'static [&'static str]) -> Entry {
    Entry { ignored, ..entry }
}

static ENTRIES: &[Entry] = &[
    watched(ignoring(entry("cmd", "run", cmd::ARGS, perform::<cmd::Run>), cmd::IGNORED), perform::<cmd::Run>),
    watched(
        ignoring(entry("cmd", "wait", cmd::ARGS, perform::<cmd::Wait>), cmd::IGNORED),
        perform::<cmd::Run>,
    ),
    entry("file", "absent", file::absent::ARGS, perform::<file::absent::Absent>),
    entry("file", "accumulated", file::accumulated::ARGS, perform::<file::accumulated::Accumulated>),
    ignoring(
        entry("file", "append", edit::append::ARGS, perform::<Editing<edit::append::Append>>),
        edit::append::IGNORED,
    ),
    ignoring(
        entry("file", "blockreplace", edit::block::ARGS, perform::<Editing<edit::block::BlockReplace>>),
        edit::block::IGNORED,
    ),
    entry("file", "comment", edit::comment::ARGS, perform::<Editing<edit::comment::Comment>>),
    entry("file", "directory", file::directory::ARGS, perform::<file::directory::Directory>),
    ignoring(
        entry("file", "keyvalue", edit::keyvalue::ARGS, perform::<Editing<edit::keyvalue::KeyValue>>),
        edit::keyvalue::IGNORED,
    ),
    ignoring(
        entry("file", "line", edit::line::ARGS, perform::<Editing<edit::line::Line>>),
        edit::line::IGNORED,
    ),
    Entry {
        own_check: true,
        ..ignoring(
            entry("file", "managed", file::managed::ARGS, perform::<file::managed::Managed>),
            file::managed::IGNORED,
        )
    },
    ignoring(
        entry("file", "prepend", edit::append::PREPEND_ARGS, perform::<Editing<edit::append::Prepend>>),
        edit::append::IGNORED,
    ),
    ignoring(
        entry("file", "replace", edit::replace::ARGS, perform::<Editing<edit::replace::Replace>>),
        edit::replace::IGNORED,
    ),
    ignoring(
        entry("file", "symlink", file::symlink::ARGS, perform::<file::symlink::Symlink>),
        file::symlink::IGNORED,
    ),
    entry("file", "uncomment", edit::comment::UNCOMMENT_ARGS, perform::<Editing<edit::comment::Uncomment>>),
    entry("file", "cached", file::cached::ARGS, perform::<file::cached::Cached>),
    entry("file", "copy", file::copy::ARGS, perform::<file::copy::Copy>),
    entry("file", "decode", file::decode::ARGS, perform::<file::decode::Decode>),
    entry("file", "exists", file::presence::ARGS, perform::<file::presence::Exists>),
    entry("file", "hardlink", file::hardlink::ARGS, perform::<file::hardlink::HardLink>),
    entry("file", "missing", file::presence::ARGS, perform::<file::presence::Missing>),
    entry("file", "not_cached", file::presence::ARGS, perform::<file::cached::NotCached>),
    ignoring(entry("file", "patch", file::patch::ARGS, perform::<file::patch::Patch>), file::patch::IGNORED),
    ignoring(
        entry("file", "recurse", file::recurse::ARGS, perform::<file::recurse::Recurse>),
        file::recurse::IGNORED,
    ),
    entry("file", "rename", file::rename::ARGS, perform::<file::rename::Rename>),
    Entry {
        own_check: true,
        ..ignoring(
            entry("file", "serialize", file::serialize::ARGS, perform::<file::serialize::Serialize>),
            file::serialize::IGNORED,
        )
    },
    entry("file", "touch", file::touch::ARGS, perform::<file::touch::Touch>),
    entry("group", "present", group::ARGS, perform::<group::Present>),
    ignoring(entry("pkg", "installed", pkg::ARGS, perform::<pkg::Installed>), pkg::IGNORED),
    watched(
        ignoring(entry("service", "dead", service::ARGS, perform::<service::Dead>), service::IGNORED),
        perform::<service::ReactDead>,
    ),
    watched(
        ignoring(entry("service", "running", service::ARGS, perform::<service::Running>), service::IGNORED),
        perform::<service::React>,
    ),
    watched(
        entry("test", "configurable_test_state", test::ARGS, perform::<test::Configurable>),
        perform::<test::React>,
    ),
    watched(
        entry("test", "fail_with_changes", test::ARGS, perform::<test::FailWithChanges>),
        perform::<test::React>,
    ),
    watched(entry("test", "fail_without_changes", test::ARGS, perform::<test::Fail>), perform::<test::React>),
    watched(entry("test", "nop", test::ARGS, perform::<test::Nop>), perform::<test::React>),
    watched(entry("test", "show_notification", test::ARGS, perform::<test::Notify>), perform::<test::React>),
    watched(
        entry("test", "succeed_with_changes", test::ARGS, perform::<test::SucceedWithChanges>),
        perform::<test::React>,
    ),
    watched(
        entry("test", "succeed_without_changes", test::ARGS, perform::<test::Nop>),
        perform::<test::React>,
    ),
    ignoring(entry("user", "present", user::ARGS, perform::<user::Present>), user::IGNORED),
];

/// All of them: those above, and those that [`table`] has.
fn entries() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().chain(table::ENTRIES)
}

/// Whether there is a state function of that name.
pub fn known(state: &str, fun: &str) -> bool {
    find(state, fun).is_some()
}

/// Whether the state function reacts to `watch` and `listen`.
pub fn has_mod_watch(state: &str, fun: &str) -> bool {
    find(state, fun).is_some_and(|e| e.watch.is_some())
}

/// The registry as the compiler asks for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry;

impl StateFunctions for Registry {
    fn known(&self, state: &str, fun: &str) -> bool {
        known(state, fun)
    }

    fn has_mod_watch(&self, state: &str) -> bool {
        entries().any(|e| e.state == state && e.watch.is_some())
    }
}

/// Every state function, as `state.fun`, sorted.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = entries().map(|e| format!("{}.{}", e.state, e.fun)).collect();
    names.sort();
    names
}

/// A sentence about a state function that does not exist, with the nearest that does.
pub fn unknown(state: &str, fun: &str) -> String {
    let asked = format!("{state}.{fun}");
    if unsupported::is_of_salt(state) {
        return format!("{asked} is not supported: there are no `{state}` states here");
    }
    let names = names();
    match nearest(&asked, names.iter().map(String::as_str)) {
        Some(near) => format!("there is no state function {asked}; did you mean {near}?"),
        None => format!("there is no state function {asked}"),
    }
}

pub(crate) fn find(state: &str, fun: &str) -> Option<&'static Entry> {
    entries().find(|e| e.state == state && e.fun == fun)
}

/// A warning for each argument that the function does not have, or that makes no difference.
pub(crate) fn misspelt(entry: &Entry, args: &Map) -> Vec<String> {
    if matches!(entry.state, "module" | "iptables") {
        // Every other key is a function, or an argument of one; or an option of the packet filter.
        return Vec::new();
    }
    let known = |key: &str| is_common(key) || entry.args.contains(&key);
    let strange = args.keys().filter(|key| !known(key));
    strange.map(|key| strange_argument(entry, key)).collect()
}

/// Whether every declaration may have this key.
pub(crate) fn is_common(key: &str) -> bool {
    key.starts_with("__") || COMMON.contains(&key)
}

fn strange_argument(entry: &Entry, key: &str) -> String {
    let name = format!("{}.{}", entry.state, entry.fun);
    if entry.ignored.contains(&key) {
        return format!("`{key}` makes no difference to {name} here");
    }
    match nearest(key, entry.args.iter().chain(COMMON).copied()) {
        Some(near) => format!("{name} has no argument `{key}`; did you mean `{near}`?"),
        None => format!("{name} has no argument `{key}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_function_and_argument_are_told_with_the_nearest() {
        assert_eq!(
            unknown("file", "manged"),
            "there is no state function file.manged; did you mean file.managed?"
        );
        let entry = find("file", "managed").unwrap();
        let args = Map::from([
            ("souce".to_owned(), crate::value::Value::Null),
            ("__sls__".to_owned(), crate::value::Value::Null),
        ]);
        assert_eq!(misspelt(entry, &args), ["file.managed has no argument `souce`; did you mean `source`?"]);
    }

    #[test]
    fn only_some_react_to_a_watch() {
        assert!(has_mod_watch("service", "running"));
        assert!(has_mod_watch("cmd", "wait"));
        assert!(!has_mod_watch("file", "managed"));
        assert!(!known("file", "nothing"));
    }

    #[test]
    fn the_page_of_state_functions_names_all_of_them_and_their_arguments() {
        let page = include_str!("../../../docs/state-functions.md");
        for entry in entries().filter(|e| e.state != "test") {
            let name = format!("`{}.{}`", entry.state, entry.fun);
            let row = page.lines().find(|l| l.starts_with('|') && l.contains(&name));
            let row = row.unwrap_or_else(|| panic!("{name} is not in docs/state-functions.md"));
            for arg in entry.args {
                assert!(
                    page.contains(&format!("`{arg}`")),
                    "{arg} of {name} is not in docs/state-functions.md: {row}"
                );
            }
        }
    }
}
