//! What is kept of a running service for the supervisor that comes after us, should we be killed or replaced: one small
//! file each, below `/run`. Only root writes there, and a process is taken for the service only when it is the same one:
//! of this boot, with this number, started at this moment.

// Effects: reads and writes files below /run, and looks at /proc.
#![allow(clippy::disallowed_methods)]

use super::socket_unit::{Listen, listen};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file that is longer is not ours.
const MAX_BYTES: u64 = 16 << 10;
const HEADER: &str = "mayfly-service 1";

/// A service as it was when it was last started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its process; none for a oneshot that did its work and counts as running.
    pub(crate) process: Option<Identified>,
    /// Which boot of the machine this is of.
    pub(crate) boot: String,
    /// How often a process was started.
    pub(crate) starts: u64,
    /// The sockets held for it, by inode.
    pub(crate) sockets: Vec<(Listen, u64)>,
}

/// A process that cannot be mistaken for another of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identified {
    pub(crate) pid: i32,
    /// In clock ticks since the boot.
    pub(crate) started: u64,
}

impl Record {
    fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\nboot={}\nstarts={}\n", self.boot, self.starts);
        if let Some(process) = self.process {
            text.push_str(&format!("pid={}\nstarted={}\n", process.pid, process.started));
        }
        for (listen, inode) in &self.sockets {
            text.push_str(&format!("socket={inode} {listen}\n"));
        }
        text
    }

    /// The record in a text; nothing when it is not one that we wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != HEADER {
            return None;
        }
        let (mut pid, mut started) = (None, None);
        let mut record = Self { process: None, boot: String::new(), starts: 0, sockets: vec![] };
        for line in lines {
            match line.split_once('=')? {
                ("boot", id) => record.boot = id.to_owned(),
                ("starts", count) => record.starts = count.parse().ok()?,
                // 1 and what is not positive mean others than a service to kill(2).
                ("pid", number) => pid = Some(number.parse::<i32>().ok().filter(|pid| *pid > 1)?),
                ("started", ticks) => started = Some(ticks.parse().ok()?),
                ("socket", socket) => {
                    let (inode, name) = socket.split_once(' ')?;
                    record.sockets.push((listen(name).ok()?, inode.parse().ok()?));
                }
                _ => return None,
            }
        }
        record.process = match (pid, started) {
            (Some(pid), Some(started)) => Some(Identified { pid, started }),
            (None, None) => None,
            _ => return None,
        };
        Some(record)
    }
}

impl Identified {
    /// The process that has this number now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, started: start_of(&stat)? })
    }

    /// Whether its number is another process's by now, whom a signal to it would meet. That of a child is its own until we
    /// reap it; one that outlived the supervisor before us is reaped by somebody else.
    pub(crate) fn is_anothers(self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        waitid(Id::Pid(Pid::from_raw(self.pid)), flags) == Err(nix::Error::ECHILD)
            && Self::of(self.pid).is_some_and(|now| now != self)
    }

    /// Whether it is there still, be it as a zombie.
    pub(crate) fn is_there(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// When a process started, from its `stat`: `pid (name) state …`, and the name may hold anything.
fn start_of(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The records of a machine's services.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) directory: PathBuf,
}

impl Records {
    /// The record of a service, when it is of this boot.
    pub(crate) fn read(&self, service: &str) -> Option<Record> {
        let mut text = String::new();
        let file = std::fs::File::open(self.path(service)).ok()?;
        file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
        Record::parse(&text).filter(|record| Some(&record.boot) == boot().as_ref())
    }

    /// Keep what a service is now; `boot` is filled in.
    pub(crate) fn write(&self, service: &str, mut record: Record) -> std::io::Result<()> {
        record.boot = boot().ok_or_else(|| std::io::Error::other("/proc tells no boot id"))?;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let (path, new) = (self.path(service), self.directory.join(format!(".{service}.new")));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(record.to_text().as_bytes())?;
        // What is below /run does not outlive the machine's power, and neither do processes: no fsync.
        std::fs::rename(new, path)
    }

    /// The service does not run any more.
    pub(crate) fn remove(&self, service: &str) {
        let _ = std::fs::remove_file(self.path(service));
    }

    /// Every service with a record.
    pub(crate) fn services(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }

    fn path(&self, service: &str) -> PathBuf {
        self.directory.join(service)
    }
}

fn boot() -> Option<String> {
    let id = std::fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).ok()?;
    Some(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let sockets = vec![(Listen::Port(80), 7), (Listen::Unix("/run/a b.sock".into()), 8)];
        let process = Some(Identified { pid: 42, started: 4711 });
        Record { process, boot: "b".into(), starts: 3, sockets }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for record in [record(), Record { process: None, sockets: vec![], ..record() }] {
            assert_eq!(Record::parse(&record.to_text()), Some(record));
        }
    }

    #[test]
    fn what_is_cut_short_or_not_ours_is_no_record() {
        let text = record().to_text();
        let written: Vec<_> = (0..text.len()).filter_map(|end| Record::parse(&text[..end])).collect();
        assert!(written.iter().all(|r| r.process.is_none() || r.process == record().process), "{written:?}");
        for wrong in ["pid=1", "pid=0", "pid=-1", "pid=42", "x=1", "socket=1", "starts=-1", "nonsense"] {
            let text = format!("{HEADER}\n{wrong}\n");
            assert_eq!(Record::parse(&text), None, "{wrong}");
        }
    }

    #[test]
    fn a_process_is_told_from_another_of_its_number() {
        let pid = std::process::id().cast_signed();
        let own = Identified::of(pid).unwrap();
        assert!(own.is_there());
        assert!(!Identified { started: own.started + 1, ..own }.is_there());
        assert_eq!(start_of(&format!("1 (a) b) S{} 99 0", " 0".repeat(18))), Some(99));
    }

    #[test]
    fn a_number_that_was_given_away_is_told_from_a_child_s() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let of_child = Identified::of(child.id().cast_signed()).unwrap();
        let other = |of: Identified| Identified { started: of.started + 1, ..of };
        assert!(!of_child.is_anothers() && !other(of_child).is_anothers(), "we have not reaped it");
        let ourselves = Identified::of(std::process::id().cast_signed()).unwrap();
        assert!(!ourselves.is_anothers() && other(ourselves).is_anothers());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!of_child.is_anothers(), "nobody has it");
    }

    #[test]
    fn records_of_another_boot_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records { directory: dir.path().join("services") };
        records.write("web", record()).unwrap();
        assert_eq!(records.services(), ["web"]);
        assert_eq!(records.read("web").unwrap().process, record().process);
        std::fs::write(dir.path().join("services/web"), record().to_text()).unwrap();
        assert_eq!(records.read("web"), None);
        records.remove("web");
        assert!(records.services().is_empty());
    }
}
