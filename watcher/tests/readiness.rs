//! When a start is over: a port answers, a command succeeds, the commands after it have run.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{House, lines};
use mayfly_watcher::supervisor::{Status, Supervisor};
use std::net::{TcpListener, TcpStream};

/// A port that nobody has.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Listens on a port after a moment.
fn slow_server(house: &House, port: u16, more: &str) {
    let script = format!(
        "use IO::Socket::INET; select(undef,undef,undef,0.1); my $l = IO::Socket::INET->new(LocalAddr=>'127.0.0.1', \
         LocalPort=>{port}, Listen=>9, ReuseAddr=>1) or die; 1 while $l->accept;"
    );
    std::fs::write(house.path("server.pl"), script).unwrap();
    let exec = format!("ExecStart=/usr/bin/perl {}", house.path("server.pl").display());
    house.unit("web.service", &format!("[Service]\n{exec}\n{more}"));
}

#[test]
fn a_service_has_started_when_its_port_answers() {
    let house = House::new();
    let port = free_port();
    slow_server(&house, port, &format!("X-Mayfly-ReadyPort={port}\n"));
    house.supervisor.start("web").unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    house.supervisor.restart("web").unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[test]
fn a_service_has_started_when_its_command_succeeds() {
    let house = House::new();
    let flag = house.path("flag");
    house.shell(
        "web",
        &format!("sleep 0.1; touch {}; exec sleep 1000", flag.display()),
        &format!("X-Mayfly-ReadyCommand=/usr/bin/test -e {}\n", flag.display()),
    );
    house.supervisor.start("web").unwrap();
    assert!(flag.exists());
    assert!(matches!(house.supervisor.status("web").unwrap(), Status::Running(Some(_))));
}

#[test]
fn a_service_that_is_never_ready_is_a_failure_that_says_why() {
    let house = House::new();
    let port = free_port();
    house.shell(
        "deaf",
        "exec sleep 1000",
        &format!("TimeoutStartSec=200ms\nX-Mayfly-ReadyPort=127.0.0.1:{port}\n"),
    );
    let error = house.supervisor.start("deaf").unwrap_err().to_string();
    assert!(error.contains(&format!("not ready (127.0.0.1:{port}: Connection refused")), "{error}");
    assert_eq!(house.supervisor.status("deaf").unwrap(), Status::Stopped, "it is not left half started");

    house.shell(
        "ill",
        "exec sleep 1000",
        "TimeoutStartSec=200ms\nX-Mayfly-ReadyCommand=/bin/sh -c 'exit 4'\n",
    );
    let error = house.supervisor.start("ill").unwrap_err().to_string();
    assert!(error.contains("exited with status 4"), "{error}");

    house.shell("dies", "exit 3", &format!("X-Mayfly-ReadyPort={port}\n"));
    let error = house.supervisor.start("dies").unwrap_err().to_string();
    assert!(error.contains("exited with status 3 before it was ready"), "{error}");

    house.shell("wrong", "exit 3", "X-Mayfly-ReadyPort=http\n");
    let error = house.supervisor.start("wrong").unwrap_err().to_string();
    assert!(error.contains("wrong.service:3:20: `http` is not a port"), "{error}");
}

#[test]
fn a_stop_is_not_held_up_by_a_service_that_is_not_ready() {
    let house = House::new();
    let up = house.path("up");
    house.shell(
        "web",
        &format!("touch {}; exec sleep 1000", up.display()),
        &format!("X-Mayfly-ReadyPort={}\n", free_port()),
    );
    let supervisor = house.supervisor.clone();
    let starting = std::thread::spawn(move || supervisor.start("web"));
    common::until("it runs", || up.exists());
    house.supervisor.stop("web").unwrap();
    assert!(starting.join().unwrap().unwrap_err().to_string().contains("a stop was asked for"));
    assert_eq!(house.supervisor.status("web").unwrap(), Status::Stopped);
}

#[test]
fn commands_after_the_start_belong_to_it() {
    let house = House::new();
    let told = house.path("told");
    let post = format!("ExecStartPost=/bin/sh -c 'echo $MAINPID >> {}'\n", told.display());
    house.shell("web", "exec sleep 1000", &post);
    house.supervisor.start("web").unwrap();
    let Status::Running(Some(pid)) = house.supervisor.status("web").unwrap() else { panic!() };
    assert_eq!(lines(&told), [pid.to_string()]);
    house.shell("web", "exec sleep 1000", "ExecStartPost=-/bin/false\nExecStartPost=/bin/sh -c 'exit 5'\n");
    let error = house.supervisor.restart("web").unwrap_err().to_string();
    assert!(error.contains("exited with status 5"), "{error}");
    assert_eq!(house.supervisor.status("web").unwrap(), Status::Stopped);
}
