//! Who and where this process is, as far as a lock or a record needs to know.
// Effects: reads /proc, the environment, the clock and the random source.
#![allow(clippy::disallowed_methods)]

use crate::lock::{self, Holder};
use crate::naming;
use crate::plan::Identity;
use crate::spec::Spec;
use chrono::{DateTime, Utc};
use std::fs;

/// The wall clock.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// `user@host`.
#[must_use]
pub fn who() -> String {
    let user = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "SUDO_USER", "USER", "LOGNAME"];
    let user = user.iter().find_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty());
    format!("{}@{}", user.unwrap_or_else(|| "somebody".to_owned()), hostname())
}

/// A deployment that begins now.
#[must_use]
pub fn identity(spec: &Spec, commit: Option<String>) -> Identity {
    let started = now();
    let deployment = naming::deployment(&spec.service, &spec.environment, started, rand::random());
    Identity { deployment, who: who(), started, commit }
}

/// This process as one that wants a lock.
#[must_use]
pub fn holder() -> Holder {
    let now = now();
    let token: [u8; 16] = rand::random();
    Holder {
        token: hex::encode(token),
        who: who(),
        place: place(),
        process: process(std::process::id()).unwrap_or_else(|| std::process::id().to_string()),
        job: job(),
        since: now,
        until: lock::until(now),
    }
}

/// Whether a process of this place, as `pid/start time`, lives. A pid that was given to another process since then
/// has another start time.
#[must_use]
pub fn is_alive(process_text: &str) -> bool {
    let pid = process_text.split('/').next().and_then(|pid| pid.parse().ok());
    pid.is_some_and(|pid| match process(pid) {
        Some(found) => found == process_text,
        None => is_hidden(pid),
    })
}

/// Whether a process is there that we may not look at: `/proc` can hide other users' processes.
fn is_hidden(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::PERM))
}

/// `pid/start time` of a process that lives; nothing for one that is gone or only waits to be reaped.
fn process(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in parentheses and may hold anything: fields are counted from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let state = fields.first().copied()?;
    (!matches!(state, "Z" | "X")).then(|| format!("{pid}/{}", fields.get(19).copied().unwrap_or_default()))
}

/// The kernel's boot and the process namespace: where a pid means something. Empty where that cannot be read.
fn place() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let namespace = fs::read_link("/proc/self/ns/pid");
    match (boot, namespace) {
        (Ok(boot), Ok(namespace)) => format!("{} {}", boot.trim(), namespace.display()),
        _ => String::new(),
    }
}

fn hostname() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
}

/// The address of the CI job that this process is part of.
pub(crate) fn job() -> Option<String> {
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let github = || {
        Some(format!(
            "{}/{}/actions/runs/{}",
            var("GITHUB_SERVER_URL")?,
            var("GITHUB_REPOSITORY")?,
            var("GITHUB_RUN_ID")?
        ))
    };
    github().or_else(|| var("CI_JOB_URL")).or_else(|| var("BUILD_URL")).or_else(|| var("CIRCLE_BUILD_URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_one_with_its_pid_and_another_start_does_not() {
        let me = process(std::process::id()).expect("it lives");
        assert!(is_alive(&me));
        let (pid, _) = me.split_once('/').expect("two parts");
        assert!(!is_alive(&format!("{pid}/1")));
        assert!(!is_alive(""));
    }

    #[test]
    fn a_killed_process_is_dead_before_it_is_reaped() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let name = process(child.id()).expect("it lives");
        child.kill().expect("killed");
        while is_alive(&name) {
            std::thread::yield_now();
        }
        child.wait().expect("reaped");
        assert!(!is_alive(&name));
    }
}
