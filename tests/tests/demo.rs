//! The README's first command: its figures hold, and nothing is left behind. As root, and as an ordinary user.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use mayfly_tests::programs::{program, run, text};

/// An id that no package of Debian gives to anybody.
const SOMEBODY: u32 = 64_321;

fn play(command: &mut Command) {
    // The demo's folder is made in here: what is left behind can then be seen.
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    run(Command::new("chmod").arg("0777").arg(folder.path()));
    let command =
        command.args(["demo", "--output", "json"]).env("TMPDIR", folder.path()).env_remove("XDG_RUNTIME_DIR");
    let output = run(command);
    let (summary, story) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{summary}\n{story}", output.status);
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["requests_failed"], 0, "{summary}\n{story}");
    assert!(summary["requests_total"].as_u64().unwrap() >= 1_000, "{summary}");
    assert_eq!(summary["broken_deploy_rolled_back"], true, "{summary}\n{story}");
    assert_eq!(summary["leftover_instances"], 0, "{summary}\n{story}");
    assert!(summary["deploy_seconds"].as_f64().unwrap() > 0.0);
    for figure in ["stock_boot_seconds", "bake_seconds", "seeded_boot_seconds"] {
        assert!(summary[figure].as_f64().unwrap() > 0.0, "{summary}");
    }
    assert!(story.contains("from the stock image, and "), "{story}");
    assert!(summary["hot_edit_seconds"].as_f64().unwrap() > 0.0);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn the_demo_loses_no_request_and_leaves_nothing() {
    play(&mut Command::new(program("mayfly")));
}

/// The programs are copied to where that user may read them: a checkout below `/root` is not.
#[test]
fn the_demo_runs_as_an_ordinary_user() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    run(Command::new("chmod").arg("0755").arg(folder.path()));
    for name in ["mayfly", "mayfly-boot"] {
        std::fs::copy(program(name), folder.path().join(name)).unwrap();
    }
    let mut command = Command::new(folder.path().join("mayfly"));
    if nix::unistd::geteuid().is_root() {
        command.uid(SOMEBODY).gid(SOMEBODY).env("HOME", folder.path());
    }
    play(command.current_dir(folder.path()));
}
