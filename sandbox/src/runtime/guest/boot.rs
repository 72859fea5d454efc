//! What an instance runs once it is up: a script in its user-data, once, as cloud-init does, else the boot binary of its
//! image, which such a script may have put there.
// Effects: asks the metadata service and writes the script; runs inside the instance, before its programs.
#![allow(clippy::disallowed_methods)]

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::runtime::spec::METADATA_ADDRESS;

/// The program of images that converge themselves.
pub(crate) const BOOT_BINARY: &str = "usr/local/bin/mayfly-boot";
/// Where cloud-init keeps what belongs to one instance, so that images made of it carry no other's marks.
const CLOUD: &str = "/var/lib/cloud/instances";
/// How long the metadata service may take to answer at boot.
const METADATA_DEADLINE: Duration = Duration::from_secs(30);
/// A first packet may fall into the moment before the bridge forwards; the kernel would send it again after a second.
const CONNECT_PATIENCE: Duration = Duration::from_millis(100);
/// User-data is at most 16 KiB; headers come on top.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// What pid 1 keeps running.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// Whether it is started again when it fails.
    pub(crate) restart: bool,
}

/// Decides what to run, and says so on the console.
pub(crate) fn plan(id: &str) -> Option<Program> {
    let user_data = match user_data() {
        Ok(found) => found,
        Err(error) => {
            eprintln!("sandbox: no answer from the metadata service: {error}");
            None
        }
    };
    if let Some(program) = user_data.as_deref().and_then(script_in).and_then(|body| script(id, &body)) {
        return Some(program);
    }
    let boot = Path::new("/").join(BOOT_BINARY);
    if boot.exists() {
        return Some(Program { path: boot, args: vec!["run".into()], restart: true });
    }
    eprintln!("sandbox: up; this image has no mayfly-boot and the user-data is no script: nothing to run");
    None
}

/// The script in user-data: all of it, or the first of a MIME message as cloud-init takes it.
fn script_in(data: &[u8]) -> Option<Vec<u8>> {
    if data.starts_with(b"#!") {
        return Some(data.to_vec());
    }
    let text = std::str::from_utf8(data).ok()?;
    let (head, body) = text.split_once("\n\n")?;
    let head = head.to_ascii_lowercase();
    if !head.starts_with("content-type:") && !head.starts_with("mime-version:") {
        return None;
    }
    let at = head.find("boundary=")? + "boundary=".len();
    let boundary = text.get(at..)?.lines().next()?.trim().trim_matches('"').to_owned();
    let mark = format!("--{boundary}");
    body.split(mark.as_str()).filter_map(part).find(|part| part.starts_with(b"#!"))
}

/// A part's content, decoded.
fn part(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let (head, body) = text.split_once("\n\n")?;
    if !head.to_ascii_lowercase().contains("content-transfer-encoding: base64") {
        return Some(body.as_bytes().to_vec());
    }
    let plain: String = body.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(plain).ok()
}

/// The script of the user-data, written where cloud-init keeps it; once in the life of an instance, like there.
fn script(id: &str, body: &[u8]) -> Option<Program> {
    let own = Path::new(CLOUD).join(id);
    let (path, done) = (own.join("scripts/part-001"), own.join("sem/config_scripts_user"));
    if done.exists() {
        eprintln!("sandbox: the user-data script ran at the first boot; not again");
        return None;
    }
    match write_script(&path, &done, body) {
        Ok(()) => Some(Program { path, args: Vec::new(), restart: false }),
        Err(error) => {
            eprintln!("sandbox: cannot write the user-data script to {}: {error}", path.display());
            None
        }
    }
}

fn write_script(path: &Path, done: &Path, body: &[u8]) -> std::io::Result<()> {
    for folder in [path, done].into_iter().filter_map(Path::parent) {
        std::fs::create_dir_all(folder)?;
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o700).open(path)?;
    file.write_all(body)?;
    std::fs::write(done, b"")
}

/// User-data through IMDSv2; `None` when the instance has none.
fn user_data() -> std::io::Result<Option<Vec<u8>>> {
    let deadline = Instant::now() + METADATA_DEADLINE;
    let (_, token) = ask(
        "PUT /latest/api/token",
        "X-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 0\r\n",
        deadline,
    )?;
    let header = format!("X-aws-ec2-metadata-token: {}\r\n", String::from_utf8_lossy(&token));
    let (status, body) = ask("GET /latest/user-data", &header, deadline)?;
    Ok((status == 200 && !body.is_empty()).then_some(body))
}

/// One HTTP/1.0 exchange, tried again until `deadline` while nobody answers.
fn ask(line: &str, headers: &str, deadline: Instant) -> std::io::Result<(u16, Vec<u8>)> {
    let address = SocketAddr::from((METADATA_ADDRESS, 80));
    let mut stream = loop {
        match TcpStream::connect_timeout(&address, CONNECT_PATIENCE) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{line} HTTP/1.0\r\nHost: 169.254.169.254\r\n{headers}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut answer)?;
    split(&answer).ok_or_else(|| std::io::Error::other("not an HTTP answer"))
}

/// Status and body of a raw HTTP answer that ends with its connection.
fn split(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.get(end + 4..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_found_by_itself_and_as_a_part() {
        let script = b"#!/bin/sh\ntrue\n".to_vec();
        assert_eq!(script_in(&script), Some(script.clone()));
        for part in ["\n\n#!/bin/sh\ntrue\n", "\nContent-Transfer-Encoding: base64\n\nIyEvYmluL3NoCnRydWUK\n"]
        {
            let message = format!(
                "Content-Type: multipart/mixed; boundary=\"XX\"\nMIME-Version: 1.0\n\n--XX\nContent-Type: text/mayfly\n\n\
                 #mayfly\n--XX\nContent-Type: text/x-shellscript{part}--XX--\n"
            );
            assert_eq!(script_in(message.as_bytes()), Some(script.clone()), "{message}");
        }
        for none in ["#mayfly\nrole: web\n\nx", "Content-Type: text/plain\n\n#!/bin/sh\n", ""] {
            assert_eq!(script_in(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn answers_are_split_into_status_and_body() {
        assert_eq!(
            split(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nbody\r\n\r\nmore"),
            Some((200, b"body\r\n\r\nmore".to_vec()))
        );
        assert_eq!(split(b"HTTP/1.1 404 Not Found\r\n\r\n"), Some((404, Vec::new())));
        assert_eq!(split(b"nonsense"), None);
    }
}
