//! Shows one schedule again, runs all of them, or runs chance for a while.

// Effects: the clock of the one who waits for it.
#![allow(clippy::disallowed_methods)]

use mayfly_simulation::campaign;
use mayfly_simulation::figures;
use mayfly_simulation::schedule::Schedule;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str =
    "mayfly-simulation every [PART] [--seconds N] | replay SCHEDULE | random --seconds N [--seed N] | table";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["every"] => every("", "3600"),
        ["every", part] => every(part, "3600"),
        ["every", part, "--seconds", seconds] => every(part, seconds),
        ["replay", schedule] => replay(schedule),
        ["random", "--seconds", seconds] => random(seconds, "1"),
        ["random", "--seconds", seconds, "--seed", seed] => random(seconds, seed),
        ["table"] => {
            figures::table().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

/// Those scenarios whose text begins so.
fn every(part: &str, seconds: &str) -> ExitCode {
    let work = campaign::all(1, part);
    let began = Instant::now();
    let limit = Duration::from_secs(seconds.parse().unwrap_or(3_600));
    let summary = campaign::run(&work, || began.elapsed() < limit);
    println!(
        "seed 1, {} schedules in {:?}",
        work.iter().map(|(_, all)| all.len()).sum::<usize>(),
        began.elapsed()
    );
    println!("{}", summary.report());
    if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Until the time is up or something failed. The next run goes on where this one ended.
fn random(seconds: &str, seed: &str) -> ExitCode {
    let (Ok(seconds), Ok(seed)) = (seconds.parse(), seed.parse::<u64>()) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let summary = campaign::chance(seed, || Instant::now() < end);
    println!("seeds {seed} to {}\n{}", seed + summary.run as u64, summary.report());
    if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(text: &str) -> ExitCode {
    let schedule: Schedule = match text.parse() {
        Ok(schedule) => schedule,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let verdict = schedule.run();
    for (name, ran) in [("first", Some(&verdict.first)), ("rerun", verdict.second.as_ref())] {
        let Some(ran) = ran else { continue };
        println!("== {name}: {:?}", ran.ending);
        for (place, entry) in ran.log.iter().enumerate() {
            let at = entry.at.format("%H:%M:%S%.3f");
            println!("{:4} {at} {} {} -> {}", place + 1, entry.action, entry.about, entry.outcome);
        }
    }
    verdict.wrong.iter().for_each(|wrong| println!("WRONG: {wrong}"));
    if verdict.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
