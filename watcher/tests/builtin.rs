//! The built-in supervisor with real processes.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{House, alive, lines, until, write_program};
use mayfly_watcher::supervisor::{Error, Status, Supervisor};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn pid(house: &House, service: &str) -> u32 {
    match house.supervisor.status(service).unwrap() {
        Status::Running(Some(pid)) => pid,
        other => panic!("{service} is {other:?}"),
    }
}

#[test]
fn a_service_is_started_restarted_and_stopped() {
    let house = House::new();
    house.shell("web", "echo started; exec sleep 1000", "");
    let supervisor = &house.supervisor;
    assert_eq!(supervisor.status("web").unwrap(), Status::Stopped);
    assert_eq!(supervisor.status("nobody").unwrap(), Status::Unknown);
    assert!(matches!(supervisor.start("nobody"), Err(Error::Unknown { .. })));
    assert!(matches!(supervisor.start("../web"), Err(Error::Unknown { .. })));

    supervisor.start("web").unwrap();
    let first = pid(&house, "web");
    supervisor.start("web").unwrap();
    assert_eq!(pid(&house, "web"), first, "a running service is left alone");
    until("its words are in its log", || house.log("web").lines().count() == 1);

    supervisor.restart("web").unwrap();
    let second = pid(&house, "web");
    assert!(second != first && !alive(first) && alive(second));

    supervisor.stop("web").unwrap();
    assert!(!alive(second));
    assert!(!std::path::Path::new(&format!("/proc/{second}")).exists(), "no zombie is left");
    assert_eq!(supervisor.status("web").unwrap(), Status::Stopped);
    supervisor.stop("web").unwrap();
}

#[test]
fn the_surroundings_are_as_the_unit_says() {
    let house = House::new();
    let env = house.path("env");
    std::fs::write(&env, "FROM_FILE='a b'\n").unwrap();
    let dir = house.dir.path().display().to_string();
    std::fs::set_permissions(house.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = "id -un; id -gn; pwd; ulimit -n; umask; echo \"$A|$FROM_FILE|$SECRET|$RUNTIME_DIRECTORY|$HOME|$1|$2|$3\"; exec sleep 1000";
    house.shell("web", script, "");
    let unit = format!(
        "[Service]\nExecStart=/bin/sh {dir}/web.sh $A ${{A}}\nUser=nobody\nEnvironment=A=\"1 2\"\nEnvironmentFile=/env\n\
         WorkingDirectory=/tmp\nLimitNOFILE=321\nUMask=0027\nRuntimeDirectory=web\nRuntimeDirectoryMode=0750\n"
    );
    house.unit("web.service", &unit.replace("A=\"1 2\"", "\"A=1 2\""));
    house.supervisor.start("web").unwrap();
    until("it has told all", || house.log("web").lines().count() == 6);
    let log = house.log("web");
    let group = if log.contains("nogroup") { "nogroup" } else { "nobody" };
    let home = log.lines().nth(5).unwrap().split('|').nth(4).unwrap().to_owned();
    let expected = format!("nobody\n{group}\n/tmp\n321\n0027\n1 2|a b||{dir}/run/web|{home}|1|2|1 2\n");
    assert_eq!(log, expected);
    let made = std::fs::metadata(house.path("run/web")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&made.permissions()) & 0o777, 0o750);
    house.supervisor.stop("web").unwrap();
    assert!(!house.path("run/web").exists(), "a runtime directory goes with its service");
}

