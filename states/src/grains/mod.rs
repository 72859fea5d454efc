//! Grains: what a machine says of itself, with the names and values that Salt's core grains have.
//!
//! [`facts::Facts`] are read from the machine once; everything else is a function of them. `docs/grains.md` tells every
//! grain, and where it differs from Salt's.

pub mod distribution;
pub mod facts;
pub mod hardware;
pub mod network;
mod os_release;
mod own;
pub mod process;
mod read;
pub mod system;
pub mod virtualization;

use sha2::{Digest, Sha256};

use crate::value::{Map, Value};
use distribution::Distribution;
use facts::Facts;

/// The Salt release whose behaviour this crate follows, shown as the grain `saltversion`.
pub const SALT_VERSION: &str = "3008.3";

/// The Python release that this Salt comes with, shown as the grain `pythonversion`.
const PYTHON_VERSION: [i64; 3] = [3, 11, 0];

/// The grains of a machine. The caller puts its own (role, environment, `ec2`) over them.
pub fn collect(facts: &Facts) -> Map {
    let distribution = Distribution::new(&facts.distribution);
    let fqdn = facts.network.fqdn();
    let mut grains = map([("id", text(&fqdn)), ("server_id", server_id(&fqdn))]);
    grains.extend(distributed(&distribution));
    grains.extend(facts.system.grains());
    let arch = system::os_arch(&distribution.family, &facts.system.machine);
    grains.insert("osarch".to_owned(), text(arch));
    grains.extend(facts.hardware.grains());
    grains.extend(facts.clues.grains(&facts.hardware));
    grains.extend(facts.network.grains());
    grains.extend(facts.process.grains());
    grains.extend(stated());
    grains.extend(facts.own.clone());
    grains
}

/// Grain `server_id`: a number made of the minion id, for whatever wants a number.
pub fn server_id(id: &str) -> Value {
    let hash = Sha256::digest(id.as_bytes());
    let last = hash.iter().rev().take(4).rev().fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    Value::Int(last % (1 << 31))
}

/// The distribution's grains.
fn distributed(distribution: &Distribution) -> Map {
    let mut grains = map([
        ("os", text(&distribution.os)),
        ("os_family", text(&distribution.family)),
        ("osfullname", text(&distribution.full_name)),
        ("oscodename", text(&distribution.codename)),
        ("osrelease", text(&distribution.release)),
    ]);
    let lsb = &distribution.lsb;
    for (key, value) in [
        ("lsb_distrib_id", &lsb.id),
        ("lsb_distrib_release", &lsb.release),
        ("lsb_distrib_codename", &lsb.codename),
        ("lsb_distrib_description", &lsb.description),
    ] {
        grains.extend(opt(key, value.as_deref().map(text)));
    }
    if !distribution.release.is_empty() {
        grains.insert("osrelease_info".to_owned(), Value::List(distribution.release_info()));
        grains.insert("osfinger".to_owned(), text(&distribution.finger()));
        grains.extend(opt("osmajorrelease", distribution.major_release().map(Value::Int)));
    }
    grains
}

/// Grains that say which Salt and Python trees may take this for.
fn stated() -> Map {
    let version = SALT_VERSION.split('.').filter_map(|part| part.parse().ok()).map(Value::Int).collect();
    let python = PYTHON_VERSION.map(Value::Int).into_iter().chain([text("final"), Value::Int(0)]).collect();
    map([
        ("master", text("salt")),
        ("saltversion", text(SALT_VERSION)),
        ("saltversioninfo", Value::List(version)),
        ("pythonversion", Value::List(python)),
        ("package", Value::Null),
        ("ps", text("ps -efHww")),
    ])
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Map {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn opt(key: &str, value: Option<Value>) -> Option<(String, Value)> {
    Some((key.to_owned(), value?))
}

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> Value {
    Value::List(values.into_iter().map(|value| Value::Str(value.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn this_machine_has_a_kernel_and_memory() {
        let grains = collect(&Facts::read(Path::new("/")));
        assert_eq!(grains["kernel"], text("Linux"));
        assert!(matches!(grains["mem_total"], Value::Int(1..)));
    }

    #[test]
    fn an_empty_root_gives_grains_too() {
        let folder = tempfile::tempdir().unwrap();
        let grains = collect(&Facts::read(folder.path()));
        assert_eq!((&grains["os"], &grains["mem_total"]), (&text("Linux"), &Value::Int(0)));
        assert!(!grains.contains_key("osfinger"));
    }

    /// Every file that is read, full of the same nonsense.
    #[test]
    fn nonsense_in_every_file_is_no_panic() {
        let files = [
            "etc/os-release",
            "etc/lsb-release",
            "etc/debian_version",
            "etc/centos-release",
            "etc/hosts",
            "etc/resolv.conf",
            "etc/localtime",
            "etc/machine-id",
            "etc/salt/grains",
            "proc/cpuinfo",
            "proc/meminfo",
            "proc/cmdline",
            "proc/mdstat",
            "proc/net/route",
            "proc/net/ipv6_route",
            "proc/1/cmdline",
            "proc/1/environ",
            "proc/1/cgroup",
            "proc/device-tree/model",
            "sys/class/dmi/id/product_uuid",
            "sys/hypervisor/version/major",
        ];
        let nonsense = [
            "\0",
            "=",
            ":",
            "\"",
            "(",
            ", ",
            "\\",
            "ü\u{a0}(ü",
            "-1 -1 -1 -1 -1 -1 -1 -1 -1 -1",
            "sortlist 1.2.3.4/99\nx",
            "NAME=\"\nVERSION=9 (\nVERSION_ID=.\nCPE_NAME=cpe:/:::\nDISTRIB_ID=\"",
            "0 0 0 0 0 0 0 0 0 0\n0 00 0 0 0 0 0 0 1",
        ];
        for text in nonsense {
            let folder = read::written(&files.map(|file| (file, text)));
            assert!(collect(&Facts::read(folder.path())).len() > 40, "{text}");
        }
    }

    #[test]
    fn a_server_id_is_salts_hash_of_the_id() {
        assert_eq!(server_id("vm"), Value::Int(2_067_164_805));
    }

    #[test]
    fn the_machines_own_grains_come_last() {
        let facts = Facts { own: map([("os", text("Mine")), ("rack", Value::Int(7))]), ..Facts::default() };
        let grains = collect(&facts);
        assert_eq!((&grains["os"], &grains["rack"]), (&text("Mine"), &Value::Int(7)));
    }
}
