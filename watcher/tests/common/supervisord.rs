//! A real supervisord of the test's own: configuration, socket and logs in a temporary directory.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::new_without_default
)]

use super::common::until;
use mayfly_watcher::supervisor::Supervisord;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub struct Daemon {
    pub dir: tempfile::TempDir,
    pub supervisor: Supervisord,
    child: Child,
}

impl Daemon {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        std::fs::create_dir(dir.path().join("conf.d")).unwrap();
        let text = format!(
            "[unix_http_server]\nfile={at}/s.sock ; socket\nusername=mayfly\npassword=secret\n\
             [supervisord]\nlogfile={at}/supervisord.log\npidfile={at}/supervisord.pid\nchildlogdir={at}\nnodaemon=true\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
             [include]\nfiles={at}/conf.d/*.conf\n"
        );
        std::fs::create_dir_all(dir.path().join("etc/supervisor")).unwrap();
        let configuration = dir.path().join("etc/supervisor/supervisord.conf");
        std::fs::write(&configuration, text).unwrap();
        let child = spawn(&configuration);
        let supervisor = Supervisord::find(dir.path());
        until("supervisord answers", || supervisor.answers());
        Self { dir, supervisor, child }
    }

    /// SIGTERM, and wait for its end.
    pub fn stop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }

    /// Another one with the same configuration.
    pub fn start(&mut self) {
        self.child = spawn(&self.path("etc/supervisor/supervisord.conf"));
        until("supervisord answers", || self.supervisor.answers());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Write the section of a program whose process is this shell text.
    pub fn program(&self, name: &str, script: &str, more: &str) {
        let file = self.path(&format!("{name}.sh"));
        std::fs::write(&file, script).unwrap();
        let text = format!(
            "[program:{name}]\ncommand=/bin/sh {}\nautostart=false\nstartsecs=0\n{more}",
            file.display()
        );
        std::fs::write(self.path(&format!("conf.d/{name}.conf")), text).unwrap();
    }
}

fn spawn(configuration: &Path) -> Child {
    let mut command = Command::new("/usr/bin/supervisord");
    command.arg("-c").arg(configuration).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("these tests need supervisord: apt-get install supervisor")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stop();
        }
    }
}
