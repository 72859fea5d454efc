//! Services of the built-in supervisor that outlive it: kept on by the next one, whether it replaced the first in place
//! (they are its children) or the first was killed (they are strangers).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{House, alive, lines, until};
use mayfly_watcher::supervisor::builtin::{Builtin, Options};
use mayfly_watcher::supervisor::{Status, Supervisor};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

const ROOT: &str = "MAYFLY_TEST_ROOT";

fn pid(supervisor: &Builtin, service: &str) -> u32 {
    match supervisor.status(service).unwrap() {
        Status::Running(Some(pid)) => pid,
        other => panic!("{service} is {other:?}"),
    }
}

/// Another supervisor of the house, as after a restart of the program.
fn next(house: &House) -> Builtin {
    Builtin::new(Options::at(house.dir.path()))
}

/// Not a test by itself: the supervisor that is killed, in a process of its own.
#[test]
fn a_supervisor_to_be_killed() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let supervisor = Builtin::new(Options::at(Path::new(&root)));
    supervisor.start("web").unwrap();
    std::fs::write(Path::new(&root).join("started"), "").unwrap();
    loop {
        std::thread::park();
    }
}

/// Start `web` by a supervisor in another process, and kill that process.
fn start_and_be_killed(house: &House) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_supervisor_to_be_killed", "--nocapture"]).env(ROOT, house.dir.path());
    let mut other = command.stdout(Stdio::null()).spawn().unwrap();
    until("the other supervisor has started it", || house.path("started").exists());
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_service_is_kept_by_the_supervisor_that_replaces_ours() {
    let house = House::new();
    let told = house.path("told");
    house.shell(
        "web",
        &format!(
            "trap 'echo hup; echo hup >> {}' HUP; echo up; while :; do sleep 0.01; done",
            told.display()
        ),
        "Restart=always\nRestartSec=1ms\n",
    );
    house.supervisor.start("web").unwrap();
    let first = pid(&house.supervisor, "web");
    until("it runs", || house.log("web") == "up\n");

    let second = next(&house);
    assert_eq!(pid(&second, "web"), first);
    second.start("web").unwrap();
    assert_eq!((pid(&second, "web"), second.report()[0].starts), (first, 1));
    second.signal("web", "HUP").unwrap();
    until("it was told, and its words are in its log", || house.log("web") == "up\nhup\n" && told.exists());
    second.restart("web").unwrap();
    assert!(!alive(first) && second.report()[0].starts == 2);
    second.stop_all().unwrap();
    assert!(next(&house).report().is_empty(), "what was stopped is no service to be kept");
}

#[test]
fn a_service_is_kept_after_its_supervisor_was_killed() {
    let house = House::new();
    house.shell("web", "echo up; exec sleep 1000", "Restart=always\nRestartSec=1ms\n");
    start_and_be_killed(&house);
    let second = next(&house);
    let first = pid(&second, "web");
    assert!(alive(first));
    until("it wrote to its log", || house.log("web") == "up\n");

    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first as i32), nix::sys::signal::SIGKILL).unwrap();
    until(
        "its end is noticed, and it is started again",
        || matches!(second.status("web"), Ok(Status::Running(Some(p))) if p != first),
    );
    until("the new one wrote to the same log", || house.log("web") == "up\nup\n");
    second.stop_all().unwrap();
}

#[test]
fn a_stranger_is_stopped_with_its_grace() {
    let house = House::new();
    let told = house.path("told");
    let script =
        format!("trap 'echo int >> {}; exit' INT; echo up; while :; do sleep 0.01; done", told.display());
    house.shell("web", &script, "KillSignal=SIGINT\nRestart=always\n");
    start_and_be_killed(&house);
    let second = next(&house);
    let first = pid(&second, "web");
    until("its trap is set", || house.log("web") == "up\n");
    second.restart("web").unwrap();
    assert!(!alive(first) && pid(&second, "web") != first);
    assert_eq!(lines(&told), ["int"]);
    second.stop_all().unwrap();
}

/// Answers with its process id.
const SERVER: &str = r#"
open(my $listen, '+<&=', 3) or die;
while (accept(my $c, $listen)) { print $c $$; close $c; }
"#;

