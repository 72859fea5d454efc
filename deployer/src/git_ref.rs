//! Resolves a branch or tag of the state repository to a commit, without cloning.
//!
//! Over HTTP and SSH this is the reference advertisement of git's pack protocol (gitprotocol-pack, gitprotocol-http):
//! pkt-lines of `<commit> <ref>`. A repository on this machine is read with libgit2.
// Effects: the network, the `ssh` program, repositories on disk.
#![allow(clippy::disallowed_methods)]

use crate::clean;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Most bytes of an advertisement; a repository with a hundred thousand references stays below.
const LIMIT: usize = 16 * 1024 * 1024;
/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Why a reference could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// The repository does not answer, or not as a git repository does.
    #[error("cannot ask {url} for its branches: {why}")]
    Unreachable {
        /// The repository.
        url: String,
        /// Why.
        why: String,
    },
    /// It has no such branch or tag.
    #[error("{url} has no branch or tag `{reference}`")]
    NoSuchRef {
        /// The repository.
        url: String,
        /// What was asked for.
        reference: String,
    },
    /// An address of a kind that this program does not speak.
    #[error(
        "{0} is no address of a git repository; use https://, http://, file://, ssh:// or user@host:path"
    )]
    BadUrl(String),
}

/// The commit that a branch or tag points to now. A full commit id stands for itself.
///
/// # Errors
/// [`RefError`], which names the repository; an address is shown without what may be a password in it.
pub async fn resolve(url: &str, reference: &str, token: Option<&str>) -> Result<String, RefError> {
    if is_commit(reference) {
        return Ok(reference.to_owned());
    }
    let shown = redact(url);
    let unreachable = |why: String| RefError::Unreachable { url: shown.clone(), why };
    let refs = match kind(url) {
        Some(Transport::Http) => parse(&http(url, token).await.map_err(unreachable)?).map_err(unreachable)?,
        Some(Transport::Ssh { host, port, path }) => {
            parse(&ssh(&host, port, &path).await.map_err(unreachable)?).map_err(unreachable)?
        }
        Some(Transport::Local(path)) => local(path).await.map_err(unreachable)?,
        None => return Err(RefError::BadUrl(shown)),
    };
    find(&refs, reference).ok_or(RefError::NoSuchRef { url: shown, reference: reference.to_owned() })
}

#[derive(Debug, PartialEq, Eq)]
enum Transport {
    Http,
    Ssh { host: String, port: Option<u16>, path: String },
    Local(String),
}

fn kind(url: &str) -> Option<Transport> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Some(Transport::Http);
    }
    if let Some(path) = url.strip_prefix("file://") {
        return Some(Transport::Local(path.to_owned()));
    }
    if let Some(rest) = url.strip_prefix("ssh://") {
        let (authority, path) = rest.split_once('/')?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (authority, None),
        };
        return ssh_to(host, port, &format!("/{path}"));
    }
    if url.starts_with('/') {
        return Some(Transport::Local(url.to_owned()));
    }
    let (host, path) = url.split_once(':')?;
    if path.starts_with("//") { None } else { ssh_to(host, None, path) }
}

/// A host that starts with `-` would be an option of `ssh`.
fn ssh_to(host: &str, port: Option<u16>, path: &str) -> Option<Transport> {
    let sound = !host.is_empty() && !host.starts_with('-') && !path.is_empty();
    sound.then(|| Transport::Ssh { host: host.to_owned(), port, path: path.to_owned() })
}

async fn http(url: &str, token: Option<&str>) -> Result<Vec<u8>, String> {
    let address = format!("{}/info/refs?service=git-upload-pack", url.trim_end_matches('/'));
    let request = authorized(client()?.get(address), url, token);
    let limit = format!("it lists more than {LIMIT} bytes of references");
    answer(request, LIMIT, &limit).await
}

/// A client of git's HTTP protocol, with one deadline for each request.
pub(crate) fn client() -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .timeout(DEADLINE)
        // A token that one server gets is not for another, nor for the same one in clear.
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            let from = attempt.previous().last();
            let same = from.is_some_and(|from| {
                from.scheme() == attempt.url().scheme() && from.host_str() == attempt.url().host_str()
            });
            if same && attempt.previous().len() < 5 { attempt.follow() } else { attempt.stop() }
        }))
        .user_agent(concat!("git/2.0 (mayfly ", env!("CARGO_PKG_VERSION"), ")"))
        .build()
        .map_err(|error| error.to_string())
}

