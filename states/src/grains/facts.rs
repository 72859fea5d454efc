//! What is read from the machine for its grains, once: files below a root, uname, interfaces, the environment.
// Effects: this is where grains touch the machine.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::unistd::{Gid, Group, Uid, User};

/// A network interface and its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Such as `eth0`.
    pub name: String,
    /// MAC address, lower case with colons.
    pub hardware: Option<String>,
    /// IPv4 addresses.
    pub ip4: Vec<String>,
    /// IPv6 addresses.
    pub ip6: Vec<String>,
}

/// Raw facts; [`super::collect`] makes grains of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Text of `/etc/os-release` (or `/usr/lib/os-release`).
    pub os_release: String,
    /// uname's sysname.
    pub kernel: String,
    /// uname's release.
    pub kernel_release: String,
    /// uname's version.
    pub kernel_version: String,
    /// uname's machine.
    pub machine: String,
    /// uname's nodename.
    pub nodename: String,
    /// Fully qualified name as `/etc/hosts` has it, else the nodename.
    pub fqdn: String,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// `/proc/meminfo`.
    pub meminfo: String,
    /// `/proc/cpuinfo`.
    pub cpuinfo: String,
    /// Processors on line.
    pub num_cpus: i64,
    /// `systemd`, `upstart`, … or `unknown`: what process 1 is.
    pub init: String,
    /// systemd's version where it is installed.
    pub systemd_version: Option<String>,
    /// `physical`, `container`, `kvm`, `xen` or `VirtualPC`, as far as files tell.
    pub virtual_kind: String,
    /// Interfaces by name.
    pub interfaces: Vec<Interface>,
    /// `$PATH`.
    pub path: String,
    /// `$SHELL`, else `/bin/sh`.
    pub shell: String,
    /// `$LANG` without its encoding.
    pub language: String,
    /// `/etc/timezone`, else `UTC`.
    pub timezone: String,
    /// Name of the effective user.
    pub username: String,
    /// Name of the effective group.
    pub groupname: String,
    /// Effective user id.
    pub uid: i64,
    /// Effective group id.
    pub gid: i64,
    /// Process id.
    pub pid: i64,
}

impl Facts {
    /// Reads the machine, with its files below `root` (`/`). What cannot be read is left empty: a grain is a help, never
    /// a reason not to converge.
    pub fn read(root: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
        let either =
            |one: &str, other: &str| Some(read(one)).filter(|t| !t.is_empty()).unwrap_or_else(|| read(other));
        let var = |name: &str| std::env::var(name).unwrap_or_default();
        let (uid, gid) = (Uid::effective(), Gid::effective());
        let mut facts = Self {
            os_release: either("etc/os-release", "usr/lib/os-release"),
            machine_id: either("etc/machine-id", "var/lib/dbus/machine-id").trim().to_owned(),
            meminfo: read("proc/meminfo"),
            cpuinfo: read("proc/cpuinfo"),
            num_cpus: std::thread::available_parallelism().map_or(1, |n| i64::try_from(n.get()).unwrap_or(1)),
            init: init_of(&read("proc/1/comm")),
            systemd_version: systemd_version(root),
            virtual_kind: virtual_kind(root),
            interfaces: interfaces(),
            path: var("PATH"),
            shell: Some(var("SHELL")).filter(|s| !s.is_empty()).unwrap_or_else(|| "/bin/sh".to_owned()),
            language: var("LANG").split('.').next().filter(|l| !l.is_empty()).unwrap_or("en_US").to_owned(),
            timezone: Some(read("etc/timezone").trim().to_owned())
                .filter(|t| !t.is_empty())
                .unwrap_or_else(|| "UTC".to_owned()),
            username: User::from_uid(uid).ok().flatten().map(|u| u.name).unwrap_or_default(),
            groupname: Group::from_gid(gid).ok().flatten().map(|g| g.name).unwrap_or_default(),
            uid: i64::from(uid.as_raw()),
            gid: i64::from(gid.as_raw()),
            pid: i64::from(std::process::id()),
            ..Self::default()
        };
        facts.read_uname();
        facts.fqdn = fqdn(&read("etc/hosts"), &facts.nodename);
        facts
    }

    fn read_uname(&mut self) {
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        self.kernel = text(uname.sysname());
        self.kernel_release = text(uname.release());
        self.kernel_version = text(uname.version());
        self.machine = text(uname.machine());
        self.nodename = text(uname.nodename());
    }
}