/// A child has our memory until it executes, and must change itself alone: who it is, where it is, which signals it takes.
#[test]
fn what_a_start_changes_is_changed_for_the_child_alone() {
    let house = House::new();
    let place = std::env::current_dir().unwrap();
    house.unit(
        "web.service",
        "[Service]\nExecStart=/bin/sleep 1000\nUser=nobody\nWorkingDirectory=/tmp\nUMask=0077\nLimitNOFILE=321\n",
    );
    house.supervisor.start("web").unwrap();
    let line = |path: &std::path::Path, name: &str| {
        let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_owned()))
    };
    let child = std::path::PathBuf::from(format!("/proc/{}", pid(&house, "web")));
    assert_ne!(line(&child, "Uid:"), line("/proc/self".as_ref(), "Uid:"), "the child is nobody");
    assert_eq!(line(&child, "SigBlk:").unwrap(), "0000000000000000");
    for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Some(uid) = line(&thread.path(), "Uid:") else { continue };
        assert_eq!(uid, "0\t0\t0\t0", "a thread of ours became somebody else: run this as root");
    }
    assert_eq!(std::env::current_dir().unwrap(), place);
    // Whoever may look into the child may not look into us, and nobody less than before may.
    assert!(nix::sys::prctl::get_dumpable().unwrap(), "our memory counts as another user's");
}

#[test]
fn a_process_that_dies_is_started_again_with_growing_pauses() {
    let house = House::new();
    let count = house.path("count");
    house.shell(
        "web",
        &format!("echo x >> {}; exit 3", count.display()),
        "Restart=on-failure\nRestartSec=5ms\n",
    );
    house.supervisor.start("web").unwrap();
    until("four starts", || lines(&count).len() >= 4);
    let report = house.supervisor.report();
    assert_eq!(report[0].last_end.as_deref(), Some("exited with status 3"));
    house.supervisor.stop("web").unwrap();
    assert_eq!(house.supervisor.status("web").unwrap(), Status::Stopped);
    let starts = lines(&count).len();
    assert_eq!(house.supervisor.report()[0].starts, starts as u64);
}

#[test]
fn a_killed_process_comes_back() {
    let house = House::new();
    house.shell("web", "exec sleep 1000", "Restart=always\nRestartSec=1ms\n");
    house.supervisor.start("web").unwrap();
    let first = pid(&house, "web");
    house.supervisor.signal("web", "SIGKILL").unwrap();
    until(
        "a new process",
        || matches!(house.supervisor.status("web"), Ok(Status::Running(Some(p))) if p != first),
    );
    assert!(house.supervisor.signal("web", "NOPE").is_err());
}

#[test]
fn a_service_deaf_to_signals_is_killed_with_its_children() {
    let house = House::new();
    let child = house.path("child");
    let script = format!("trap '' TERM; sleep 1000 & echo $! > {}; while :; do wait; done", child.display());
    house.shell("web", &script, "TimeoutStopSec=100ms\n");
    house.supervisor.start("web").unwrap();
    until("the child runs", || lines(&child).len() == 1);
    let child: u32 = lines(&child)[0].parse().unwrap();
    let main = pid(&house, "web");
    house.supervisor.stop("web").unwrap();
    until("both are gone", || !alive(main) && !alive(child));
}

#[test]
fn a_bad_unit_leaves_the_running_process_alone() {
    let house = House::new();
    house.shell("web", "exec sleep 1000", "");
    house.supervisor.start("web").unwrap();
    let first = pid(&house, "web");
    for (unit, what) in [
        ("[Service]\nType=forking\nExecStart=/bin/true\n", "web.service:2:6: Type=forking"),
        ("[Service]\nExecStart=/does/not/exist\n", "/does/not/exist"),
        ("[Service]\nExecStart=/bin/true\nUser=nobody-here\n", "nobody-here"),
        ("nonsense\n", "web.service:1:1"),
    ] {
        house.unit("web.service", unit);
        let error = house.supervisor.restart("web").unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        assert_eq!(pid(&house, "web"), first);
    }
}