/// The token goes over https alone.
pub(crate) fn authorized(
    request: reqwest::RequestBuilder,
    url: &str,
    token: Option<&str>,
) -> reqwest::RequestBuilder {
    match token.filter(|_| url.starts_with("https://")) {
        Some(token) => request.basic_auth("x-access-token", Some(token)),
        None => request,
    }
}

/// The body of a repository's answer, or why there is none; `too_long` says that it is longer than `limit`.
pub(crate) async fn answer(
    request: reqwest::RequestBuilder,
    limit: usize,
    too_long: &str,
) -> Result<Vec<u8>, String> {
    let mut response = request.send().await.map_err(|error| cause(&error.without_url()))?;
    match response.status().as_u16() {
        200 => {}
        401 | 403 => {
            return Err("it wants credentials; give a token in MAYFLY_GIT_TOKEN (https only)".to_owned());
        }
        404 => return Err("there is no repository at this address".to_owned()),
        other => return Err(format!("it answered {other}")),
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error.without_url()))? {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            return Err(too_long.to_owned());
        }
    }
    Ok(body)
}

fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Runs `ssh HOST git-upload-pack PATH` and reads the advertisement; the protocol ends when we hang up.
async fn ssh(host: &str, port: Option<u16>, path: &str) -> Result<Vec<u8>, String> {
    let mut command = tokio::process::Command::new("ssh");
    command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]);
    if let Some(port) = port {
        command.arg("-p").arg(port.to_string());
    }
    let quoted = format!("'{}'", path.replace('\'', "'\\''"));
    command.arg("--").arg(host).arg(format!("git-upload-pack {quoted}"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("cannot run ssh: {error}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let talk = async {
        let mut body = Vec::new();
        if let Some(stdout) = stdout {
            read_advertisement(stdout, &mut body).await?;
        }
        if is_complete(&body) {
            return Ok(body);
        }
        let mut words = String::new();
        if let Some(stderr) = stderr {
            let _ = stderr.take(2_000).read_to_string(&mut words).await;
        }
        Err(format!("ssh: {}", words.lines().last().unwrap_or("it hung up").trim()))
    };
    let answer = tokio::time::timeout(DEADLINE, talk).await;
    let _ = child.kill().await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {} s", DEADLINE.as_secs())))
}

async fn read_advertisement(
    mut from: impl tokio::io::AsyncRead + Unpin,
    body: &mut Vec<u8>,
) -> Result<(), String> {
    let mut chunk = [0u8; 8192];
    while !is_complete(body) {
        let count = from.read(&mut chunk).await.map_err(|error| error.to_string())?;
        if count == 0 {
            break;
        }
        body.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if body.len() > LIMIT {
            return Err(format!("it lists more than {LIMIT} bytes of references"));
        }
    }
    Ok(())
}

async fn local(path: String) -> Result<Vec<(String, String)>, String> {
    let read = move || -> Result<Vec<(String, String)>, git2::Error> {
        let repository = git2::Repository::open(&path)?;
        let mut refs = Vec::new();
        for reference in repository.references()? {
            let reference = reference?;
            if let (Ok(name), Ok(commit)) = (reference.name(), reference.peel_to_commit()) {
                refs.push((name.to_owned(), commit.id().to_string()));
            }
        }
        Ok(refs)
    };
    let joined = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
    joined.map_err(|error| error.message().to_owned())
}

/// Splits pkt-lines: four hex digits of length, which counts itself; `0000` is a flush.
pub(crate) fn packets(mut bytes: &[u8]) -> Result<Vec<Option<&[u8]>>, String> {
    let mut lines = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(4) {
        let head = std::str::from_utf8(head).map_err(|_| "it is not git's protocol".to_owned())?;
        let length = usize::from_str_radix(head, 16).map_err(|_| "it is not git's protocol".to_owned())?;
        if length < 4 {
            lines.push(None);
            bytes = rest;
            continue;
        }
        let Some((line, rest)) = rest.split_at_checked(length - 4) else { break };
        lines.push(Some(line));
        bytes = rest;
    }
    Ok(lines)
}

fn is_complete(bytes: &[u8]) -> bool {
    packets(bytes).is_ok_and(|lines| lines.last().is_some_and(Option::is_none))
}

/// References by name. A peeled tag (`refs/tags/v1^{}`) takes the place of the tag object itself.
fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut refs = BTreeMap::new();
    for line in packets(bytes)?.into_iter().flatten() {
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if let Some(message) = line.strip_prefix("ERR ") {
            return Err(clean::line(message));
        }
        let Some((commit, name)) = line.split_once(' ').filter(|(commit, _)| is_commit(commit)) else {
            continue;
        };
        let name = name.strip_suffix("^{}").unwrap_or(name);
        refs.insert(name.to_owned(), commit.to_owned());
    }
    Ok(refs.into_iter().collect())
}