/// A field of `/proc/meminfo` in MiB; 0 where it is absent.
pub fn mebibytes(meminfo: &str, field: &str) -> i64 {
    let value = |line: &str| {
        line.strip_prefix(field)?.strip_prefix(':')?.split_whitespace().next()?.parse::<i64>().ok()
    };
    meminfo.lines().find_map(value).unwrap_or(0) / 1024
}

/// The first processor's model name in `/proc/cpuinfo`.
pub fn cpu_model(cpuinfo: &str) -> &str {
    let model = |line: &'_ str| -> Option<usize> { line.starts_with("model name").then(|| line.find(':'))? };
    cpuinfo.lines().find_map(|line| model(line).map(|at| line[at + 1..].trim())).unwrap_or("Unknown")
}

fn init_of(comm: &str) -> String {
    match comm.trim() {
        name @ ("systemd" | "upstart" | "runit" | "openrc") => name.to_owned(),
        "init" => "sysvinit".to_owned(),
        "tini" | "supervisord" => comm.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// The version in the name of systemd's private library, which every systemd since 2015 has: no process is started.
fn systemd_version(root: &Path) -> Option<String> {
    let folders = [
        "usr/lib/systemd",
        "lib/systemd",
        "usr/lib/x86_64-linux-gnu/systemd",
        "usr/lib/aarch64-linux-gnu/systemd",
    ];
    folders.iter().find_map(|folder| {
        let entries = std::fs::read_dir(root.join(folder)).ok()?;
        entries.flatten().find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix("libsystemd-shared-")?.split(['.', '-']).next()?.to_owned();
            Some(version)
        })
    })
}

fn virtual_kind(root: &Path) -> String {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    if root.join(".dockerenv").exists() || read("proc/1/environ").contains("container=") {
        return "container".to_owned();
    }
    let dmi = read("sys/class/dmi/id/sys_vendor") + &read("sys/class/dmi/id/product_name");
    let known =
        [("Amazon EC2", "kvm"), ("QEMU", "kvm"), ("KVM", "kvm"), ("Xen", "xen"), ("Microsoft", "VirtualPC")];
    known.iter().find(|(word, _)| dmi.contains(word)).map_or("physical", |(_, kind)| kind).to_owned()
}

/// The first name of the line that lists the nodename, as getfqdn finds it.
fn fqdn(hosts: &str, nodename: &str) -> String {
    let line_names = |line: &str| -> Vec<String> {
        line.split('#').next().unwrap_or_default().split_whitespace().skip(1).map(str::to_owned).collect()
    };
    let names = hosts.lines().map(line_names).find(|names| names.iter().any(|name| name == nodename));
    let dotted = names
        .and_then(|names| names.into_iter().find(|name| name.contains('.') && name.starts_with(nodename)));
    dotted.unwrap_or_else(|| nodename.to_owned())
}

fn interfaces() -> Vec<Interface> {
    let Ok(addresses) = getifaddrs() else { return Vec::new() };
    let mut by_name: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in addresses {
        let interface = by_name.entry(entry.interface_name.clone()).or_default();
        interface.name = entry.interface_name;
        let Some(address) = entry.address else { continue };
        if let Some(ip) = address.as_sockaddr_in() {
            interface.ip4.push(ip.ip().to_string());
        } else if let Some(ip) = address.as_sockaddr_in6() {
            interface.ip6.push(Ipv6Addr::to_string(&ip.ip()));
        } else if let Some(mac) = address.as_link_addr().and_then(nix::sys::socket::LinkAddr::addr) {
            interface.hardware = Some(mac.map(|byte| format!("{byte:02x}")).join(":"));
        }
    }
    by_name.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_kernel_memory_and_a_loopback() {
        let facts = Facts::read(Path::new("/"));
        assert_eq!(facts.kernel, "Linux");
        assert!(mebibytes(&facts.meminfo, "MemTotal") > 0);
        let loopback = facts.interfaces.iter().find(|i| i.name == "lo").expect("a loopback interface");
        assert_eq!(loopback.ip4, ["127.0.0.1"]);
    }

    #[test]
    fn the_fqdn_is_the_dotted_name_beside_the_nodename() {
        let hosts = "127.0.0.1 localhost\n10.0.0.1 web1.example.org web1 # this one\n";
        assert_eq!(fqdn(hosts, "web1"), "web1.example.org");
        assert_eq!(fqdn(hosts, "db1"), "db1");
    }
}
