use super::folder::Folder;
use super::*;
use crate::disk::Disk;
use std::fs;
use std::os::unix::fs::chown;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        for (file, text) in [
            ("etc/ssh/ssh_host_ed25519_key", "secret"),
            ("etc/ssh/ssh_host_ed25519_key.pub", "public"),
            ("etc/ssh/sshd_config", "kept"),
            ("etc/machine-id", "0123\n"),
            ("var/lib/dbus/machine-id", "0123\n"),
            ("var/lib/systemd/random-seed", "seed"),
            ("var/lib/cloud/instances/i-1/sem/config_scripts_user", ""),
            ("var/lib/cloud/seed/nocloud/meta-data", "kept"),
            ("root/.bash_history", "mysql -psecret"),
            ("root/.bashrc", "kept"),
            ("home/admin/.python_history", "x"),
            ("home/admin/notes_history", "kept"),
            ("var/cache/mayfly/compiled/run/high", "pillar"),
            ("var/log/app/app.log", "a line"),
            ("var/log/syslog.1", "old"),
            ("var/log/syslog.2.gz", "older"),
            ("var/tmp/x", "x"),
            ("var/lib/mayfly/status.json", "{}"),
            ("var/lib/mayfly/pinned", "i-1 c"),
            ("var/lib/mayfly/token", "kept"),
            (&format!("var/lib/mayfly/releases/{COMMIT}/top.sls"), "kept"),
            ("usr/local/bin/mayfly-boot", "#!/bin/sh\n"),
            ("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n"),
        ] {
            bench.write(file, text);
        }
        std::os::unix::fs::symlink(format!("releases/{COMMIT}"), bench.path("var/lib/mayfly/good")).unwrap();
        fsys::set_mode(&bench.path("usr/local/bin/mayfly-boot"), 0o755).unwrap();
        bench
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn seal(&self, commit: Option<&str>) -> Result<Sealed, Vec<String>> {
        let state_dir = self.path("var/lib/mayfly");
        let program = self.path("usr/local/bin/mayfly-boot");
        seal(&Machine { root: self.dir.path(), state_dir: &state_dir, program, commit })
    }
}

#[test]
fn what_belongs_to_one_machine_goes_and_the_rest_stays() {
    let bench = Bench::new();
    let sealed = bench.seal(Some(COMMIT)).unwrap();
    assert!(sealed.line.starts_with(&format!("sealed commit={COMMIT} boot=")), "{sealed:?}");
    assert!(sealed.line.contains(" packages=1:") && sealed.notes.is_empty(), "{sealed:?}");
    for gone in [
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
        "var/lib/dbus/machine-id",
        "var/lib/systemd/random-seed",
        "var/lib/cloud/instances",
        "root/.bash_history",
        "home/admin/.python_history",
        "var/cache/mayfly/compiled/run",
        "var/log/syslog.1",
        "var/log/syslog.2.gz",
        "var/tmp/x",
        "var/lib/mayfly/status.json",
        "var/lib/mayfly/pinned",
    ] {
        assert!(!bench.path(gone).exists(), "{gone}");
    }
    for empty in ["etc/machine-id", "var/log/app/app.log"] {
        assert_eq!(fs::read_to_string(bench.path(empty)).unwrap(), "", "{empty}");
    }
    for kept in [
        "etc/ssh/sshd_config",
        "var/lib/cloud/seed/nocloud/meta-data",
        "root/.bashrc",
        "home/admin/notes_history",
        "var/lib/mayfly/token",
        &format!("var/lib/mayfly/releases/{COMMIT}/top.sls"),
    ] {
        assert_eq!(fs::read_to_string(bench.path(kept)).unwrap(), "kept", "{kept}");
    }
    assert_eq!(fs::read_to_string(bench.path("var/lib/mayfly/packages")).unwrap(), "a 1\n");
}