/// A branch before a tag of the same name, as `git clone --branch` does; a full `refs/…` is taken as it is.
fn find(refs: &[(String, String)], reference: &str) -> Option<String> {
    let names = [format!("refs/heads/{reference}"), format!("refs/tags/{reference}"), reference.to_owned()];
    let commit = |name: &String| refs.iter().find(|(have, _)| have == name).map(|(_, commit)| commit.clone());
    names.iter().find_map(commit)
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The address without `user:password@`.
#[must_use]
pub fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = match authority.rsplit_once('@') {
        Some((user, host)) if !user.contains(':') && scheme == "ssh" => format!("{user}@{host}"),
        Some((_, host)) => host.to_owned(),
        None => authority.to_owned(),
    };
    format!("{scheme}://{host}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn packet(line: &str) -> String {
        format!("{:04x}{line}", line.len() + 4)
    }

    #[test]
    fn an_advertisement_is_read_with_peeled_tags() {
        let (a, b, c) = ("a".repeat(40), "b".repeat(40), "c".repeat(40));
        let text = [
            packet("# service=git-upload-pack\n"),
            "0000".to_owned(),
            packet(&format!("{a} HEAD\0multi_ack side-band\n")),
            packet(&format!("{a} refs/heads/main\n")),
            packet(&format!("{b} refs/tags/v1\n")),
            packet(&format!("{c} refs/tags/v1^{{}}\n")),
            "0000".to_owned(),
        ]
        .concat();
        let refs = parse(text.as_bytes()).expect("refs");
        assert_eq!(find(&refs, "main"), Some(a));
        assert_eq!(find(&refs, "v1"), Some(c));
        assert_eq!(find(&refs, "v2"), None);
        assert!(is_complete(text.as_bytes()));
        assert!(!is_complete(&text.as_bytes()[..text.len() - 6]));
        assert!(parse(b"<html>").is_err());
        assert_eq!(parse(packet("ERR access denied").as_bytes()), Err("access denied".to_owned()));
    }

    #[test]
    fn addresses_are_told_apart() {
        let ssh = |host: &str, port, path: &str| {
            Some(Transport::Ssh { host: host.into(), port, path: path.into() })
        };
        assert_eq!(kind("git@github.com:acme/states.git"), ssh("git@github.com", None, "acme/states.git"));
        assert_eq!(kind("ssh://git@host:2222/srv/x.git"), ssh("git@host", Some(2222), "/srv/x.git"));
        assert_eq!(kind("file:///srv/x.git"), Some(Transport::Local("/srv/x.git".into())));
        assert_eq!(kind("-oProxyCommand=reboot:x"), None);
        assert_eq!(kind("ftp://host/x"), None);
        assert_eq!(redact("https://ann:secret@host/x.git"), "https://host/x.git");
    }

    #[tokio::test]
    async fn a_repository_on_disk_answers_for_branches_and_tags() {
        let folder = tempfile::tempdir().expect("a folder");
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            command
                .arg("-C")
                .arg(folder.path())
                .args(["-c", "user.name=t", "-c", "user.email=t@t"])
                .args(args);
            let output = command.output().expect("git runs");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        git(&["init", "--quiet", "--initial-branch=main"]);
        git(&["commit", "--quiet", "--allow-empty", "--message=one"]);
        git(&["tag", "--annotate", "--message=tag", "v1"]);
        let commit = git(&["rev-parse", "HEAD"]);
        let url = format!("file://{}", folder.path().display());
        assert_eq!(resolve(&url, "main", None).await, Ok(commit.clone()));
        assert_eq!(resolve(&url, "v1", None).await, Ok(commit));
        let error = resolve(&url, "nope", None).await.expect_err("no such branch");
        assert_eq!(error.to_string(), format!("{url} has no branch or tag `nope`"));
    }
}
