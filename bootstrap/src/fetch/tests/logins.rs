//! Who is let in by what, and who is told of it.

use super::*;

/// A server of JSON that keeps the heads and bodies it was sent.
pub(super) fn stand_in(
    answer: impl Fn(&str) -> (u16, String) + Send + 'static,
) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let log = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = log.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut text, mut length) = (String::new(), 0);
            while reader.read_line(&mut text).unwrap_or(0) > 0 && !text.ends_with("\r\n\r\n") {
                let last = text.lines().last().unwrap_or_default().to_ascii_lowercase();
                length = last.strip_prefix("content-length: ").map_or(length, |n| n.parse().unwrap());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            text.push_str(&String::from_utf8_lossy(&body));
            let (status, body) = answer(&text);
            seen.lock().unwrap().push(text);
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (url, log)
}

/// A repository as sshd serves it, with a key that lets us in and its host known.
fn over_ssh(sshd: &sshd::Sshd, repo: &GitRepo) -> Source {
    let mut with = source("file:///x");
    with.remote = Remote::Ssh(crate::userdata::SshAddress {
        user: Some(sshd.user.clone()),
        host: "127.0.0.1".into(),
        port: Some(sshd.port),
        path: repo.bare.display().to_string(),
    });
    with.login.ssh_key = Some(Secret::File(sshd.key.clone()));
    with.login.known_hosts_file = Some(sshd.known_hosts.clone());
    with
}

#[test]
fn a_token_goes_to_its_origin_and_must_be_private() {
    let dir = tempfile::tempdir().unwrap();
    let repo = GitRepo::new(dir.path(), "states");
    repo.write("a", "1");
    repo.push("one");
    let server = GitHttp::start(dir.path(), Some("Basic eC1hY2Nlc3MtdG9rZW46aHVzaA=="));
    let token = dir.path().join("token");
    private(&token, "hush\n");
    let mut with = source(&server.url("states.git"));
    let store = Store::open(&dir.path().join("state")).unwrap();
    let get = |source: &Source| fetcher(source.clone(), store.clone()).get(Want::Tip("main"));
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("HTTP 401") && error.contains("token_file"), "{error}");
    with.login.token = Some(Secret::File(token.clone()));
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("chmod 0600") && !error.contains("hush"), "{error}");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(get(&with).is_ok());
    // Somebody else's: who can write it chooses who we are to the repository.
    std::os::unix::fs::chown(&token, Some(65_534), None).unwrap();
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("belongs to user 65534") && !error.contains("hush"), "{error}");
}

#[test]
fn ssh_with_a_key_and_a_known_host() {
    let dir = tempfile::tempdir().unwrap();
    let repo = GitRepo::new(dir.path(), "it's states");
    let sshd = sshd::Sshd::start(dir.path());
    let store = Store::open(&dir.path().join("state")).unwrap();
    let mut with = over_ssh(&sshd, &repo);
    let get = |source: &Source| fetcher(source.clone(), store.clone()).get(Want::Tip("main"));
    for round in ["one", "two"] {
        repo.write("top.sls", &round.repeat(50_000));
        let commit = repo.push(round);
        let fetched = get(&with).unwrap();
        assert_eq!((fetched.commit.as_str(), fetched.path.join("top.sls").exists()), (commit.as_str(), true));
    }
    let nobody = dir.path().join("empty");
    fs::write(&nobody, "").unwrap();
    with.login.known_hosts_file = Some(nobody.clone());
    let error = get(&with).unwrap_err();
    assert!(error.to_string().contains("Host key verification failed"), "{error}");
    // Who can write it chooses whom we believe.
    fs::set_permissions(&nobody, fs::Permissions::from_mode(0o666)).unwrap();
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("known_hosts_file /") && error.contains("chmod go-w"), "{error}");
    with.login.known_hosts_file = Some(sshd.known_hosts.clone());
    fs::set_permissions(&sshd.key, fs::Permissions::from_mode(0o640)).unwrap();
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("chmod 0600"), "{error}");
    with.login.ssh_key = Some(Secret::File(dir.path().join("host_key")));
    let error = get(&with).unwrap_err().to_string();
    assert!(error.contains("Permission denied"), "{error}");
}

#[test]
fn a_token_is_not_for_a_mirror_on_another_host() {
    let p = place();
    p.repo.write("top.sls", "one");
    p.repo.push("one");
    let token = token(&p);
    let first = GitHttp::start(p.dir.path(), None);
    first.set(Fault::Gone);
    let mut with = source(&first.url("states.git"));
    with.login.token = Some(Secret::File(token));
    with.mirrors = vec![Remote::parse(&p.server.url("states.git")).unwrap()];
    fetcher(with, p.store()).get(Want::Tip("main")).unwrap();
    assert!(first.take_requests().iter().all(|r| r.contains(" Basic ")));
    assert!(p.server.take_requests().iter().all(|r| !r.contains("Basic")));
}

