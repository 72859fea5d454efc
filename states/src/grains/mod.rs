//! Grains: what a machine says of itself, with the names and values that Salt's core grains have.
//!
//! [`facts::Facts`] are read from the machine once; everything else is a function of them.

pub mod distribution;
pub mod facts;

use facts::{Facts, Interface};

use crate::value::{Map, Value};
use distribution::Distribution;

/// The Salt release whose behaviour this crate follows, shown as the grain `saltversion`.
pub const SALT_VERSION: &str = "3008.3";

/// The grains of a machine. The caller merges its own (role, environment, `ec2`) over them.
pub fn collect(facts: &Facts) -> Map {
    let distribution = Distribution::from_os_release(&facts.os_release);
    let mut grains = Map::new();
    grains.extend(identity(facts));
    grains.extend(operating_system(facts, &distribution));
    grains.extend(hardware(facts));
    grains.extend(network(&facts.interfaces));
    grains.extend(software(facts));
    grains
}

fn identity(facts: &Facts) -> Map {
    let (host, domain) = facts.fqdn.split_once('.').unwrap_or((&facts.fqdn, ""));
    map([
        ("id", text(&facts.fqdn)),
        ("fqdn", text(&facts.fqdn)),
        ("host", text(host)),
        ("domain", text(domain)),
        ("nodename", text(&facts.nodename)),
        ("localhost", text(&facts.nodename)),
        ("machine_id", text(&facts.machine_id)),
        ("master", text("salt")),
    ])
}

fn operating_system(facts: &Facts, distribution: &Distribution) -> Map {
    let mut grains = map([
        ("kernel", text(&facts.kernel)),
        ("kernelrelease", text(&facts.kernel_release)),
        ("kernelversion", text(&facts.kernel_version)),
        ("os", text(&distribution.os)),
        ("os_family", text(&distribution.family)),
        ("osfullname", text(&distribution.full_name)),
        ("oscodename", text(&distribution.codename)),
        ("osrelease", text(&distribution.release)),
        ("osrelease_info", Value::List(distribution.release_info())),
        ("osfinger", text(&distribution.finger())),
        ("lsb_distrib_id", text(&distribution.full_name)),
        ("lsb_distrib_release", text(&distribution.release)),
        ("lsb_distrib_codename", text(&distribution.codename)),
        ("init", text(&facts.init)),
    ]);
    if let Some(major) = distribution.major_release() {
        grains.insert("osmajorrelease".to_owned(), Value::Int(major));
    }
    if let Some(version) = &facts.systemd_version {
        grains.insert("systemd".to_owned(), Value::Map(map([("version", text(version))])));
    }
    grains
}

fn hardware(facts: &Facts) -> Map {
    let family = Distribution::from_os_release(&facts.os_release).family;
    map([
        ("cpuarch", text(&facts.machine)),
        ("osarch", text(os_arch(&family, &facts.machine))),
        ("num_cpus", Value::Int(facts.num_cpus)),
        ("cpu_model", text(facts::cpu_model(&facts.cpuinfo))),
        ("mem_total", Value::Int(facts::mebibytes(&facts.meminfo, "MemTotal"))),
        ("swap_total", Value::Int(facts::mebibytes(&facts.meminfo, "SwapTotal"))),
        ("virtual", text(&facts.virtual_kind)),
    ])
}

/// The package manager's word for the architecture: dpkg has its own, rpm and apk keep the kernel's.
fn os_arch<'a>(family: &str, machine: &'a str) -> &'a str {
    match (family, machine) {
        ("Debian", "x86_64") => "amd64",
        ("Debian", "aarch64") => "arm64",
        ("Debian", "i686") => "i386",
        ("Debian", "armv7l") => "armhf",
        _ => machine,
    }
}

