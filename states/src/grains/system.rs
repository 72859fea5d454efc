//! Grains of the running system: kernel, its parameters, init, systemd, SELinux.

use super::read::Root;
use super::{map, opt, text};
use crate::value::{Map, Value};

/// What is read of the running system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct System {
    /// uname's sysname.
    pub kernel: String,
    /// uname's release.
    pub kernel_release: String,
    /// uname's version.
    pub kernel_version: String,
    /// uname's machine.
    pub machine: String,
    /// `/etc/machine-id`.
    pub machine_id: Option<String>,
    /// `/proc/cmdline`.
    pub command_line: Option<String>,
    /// `systemd`, `sysvinit`, … or `unknown`: what process 1 is.
    pub init: String,
    /// systemd's version where it is installed.
    pub systemd: Option<String>,
    /// SELinux's mode where its tools are installed: nothing, `Permissive` or `Enforcing`.
    pub selinux: Option<Option<String>>,
    /// Whether the system is updated in transactions.
    pub transactional: bool,
}

impl System {
    pub(crate) fn read(root: &Root) -> Self {
        let uname = rustix::system::uname();
        let word = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        let machine_id = root.first(&["etc/machine-id", "var/lib/dbus/machine-id"]);
        Self {
            kernel: word(uname.sysname()),
            kernel_release: word(uname.release()),
            kernel_version: word(uname.version()),
            machine: word(uname.machine()),
            machine_id: machine_id.map(|id| id.trim().to_owned()),
            command_line: root.text("proc/cmdline"),
            init: init(root),
            systemd: systemd(root),
            selinux: root.program("selinuxenabled").map(|_| selinux(root)),
            transactional: root.program("transactional-update").is_some(),
        }
    }

    pub(crate) fn grains(&self) -> Map {
        let mut grains = map([
            ("kernel", text(&self.kernel)),
            ("kernelrelease", text(&self.kernel_release)),
            ("kernelversion", text(&self.kernel_version)),
            ("cpuarch", text(&self.machine)),
            ("init", text(&self.init)),
            ("transactional", Value::Bool(self.transactional)),
        ]);
        grains.extend(opt("machine_id", self.machine_id.as_deref().map(text)));
        grains.extend(opt("kernelparams", self.command_line.as_deref().and_then(parameters)));
        let systemd = |version: &str| Value::Map(map([("version", text(version)), ("features", text(""))]));
        grains.extend(opt("systemd", self.systemd.as_deref().map(systemd)));
        grains.extend(opt("selinux", self.selinux.as_ref().map(|mode| selinux_grain(mode.as_deref()))));
        grains
    }
}

/// Pairs of name and value; as Salt has it, a value with another `=` in it is none.
fn parameters(command_line: &str) -> Option<Value> {
    let pair = |word: &String| {
        let parts: Vec<&str> = word.split('=').collect();
        let value = match parts.as_slice() {
            [_, value] => text(value.trim_matches('"')),
            _ => Value::Null,
        };
        Value::List(vec![text(parts.first().unwrap_or(&"")), value])
    };
    Some(Value::List(words(command_line)?.iter().map(pair).collect()))
}

/// The words of a line as a shell takes it apart, without comments; nothing where a quotation does not end.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') => {
                let next = characters.next()?;
                let hidden = if ['"', '\\'].contains(&next) { "" } else { "\\" };
                word.get_or_insert_default().extend(hidden.chars().chain([next]));
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, c) if c.is_whitespace() => all.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    quote.is_none().then_some(all)
}

/// systemd where it runs; else what the command line of process 1 tells, or the text of its program.
fn init(root: &Root) -> String {
    if root.exists("run/systemd/system") {
        return "systemd".to_owned();
    }
    let line = root.text("proc/1/cmdline").unwrap_or_default().replace('\0', " ");
    let line: Vec<&str> = line.split_whitespace().collect();
    let program = line.first().and_then(|first| root.program(first)).unwrap_or_default();
    if program.ends_with("bin/init") {
        let bytes = root.bytes(program.trim_start_matches('/')).unwrap_or_default();
        return init_in(&bytes).to_owned();
    }
    let runs = |name: &&str| root.program(name).is_some_and(|path| line.contains(&&*path));
    if let Some(name) = ["supervisord", "dumb-init", "tini"].into_iter().find(runs) {
        return name.to_owned();
    }
    let runit = line == ["runit"] || line.contains(&"/sbin/my_init");
    if runit { "runit" } else { "unknown" }.to_owned()
}

