//! Git over HTTP for the sandbox: the bare repositories below one folder, through git's own `http-backend` (CGI, RFC 3875).
//!
//! Reading needs no password; pushing over HTTP is off, as git has it off for everybody unnamed.
// Effects: sockets and processes.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Backends that run at once; more requests wait their turn.
const BACKENDS: usize = 32;
/// The largest request: what a fetch wants and has.
const REQUEST_LIMIT: usize = 4 << 20;
/// The largest head that a backend may answer.
const HEAD_LIMIT: u64 = 64 << 10;
/// How long a backend may take to begin its answer.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// Why git cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum GitServerError {
    /// git itself is missing.
    #[error("git is needed to serve state repositories: {0} (Debian, Ubuntu: apt-get install git)")]
    NoGit(String),
    /// The listener broke.
    #[error("the git server stopped: {0}")]
    Stopped(#[from] std::io::Error),
}

/// Serves the repositories below `root` as `http://<listener>/<name>.git` until `stop` turns true.
///
/// # Errors
/// When git is not installed, or the listener breaks.
pub async fn serve(
    listener: TcpListener,
    root: PathBuf,
    mut stop: watch::Receiver<bool>,
) -> Result<(), GitServerError> {
    let server =
        Arc::new(Server { backend: backend().await?, root, turns: Arc::new(Semaphore::new(BACKENDS)) });
    let routes =
        Router::new().fallback(answer).layer(DefaultBodyLimit::max(REQUEST_LIMIT)).with_state(server);
    let stopped = async move {
        // A closed channel is a stop too: whoever could say so is gone.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    Ok(axum::serve(listener, routes).with_graceful_shutdown(stopped).await?)
}

/// Where git keeps `git-http-backend`.
async fn backend() -> Result<PathBuf, GitServerError> {
    let asked = Command::new("git").arg("--exec-path").stdin(Stdio::null()).output().await;
    let output = asked.map_err(|e| GitServerError::NoGit(e.to_string()))?;
    let backend = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("git-http-backend");
    if backend.exists() {
        Ok(backend)
    } else {
        Err(GitServerError::NoGit(format!("{} does not exist", backend.display())))
    }
}

struct Server {
    backend: PathBuf,
    root: PathBuf,
    turns: Arc<Semaphore>,
}

async fn answer(
    State(server): State<Arc<Server>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if from_web_page(&headers) {
        return plain(StatusCode::FORBIDDEN, "requests of web pages are refused\n");
    }
    let Ok(turn) = Arc::clone(&server.turns).acquire_owned().await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the git server is stopping\n");
    };
    match run_backend(&server, &method, &uri, &headers, body, turn).await {
        Ok(response) => response,
        Err(why) => {
            tracing::warn!(%uri, %why, "git http-backend failed");
            plain(StatusCode::BAD_GATEWAY, "git http-backend failed\n")
        }
    }
}

/// Whether a page in a browser may have sent this: it would read the repositories of whoever runs the sandbox. Pages
/// have headers of their own or, by DNS rebinding, a host name of their own; git asks for an address.
fn from_web_page(headers: &HeaderMap) -> bool {
    let marked = ["origin", "sec-fetch-site", "sec-fetch-mode", "referer"];
    let host = headers.get("host").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authority = host.parse::<axum::http::uri::Authority>();
    let own = authority.is_ok_and(|authority| {
        let name = authority.host().trim_matches(['[', ']']);
        let known = ["localhost", "sandbox-host"].iter().any(|own| name.eq_ignore_ascii_case(own));
        known || name.parse::<std::net::IpAddr>().is_ok()
    });
    !own || marked.iter().any(|name| headers.contains_key(*name))
}

async fn run_backend(
    server: &Server,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
    turn: OwnedSemaphorePermit,
) -> std::io::Result<Response<Body>> {
    let mut child = command(server, method, uri, headers, body.len()).spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::Error::other("no pipes to the backend"));
    };
    tokio::spawn(async move {
        // A backend that has heard enough closes its end; its answer says the rest.
        let _ = input.write_all(&body).await;
    });
    let mut output = BufReader::new(output);
    let head = tokio::time::timeout(HEAD_DEADLINE, read_head(&mut output)).await??;
    let mut response = Response::new(stream(Backend { _child: child, output, _turn: turn }));
    apply(&head, &mut response);
    Ok(response)
}