fn network(interfaces: &[Interface]) -> Map {
    let by_name = |pick: fn(&Interface) -> Value| {
        Value::Map(interfaces.iter().map(|i| (i.name.clone(), pick(i))).collect())
    };
    let with_mac = interfaces.iter().filter_map(|i| Some((i.name.clone(), text(i.hardware.as_deref()?))));
    map([
        ("hwaddr_interfaces", Value::Map(with_mac.collect())),
        ("ip4_interfaces", by_name(|i| texts(i.ip4.iter()))),
        ("ip6_interfaces", by_name(|i| texts(i.ip6.iter()))),
        ("ip_interfaces", by_name(|i| texts(i.ip4.iter().chain(&i.ip6)))),
        ("ipv4", sorted_texts(interfaces.iter().flat_map(|i| &i.ip4))),
        ("ipv6", sorted_texts(interfaces.iter().flat_map(|i| &i.ip6))),
        ("fqdn_ip4", texts(interfaces.iter().filter(|i| i.name != "lo").flat_map(|i| &i.ip4))),
        ("fqdn_ip6", Value::List(Vec::new())),
    ])
}

fn software(facts: &Facts) -> Map {
    let version = SALT_VERSION.split('.').filter_map(|part| part.parse().ok()).map(Value::Int).collect();
    let locale = map([
        ("defaultlanguage", text(&facts.language)),
        ("defaultencoding", text("UTF-8")),
        ("detectedencoding", text("utf-8")),
        ("timezone", text(&facts.timezone)),
    ]);
    map([
        ("path", text(&facts.path)),
        ("systempath", texts(facts.path.split(':').filter(|p| !p.is_empty()))),
        ("shell", text(&facts.shell)),
        ("username", text(&facts.username)),
        ("groupname", text(&facts.groupname)),
        ("uid", Value::Int(facts.uid)),
        ("gid", Value::Int(facts.gid)),
        ("pid", Value::Int(facts.pid)),
        ("locale_info", Value::Map(locale)),
        ("saltversion", text(SALT_VERSION)),
        ("saltversioninfo", Value::List(version)),
        (
            "pythonversion",
            Value::List(vec![Value::Int(3), Value::Int(11), Value::Int(0), text("final"), Value::Int(0)]),
        ),
    ])
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Map {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

fn texts<T: AsRef<str>>(values: impl Iterator<Item = T>) -> Value {
    Value::List(values.map(|v| text(v.as_ref())).collect())
}

fn sorted_texts<'a>(values: impl Iterator<Item = &'a String>) -> Value {
    let mut all: Vec<&String> = values.collect();
    all.sort();
    all.dedup();
    texts(all.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian() -> Facts {
        Facts {
            os_release:
                "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n"
                    .to_owned(),
            fqdn: "web1.example.org".to_owned(),
            nodename: "web1".to_owned(),
            machine: "x86_64".to_owned(),
            meminfo: "MemTotal:        2097152 kB\nSwapTotal: 1024 kB\n".to_owned(),
            cpuinfo: "processor : 0\nmodel name\t: A Fast One\n".to_owned(),
            interfaces: vec![Interface {
                name: "eth0".to_owned(),
                hardware: Some("02:00:00:00:00:01".to_owned()),
                ip4: vec!["192.0.2.2".to_owned()],
                ip6: vec![],
            }],
            ..Facts::default()
        }
    }

    /// The values that `salt-call --local grains.items` of Salt 3008.3 gives on Debian 12.
    #[test]
    fn debian_12_has_salts_values() {
        let grains = collect(&debian());
        for (key, value) in [
            ("os", "Debian"),
            ("os_family", "Debian"),
            ("osfullname", "Debian GNU/Linux"),
            ("oscodename", "bookworm"),
            ("osrelease", "12"),
            ("osfinger", "Debian-12"),
            ("osarch", "amd64"),
            ("cpuarch", "x86_64"),
            ("host", "web1"),
            ("domain", "example.org"),
            ("cpu_model", "A Fast One"),
        ] {
            assert_eq!(grains.get(key).and_then(Value::as_str), Some(value), "{key}");
        }
        assert_eq!(grains["osmajorrelease"], Value::Int(12));
        assert_eq!(grains["mem_total"], Value::Int(2048));
        assert_eq!(grains["ipv4"], texts(["192.0.2.2"].iter()));
    }
}