#[test]
fn failures_before_the_program_runs_name_their_step() {
    let house = House::new();
    house.unit("web.service", "[Service]\nExecStart=/bin/true\nWorkingDirectory=/does/not/exist\n");
    let error = house.supervisor.start("web").unwrap_err().to_string();
    assert!(error.contains("its working directory failed for /bin/true"), "{error}");
    let script = house.path("not-a-program");
    write_program(&script, "\u{1}");
    house.unit("web.service", &format!("[Service]\nExecStart={}\n", script.display()));
    let error = house.supervisor.start("web").unwrap_err().to_string();
    assert!(error.contains("executing failed"), "{error}");
}

/// `nohup mayfly-boot run` leaves SIGHUP ignored; a service that reloads on it must not inherit that.
#[test]
#[allow(unsafe_code)]
fn a_service_inherits_no_ignored_signal() {
    // SAFETY: no handler runs; no other test waits for this signal.
    unsafe { nix::sys::signal::signal(nix::sys::signal::SIGUSR2, nix::sys::signal::SigHandler::SigIgn) }
        .unwrap();
    let house = House::new();
    let told = house.path("told");
    let script = format!(
        "trap 'echo usr2 >> {0}' USR2; echo main >> {0}; while :; do sleep 0.01; done",
        told.display()
    );
    house.shell("web", &script, "");
    house.supervisor.start("web").unwrap();
    until("it runs", || lines(&told) == ["main"]);
    house.supervisor.signal("web", "USR2").unwrap();
    until("it heard the signal", || lines(&told).last().unwrap() == "usr2");
}

#[test]
fn commands_before_and_reload_and_oneshots() {
    let house = House::new();
    let told = house.path("told");
    let script =
        format!("trap 'echo hup >> {0}' HUP; echo main >> {0}; while :; do sleep 0.01; done", told.display());
    let unit = format!(
        "ExecStartPre=/bin/sh -c 'echo pre >> {}'\nExecStartPre=-/bin/false\nExecReload=/bin/kill -HUP $MAINPID\n",
        told.display()
    );
    house.shell("web", &script, &unit);
    house.supervisor.start("web").unwrap();
    until("it runs", || lines(&told) == ["pre", "main"]);
    house.supervisor.reload("web").unwrap();
    until("it reloaded", || lines(&told).last().unwrap() == "hup");

    house.unit(
        "once.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/echo one\nExecStart=/bin/echo two\n",
    );
    house.supervisor.start("once").unwrap();
    assert_eq!(house.supervisor.status("once").unwrap(), Status::Running(None));
    assert_eq!(house.log("once"), "one\ntwo\n");
    house.unit("broken.service", "[Service]\nExecStart=/bin/true\nExecStartPre=/bin/sh -c 'exit 4'\n");
    let error = house.supervisor.start("broken").unwrap_err().to_string();
    assert!(error.contains("exited with status 4"), "{error}");
}

#[test]
fn a_notify_service_has_started_when_it_says_so() {
    let house = House::new();
    let script = "use Socket; select(undef,undef,undef,0.05); socket(my $s, AF_UNIX, SOCK_DGRAM, 0); \
                  send($s, \"STATUS=x\\nREADY=1\\n\", 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die; open(F,'>',$ARGV[0]); close F; sleep 1000;";
    let (file, ready) = (house.path("ready.pl"), house.path("ready"));
    std::fs::write(&file, script).unwrap();
    let exec = format!("ExecStart=/usr/bin/perl {} {}", file.display(), ready.display());
    house.unit("web.service", &format!("[Service]\nType=notify\n{exec}\n"));
    house.supervisor.start("web").unwrap();
    until("it goes on after telling", || ready.exists());
    house.unit("mute.service", "[Service]\nType=notify\nTimeoutStartSec=50ms\nExecStart=/bin/sleep 1000\n");
    let error = house.supervisor.start("mute").unwrap_err().to_string();
    assert!(error.contains("READY=1"), "{error}");
    assert_eq!(house.supervisor.status("mute").unwrap(), Status::Stopped);
    house.unit("dies.service", "[Service]\nType=notify\nExecStart=/bin/false\n");
    assert!(house.supervisor.start("dies").unwrap_err().to_string().contains("status 1"));
}

