//! Files that are looked at before their turn: a run says and does what it would if each step looked when it is its turn.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use proptest::prelude::*;

use crate::bench::{Bench, json, step, words};
use mayfly_states::low::Chunk;

/// Files enough for somebody to be well ahead of the walk.
const MANY: usize = 120;

fn file(n: usize) -> Chunk {
    step("file.managed", &format!("/etc/{n}.conf"), json!({"contents": format!("value {n}"), "mode": "0644"}))
}

/// A machine on which the files are as asked.
fn settled() -> (Bench, Vec<Chunk>) {
    let bench = Bench::new();
    let files: Vec<Chunk> = (0..MANY).map(file).collect();
    assert!(bench.run(&files).ok());
    assert!(words(&bench.run(&files)).iter().all(|word| *word == "ok"));
    (bench, files)
}

#[test]
fn what_a_command_spoils_is_repaired_by_the_files_behind_it() {
    let (bench, mut steps) = settled();
    for at in [10, 40, 90] {
        let spoil = format!("for f in $MAYFLY_ROOT/etc/*.conf; do echo spoilt by {at} > $f; done");
        steps.insert(at, step("cmd.run", &spoil, json!({})));
        let found = bench.run(&steps);
        let late = words(&found).split_off(at + 1);
        assert!(late.iter().all(|word| *word == "changed"), "{at}: {late:?}");
        steps.remove(at);
        assert!(bench.run(&steps).ok());
    }
}

/// What is looked at while the machine changes: the look began before it and ends after it.
#[test]
fn a_look_that_was_on_its_way_does_not_count() {
    let bench = Bench::new();
    bench.tree("large", &"a line of a file that takes its time\n".repeat(1_000_000));
    let large = step("file.managed", "/etc/large", json!({"source": "salt://large", "mode": "0644"}));
    let mut steps: Vec<Chunk> = (0..24).map(file).chain([large]).collect();
    assert!(bench.run(&steps).ok());
    // By then whoever is ahead has seen the mode, and is still reading.
    let turns = "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; chmod 0600 $MAYFLY_ROOT/etc/large";
    steps.insert(12, step("cmd.run", turns, json!({})));
    assert_eq!(words(&bench.run(&steps)).last(), Some(&"changed"));
}

#[test]
fn what_a_file_replaces_is_seen_by_the_files_behind_it() {
    let (bench, mut steps) = settled();
    for (way, content) in [("a", "one"), ("b", "two")] {
        bench.write(&format!("/srv/{way}/conf"), content);
    }
    std::os::unix::fs::symlink("a", bench.at("/srv/now")).unwrap();
    steps.insert(30, step("file.symlink", "/srv/now", json!({"target": "b", "force": true})));
    steps.push(step("file.managed", "/srv/now/conf", json!({"contents": "two", "contents_newline": false})));
    let report = bench.run(&steps);
    assert_eq!(words(&report)[30], "changed", "{}", report.to_text());
    assert_eq!(words(&report).last(), Some(&"ok"), "{}", report.to_text());
}

#[test]
fn a_rehearsal_says_what_a_run_finds() {
    let (bench, steps) = settled();
    for spoilt in [20, 21, 70] {
        std::fs::write(bench.at(&format!("/etc/{spoilt}.conf")), "else").unwrap();
    }
    let would = words(&bench.test(&steps));
    let changed: Vec<&str> =
        words(&bench.run(&steps)).into_iter().map(|w| if w == "changed" { "would" } else { w }).collect();
    assert_eq!(would, changed);
    assert_eq!(would.iter().filter(|word| **word == "would").count(), 3);
}

/// A step on one of a few files, so that they get into each other's way.
fn any_step() -> impl Strategy<Value = (&'static str, usize, usize)> {
    let function = prop_oneof![
        30 => Just("file.managed"),
        1 => Just("file.absent"),
        1 => Just("cmd.run"),
        1 => Just("file.exists"),
    ];
    (function, 0..12usize, prop_oneof![30 => Just(0usize), 1 => Just(1)])
}

fn made(n: usize, (function, place, version): (&str, usize, usize)) -> Chunk {
    let path = format!("/etc/{place}.conf");
    let args = match function {
        "file.managed" => json!({"name": path, "contents": format!("version {version}")}),
        "cmd.run" => json!({"name": format!("echo by command > $MAYFLY_ROOT{path}")}),
        _ => json!({"name": path}),
    };
    step(function, &format!("step {n}"), args)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_run_is_its_steps_one_by_one(plan in prop::collection::vec(any_step(), 40..160)) {
        let steps: Vec<Chunk> = plan.into_iter().enumerate().map(|(n, step)| made(n, step)).collect();
        let (whole, single) = (Bench::new(), Bench::new());
        let together = whole.run(&steps);
        let alone = steps.iter().map(|step| single.run(std::slice::from_ref(step)));
        let alone: Vec<_> = alone.flat_map(|report| report.steps).collect();
        for (one, other) in together.steps.iter().zip(&alone) {
            let change = |s: &mayfly_states::report::StepReport| s.changes.get("diff").cloned();
            prop_assert_eq!((&one.outcome, change(one)), (&other.outcome, change(other)), "{}", one.id);
        }
        for place in 0..12 {
            let path = format!("/etc/{place}.conf");
            prop_assert_eq!(std::fs::read(whole.at(&path)).ok(), std::fs::read(single.at(&path)).ok());
        }
    }
}
