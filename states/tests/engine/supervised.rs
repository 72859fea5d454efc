//! `supervisord.*` with a real supervisord of the test's own, by supervisorctl; and by the machine's service
//! manager.

// Effects: tests touch the machine.
#![allow(clippy::disallowed_methods)]

use std::process::{Child, Command, Stdio};

use crate::bench::{Bench, eventually, json, only, step, words};
use mayfly_states::low::Chunk;
use mayfly_states::report::Outcome;

/// supervisord below the bench's root; it ends with the test.
struct Daemon(Child);

impl Daemon {
    fn start(bench: &Bench) -> Self {
        let at = bench.scratch("run");
        std::fs::create_dir(&at).unwrap();
        let (at, conf) = (at.display(), bench.at("/etc/supervisord.conf"));
        bench.write(
            "/etc/supervisord.conf",
            &format!(
                "[unix_http_server]\nfile={at}/s.sock\n\
                 [supervisord]\nlogfile={at}/d.log\npidfile={at}/d.pid\nchildlogdir={at}\nnodaemon=true\n\
                 [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
                 [supervisorctl]\nserverurl=unix://{at}/s.sock\n[include]\nfiles={}/*.conf\n",
                bench.at("/etc/programs").display()
            ),
        );
        let mut command = Command::new("supervisord");
        let child = command.arg("-c").arg(&conf).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let answers = || {
            let asked = Command::new("supervisorctl").arg("-c").arg(&conf).arg("pid").output().unwrap();
            asked.status.success()
        };
        assert!(eventually(answers), "supervisord does not answer");
        Self(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

fn program(bench: &Bench, name: &str, command: &str) {
    let text =
        format!("[program:{name}]\ncommand={command}\nautostart=false\nstartsecs=0\nautorestart=false\n");
    bench.write(&format!("/etc/programs/{name}.conf"), &text);
}

fn running(more: serde_json::Value) -> Chunk {
    let mut args = json!({"conf_file": "/etc/supervisord.conf"});
    let serde_json::Value::Object(more) = more else { panic!("arguments are a mapping") };
    args.as_object_mut().unwrap().extend(more);
    step("supervisord.running", "web", args)
}

fn pid(bench: &Bench) -> String {
    let conf = bench.at("/etc/supervisord.conf");
    let asked = Command::new("supervisorctl").arg("-c").arg(conf).args(["pid", "web"]).output().unwrap();
    String::from_utf8(asked.stdout).unwrap()
}

#[test]
fn a_program_is_taken_over_started_restarted_and_stopped() {
    let bench = Bench::new();
    let _daemon = Daemon::start(&bench);
    let unknown = only(bench.run(&[running(json!({}))]));
    assert_eq!(
        (unknown.outcome, unknown.comment.as_str()),
        (Outcome::Failed, "supervisord knows no program web")
    );
    program(&bench, "web", "sleep 1000");
    let started = only(bench.run(&[running(json!({}))]));
    assert_eq!(started.comment, "Adding service: web, Starting: web");
    bench.same(&running(json!({})));
    let first = pid(&bench);
    bench.same(&running(json!({"update": true})));
    assert_eq!(pid(&bench), first);
    program(&bench, "web", "sleep 2000");
    let rehearsed = only(bench.test(&[running(json!({"update": true}))]));
    assert_eq!(rehearsed.outcome, Outcome::WouldChange);
    assert_eq!(pid(&bench), first, "a rehearsal leaves it alone");
    let updated = only(bench.run(&[running(json!({"update": true}))]));
    assert_eq!(updated.comment, "Updating supervisor", "{updated:?}");
    let second = pid(&bench);
    assert_ne!(second, first);
    let watch = json!({"watch": [{"test": "changed"}]});
    let report = bench.run(&[step("test.succeed_with_changes", "changed", json!({})), running(watch)]);
    assert_eq!(words(&report), ["changed", "changed"], "{}", report.to_text());
    assert_eq!(report.steps[1].comment, "Restarting: web");
    assert_ne!(pid(&bench), second);
    bench.change(&step("supervisord.dead", "web", json!({"conf_file": "/etc/supervisord.conf"})));
    bench.same(&step("supervisord.dead", "none", json!({"conf_file": "/etc/supervisord.conf"})));
    program(&bench, "web", "/nonexistent/program");
    let failed = only(bench.run(&[running(json!({"update": true}))]));
    assert_eq!(failed.outcome, Outcome::Failed);
    assert!(failed.comment.contains("web: ERROR"), "{}", failed.comment);
}

#[test]
fn what_is_no_program_or_no_supervisord_is_refused() {
    let bench = Bench::new();
    let refused = |id: &str, args| bench.refuses(&step("supervisord.running", id, args));
    assert!(refused("-x", json!({})).contains("cannot be a program"));
    assert!(refused("all", json!({})).contains("cannot be a program"));
    assert!(refused("web", json!({"bin_env": "rel"})).contains("absolute path"));
    bench.write("/etc/s.conf", "[supervisorctl]\nserverurl=unix:///nonexistent/s.sock\n");
    let none = refused("web", json!({"conf_file": "/etc/s.conf"}));
    assert!(none.contains("does not tell the state") && none.contains("s.sock"), "{none}");
}
