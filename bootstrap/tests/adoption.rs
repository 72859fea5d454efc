//! Services of the built-in supervisor keep running when the program itself is killed, or replaced by a newer one.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::Stage;
use support::boot::{Boot, PROGRAM, get, status};

/// Whether it is there, and more than a zombie: process 1 reaps those that lost their parent when it likes.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_service_runs_on_when_the_program_is_killed_and_is_watched_by_the_next() {
    let stage = Stage::new();
    let (mut boot, _, _) = stage.pushed("first");
    stage.wait_starts(1);
    let service = stage.service();
    boot.child.kill().unwrap();
    boot.child.wait().unwrap();
    assert!(runs(&service), "the service died with the program");

    let mut next = stage.boot();
    let address = next.address();
    next.line("mayfly: ready");
    assert_eq!(get(address, "/ready").0, 200);
    assert_eq!((stage.starts(), stage.service()), (1, service.clone()), "it was started once more");
    fs::write(stage.root().join("etc/app.conf"), "edited\n").unwrap();
    next.line("restart app: ");
    stage.wait_starts(2);
    assert!(!runs(&service), "the one that was kept was not stopped");
    assert!(next.stop().success());
    assert!(!runs(&stage.service()), "the service outlived SIGTERM");
}

/// A stage that runs a copy of the program, whose file can be replaced.
fn copied(stage: &Stage) -> (PathBuf, Boot) {
    stage.repo.push("first");
    let program = stage.dir.path().join("mayfly-boot");
    install(Path::new(PROGRAM), &program);
    let mut boot = Boot::start_program(&program, &stage.root(), &stage.imds.url, &[]);
    boot.line("mayfly: ready");
    stage.wait_starts(1);
    (program, boot)
}

fn replace(program: &Path, bytes: &[u8]) {
    let (text, new) = (program.with_extension("text"), program.with_extension("new"));
    fs::write(&text, bytes).unwrap();
    install(&text, &new);
    fs::rename(&new, program).unwrap();
}

/// By another process: what another test starts meanwhile would inherit our way to write it, and a program that somebody
/// can write is not started.
fn install(from: &Path, to: &Path) {
    assert!(Command::new("install").args(["-m", "755"]).args([from, to]).status().unwrap().success());
}

#[test]
fn a_service_runs_on_when_the_program_is_replaced_in_place() {
    let stage = Stage::new();
    let (program, mut boot) = copied(&stage);
    let (service, own) = (stage.service(), boot.child.id());
    let file = |path: PathBuf| fs::metadata(path).unwrap().ino();
    // Twice: the second time the file of the program that runs has been replaced once already.
    for _ in 0..2 {
        replace(&program, &fs::read(PROGRAM).unwrap());
        boot.signal("USR2");
        boot.line("services keep running");
        boot.line("mayfly: mayfly-boot ");
        boot.line("mayfly: ready");
        assert_eq!(file(format!("/proc/{own}/exe").into()), file(program.clone()), "it is not the new one");
    }
    assert_eq!((stage.starts(), stage.service()), (1, service.clone()), "it was started once more");
    assert!(runs(&service) && boot.child.id() == own);
    boot.signal("HUP");
    boot.line("mayfly: ready");
    assert!(boot.stop().success());
    assert!(!runs(&service), "the service outlived SIGTERM");
}

/// A program of this machine that says nothing and does not end.
fn silent(stage: &Stage) -> Vec<u8> {
    let (source, program) = (stage.dir.path().join("silent.c"), stage.dir.path().join("silent"));
    fs::write(&source, "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n").unwrap();
    let made = Command::new("cc").arg("-o").args([&program, &source]).status().expect("cc runs: install gcc");
    assert!(made.success());
    fs::read(program).unwrap()
}

#[test]
fn what_is_no_program_is_not_started_in_its_place_and_all_goes_on() {
    let stage = Stage::new();
    let (program, mut boot) = copied(&stage);
    let (address, service) = (boot.last_address().unwrap(), stage.service());
    let marker = stage.dir.path().join("a-shell-ran-this");
    let script = format!("\ntouch {}\n", marker.display());
    let real = fs::read(PROGRAM).unwrap();
    let truncated = |bytes: usize| [&real[..bytes], script.as_bytes()].concat();
    let unfit = [
        (script.clone().into_bytes(), "it is no program for this machine"),
        (Vec::new(), "it is no program for this machine"),
        // The kernel takes the header for none; the C library would give the rest to a shell.
        (truncated(24), "`--version` cannot be run: Exec format error"),
        (truncated(200_000), "`--version`"),
        (fs::read("/bin/true").unwrap(), "which is not mayfly-boot"),
        (fs::read("/bin/false").unwrap(), "`--version` "),
        (silent(&stage), "`--version` has not answered within 10s"),
    ];
    let refused = |boot: &mut Boot, why: &str| {
        boot.signal("USR2");
        let line = boot.line("is not started: ");
        assert!(line.contains(why), "{line}");
        let status = status(address);
        let noted = status["upgrade_refused"]["reason"].as_str().unwrap_or_default();
        assert!(noted.contains(why), "{noted}");
        assert_eq!(get(address, "/ready").0, 200);
    };
    for (bytes, why) in unfit {
        replace(&program, &bytes);
        refused(&mut boot, why);
    }
    fs::remove_file(&program).unwrap();
    refused(&mut boot, "No such file");
    assert!(!marker.exists(), "a shell has run what was no program");
    assert_eq!((stage.starts(), stage.service()), (1, service.clone()));
    // And the program that comes after all that is started.
    replace(&program, &real);
    boot.signal("USR2");
    boot.line("services keep running");
    boot.line("mayfly: ready");
    assert_eq!((stage.starts(), runs(&service)), (1, true));
    assert!(boot.stop().success());
}
