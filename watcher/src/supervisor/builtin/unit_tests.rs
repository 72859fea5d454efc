//! Tests of what unit files mean.

use super::super::socket_unit::{Listen, Sockets};
use super::super::text::directives;
use super::*;
use std::path::Path;

fn with() -> Specifiers {
    Specifiers { name: "web".into(), user: "www".into(), home: "/srv/www".into(), hostname: "box".into() }
}

fn service(text: &str) -> Result<Service, UnitError> {
    Service::from_directives(&directives(Path::new("/u/web.service"), text).unwrap(), &with())
}

fn sockets(text: &str) -> Result<Sockets, UnitError> {
    Sockets::from_directives(&directives(Path::new("/u/web.socket"), text).unwrap(), &with())
}

#[test]
fn a_full_unit_is_read() {
    let unit = service(
        "[Unit]\nDescription=x\nAfter=network.target\n[Service]\nType=exec\nExecStartPre=-/bin/check -c '%h/a b'\n\
         ExecStart=/usr/bin/web --name %N $OPTIONS\nExecReload=/bin/kill -HUP $MAINPID\nUser=www\nGroup=web\n\
         Environment=\"A=1 2\" B=3\nEnvironmentFile=-/etc/default/web\nWorkingDirectory=~\nRestart=on-failure\n\
         RestartSec=200ms\nKillSignal=SIGINT\nTimeoutStopSec=1min\nLimitNOFILE=1024:4096\nStandardOutput=append:/var/log/w\n\
         RuntimeDirectoryMode=0700\nRuntimeDirectory=web\n[Install]\nWantedBy=multi-user.target\n",
    )
    .unwrap();
    assert_eq!(unit.start[0].words, ["/usr/bin/web", "--name", "web", "$OPTIONS"]);
    assert!(unit.start_pre[0].ignore_failure);
    assert_eq!(unit.start_pre[0].words[2], "/srv/www/a b");
    assert_eq!(unit.environment, [("A".into(), "1 2".into()), ("B".into(), "3".into())]);
    assert_eq!(unit.environment_files, [(PathBuf::from("/etc/default/web"), true)]);
    assert_eq!(unit.working_directory, Some((PathBuf::from("/srv/www"), false)));
    assert_eq!((unit.restart, unit.restart_sec), (Restart::OnFailure, Duration::from_millis(200)));
    assert_eq!(unit.kill_signal, nix::sys::signal::Signal::SIGINT);
    assert_eq!(unit.timeout_stop, Some(Duration::from_secs(60)));
    assert_eq!((unit.limits[0].1, unit.limits[0].2), (Some(1024), Some(4096)));
    assert_eq!(unit.stdout, Output::Append("/var/log/w".into()));
    assert_eq!((unit.directories[0].path.as_path(), unit.directories[0].mode), (Path::new("run/web"), 0o700));
    assert_eq!(unit.wanted_by, ["multi-user.target"]);
    assert!(unit.notes.is_empty(), "{:?}", unit.notes);
}

#[test]
fn what_is_not_done_is_noted_with_its_line() {
    let unit = service("[Service]\nExecStart=/bin/a\nPrivateTmp=yes\n").unwrap();
    assert_eq!(unit.notes.len(), 1);
    assert!(unit.notes[0].starts_with("/u/web.service:3: PrivateTmp="), "{}", unit.notes[0]);
}

#[test]
fn forking_is_refused_with_what_to_do() {
    let error = service("[Service]\nType=forking\nExecStart=/bin/a\n").unwrap_err().to_string();
    assert!(
        error.starts_with("/u/web.service:2:6: Type=forking") && error.contains("Type=simple"),
        "{error}"
    );
}

#[test]
fn wrong_values_are_refused_at_their_place() {
    for (line, what) in [
        ("Restart=sometimes", "sometimes"),
        ("KillSignal=SIGNOPE", "SIGNOPE"),
        ("TimeoutStopSec=soon", "soon"),
        ("ExecReload=bin/a", "absolute"),
        ("ExecReload='/bin/a", "quote"),
        ("WorkingDirectory=here", "absolute"),
        ("Environment=A", "NAME=value"),
        ("Environment=1A=2", "1A"),
        ("RuntimeDirectory=../etc", ".."),
        ("LimitNOFILE=many", "number"),
        ("UMask=9", "octal"),
        ("StandardOutput=socket", "journal"),
        ("RemainAfterExit=perhaps", "yes or no"),
        ("User=%q", "%q"),
    ] {
        let error = service(&format!("[Service]\nExecStart=/bin/a\n{line}\n")).unwrap_err();
        assert_eq!(error.line, 3, "{line}");
        assert!(error.reason.contains(what), "{line}: {error}");
    }
    assert!(service("[Service]\nUser=a\n").unwrap_err().reason.contains("ExecStart"));
    assert!(
        service("[Service]\nExecStart=/bin/a\nExecStart=/bin/b\n").unwrap_err().reason.contains("oneshot")
    );
}

#[test]
fn drop_ins_replace_a_command_after_clearing_it() {
    let unit = service("[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=@/bin/b name x\n").unwrap();
    assert_eq!(unit.start.len(), 1);
    assert_eq!(
        (unit.start[0].words.join(" "), unit.start[0].argv0.as_deref()),
        ("/bin/b x".into(), Some("name"))
    );
}

#[test]
fn sockets_are_read() {
    let found = sockets(
        "[Socket]\nListenStream=8080\nListenStream=127.0.0.1:0\nListenStream=/run/%N.sock\nSocketMode=0660\n",
    );
    let found = found.unwrap();
    let expected = [
        Listen::Port(8080),
        Listen::Address("127.0.0.1:0".parse().unwrap()),
        Listen::Unix("/run/web.sock".into()),
    ];
    assert_eq!(found.listen, expected);
    assert_eq!((found.mode, found.fd_name.as_str()), (0o660, "web.socket"));
    assert!(sockets("[Socket]\nAccept=yes\n").is_err());
    assert!(sockets("[Socket]\nListenDatagram=53\n").is_err());
    assert!(sockets("[Socket]\nListenStream=host:80\n").unwrap_err().reason.contains("host:80"));
}
