//! A real init script, of the test's own.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use common::write_program;
use mayfly_watcher::supervisor::{Error, Fallback, Status, Supervisor, Sysv};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Starts a process of its own and keeps its id, as `start-stop-daemon` does.
const SCRIPT: &str = r#"#!/bin/sh
pid_file="DIR/pid"
running() { [ -f "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }
echo "$1" >>DIR/asked
case "$1" in
start) [ ! -f DIR/broken ] || { echo "web: port 80 is taken" >&2; exit 1; }
    setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >"$pid_file" ;;
stop) kill "$(cat "$pid_file")"; rm "$pid_file" ;;
restart) "$0" stop; "$0" start ;;
status) running || exit 3 ;;
*) echo "Usage: $0 start|stop|restart|status" >&2; exit 3 ;;
esac
"#;

/// What Debian's does, as far as the links of one run level show it.
const UPDATE_RC_D: &str = r#"#!/bin/sh
echo "$2 $1" >>DIR/linked
cd DIR/etc/rc2.d || exit 1
case "$2" in
defaults|defaults-disabled) [ -e S01$1 ] || [ -e K01$1 ] || ln -s ../init.d/$1 S01$1 ;;
enable) [ ! -e K01$1 ] || mv K01$1 S01$1 ;;
disable) [ ! -e S01$1 ] || mv S01$1 K01$1 ;;
esac
"#;

struct Machine {
    dir: tempfile::TempDir,
    sysv: Sysv,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sysv = Sysv::new(dir.path()).with_update_rc_d(dir.path().join("update-rc.d"));
        let machine = Self { dir, sysv };
        for made in ["etc/init.d", "etc/rc2.d"] {
            std::fs::create_dir_all(machine.path(made)).unwrap();
        }
        machine.script("etc/init.d/web", SCRIPT);
        machine.script("update-rc.d", UPDATE_RC_D);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        write_program(&self.path(name), &text.replace("DIR", &self.dir.path().display().to_string()));
    }

    fn pid(&self) -> String {
        std::fs::read_to_string(self.path("pid")).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.sysv.stop("web");
    }
}

#[test]
fn services_start_once_restart_and_stop() {
    let machine = Machine::new();
    let sysv = &machine.sysv;
    assert_eq!(sysv.status("web").unwrap(), Status::Stopped);
    sysv.start("web").unwrap();
    assert_eq!(sysv.status("web").unwrap(), Status::Running(None));
    let first = machine.pid();
    sysv.start("web").unwrap();
    assert_eq!(machine.pid(), first, "what runs is left alone");
    sysv.restart("web").unwrap();
    assert_ne!(machine.pid(), first);
    assert_eq!(sysv.status("web").unwrap(), Status::Running(None));
    sysv.stop("web").unwrap();
    sysv.stop("web").unwrap();
    assert_eq!(sysv.status("web").unwrap(), Status::Stopped);
    let asked = std::fs::read_to_string(machine.path("asked")).unwrap();
    assert_eq!(asked.lines().filter(|line| *line == "stop").count(), 2, "one by the restart, one by us");
}

#[test]
fn a_script_that_fails_says_why() {
    let machine = Machine::new();
    std::fs::write(machine.path("broken"), "").unwrap();
    let error = machine.sysv.start("web").unwrap_err().to_string();
    assert_eq!(error, "sysv could not start \"web\": web: port 80 is taken");
    let error = machine.sysv.reload("web").unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    machine.script("etc/init.d/liar", "#!/bin/sh\n[ \"$1\" != status ]\n");
    let sysv = machine.sysv.clone().with_patience(Duration::ZERO);
    let error = sysv.start("liar").unwrap_err().to_string();
    assert_eq!(error, "sysv could not start \"liar\": its script says that it does not run");
}

#[test]
fn only_scripts_that_can_be_run_are_services() {
    let machine = Machine::new();
    assert_eq!(machine.sysv.status("ghost").unwrap(), Status::Unknown);
    assert!(matches!(machine.sysv.start("ghost"), Err(Error::Unknown { .. })));
    std::fs::write(machine.path("etc/init.d/text"), "").unwrap();
    assert_eq!(machine.sysv.status("text").unwrap(), Status::Unknown);
}

#[test]
fn links_say_whether_a_service_starts_at_boot() {
    let machine = Machine::new();
    let sysv = &machine.sysv;
    assert_eq!(sysv.enabled("web").unwrap(), Some(false));
    for enabled in [true, false, true] {
        sysv.set_enabled("web", enabled).unwrap();
        assert_eq!(sysv.enabled("web").unwrap(), Some(enabled));
    }
    assert!(matches!(sysv.set_enabled("ghost", true), Err(Error::Unknown { .. })));
    machine.script("update-rc.d", "#!/bin/sh\necho no such run level; exit 1\n");
    assert!(sysv.set_enabled("web", false).unwrap_err().to_string().contains("no such run level"));
}

#[test]
fn services_are_left_to_a_systemd_that_is_yet_to_run() {
    let machine = Machine::new();
    let yielding = machine.sysv.clone().yielding_to_systemd();
    assert!(!yielding.offline());
    std::fs::create_dir_all(machine.path("usr/bin")).unwrap();
    std::fs::write(machine.path("usr/bin/systemctl"), "").unwrap();
    assert!(yielding.offline());
    assert!(!machine.sysv.offline(), "whoever asks for init scripts gets them");
    std::fs::create_dir_all(machine.path("run/systemd/system")).unwrap();
    assert!(!yielding.offline());
}

#[test]
fn what_the_first_supervisor_does_not_know_is_the_seconds() {
    let (first, second) = (Machine::new(), Machine::new());
    second.script("etc/init.d/mail", SCRIPT);
    let both = Fallback::new(Arc::new(first.sysv.clone()), Arc::new(second.sysv.clone()));
    both.start("web").unwrap();
    assert_eq!(first.sysv.status("web").unwrap(), Status::Running(None));
    assert_eq!(second.sysv.status("web").unwrap(), Status::Stopped);
    both.stop("web").unwrap();
    assert_eq!(both.status("mail").unwrap(), Status::Stopped);
    both.start("mail").unwrap();
    assert_eq!(both.status("mail").unwrap(), Status::Running(None));
    second.sysv.stop("mail").unwrap();
    assert_eq!(both.status("ghost").unwrap(), Status::Unknown);
    assert!(matches!(both.start("ghost"), Err(Error::Unknown { .. })));
}