#[test]
fn links_lead_nowhere() {
    let bench = Bench::new();
    bench.write("srv/data/precious", "kept");
    for (link, target) in
        [("var/log/data", "srv/data"), ("var/tmp/data", "srv/data"), ("home/eve", "srv/data")]
    {
        std::os::unix::fs::symlink(bench.path(target), bench.path(link)).unwrap();
    }
    bench.write("srv/data/.bash_history", "kept");
    bench.seal(None).unwrap();
    for kept in ["srv/data/precious", "srv/data/.bash_history"] {
        assert_eq!(fs::read_to_string(bench.path(kept)).unwrap(), "kept", "{kept}");
    }
}

/// A service that owns a folder of logs changes a folder in it for a link between the look at it and its cleaning: here
/// the folder is open already, and has moved away.
#[test]
fn a_folder_that_becomes_a_link_is_not_followed() {
    let bench = Bench::new();
    bench.write("srv/etc/passwd", "kept");
    let logs = Folder::open(bench.dir.path(), "var/log").unwrap();
    let app = logs.folder(c"app").unwrap();
    fs::rename(bench.path("var/log/app"), bench.path("var/log/gone")).unwrap();
    std::os::unix::fs::symlink(bench.path("srv/etc"), bench.path("var/log/app")).unwrap();
    app.remove(c"app.log").unwrap();
    assert!(!app.remove(c"passwd").unwrap() && !bench.path("var/log/gone/app.log").exists());
    logs.folder(c"app").unwrap_err();
    bench.seal(None).unwrap();
    assert_eq!(fs::read_to_string(bench.path("srv/etc/passwd")).unwrap(), "kept");
}

/// The same as a race: a thread exchanges the folder for a link and back as fast as it can.
#[test]
fn a_folder_that_is_exchanged_all_the_time_loses_nothing_elsewhere() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let bench = Bench::new();
    bench.write("srv/etc/passwd", "kept");
    let (folder, link) = (bench.path("var/log/app"), bench.path("var/lib/link"));
    std::os::unix::fs::symlink(bench.path("srv/etc"), &link).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for _ in 0..300 {
            bench.seal(None).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(bench.path("srv/etc/passwd")).unwrap(), "kept");
}

#[test]
fn a_second_name_of_a_file_of_the_system_is_removed_and_the_file_is_whole() {
    let bench = Bench::new();
    bench.write("etc/shadow", "kept");
    fs::hard_link(bench.path("etc/shadow"), bench.path("var/log/app/app2.log")).unwrap();
    bench.seal(None).unwrap();
    assert!(!bench.path("var/log/app/app2.log").exists());
    assert_eq!(fs::read_to_string(bench.path("etc/shadow")).unwrap(), "kept");
}

/// Who may change a folder may put a file of the system into it, which is not to be emptied.
#[test]
fn a_log_of_another_owner_in_a_folder_that_others_may_change_is_removed() {
    let bench = Bench::new();
    for log in ["var/log/open/theirs.log", "var/log/open/ours.log", "var/log/service/own.log"] {
        bench.write(log, "a line");
    }
    fsys::set_mode(&bench.path("var/log/open"), 0o777).unwrap();
    for path in ["var/log/open/theirs.log", "var/log/service", "var/log/service/own.log"] {
        chown(bench.path(path), Some(65_534), None).unwrap();
    }
    bench.seal(None).unwrap();
    assert!(!bench.path("var/log/open/theirs.log").exists());
    for emptied in ["var/log/open/ours.log", "var/log/service/own.log"] {
        assert_eq!(fs::read_to_string(bench.path(emptied)).unwrap(), "", "{emptied}");
    }
}

/// Does something on a thread for which root is nobody special.
fn as_anybody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let lessened = || {
        let mut sets = capabilities(None).unwrap();
        sets.effective &= !(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
        set_capabilities(None, sets).unwrap();
        work()
    };
    std::thread::scope(|scope| scope.spawn(lessened).join().unwrap())
}

