//! The state functions beyond files, packages, accounts and services, by module.

use super::textfile::Editing;
use super::{Entry, entry, ignoring, watched};
use super::{
    alias, alternatives, archive, cmd, cmd_script, cron, cron_env, debconf, environ, file, gem, git,
    git_config, git_more, gone, host, http, ini, iptables, locale, module, mount, npm, pip, pip_more, pkg,
    pkg_held, pkg_removed, pkg_uptodate, pkgrepo, release, service_boot, ssh_auth, ssh_known_hosts,
    supervisord, swap, sysctl, timezone, unsupported, virtualenv,
};
use crate::engine::step::{Call, Return, StateFn, perform};

/// An editor of one file as a state function.
fn edit<E: super::textfile::Editor>(call: &Call<'_>) -> Return {
    perform::<Editing<E>>(call)
}

const fn run<F: StateFn>(state: &'static str, fun: &'static str, args: &'static [&'static str]) -> Entry {
    entry(state, fun, args, perform::<F>)
}

const fn editing<E: super::textfile::Editor>(
    state: &'static str,
    fun: &'static str,
    args: &'static [&'static str],
) -> Entry {
    entry(state, fun, args, edit::<E>)
}

/// Whatever is asked of a function that is not built.
const ANY: &[&str] = &[];

