//! What belongs to one machine, as a table: where it is, what becomes of it, and whether an image may have it all the same.

/// What becomes of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// The file goes.
    Remove,
    /// The file stays, empty: its being there means something.
    Empty,
    /// All below the folder goes, but for the entries with these names.
    Clear(&'static [&'static str]),
    /// Logs below the folder: old ones go, others are emptied, so that owners and modes stay.
    Logs,
}

/// One place.
#[derive(Debug)]
pub(super) struct Place {
    /// In words.
    pub(super) what: &'static str,
    /// The folder, below the root; `home/*` stands for each of them.
    pub(super) folder: &'static str,
    /// Which of its entries, for [`Act::Remove`] and [`Act::Empty`]: one `*` stands for anything.
    pub(super) names: &'static [&'static str],
    /// What becomes of it.
    pub(super) act: Act,
    /// Whether an image with it would be wrong: another machine's identity or secret.
    pub(super) vital: bool,
}

const fn files(what: &'static str, folder: &'static str, names: &'static [&'static str]) -> Place {
    Place { what, folder, names, act: Act::Remove, vital: true }
}

const fn folder(what: &'static str, folder: &'static str, act: Act, vital: bool) -> Place {
    Place { what, folder, names: &[], act, vital }
}

const HISTORIES: &[&str] = &[".*_history", ".lesshst", ".viminfo", ".wget-hsts"];

/// All places. The last compile holds what user-data and pillar said to the machine that made it.
pub(super) const PLACES: &[Place] = &[
    files("SSH host keys", "etc/ssh", &["ssh_host_*_key", "ssh_host_*_key.pub", "ssh_host_*_key-cert.pub"]),
    Place { what: "the machine id", folder: "etc", names: &["machine-id"], act: Act::Empty, vital: true },
    files("the machine id", "var/lib/dbus", &["machine-id"]),
    files("the random seed", "var/lib/systemd", &["random-seed"]),
    files("the random seed", "var/lib/urandom", &["random-seed"]),
    files("the random seed", "boot/efi/loader", &["random-seed"]),
    files("credentials of systemd", "var/lib/systemd", &["credential.secret"]),
    folder("the state of cloud-init", "var/lib/cloud", Act::Clear(&["seed"]), true),
    files("shell histories", "root", HISTORIES),
    files("shell histories", "home/*", HISTORIES),
    folder("the last compile", "var/cache/mayfly/compiled", Act::Clear(&[]), true),
    files("DHCP leases", "var/lib/dhcp", &["*.leases", "*.lease"]),
    files("DHCP leases", "var/lib/dhclient", &["*.leases", "*.lease"]),
    files("DHCP leases", "var/lib/NetworkManager", &["*.lease", "secret_key"]),
    folder("logs", "var/log", Act::Logs, false),
    folder("temporary files", "tmp", Act::Clear(&[]), false),
    folder("temporary files", "var/tmp", Act::Clear(&[]), false),
];

/// Files of the state directory that speak of the builder.
pub(super) const OWN: &[&str] = &["status.json", "pinned"];