/// As a home on a server of files that is away, or that is no root's to look into.
#[test]
fn a_home_that_cannot_be_looked_into_does_not_stop_the_others() {
    let bench = Bench::new();
    for home in ["locked", "zoe"] {
        bench.write(&format!("home/{home}/.bash_history"), "mysql -psecret");
    }
    bench.write("home/no-home", "kept");
    let locked = bench.path("home/locked");
    fsys::set_mode(&locked, 0o700).unwrap();
    chown(&locked, Some(65_534), None).unwrap();
    let problems = as_anybody(|| bench.seal(None)).unwrap_err();
    let told = format!("shell histories: {}: Permission denied", locked.display());
    assert!(problems.len() == 1 && problems[0].starts_with(&told), "{problems:?}");
    assert!(
        !bench.path("home/admin/.python_history").exists() && !bench.path("home/zoe/.bash_history").exists()
    );
}

/// A place of the system that a user namespace does not show even to its root.
#[test]
fn a_place_that_cannot_be_looked_into_is_only_told_of() {
    let bench = Bench::new();
    bench.write("var/lib/dhcp/x.lease", "kept");
    fsys::set_mode(&bench.path("var/lib/dhcp"), 0o700).unwrap();
    chown(bench.path("var/lib/dhcp"), Some(65_534), None).unwrap();
    let sealed = as_anybody(|| bench.seal(None)).unwrap();
    let told = |note: &String| note.contains("var/lib/dhcp: Permission denied");
    assert_eq!(sealed.notes.iter().filter(|note| told(note)).count(), 1, "{:?}", sealed.notes);
}

/// A share of a server of files has the logs of others as well.
#[test]
fn logs_on_another_file_system_are_left() {
    let bench = Bench::new();
    let share = Disk::mount(&bench.path("var/log/share"), "1m");
    for log in ["app.log", "app.log.1", "deeper/app.log"] {
        bench.write(&format!("var/log/share/{log}"), "kept");
    }
    let sealed = bench.seal(None).unwrap();
    for log in ["app.log", "app.log.1", "deeper/app.log"] {
        assert_eq!(fs::read_to_string(share.0.join(log)).unwrap(), "kept", "{log}");
    }
    let told = format!("logs: {}: another file system is mounted there", share.0.display());
    assert_eq!(sealed.notes, [told]);
    assert_eq!(fs::read_to_string(bench.path("var/log/app/app.log")).unwrap(), "", "others are emptied");
}

#[test]
fn folders_without_end_are_told_of_and_left() {
    let bench = Bench::new();
    bench.write(&format!("tmp/{}x", "d/".repeat(300)), "x");
    let sealed = bench.seal(None).unwrap();
    assert!(sealed.notes.iter().any(|note| note.contains("nest more than 200 deep")), "{:?}", sealed.notes);
}

/// systemd would write a new one when the builder powers off.
#[test]
fn the_random_seed_is_not_saved_again_by_the_power_off() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("run/systemd/system")).unwrap();
    fs::create_dir_all(bench.path("etc/systemd/system/multi-user.target.wants")).unwrap();
    let link = bench.path("etc/systemd/system/multi-user.target.wants/mayfly-boot.service");
    std::os::unix::fs::symlink("/x", link).unwrap();
    bench.seal(None).unwrap();
    let said = bench.path("run/systemd/system/systemd-random-seed.service.d/sealed.conf");
    assert_eq!(fs::read_to_string(said).unwrap(), "[Service]\nExecStop=\n");
}

#[test]
fn a_machine_that_lacks_what_an_image_must_have_is_unfit() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.path("var/lib/mayfly/releases")).unwrap();
    fs::remove_file(bench.path("usr/local/bin/mayfly-boot")).unwrap();
    fs::create_dir_all(bench.path("run/systemd/system")).unwrap();
    let problems = bench.seal(Some(COMMIT)).unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
    fs::create_dir_all(bench.path("etc/systemd/system/multi-user.target.wants")).unwrap();
    let link = bench.path("etc/systemd/system/multi-user.target.wants/mayfly-boot.service");
    std::os::unix::fs::symlink("/x", link).unwrap();
    bench.write("usr/local/bin/mayfly-boot", "x");
    fsys::set_mode(&bench.path("usr/local/bin/mayfly-boot"), 0o755).unwrap();
    bench.seal(None).unwrap();
}