#[test]
fn a_github_app_is_given_a_token_by_its_claim_and_asks_again_when_it_ends() {
    let p = place();
    tool(p.dir.path(), "openssl", &["genrsa", "-out", "app.pem", "2048"]);
    tool(p.dir.path(), "openssl", &["rsa", "-in", "app.pem", "-pubout", "-out", "app.pub"]);
    let key = p.dir.path().join("app.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    // A stand-in of the one endpoint of api.github.com; the claim is judged by openssl.
    let dir = p.dir.path().to_owned();
    let left = Arc::new(std::sync::atomic::AtomicI64::new(4));
    let minutes = left.clone();
    let (api, asked) = stand_in(move |text| {
        assert!(text.starts_with("POST /app/installations/42/access_tokens HTTP/1.1"), "{text}");
        let claim = text.lines().find_map(|l| l.strip_prefix("authorization: Bearer ")).unwrap();
        let (told, signature) = claim.rsplit_once('.').unwrap();
        let decode = |text: &str| {
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text).unwrap()
        };
        fs::write(dir.join("told"), told).unwrap();
        fs::write(dir.join("signature"), decode(signature)).unwrap();
        tool(&dir, "openssl", &["dgst", "-sha256", "-verify", "app.pub", "-signature", "signature", "told"]);
        let claims: serde_json::Value =
            serde_json::from_slice(&decode(told.split('.').nth(1).unwrap())).unwrap();
        let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!(claims["iss"] == "Iv1.0123" && lifetime <= 600, "{claims}");
        let end = chrono::Utc::now()
            + chrono::TimeDelta::minutes(minutes.load(std::sync::atomic::Ordering::SeqCst));
        (201, format!("{{\"token\": \"ghs_x\", \"expires_at\": \"{}\"}}", end.to_rfc3339()))
    });
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "x-access-token:ghs_x");
    let server = GitHttp::start(p.dir.path(), Some(&format!("Basic {basic}")));
    p.repo.write("top.sls", "one");
    p.repo.push("one");
    let text = format!(
        "#mayfly\nrole: web\nstates: {{url: '{}', github_app: {{id: Iv1.0123, installation: 42, \
         key: {{file: {}}}, api: '{api}'}}}}\n",
        server.url("states.git"),
        key.display()
    );
    let with = crate::userdata::parse(text.as_bytes()).unwrap().states;
    let mut fetcher = fetcher(with, p.store());
    let count = |fetcher: &mut Fetcher| {
        fetcher.get(Want::Tip("main")).unwrap();
        asked.lock().unwrap().len()
    };
    assert_eq!(count(&mut fetcher), 1);
    // It had four minutes left, which is too near its end; the next one has an hour.
    left.store(60, std::sync::atomic::Ordering::SeqCst);
    assert_eq!([count(&mut fetcher), count(&mut fetcher)], [2, 2]);
}

#[test]
fn a_deploy_key_from_a_vault_is_never_on_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let repo = GitRepo::new(dir.path(), "states");
    repo.write("top.sls", "one");
    let commit = repo.push("one");
    let sshd = sshd::Sshd::start(dir.path());
    let key = fs::read_to_string(&sshd.key).unwrap();
    fs::remove_file(&sshd.key).unwrap();
    let (endpoint, asked) = stand_in(move |_| {
        (
            200,
            serde_json::json!({"SecretString": serde_json::json!({"key": key.trim_end()}).to_string()})
                .to_string(),
        )
    });
    let mut with = over_ssh(&sshd, &repo);
    with.login.ssh_key = Some(Secret::Managed("deploy".into(), Some("key".into())));
    let store = Store::open(&dir.path().join("state")).unwrap();
    let mut fetcher = Fetcher::new(with, store, vault(&endpoint), Cancel::default());
    assert_eq!(fetcher.get(Want::Tip("main")).unwrap().commit, commit);
    fetcher.get(Want::Tip("main")).unwrap();
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 1, "it is kept for a while");
    assert!(
        asked[0].contains("x-amz-target: secretsmanager.GetSecretValue")
            && asked[0].ends_with("{\"SecretId\":\"deploy\"}")
    );
}

#[test]
fn a_vault_that_refuses_is_named_and_its_words_are_not_told() {
    let p = place();
    let (endpoint, _) =
        stand_in(|_| (400, "{\"__type\":\"x#ParameterNotFound\",\"message\":\"hush\"}".to_owned()));
    let mut with = source(&p.server.url("states.git"));
    with.login.token = Some(Secret::Parameter("/git/token".into()));
    let mut fetcher = Fetcher::new(with, p.store(), vault(&endpoint), Cancel::default());
    let error = fetcher.get(Want::Tip("main")).unwrap_err().to_string();
    assert_eq!(error, "SSM parameter /git/token: SSM answers HTTP 400 (ParameterNotFound)");
}