/// The CGI environment: nothing of ours but `PATH`, and of the request only what the backend reads.
fn command(server: &Server, method: &Method, uri: &Uri, headers: &HeaderMap, length: usize) -> Command {
    let mut command = Command::new(&server.backend);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_PROJECT_ROOT", &server.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        // The folder is named by whoever started the sandbox, who may not own it (an ordinary user, root's checkout).
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", length.to_string())
        .env("REMOTE_ADDR", "127.0.0.1");
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = headers.get(header).and_then(|v| v.to_str().ok()) {
            command.env(variable, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

async fn read_head(output: &mut (impl AsyncRead + AsyncBufReadExt + Unpin)) -> std::io::Result<Vec<String>> {
    let mut head = Vec::new();
    let mut limited = output.take(HEAD_LIMIT);
    loop {
        let mut line = String::new();
        if limited.read_line(&mut line).await? == 0 {
            return Err(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "the backend's head has no end",
            ));
        }
        match line.trim_end() {
            "" => return Ok(head),
            field => head.push(field.to_owned()),
        }
    }
}

/// `Status:` is CGI's own; the rest are the answer's headers.
fn apply(head: &[String], response: &mut Response<Body>) {
    for (name, value) in head.iter().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            *response.status_mut() = code.unwrap_or(StatusCode::BAD_GATEWAY);
        } else if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
}

/// Lives as long as its answer is read: dropped with it when the client goes away.
struct Backend {
    _child: Child,
    output: BufReader<ChildStdout>,
    _turn: OwnedSemaphorePermit,
}

fn stream(backend: Backend) -> Body {
    Body::from_stream(futures::stream::try_unfold(backend, |mut backend| async move {
        let mut chunk = vec![0; 64 << 10];
        let read = backend.output.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), backend)))
    }))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_pages_are_told_from_git() {
        let from = |pairs: &[(&'static str, &str)]| {
            let pair = |(name, value): &(&'static str, &str)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"))
            };
            from_web_page(&pairs.iter().map(pair).collect())
        };
        for host in ["127.0.0.1:8000", "[::1]:80", "localhost", "10.0.0.1:9", "sandbox-host:9"] {
            assert!(!from(&[("host", host)]), "{host}");
        }
        for host in ["rebound.example:8000", "127.0.0.1.example", ""] {
            assert!(from(&[("host", host)]), "{host}");
        }
        assert!(from(&[("host", "127.0.0.1"), ("origin", "https://page.example")]));
    }

    fn git(folder: &Path, args: &[&str]) -> String {
        let output = std::process::Command::new("git")
            .current_dir(folder)
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.invalid",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(args)
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .expect("git runs");
        String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr })
            .into_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn git_clones_and_cannot_push() {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, work) = (folder.path().join("served"), folder.path().join("work"));
        std::fs::create_dir_all(&root).expect("made");
        git(&root, &["init", "-q", "--bare", "states.git"]);
        git(folder.path(), &["clone", "-q", "served/states.git", "work"]);
        std::fs::write(work.join("top.sls"), "base: {}\n").expect("written");
        git(&work, &["add", "."]);
        git(&work, &["commit", "-qm", "one"]);
        git(&work, &["push", "-q", "origin", "HEAD:main"]);

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/states.git", listener.local_addr().expect("bound"));
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(listener, root, stopped));

        let client = folder.path().to_owned();
        let (cloned, pushed) = tokio::task::spawn_blocking(move || {
            git(&client, &["clone", "-q", "--depth", "1", &url, "copy"]);
            let copy = client.join("copy");
            (copy.join("top.sls").exists(), git(&copy, &["push", "origin", "HEAD:refs/heads/other"]))
        })
        .await
        .expect("the client ends");
        assert!(cloned);
        assert!(pushed.contains("403"), "{pushed}");
        stop.send(true).expect("the server listens");
        server.await.expect("no panic").expect("a clean stop");
    }
}