/// Says that the service is ready, as nobody, and stays for as long as it is told to.
const NOBODY_SAYS: &str = "use Socket; use POSIX; setgid(65534); setuid(65534) or die; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); \
                           send($s, 'READY=1', 0, sockaddr_un($ARGV[0])) or die; sleep $ARGV[1];";

/// Anybody can write to the socket of a service, which may become anybody.
#[test]
fn only_the_service_says_that_it_is_ready() {
    let house = House::new();
    std::fs::set_permissions(house.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (says, go, said) = (house.path("says.pl"), house.path("go"), house.path("said"));
    std::fs::write(&says, NOBODY_SAYS).unwrap();
    let says = says.display();
    let script = format!(
        "until test -e {}; do sleep 0.01; done; touch {}; exec perl {says} $NOTIFY_SOCKET 1000",
        go.display(),
        said.display()
    );
    house.shell("web", &script, "Type=notify\n");
    let supervisor = house.supervisor.clone();
    let starts = std::thread::spawn(move || supervisor.start("web").map(|()| said.exists()));
    let sockets = || std::fs::read_dir(house.path("run/mayfly/notify")).into_iter().flatten().flatten();
    let is_open = |file: std::fs::DirEntry| {
        file.metadata().is_ok_and(|m| std::os::unix::fs::PermissionsExt::mode(&m.permissions()) & 0o002 != 0)
    };
    until("it has a socket for everybody", || sockets().any(is_open));
    let mut stranger = Command::new("perl");
    stranger.arg(house.path("says.pl")).arg(sockets().next().unwrap().path()).arg("0");
    assert!(stranger.status().unwrap().success(), "run this as root");
    std::fs::write(go, "").unwrap();
    assert!(starts.join().unwrap().unwrap(), "a stranger said so, and was believed");
    until("the socket goes with its start", || sockets().count() == 0);
}

#[test]
fn a_restart_that_could_not_start_leaves_what_runs() {
    let house = House::new();
    house.shell("web", "exec sleep 1000", "StandardOutput=append:/own.log\n");
    house.supervisor.start("web").unwrap();
    let runs = pid(&house, "web");
    std::fs::remove_file(house.path("own.log")).unwrap();
    std::fs::create_dir(house.path("own.log")).unwrap();
    let error = house.supervisor.restart("web").unwrap_err().to_string();
    assert!(error.contains("own.log"), "{error}");
    assert_eq!(pid(&house, "web"), runs);
    std::fs::remove_dir(house.path("own.log")).unwrap();
    house.supervisor.restart("web").unwrap();
    assert_ne!(pid(&house, "web"), runs);
}

#[test]
fn enabling_makes_and_removes_links() {
    let house = House::new();
    house.shell("web", "exec sleep 1000", "[Install]\nWantedBy=multi-user.target\n");
    house.shell("static", "exec sleep 1000", "");
    let link = house.path("etc/systemd/system/multi-user.target.wants/web.service");
    assert_eq!(house.supervisor.enabled("web").unwrap(), Some(false));
    house.supervisor.set_enabled("web", true).unwrap();
    house.supervisor.set_enabled("web", true).unwrap();
    assert_eq!(std::fs::read_link(&link).unwrap(), std::path::Path::new("/etc/systemd/system/web.service"));
    assert_eq!(house.supervisor.enabled("web").unwrap(), Some(true));
    assert_eq!(house.supervisor.enabled_services(), ["web"]);
    house.supervisor.set_enabled("web", false).unwrap();
    assert!(!link.is_symlink());
    assert_eq!(house.supervisor.enabled("static").unwrap(), None);
    assert!(house.supervisor.set_enabled("static", true).is_err());
}

/// Serves on the sockets it is given; on TERM it answers what it has and ends.
const SERVER: &str = r#"
$ENV{LISTEN_PID} == $$ or die "LISTEN_PID"; $ENV{LISTEN_FDS} == 1 or die; $ENV{LISTEN_FDNAMES} eq 'web.socket' or die;
open(my $listen, '+<&=', 3) or die; my $stop = 0; $SIG{TERM} = sub { $stop = 1 };
while (!$stop) {
    my $r = ''; vec($r, 3, 1) = 1; next if select($r, undef, undef, undef) <= 0;
    accept(my $c, $listen) or next; my $line = <$c>; 1 while ($l = <$c>) && $l ne "\r\n";
    print $c "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"; close $c;
}
"#;

fn request(address: std::net::SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.ends_with("ok") { Ok(()) } else { Err(std::io::Error::other(answer)) }
}

/// Ends the load when the test has its answer, also when that is a failure.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn fifty_restarts_under_load_refuse_no_connection() {
    let house = House::new();
    std::fs::write(house.path("server.pl"), SERVER).unwrap();
    house.unit(
        "web.service",
        &format!("[Service]\nExecStart=/usr/bin/perl {}\n", house.path("server.pl").display()),
    );
    house.unit("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
    house.supervisor.start("web").unwrap();
    let address = house.supervisor.report()[0].listening[0];
    request(address).unwrap();
    let (stop, served, failed) =
        (AtomicBool::new(false), AtomicUsize::new(0), Arc::new(std::sync::Mutex::new(vec![])));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    match request(address) {
                        Ok(()) => _ = served.fetch_add(1, Ordering::Relaxed),
                        Err(error) => failed.lock().unwrap().push(error.to_string()),
                    }
                }
            });
        }
        let _stop = StopOnDrop(&stop);
        for round in 1..=50 {
            house.supervisor.restart("web").unwrap();
            until("some are served between restarts", || served.load(Ordering::Relaxed) >= round * 5);
        }
    });
    assert!(failed.lock().unwrap().is_empty(), "{failed:?}");
    assert_eq!(house.supervisor.report()[0].starts, 51);
    house.supervisor.stop("web").unwrap();
    assert!(TcpStream::connect(address).is_err(), "a stopped service does not listen");
}

