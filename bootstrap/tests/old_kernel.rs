//! On a kernel of 2013, which distributions of 2017 still had: what Linux has got since then is refused as such a kernel
//! refuses what it does not know.
// Tests: real files, processes and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use seccompiler::{SeccompAction, SeccompFilter, TargetArch, apply_filter};
use std::fs;
use std::process::Command;
use support::Stage;
use support::boot::get;

/// The first system call that Linux 3.10 does not know, `sched_setattr`.
const FIRST: i64 = if cfg!(target_arch = "x86_64") { 314 } else { 274 };
/// Since Linux 5.1 the new ones have the same numbers everywhere, from here on.
const SHARED: i64 = 424;

/// Does something on a thread, whose children inherit what it may not do.
fn on_an_old_kernel<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // Not `rseq`: today's glibc, which had it for the first thread of this test, wants it for the others.
    let newer = (FIRST..FIRST + 25).chain(SHARED..SHARED + 100).filter(|n| *n != nix::libc::SYS_rseq);
    let unknown = newer.map(|number| (number, Vec::new()));
    let architecture: TargetArch = std::env::consts::ARCH.try_into().unwrap();
    let refused = SeccompAction::Errno(nix::libc::ENOSYS.cast_unsigned());
    let filter = SeccompFilter::new(unknown.collect(), SeccompAction::Allow, refused, architecture).unwrap();
    let program: seccompiler::BpfProgram = filter.try_into().unwrap();
    let filtered = || {
        apply_filter(&program).unwrap();
        work()
    };
    std::thread::scope(|scope| scope.spawn(filtered).join().unwrap())
}

#[test]
fn boots_runs_commands_follows_and_restarts() {
    let stage = Stage::new();
    stage.repo.write("top.sls", "base:\n  'role:web':\n    - match: grain\n    - app\n    - old\n");
    let ran = stage.dir.path().join("ran");
    stage.repo.write(
        "old.sls",
        &format!(
            "ran:\n  cmd.run:\n    - name: echo ran >> {0}\n    - unless: test -s {0}\n/etc/link:\n  \
             file.symlink:\n    - target: /etc/app.conf\n/etc/copied:\n  file.recurse:\n    - source: salt://app\n",
            ran.display()
        ),
    );
    let first = stage.repo.push("first");
    let mut boot = on_an_old_kernel(|| stage.boot());
    let address = boot.address();
    boot.ready(&first);
    assert_eq!(get(address, "/ready").0, 200);
    assert_eq!(fs::read_to_string(&ran).unwrap(), "ran\n");
    assert!(stage.root().join("etc/copied/app.service").is_file());
    stage.wait_starts(1);

    stage.repo.write("pillar/app.sls", "greeting: good evening\n");
    let second = stage.repo.push("second");
    boot.ready(&second);
    stage.wait_starts(2);

    fs::write(stage.root().join("etc/app.conf"), "edited\n").unwrap();
    boot.line("restart app: ");
    stage.wait_starts(3);
    assert!(boot.stop().success());
}

#[test]
fn the_filter_is_one() {
    let asked = on_an_old_kernel(|| {
        Command::new("python3").args(["-c", "import os; os.pidfd_open(os.getpid())"]).output().unwrap()
    });
    assert!(String::from_utf8_lossy(&asked.stderr).contains("Function not implemented"), "{asked:?}");
}