fn ask(address: SocketAddr) -> u32 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.flush().unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.parse().unwrap()
}

#[test]
fn the_sockets_of_a_kept_service_are_held_on() {
    let house = House::new();
    std::fs::write(house.path("server.pl"), SERVER).unwrap();
    house.unit(
        "web.service",
        &format!("[Service]\nExecStart=/usr/bin/perl {}\n", house.path("server.pl").display()),
    );
    house.unit("web.socket", "[Socket]\nListenStream=127.0.0.1:0\nListenStream=/run/web.sock\n");
    start_and_be_killed(&house);
    let second = next(&house);
    let first = pid(&second, "web");
    let address = second.report()[0].listening[0];
    assert_eq!(ask(address), first);
    second.restart("web").unwrap();
    assert_eq!(second.report()[0].listening, [address], "the port that the kernel chose is kept");
    assert_eq!(ask(address), pid(&second, "web"));
    assert_ne!(pid(&second, "web"), first);
    second.stop("web").unwrap();
    assert!(TcpStream::connect(address).is_err(), "a stopped service does not listen");
    assert!(!house.path("run/web.sock").exists());
}

/// As on a kernel that lets nobody copy descriptors.
#[test]
fn sockets_that_cannot_be_taken_back_are_opened_anew_by_a_restart() {
    let house = House::new();
    std::fs::write(house.path("server.pl"), SERVER).unwrap();
    house.unit(
        "web.service",
        &format!("[Service]\nExecStart=/usr/bin/perl {}\n", house.path("server.pl").display()),
    );
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    house.unit("web.socket", &format!("[Socket]\nListenStream={port}\n"));
    start_and_be_killed(&house);
    let record = house.path("run/mayfly/services/web");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace(&line(&text, "socket="), &format!("socket=1 {port}"))).unwrap();
    let second = next(&house);
    let first = pid(&second, "web");
    assert_eq!(ask(port), first, "it serves on");
    second.restart("web").unwrap();
    assert_eq!(ask(port), pid(&second, "web"));
    assert!(!alive(first));
    second.stop_all().unwrap();
}

#[test]
fn a_oneshot_that_is_done_is_not_done_again() {
    let house = House::new();
    house.unit("once.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/echo one\n");
    house.supervisor.start("once").unwrap();
    let second = next(&house);
    assert_eq!(second.status("once").unwrap(), Status::Running(None));
    second.start("once").unwrap();
    assert_eq!(house.log("once"), "one\n");
}

fn line(text: &str, key: &str) -> String {
    text.lines().find(|l| l.starts_with(key)).unwrap().to_owned()
}

#[test]
fn nobody_else_is_taken_for_the_service() {
    let house = House::new();
    house.shell("web", "exec sleep 1000", "");
    house.supervisor.start("web").unwrap();
    let record = house.path("run/mayfly/services/web");
    let text = std::fs::read_to_string(&record).unwrap();
    house.supervisor.stop("web").unwrap();
    assert!(!record.exists());
    // A process that got the number later, or one of another boot.
    let mut stranger = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
    let id = stranger.id();
    let later = text.replace(&line(&text, "pid="), &format!("pid={id}"));
    let later = later.replace(&line(&text, "started="), "started=1");
    let start = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let start = start.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().to_owned();
    let of_another_boot = format!("mayfly-service 1\nboot=other\nstarts=1\npid={id}\nstarted={start}\n");
    for changed in [later, of_another_boot, "garbage".into()] {
        std::fs::write(&record, changed).unwrap();
        let second = next(&house);
        assert_eq!(second.status("web").unwrap(), Status::Stopped);
        second.stop_all().unwrap();
    }
    assert!(stranger.try_wait().unwrap().is_none(), "it was left alone");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_service_whose_unit_is_gone_is_kept_and_can_be_stopped() {
    let house = House::new();
    house.shell("web", "exec sleep 1000", "");
    house.supervisor.start("web").unwrap();
    std::fs::remove_file(house.path("etc/systemd/system/web.service")).unwrap();
    let second = next(&house);
    let running = pid(&second, "web");
    second.stop_all().unwrap();
    assert!(!alive(running));
    assert_eq!(next(&house).status("web").unwrap(), Status::Unknown);
}