#[test]
fn a_port_that_is_taken_costs_the_running_service_nothing() {
    let house = House::new();
    house.shell("web", "exec sleep 1000", "");
    house.supervisor.start("web").unwrap();
    let first = pid(&house, "web");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    house.unit("web.socket", &format!("[Socket]\nListenStream={address}\n"));
    let error = house.supervisor.restart("web").unwrap_err().to_string();
    assert!(error.contains(&format!("ListenStream={address}")), "{error}");
    assert_eq!(pid(&house, "web"), first);
}

#[test]
fn unix_sockets_are_made_with_their_mode_and_removed() {
    let house = House::new();
    house.shell("web", "exec sleep 1000", "");
    house.unit("web.socket", "[Socket]\nListenStream=/run/web.sock\nSocketMode=0600\n");
    house.supervisor.start("web").unwrap();
    let path = house.path("run/web.sock");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777,
        0o600
    );
    std::os::unix::net::UnixStream::connect(&path).unwrap();
    house.supervisor.stop("web").unwrap();
    assert!(!path.exists());
}

#[test]
fn children_of_others_are_not_reaped() {
    let house = House::new();
    house.shell("web", "exec sleep 1000", "");
    let mut mine = std::process::Command::new("/bin/sh").args(["-c", "exit 7"]).spawn().unwrap();
    for _ in 0..5 {
        house.supervisor.restart("web").unwrap();
    }
    assert_eq!(mine.wait().unwrap().code(), Some(7));
}

