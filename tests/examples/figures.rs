//! The figures of `docs/benchmarks.md` that need the whole system: boot, deployment, size and memory of `mayfly-boot`, and
//! boots of the same role from each kind of image.
//!
//! `cargo run --release -p mayfly-tests --example figures`; with `images` behind `--` the images alone.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use mayfly_tests::programs::{program, run_ok};
use mayfly_tests::realistic;
use mayfly_tests::sandbox::{Cloud, STATUS_PORT, STOCK, user_data};
use mayfly_tests::wait;

const BOOTS: usize = 10;
const DEPLOYMENTS: usize = 5;
/// Boots from each kind of image.
const IMAGE_BOOTS: usize = 5;
/// Steps in which a deployment waits for the cloud or for the instances: its own share is all the rest.
const WAITS: [&str; 4] = ["running", "probe", "in-service", "drain-old"];

fn main() {
    if std::env::args().any(|argument| argument == "images") {
        return images();
    }
    let cloud = Cloud::start();
    println!("| figure | median | worst | runs |\n|---|---|---|---|");
    boots(&cloud);
    deployments(&cloud);
    sizes(&cloud);
    drop(cloud);
    images();
}

/// Boots of one role in turn, from a stock image, a bare one and a seeded one: from RunInstances to 200 from `/ready`.
fn images() {
    let cloud = Cloud::start_with(realistic::repo);
    cloud.write_spec("");
    let seeded = run_ok(&mut cloud.mayfly(&["bake", "--role", "web"]));
    let seeded = seeded.split(' ').next().unwrap_or_default().to_owned();
    let document = user_data(&cloud, "");
    let with_script = realistic::stock_user_data(&cloud);
    let kinds = [(STOCK.to_owned(), &with_script), (cloud.bare_image(), &document), (seeded, &document)];
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..IMAGE_BOOTS {
        for ((image, told), times) in kinds.iter().zip(&mut times) {
            let begun = Instant::now();
            let id = cloud.run_instance(image, told);
            cloud.until_ready_says(&id, 200);
            times.push(begun.elapsed());
            cloud.terminate(&id);
        }
    }
    println!("\n| image | median | worst | runs |\n|---|---|---|---|");
    for (what, times) in ["stock", "bare", "seeded"].iter().zip(&times) {
        row(what, times);
    }
    let ratio = |pair: (&Duration, &Duration)| pair.0.as_secs_f64() / pair.1.as_secs_f64();
    let [stock, bare, seeded] = &times;
    let over = |slow: &[Duration]| middle(slow.iter().zip(seeded).map(ratio).collect());
    println!("\nstock / seeded {:.1}, bare / seeded {:.1} (medians of the pairs)", over(stock), over(bare));
}

/// From the call that launches it to 200 from `/ready`: the role converged, its service running.
fn boots(cloud: &Cloud) {
    let image = cloud.bare_image();
    let one = |_| {
        let begun = Instant::now();
        let id = cloud.run_instance(&image, &user_data(cloud, ""));
        cloud.until_ready_says(&id, 200);
        let took = begun.elapsed();
        cloud.terminate(&id);
        took
    };
    row("boot to ready, one instance", &(0..BOOTS).map(one).collect::<Vec<_>>());
}

/// Two instances replaced by two: the whole, and what is left of it without the waits.
fn deployments(cloud: &Cloud) {
    cloud.write_spec("");
    cloud.create_balancer("greeter");
    run_ok(&mut cloud.mayfly(&["deploy", "--yes"]));
    let (mut whole, mut own) = (Vec::new(), Vec::new());
    for n in 0..DEPLOYMENTS {
        let begun = Instant::now();
        let events = run_ok(&mut cloud.mayfly(&[
            "deploy",
            "--yes",
            "--output",
            "json",
            "--set",
            &format!("greeter.version={n}"),
        ]));
        let took = begun.elapsed();
        whole.push(took);
        own.push(took.saturating_sub(waited(&events)));
    }
    row("deployment of 2 over 2, whole", &whole);
    row("deployment of 2 over 2, beyond its waits", &own);
}

fn waited(events: &str) -> Duration {
    let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let waits = events.filter(|event| {
        event["event"] == "step-done" && WAITS.contains(&event["step"].as_str().unwrap_or_default())
    });
    Duration::from_secs_f64(waits.filter_map(|event| event["seconds"].as_f64()).sum())
}

fn sizes(cloud: &Cloud) {
    let id = cloud.live().first().unwrap_or_else(|| panic!("no instance")).id.clone();
    let url = format!("http://{}:{STATUS_PORT}/ready", cloud.address(&id));
    wait::until("an idle instance", Duration::from_secs(30), || match wait::get(&url) {
        Ok((200, _)) => Ok(()),
        other => Err(other),
    });
    let bytes = std::fs::metadata(program("mayfly-boot")).unwrap().len();
    println!("| `mayfly-boot`, this build | {:.1} MB | | |", bytes as f64 / 1e6);
    for (what, field) in
        [("memory of `mayfly-boot`, idle, resident", "Rss:"), ("the same, its own part", "Pss:")]
    {
        let each: Vec<f64> = boot_processes().iter().filter_map(|pid| kilobytes(*pid, field)).collect();
        let worst = each.iter().copied().fold(0.0, f64::max);
        println!(
            "| {what} | {:.1} MB | {:.1} MB | {} |",
            middle(each.clone()) / 1e3,
            worst / 1e3,
            each.len()
        );
    }
}

fn boot_processes() -> Vec<u32> {
    let numbers =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let is_boot = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.trim() == "mayfly-boot")
    };
    numbers.filter(is_boot).collect()
}

fn kilobytes(pid: u32, field: &str) -> Option<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    rollup.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn row(what: &str, times: &[Duration]) {
    let seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    let worst = seconds.iter().copied().fold(0.0, f64::max);
    println!("| {what} | {:.2} s | {worst:.2} s | {} |", middle(seconds.clone()), seconds.len());
}