pub(super) static ENTRIES: &[Entry] = &[
    editing::<alias::Absent>("alias", "absent", &[]),
    editing::<alias::Present>("alias", "present", alias::PRESENT),
    run::<alternatives::Auto>("alternatives", "auto", &[]),
    run::<alternatives::Install>("alternatives", "install", alternatives::INSTALL),
    run::<alternatives::Remove>("alternatives", "remove", alternatives::PATH),
    run::<alternatives::Set>("alternatives", "set", alternatives::PATH),
    ignoring(run::<archive::Extracted>("archive", "extracted", archive::ARGS), archive::IGNORED),
    watched(
        ignoring(run::<cmd_script::Run>("cmd", "script", cmd_script::ARGS), cmd::IGNORED),
        perform::<cmd_script::Run>,
    ),
    watched(
        ignoring(run::<cmd_script::Wait>("cmd", "wait_script", cmd_script::ARGS), cmd::IGNORED),
        perform::<cmd_script::Run>,
    ),
    ignoring(editing::<cron::Absent>("cron", "absent", cron::ABSENT), cron::ABSENT_IGNORED),
    editing::<cron_env::EnvAbsent>("cron", "env_absent", cron_env::ABSENT),
    editing::<cron_env::EnvPresent>("cron", "env_present", cron_env::PRESENT),
    ignoring(editing::<cron::File>("cron", "file", cron::FILE), cron::FILE_IGNORED),
    editing::<cron::Present>("cron", "present", cron::PRESENT),
    run::<debconf::Set>("debconf", "set", debconf::SET),
    run::<debconf::SetFile>("debconf", "set_file", debconf::SET_FILE),
    ignoring(run::<environ::Setenv>("environ", "setenv", environ::SETENV), environ::IGNORED),
    run::<file::mknod::MakeNode>("file", "mknod", file::mknod::ARGS),
    run::<file::tidied::Tidied>("file", "tidied", file::tidied::ARGS),
    run::<gem::Installed>("gem", "installed", gem::INSTALLED),
    run::<gem::Removed>("gem", "removed", gem::REMOVED),
    run::<gem::SourcesAdd>("gem", "sources_add", gem::SOURCES),
    run::<gem::SourcesRemove>("gem", "sources_remove", gem::SOURCES),
    ignoring(run::<git_more::Cloned>("git", "cloned", git_more::CLONED), git_more::IGNORED),
    ignoring(run::<git_config::ConfigSet>("git", "config_set", git_config::SET), git_config::IGNORED),
    ignoring(run::<git_config::ConfigUnset>("git", "config_unset", git_config::UNSET), git_config::IGNORED),
    ignoring(run::<git_more::Detached>("git", "detached", git_more::DETACHED), git_more::IGNORED),
    ignoring(run::<git::Latest>("git", "latest", git::LATEST), git::IGNORED),
    ignoring(run::<gone::GroupAbsent>("group", "absent", &[]), gone::IGNORED),
    editing::<host::Absent>("host", "absent", host::ABSENT),
    editing::<host::Only>("host", "only", host::ONLY),
    editing::<host::Present>("host", "present", host::PRESENT),
    ignoring(run::<http::Once>("http", "query", http::ARGS), http::IGNORED),
    ignoring(run::<http::Wait>("http", "wait_for_successful_query", http::ARGS), http::IGNORED),
    editing::<ini::OptionsAbsent>("ini", "options_absent", ini::OTHERS),
    editing::<ini::OptionsPresent>("ini", "options_present", ini::PRESENT),
    editing::<ini::SectionsAbsent>("ini", "sections_absent", ini::OTHERS),
    editing::<ini::SectionsPresent>("ini", "sections_present", ini::OTHERS),
    run::<iptables::Append>("iptables", "append", iptables::RULE),
    run::<iptables::ChainAbsent>("iptables", "chain_absent", iptables::CHAIN),
    run::<iptables::ChainPresent>("iptables", "chain_present", iptables::CHAIN),
    run::<iptables::Delete>("iptables", "delete", iptables::RULE),
    run::<iptables::Flush>("iptables", "flush", iptables::FLUSH),
    run::<iptables::Insert>("iptables", "insert", iptables::RULE),
    run::<iptables::SetPolicy>("iptables", "set_policy", iptables::POLICY),
    run::<locale::Present>("locale", "present", &[]),
    editing::<locale::System>("locale", "system", &[]),
    watched(run::<module::Run>("module", "run", module::ARGS), perform::<module::Run>),
    watched(run::<module::Wait>("module", "wait", module::ARGS), perform::<module::Run>),
    watched(
        ignoring(run::<mount::Mounted>("mount", "mounted", mount::MOUNTED), mount::IGNORED),
        perform::<mount::Remount>,
    ),
    run::<swap::Swap>("mount", "swap", swap::ARGS),
    run::<mount::Unmounted>("mount", "unmounted", mount::UNMOUNTED),
    ignoring(run::<npm::Bootstrap>("npm", "bootstrap", npm::BOOTSTRAP), npm::IGNORED),
    run::<npm::Installed>("npm", "installed", npm::INSTALLED),
    run::<npm::Removed>("npm", "removed", npm::REMOVED),
    ignoring(run::<pip::Install>("pip", "installed", pip::ARGS), pip::IGNORED),
    ignoring(run::<pip_more::Remove>("pip", "removed", pip_more::ARGS), pip_more::IGNORED),
    ignoring(run::<pip_more::Uptodate>("pip", "uptodate", pip_more::ARGS), pip_more::IGNORED),
    ignoring(run::<pkg_held::Held>("pkg", "held", pkg_held::HELD), pkg_held::IGNORED),
    ignoring(run::<pkg::Latest>("pkg", "latest", pkg::LATEST), pkg::IGNORED),
    ignoring(run::<pkg_removed::Removed<true>>("pkg", "purged", pkg_removed::ARGS), pkg_removed::IGNORED),
    ignoring(run::<pkg_removed::Removed<false>>("pkg", "removed", pkg_removed::ARGS), pkg_removed::IGNORED),
    ignoring(run::<pkg_held::Unheld>("pkg", "unheld", pkg_held::UNHELD), pkg_held::IGNORED),
    ignoring(run::<pkg_uptodate::Uptodate>("pkg", "uptodate", pkg_uptodate::ARGS), pkg_uptodate::IGNORED),
    ignoring(entry("pkgrepo", "absent", pkgrepo::ABSENT, pkgrepo::absent), pkgrepo::IGNORED),
    ignoring(entry("pkgrepo", "managed", pkgrepo::MANAGED, pkgrepo::managed), pkgrepo::IGNORED),
    run::<release::Active>("release", "active", release::ARGS),
    ignoring(
        run::<service_boot::Disabled>("service", "disabled", service_boot::ENABLED),
        service_boot::IGNORED,
    ),
    ignoring(
        run::<service_boot::Enabled>("service", "enabled", service_boot::ENABLED),
        service_boot::IGNORED,
    ),
    run::<service_boot::SetMask<true>>("service", "masked", service_boot::MASKED),
    run::<service_boot::SetMask<false>>("service", "unmasked", service_boot::MASKED),
    ignoring(editing::<ssh_auth::Absent>("ssh_auth", "absent", ssh_auth::ARGS), ssh_auth::IGNORED),
    ignoring(editing::<ssh_auth::Manage>("ssh_auth", "manage", ssh_auth::MANAGE), ssh_auth::IGNORED),
    ignoring(editing::<ssh_auth::Present>("ssh_auth", "present", ssh_auth::ARGS), ssh_auth::IGNORED),
    editing::<ssh_known_hosts::Absent>("ssh_known_hosts", "absent", ssh_known_hosts::ABSENT),
    ignoring(
        editing::<ssh_known_hosts::Present>("ssh_known_hosts", "present", ssh_known_hosts::PRESENT),
        ssh_known_hosts::IGNORED,
    ),
    watched(run::<supervisord::Dead>("supervisord", "dead", supervisord::DEAD), perform::<supervisord::Dead>),
    watched(
        run::<supervisord::Running>("supervisord", "running", supervisord::RUNNING),
        perform::<supervisord::React>,
    ),
    run::<sysctl::Present>("sysctl", "present", sysctl::PRESENT),
    run::<timezone::System>("timezone", "system", timezone::SYSTEM),
    entry("acme", "cert", ANY, unsupported::refuse),
    entry("x509", "certificate_managed", ANY, unsupported::refuse),
    entry("x509", "crl_managed", ANY, unsupported::refuse),
    entry("x509", "csr_managed", ANY, unsupported::refuse),
    entry("x509", "pem_managed", ANY, unsupported::refuse),
    entry("x509", "private_key_managed", ANY, unsupported::refuse),
    ignoring(run::<gone::UserAbsent>("user", "absent", gone::USER), gone::IGNORED),
    ignoring(run::<virtualenv::Environment>("virtualenv", "managed", virtualenv::ARGS), virtualenv::IGNORED),
];