#[test]
fn drop_ins_and_templates_apply() {
    let house = House::new();
    house.unit(
        "work@.service",
        "[Service]\nExecStart=/bin/sh -c 'echo %i $A; exec sleep 1000'\nEnvironment=A=1\n",
    );
    std::fs::create_dir_all(house.path("run/systemd/system/work@blue.service.d")).unwrap();
    std::fs::write(
        house.path("run/systemd/system/work@blue.service.d/a.conf"),
        "[Service]\nEnvironment=A=2\n",
    )
    .unwrap();
    house.supervisor.start("work@blue").unwrap();
    until("it told its name", || house.log("work@blue") == "blue 2\n");
    std::os::unix::fs::symlink("/dev/null", house.path("etc/systemd/system/gone.service")).unwrap();
    assert!(house.supervisor.start("gone").unwrap_err().to_string().contains("masked"));
}

#[test]
fn stop_all_ends_everything_and_dropping_ends_nothing() {
    let house = House::new();
    house.shell("a", "exec sleep 1000", "").shell("b", "exec sleep 1000", "");
    house.supervisor.start("a").unwrap();
    house.supervisor.start("b").unwrap();
    let pids = [pid(&house, "a"), pid(&house, "b")];
    house.supervisor.stop_all().unwrap();
    assert!(!pids.into_iter().any(alive));

    let other = mayfly_watcher::supervisor::builtin::Builtin::new(
        mayfly_watcher::supervisor::builtin::Options::at(house.dir.path()),
    );
    other.start("a").unwrap();
    let Status::Running(Some(left)) = other.status("a").unwrap() else { panic!() };
    drop(other);
    assert!(alive(left));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(left as i32), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
}

#[test]
fn members_of_the_group_may_finish_after_the_main_process() {
    let house = House::new();
    let (child, done) = (house.path("child"), house.path("done"));
    // The main process ends at once on TERM; its child needs a moment for what it has begun.
    let worker = format!(
        "trap 'sleep 0.1; echo done > {}; exit' TERM; echo up > {}; while :; do sleep 0.01; done",
        done.display(),
        child.display()
    );
    std::fs::write(house.path("worker.sh"), worker).unwrap();
    house.shell("web", &format!("/bin/sh {} & wait", house.path("worker.sh").display()), "");
    house.supervisor.start("web").unwrap();
    until("the child runs", || child.exists());
    house.supervisor.restart("web").unwrap();
    assert_eq!(lines(&done), ["done"]);
}

#[test]
fn a_service_whose_unit_is_gone_can_be_stopped_and_is_unknown_then() {
    let house = House::new();
    house.shell("web", "exec sleep 1000", "");
    house.supervisor.start("web").unwrap();
    std::fs::remove_file(house.path("etc/systemd/system/web.service")).unwrap();
    let running = pid(&house, "web");
    assert!(matches!(house.supervisor.restart("web"), Err(Error::Unknown { .. })));
    assert!(alive(running));
    house.supervisor.stop("web").unwrap();
    assert_eq!(house.supervisor.status("web").unwrap(), Status::Unknown);
}

#[test]
fn links_that_a_service_placed_lead_root_nowhere() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let house = House::new();
    let (own, system) = (house.path("var/lib/app"), house.path("system"));
    for (path, mode) in [(&own, 0o777), (&system, 0o755)] {
        std::fs::create_dir_all(path).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    std::fs::write(system.join("passwd"), "root\n").unwrap();
    symlink(&system, own.join("data")).unwrap();
    symlink(system.join("passwd"), own.join("out.log")).unwrap();
    house.shell("data", "exec sleep 1000", "StateDirectory=app/data\nStateDirectoryMode=0700\n");
    house.shell("appends", "echo x; exec sleep 1000", "StandardOutput=append:/var/lib/app/out.log\n");
    house.shell("cuts", "exec sleep 1000", "StandardOutput=truncate:/var/lib/app/out.log\n");
    for service in ["data", "appends", "cuts"] {
        let error = house.supervisor.start(service).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{service}: {error}");
    }
    assert_eq!(system.metadata().unwrap().mode() & 0o777, 0o755);
    assert_eq!(std::fs::read_to_string(system.join("passwd")).unwrap(), "root\n");
}
