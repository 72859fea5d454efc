//! How long from a configuration's write to the new process running, beyond the debounce, for each supervisor.
//!
//! `cargo run --release -p mayfly-watcher --example latency -- [RUNS]`. The supervised service is this program itself:
//! at its start it reads the configuration and sends what it read to a socket, on which the clock is stopped.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use mayfly_watcher::supervisor::builtin::{Builtin, Options};
use mayfly_watcher::supervisor::{Supervisor, Supervisord};
use mayfly_watcher::{Event, Rule, Watcher};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const DEBOUNCE: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, configuration, socket] = arguments.as_slice()
        && verb == "serve"
    {
        return serve(configuration, socket);
    }
    let runs = arguments.get(1).and_then(|n| n.parse().ok()).unwrap_or(100);
    println!("configuration write to new process running, beyond the debounce, of {runs} runs:");
    let dir = tempfile::tempdir().unwrap();
    let builtin = Arc::new(builtin(dir.path()));
    report("builtin", measure(builtin.clone(), dir.path(), runs));
    builtin.stop_all().unwrap();
    let dir = tempfile::tempdir().unwrap();
    match supervisord(dir.path()) {
        Some((supervisor, mut child)) => {
            report("supervisord", measure(Arc::new(supervisor), dir.path(), runs));
            let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
            child.wait().unwrap();
        }
        None => println!(
            "supervisord   not measured: /usr/bin/supervisord is missing (apt-get install supervisor)"
        ),
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

fn command_line(dir: &Path) -> String {
    let program = std::env::current_exe().unwrap();
    format!("{} serve {} {}", program.display(), dir.join("conf").display(), dir.join("told").display())
}

fn builtin(dir: &Path) -> Builtin {
    let units = dir.join("etc/systemd/system");
    std::fs::create_dir_all(&units).unwrap();
    std::fs::write(units.join("bench.service"), format!("[Service]\nExecStart={}\n", command_line(dir)))
        .unwrap();
    Builtin::new(Options::at(dir))
}

fn supervisord(dir: &Path) -> Option<(Supervisord, Child)> {
    let at = dir.display();
    let text = format!(
        "[unix_http_server]\nfile={at}/s.sock\n[supervisord]\nlogfile={at}/log\npidfile={at}/pid\nchildlogdir={at}\n\
         nodaemon=true\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
         [program:bench]\ncommand={}\nautostart=false\nstartsecs=0\n",
        command_line(dir)
    );
    std::fs::write(dir.join("supervisord.conf"), text).unwrap();
    let mut command = Command::new("/usr/bin/supervisord");
    command.arg("-c").arg(dir.join("supervisord.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().ok()?;
    let supervisor = Supervisord::new(dir.join("s.sock"));
    let deadline = Instant::now() + LONG;
    while !supervisor.answers() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    Some((supervisor, child))
}

/// The latencies of so many writes, each waited for.
fn measure(supervisor: Arc<dyn Supervisor>, dir: &Path, runs: usize) -> Vec<Duration> {
    let (configuration, told) = (dir.join("conf"), UnixDatagram::bind(dir.join("told")).unwrap());
    told.set_read_timeout(Some(LONG)).unwrap();
    std::fs::write(&configuration, "0").unwrap();
    supervisor.start("bench").unwrap();
    await_content(&told, "0");
    let (done, acted): (_, Receiver<()>) = channel();
    let listener = move |event: &Event| match event {
        Event::Restarted { .. } => _ = done.send(()),
        other => eprintln!("{other:?}"),
    };
    let watcher = Watcher::start(supervisor, Arc::new(listener)).unwrap();
    let rule = Rule {
        name: "bench".into(),
        paths: vec![configuration.clone()],
        service: "bench".into(),
        debounce: DEBOUNCE,
        ..Rule::default()
    };
    watcher.set_rules(vec![rule]).unwrap();
    let one = |run: usize| {
        let content = run.to_string();
        let written = Instant::now();
        std::fs::write(&configuration, &content).unwrap();
        await_content(&told, &content);
        let latency = written.elapsed().saturating_sub(DEBOUNCE);
        acted.recv_timeout(LONG).unwrap();
        latency
    };
    (1..=runs).map(one).collect()
}

fn await_content(told: &UnixDatagram, content: &str) {
    let mut buffer = [0u8; 64];
    let length = told.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], content.as_bytes());
}

fn report(name: &str, mut latencies: Vec<Duration>) {
    latencies.sort();
    let at =
        |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
    println!("{name:13} median {:7.2} ms   p99 {:7.2} ms   worst {:7.2} ms", at(0.5), at(0.99), at(1.0));
}
