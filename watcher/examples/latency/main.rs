//! How long from a configuration's write to the new process running, beyond the debounce, for each supervisor, beside
//! `inotifywait` with `supervisorctl restart`; and what a burst of writes leads to.
//!
//! `cargo run --release -p mayfly-watcher --example latency -- [RUNS [BURSTS]]`. The supervised service is this program itself:
//! at its start it reads the configuration and sends what it read to a socket, on which the clock is stopped.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "../../tests/common/mod.rs"]
mod common;
mod houses;
#[path = "../../tests/common/systemd.rs"]
mod systemd;

use houses::House;
use mayfly_watcher::{Event, Rule, Watcher};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// For single writes.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// For bursts, whose writes are this far apart.
const APART: Duration = Duration::from_millis(100);
const BURST_DEBOUNCE: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);
/// After this long without a new process, none is expected any more.
const QUIET: Duration = Duration::from_secs(6);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, configuration, socket] = arguments.as_slice()
        && verb == "serve"
    {
        return serve(configuration, socket);
    }
    let number = |place: usize, usual| arguments.get(place).and_then(|n| n.parse().ok()).unwrap_or(usual);
    let (runs, bursts) = (number(1, 100), number(2, 5));
    println!("configuration write to new process running, beyond the debounce, of {runs} runs;");
    println!(
        "then {bursts} bursts of 5 writes {} ms apart: restarts, and how late the last",
        APART.as_millis()
    );
    println!(
        "content ran after its write ({} ms of it are the debounce, where there is one)",
        BURST_DEBOUNCE.as_millis()
    );
    floor(runs);
    for open in [houses::builtin, houses::supervisord, houses::systemd, houses::by_hand] {
        match open() {
            Ok(house) => measure(&house, runs, bursts),
            Err(why) => println!("{why}"),
        }
    }
}

/// The service: tell what the configuration says, and stay.
fn serve(configuration: &str, socket: &str) {
    let read = std::fs::read(configuration).unwrap();
    UnixDatagram::unbound().unwrap().send_to(&read, socket).unwrap();
    loop {
        std::thread::park();
    }
}

/// The command line of the service in this directory.
fn command_line(dir: &Path) -> String {
    let program = std::env::current_exe().unwrap();
    format!("{} serve {} {}", program.display(), dir.join("conf").display(), dir.join("told").display())
}

/// The configuration, and the socket on which the service tells what it read.
struct Bench {
    configuration: PathBuf,
    told: UnixDatagram,
}

impl Bench {
    fn new(dir: &Path) -> Self {
        let told = UnixDatagram::bind(dir.join("told")).unwrap();
        let bench = Self { configuration: dir.join("conf"), told };
        bench.write("0");
        bench
    }

    fn write(&self, content: &str) {
        std::fs::write(&self.configuration, content).unwrap();
    }

    /// What the next process read; nothing when none comes in time.
    fn next(&self, patience: Duration) -> Option<String> {
        self.told.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0u8; 64];
        loop {
            match self.told.recv(&mut buffer) {
                Ok(length) => return Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// Wait for a process that read this.
    fn until(&self, content: &str) {
        while self.next(LONG).expect("no new process came") != content {}
    }
}

/// What no supervisor can do without: wait for the debounce, stop the process, start it anew, until it has read and told.
fn floor(runs: usize) {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let mut child: Option<std::process::Child> = None;
    let mut latencies = Vec::new();
    for run in 0..=runs {
        let content = run.to_string();
        let written = Instant::now();
        bench.write(&content);
        std::thread::sleep(DEBOUNCE);
        if let Some(mut old) = child.take() {
            old.kill().unwrap();
            old.wait().unwrap();
        }
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.arg("serve").arg(&bench.configuration).arg(dir.path().join("told"));
        child = Some(command.spawn().unwrap());
        bench.until(&content);
        latencies.push(written.elapsed().saturating_sub(DEBOUNCE));
    }
    child.unwrap().kill().unwrap();
    println!("{}", line("kill and start, no more", latencies));
}

fn line(name: &str, mut latencies: Vec<Duration>) -> String {
    latencies.sort();
    let at =
        |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
    format!("{name:28} median {:7.2} ms   p99 {:7.2} ms   worst {:7.2} ms", at(0.5), at(0.99), at(1.0))
}

fn measure(house: &House, runs: usize, bursts: usize) {
    let bench = Bench::new(house.dir());
    house.start();
    bench.until("0");
    let mut latencies = Vec::new();
    let (watching, debounce) = house.watch(&bench, DEBOUNCE);
    for run in 1..=runs {
        let content = run.to_string();
        let written = Instant::now();
        bench.write(&content);
        bench.until(&content);
        latencies.push(written.elapsed().saturating_sub(debounce));
        watching.settle();
    }
    drop(watching);
    print!("{}", line(house.name, latencies));
    let (_watching, _) = house.watch(&bench, BURST_DEBOUNCE);
    let bursts: Vec<String> = (1..=bursts).map(|number| burst(&bench, number)).collect();
    println!("   bursts: {}", bursts.join(", "));
    house.stop();
}

/// Five writes; how many processes came, and how late the one with the last content.
fn burst(bench: &Bench, number: usize) -> String {
    let name = |write: usize| format!("burst {number}.{write}");
    for write in 1..=5 {
        bench.write(&name(write));
        if write < 5 {
            std::thread::sleep(APART);
        }
    }
    let (written, mut restarts, mut late) = (Instant::now(), 0, None);
    while let Some(content) = bench.next(QUIET) {
        restarts += 1;
        if content == name(5) && late.is_none() {
            late = Some(written.elapsed());
        }
    }
    late.map_or(format!("{restarts} (the last content never)"), |l| {
        format!("{restarts} in {:.0} ms", l.as_secs_f64() * 1e3)
    })
}

/// Who restarts the service when its configuration changes.
enum Watching {
    Mayfly { _watcher: Watcher, acted: Receiver<()> },
    ByHand(houses::Loop),
}

impl Watching {
    /// Wait until a restart is over for who made it.
    fn settle(&self) {
        match self {
            Self::Mayfly { acted, .. } => acted.recv_timeout(LONG).unwrap(),
            Self::ByHand(made) => made.settle(),
        }
    }
}

/// The watcher of this project over a supervisor.
fn mayfly(
    supervisor: Arc<dyn mayfly_watcher::Supervisor>,
    configuration: &Path,
    debounce: Duration,
) -> Watching {
    let (done, acted) = channel();
    let listener = move |event: &Event| match event {
        Event::Restarted { .. } => _ = done.send(()),
        other => eprintln!("{other:?}"),
    };
    let watcher = Watcher::start(supervisor, Arc::new(listener)).unwrap();
    let rule = Rule {
        name: "bench".into(),
        paths: vec![configuration.to_owned()],
        service: "bench".into(),
        debounce,
        ..Rule::default()
    };
    watcher.set_rules(vec![rule]).unwrap();
    Watching::Mayfly { _watcher: watcher, acted }
}