/// The init system that a program's text names first.
fn init_in(program: &[u8]) -> &'static str {
    let lower = program.to_ascii_lowercase();
    let known = ["upstart", "sysvinit", "systemd"];
    known
        .into_iter()
        .find(|name| lower.windows(name.len()).any(|w| w == name.as_bytes()))
        .unwrap_or("unknown")
}

/// The version in the name of systemd's private library, which every systemd since 2016 has: no process is started.
fn systemd(root: &Root) -> Option<String> {
    root.program("systemctl").and(root.program("localectl"))?;
    let folders = [
        "usr/lib/systemd",
        "lib/systemd",
        "usr/lib/x86_64-linux-gnu/systemd",
        "usr/lib/aarch64-linux-gnu/systemd",
        "usr/lib64/systemd",
    ];
    let version = |name: &String| {
        Some(name.strip_prefix("libsystemd-shared-")?.split(['.', '-', '~']).next()?.to_owned())
    };
    let found = folders.iter().find_map(|folder| root.names(folder).iter().find_map(version));
    Some(found.unwrap_or_else(|| "UNDEFINED".to_owned()))
}

fn selinux(root: &Root) -> Option<String> {
    let enforced = root.line("sys/fs/selinux/enforce")?;
    Some(if enforced == "1" { "Enforcing" } else { "Permissive" }.to_owned())
}

fn selinux_grain(mode: Option<&str>) -> Value {
    Value::Map(map([
        ("enabled", Value::Bool(mode.is_some())),
        ("enforced", text(mode.unwrap_or("Disabled"))),
    ]))
}

/// The package manager's word for the architecture: dpkg has its own, rpm and apk keep the kernel's.
pub(crate) fn os_arch<'a>(family: &str, machine: &'a str) -> &'a str {
    match (family, machine) {
        ("Debian", "x86_64") => "amd64",
        ("Debian", "aarch64") => "arm64",
        ("Debian", "i386" | "i486" | "i586" | "i686") => "i386",
        ("Debian", "armv6l" | "armv7l" | "armv8l") => "armhf",
        ("Debian", "ppc64le") => "ppc64el",
        _ => machine,
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::written;
    use super::*;

    #[test]
    fn parameters_of_the_kernel() {
        let pair = |name: &str, value: Value| Value::List(vec![text(name), value]);
        let read = parameters("quiet root=UUID=1 console=\"tty S0\" x='' y=\\\"1\\\" #no\n").unwrap();
        let all = vec![
            pair("quiet", Value::Null),
            pair("root", Value::Null),
            pair("console", text("tty S0")),
            pair("x", text("")),
            pair("y", text("1")),
            pair("#no", Value::Null),
        ];
        assert_eq!(read, Value::List(all));
        assert_eq!((parameters("a='b"), parameters("a\\")), (None, None));
    }

    #[test]
    fn init_by_what_runs_and_by_what_process_1_is() {
        let of = |files: &[(&str, &str)]| init(&Root(written(files).path()));
        let runit = ("proc/1/cmdline", "runit\0");
        assert_eq!((of(&[]), of(&[runit])), ("unknown".to_owned(), "runit".to_owned()));
        assert_eq!(of(&[runit, ("run/systemd/system/x", "")]), "systemd");
        assert_eq!((init_in(b"..SysVinit.."), init_in(b"busybox")), ("sysvinit", "unknown"));
    }

    #[test]
    fn selinux_and_machine_id_are_told_only_where_they_are() {
        let grains = System { selinux: Some(None), ..System::default() }.grains();
        assert_eq!(grains["selinux"].as_map().unwrap()["enforced"], text("Disabled"));
        assert!(!grains.contains_key("machine_id") && !grains.contains_key("systemd"));
        let bare = System::default().grains();
        assert!(!bare.contains_key("selinux"));
        assert_eq!(bare["transactional"], Value::Bool(false));
    }

    #[test]
    fn the_architecture_in_the_package_managers_words() {
        for (family, machine, arch) in [
            ("Debian", "aarch64", "arm64"),
            ("Debian", "i686", "i386"),
            ("RedHat", "aarch64", "aarch64"),
            ("Alpine", "x86_64", "x86_64"),
        ] {
            assert_eq!(os_arch(family, machine), arch);
        }
    }
}
