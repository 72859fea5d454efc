//! `kmod.*` and `sysctl.*`: modules and parameters of the kernel.
// Effects: walks through the modules below the root of the machine.
#![allow(clippy::disallowed_methods)]

use super::asked::{Asked, truth};
use super::{Answer, Table, list, map, str_of, string};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: Table = &[
    ("kmod.available", available),
    ("kmod.check_available", check_available),
    ("kmod.is_loaded", is_loaded),
    ("kmod.lsmod", lsmod),
    ("kmod.mod_list", mod_list),
    ("sysctl.default_config", default_config),
    ("sysctl.get", get),
    ("sysctl.show", show),
];

/// Name, size, users and who they are, from `/proc/modules`.
fn loaded(asked: &Asked<'_>) -> Vec<(String, String, String, Vec<String>)> {
    let modules = asked.read_or_empty("/proc/modules");
    let module = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, size, users, by, ..] = fields.as_slice() else { return None };
        let by = by.split(',').filter(|b| !b.is_empty() && *b != "-").map(str::to_owned).collect();
        Some(((*name).to_owned(), (*size).to_owned(), (*users).to_owned(), by))
    };
    modules.lines().filter_map(module).collect()
}

fn lsmod(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let entry = |(name, size, users, by): (String, String, String, Vec<String>)| {
        map([
            ("size", string(size)),
            ("module", string(name)),
            ("depcount", string(users)),
            ("deps", list(by)),
        ])
    };
    Ok(Value::List(loaded(asked).into_iter().map(entry).collect()))
}

fn mod_list(asked: &Asked<'_>) -> Answer {
    let [only_persist] = asked.bind(["only_persist"])?;
    let mut names: Vec<String> = match truth(only_persist) {
        false => loaded(asked).into_iter().map(|(name, ..)| name).collect(),
        true => persistent(asked),
    };
    names.sort();
    names.dedup();
    Ok(list(names))
}

/// Modules that are loaded at boot.
fn persistent(asked: &Asked<'_>) -> Vec<String> {
    let systemd = asked.host.path("/usr/lib/systemd/systemd").exists();
    let file = if systemd { "/etc/modules-load.d/salt_managed.conf" } else { "/etc/modules" };
    let text = asked.read_or_empty(file);
    let lines = text.lines().map(str::trim).filter(|l| !l.starts_with('#'));
    lines.filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect()
}

fn is_loaded(asked: &Asked<'_>) -> Answer {
    let module = asked.only("mod")?;
    Ok(Value::Bool(loaded(asked).iter().any(|(name, ..)| *name == module)))
}

fn modules(asked: &Asked<'_>) -> Vec<String> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let root = format!("/lib/modules/{release}");
    let built_in = asked.read_or_empty(&format!("{root}/modules.builtin"));
    let stem =
        |path: &str| path.rsplit('/').next().and_then(|n| n.split_once(".ko")).map(|(n, _)| n.to_owned());
    let mut names: Vec<String> = built_in.lines().filter_map(stem).collect();
    let walk = walkdir::WalkDir::new(asked.host.path(&root)).max_depth(32).into_iter().flatten();
    let files = walk.take(100_000).filter(|e| !e.path().is_dir());
    names.extend(files.filter_map(|e| stem(&e.file_name().to_string_lossy())).map(|n| n.replace('-', "_")));
    names.sort();
    names
}

fn available(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    Ok(list(modules(asked)))
}

fn check_available(asked: &Asked<'_>) -> Answer {
    let module = asked.only("mod")?;
    Ok(Value::Bool(modules(asked).contains(&module)))
}

/// A parameter by its file below `/proc/sys`; of one that is not there, what the program `sysctl` says.
fn get(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let missing = || format!("sysctl: cannot stat {path}: No such file or directory");
    let inside = !name.contains("..") && asked.host.path(&path).is_file();
    Ok(string(if inside { asked.read(&path)?.trim_end().to_owned() } else { missing() }))
}

fn show(asked: &Asked<'_>) -> Answer {
    let [file] = asked.bind(["config_file"])?;
    if let Some(file) = file.filter(|f| truth(Some(f))).map(str_of) {
        if !asked.path(&file).is_file() {
            return Ok(Value::List(Vec::new()));
        }
        let text = asked.read(&file)?;
        let lines = text.lines().map(str::trim).filter(|l| !l.starts_with('#'));
        let pairs = lines.filter_map(|l| l.split_once('='));
        return Ok(map(pairs.map(|(k, v)| (k.trim_end(), string(v.trim_start())))));
    }
    let all = asked.run(&["sysctl", "-a"])?.out();
    let pairs = all.lines().filter_map(|line| line.split_once(" = "));
    Ok(Value::Map(pairs.map(|(k, v)| (k.to_owned(), string(v))).collect::<Map>()))
}

fn default_config(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let systemd = asked.host.path("/run/systemd/system").is_dir();
    Ok(string(if systemd { "/etc/sysctl.d/99-salt.conf" } else { "/etc/sysctl.conf" }))
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn modules_and_parameters() {
        let bench = Bench::new(&[
            ("/proc/modules", "nf_tables 300 5 a,b, Live 0x0\nfuse 100 0 - Live 0x0\n"),
            ("/proc/sys/net/ipv4/ip_forward", "1\n"),
            ("/etc/sysctl.d/a.conf", "# c\nvm.swappiness = 10\n"),
        ]);
        assert_eq!(bench.json("kmod.mod_list", &[]), "[\"fuse\",\"nf_tables\"]");
        assert_eq!(bench.json("kmod.is_loaded", &["fuse"]), "true");
        assert!(bench.json("kmod.lsmod", &[]).contains("\"depcount\":\"5\",\"deps\":[\"a\",\"b\"]"));
        assert_eq!(bench.json("sysctl.get", &["net.ipv4.ip_forward"]), "\"1\"");
        assert!(bench.json("sysctl.get", &["no.pe"]).contains("cannot stat /proc/sys/no/pe"));
        assert_eq!(bench.json("sysctl.show", &["/etc/sysctl.d/a.conf"]), "{\"vm.swappiness\":\"10\"}");
    }
}
