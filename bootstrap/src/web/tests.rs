//! A real server, and what comes of its answers.

use super::*;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// What the server does with a path.
#[derive(Clone)]
enum Does {
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Says how much there is, sends less and keeps the line open.
    Stall,
    /// The same, and closes.
    Cut,
}

struct Server {
    base: String,
    /// `METHOD path`, and the lines of the head.
    seen: Arc<Mutex<Vec<Vec<String>>>>,
}

fn server(paths: impl Fn(&str, &[String]) -> Does + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let (log, paths) = (seen.clone(), Arc::new(paths));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (log, paths) = (log.clone(), paths.clone());
            std::thread::spawn(move || {
                let lines: Vec<String> = BufReader::new(stream.try_clone().unwrap())
                    .lines()
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                let Some(path) = lines.first().and_then(|l| l.split(' ').nth(1)) else { return };
                let does = paths(path, &lines);
                log.lock().unwrap().push(lines.clone());
                match does {
                    Does::Answer(status, headers, body) => {
                        let _ = write!(stream, "HTTP/1.1 {status} X\r\nConnection: close\r\n");
                        for (name, value) in headers {
                            let _ = write!(stream, "{name}: {value}\r\n");
                        }
                        let _ = write!(stream, "Content-Length: {}\r\n\r\n", body.len());
                        let _ = stream.write_all(&body);
                    }
                    stalls => {
                        let _ = write!(stream, "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nsome");
                        if matches!(stalls, Does::Stall) {
                            std::thread::park();
                        }
                    }
                }
            });
        }
    });
    Server { base, seen }
}

fn ok(body: &str) -> Does {
    Does::Answer(200, vec![("ETag", "\"v1\"".into())], body.into())
}

fn web(environment: Environment, imds: &str) -> Web {
    Web { stall: Duration::from_millis(300), ..Web::new(imds, environment, Cancel::default()) }
}

fn get(web: &Web, request: &Request) -> (Result<Answer, FetchError>, String) {
    let mut body = Vec::new();
    let answer = web.fetch(request, &mut body);
    (answer, String::from_utf8(body).unwrap())
}

fn why(web: &Web, request: &Request) -> String {
    get(web, request).0.unwrap_err().to_string()
}

#[test]
fn a_file_comes_with_its_etag_and_headers_go_out() {
    let server = server(|_, _| ok("hello"));
    let web = web(Environment::default(), "http://127.0.0.1:1");
    let url = server.base.replace("http://", "http://me:s3cret@") + "/x";
    let (answer, body) = get(&web, &Request::get(&url).header("If-None-Match", "\"v0\""));
    assert_eq!((answer.unwrap().etag.as_deref(), body.as_str()), (Some("\"v1\""), "hello"));
    let seen = server.seen.lock().unwrap().concat().join("\n").to_lowercase();
    assert!(seen.contains("if-none-match: \"v0\""), "{seen}");
    assert!(seen.contains("authorization: basic bwu6cznjcmv0") && !seen.contains("me:s3cret"), "{seen}");
}

#[test]
fn refusals_name_the_status_and_never_the_address() {
    let server = server(|path, _| Does::Answer(if path == "/304" { 304 } else { 503 }, vec![], "no".into()));
    let web = web(Environment::default(), "http://127.0.0.1:1");
    let url = |path: &str| server.base.replace("http://", "http://me:s3cret@") + path;
    let (answer, body) = get(&web, &Request::get(&url("/a")));
    assert_eq!(
        (answer.unwrap_err().to_string().as_str(), body.as_str()),
        ("the server answers HTTP 503", "")
    );
    let (answer, body) = get(&web, &Request { any_status: true, ..Request::get(&url("/a")) });
    assert_eq!((answer.unwrap().status, body.as_str()), (503, "no"));
    assert_eq!(get(&web, &Request::get(&url("/304"))).0.unwrap().status, 304);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = why(&web, &Request::get(&format!("http://me:s3cret@{closed}/?token=s3cret")));
    assert!(refused.contains("refused") && !refused.contains("s3cret"), "{refused}");
    assert!(why(&web, &Request::get("http://")).contains("no address"));
}

#[test]
fn what_is_too_large_or_too_slow_or_cut_is_refused() {
    let server = server(|path, _| match path {
        "/stall" => Does::Stall,
        "/cut" => Does::Cut,
        _ => ok("0123456789"),
    });
    let web = web(Environment::default(), "http://127.0.0.1:1");
    let request = |path: &str| Request::get(&format!("{}{path}", server.base));
    assert_eq!(why(&web, &Request { limit: 9, ..request("/") }), "it is larger than 9 bytes");
    assert!(get(&web, &Request { limit: 10, ..request("/") }).0.is_ok());
    assert_eq!(why(&web, &request("/stall")), "nothing came from the server within 0 s");
    let short = Request { timeout: Duration::from_millis(50), ..request("/stall") };
    assert_eq!(why(&web, &short), "it was not complete within 0 s");
    assert!(matches!(get(&web, &request("/cut")).0, Err(FetchError::Failed(_))));
}

#[test]
fn redirects_are_followed_but_not_for_ever_and_a_cancelled_run_ends() {
    let server = server(|path, _| match path {
        "/end" => ok("here"),
        p if p.starts_with("/round") => {
            Does::Answer(302, vec![("Location", "/round?token=s3cret".into())], vec![])
        }
        "/file" => Does::Answer(302, vec![("Location", "file:///etc/passwd".into())], vec![]),
        "/stall" => Does::Stall,
        _ => Does::Answer(301, vec![("Location", "/end".into())], vec![]),
    });
    let web = web(Environment::default(), "http://127.0.0.1:1");
    let request = |path: &str| Request::get(&format!("{}{path}", server.base));
    assert_eq!(get(&web, &request("/start")).1, "here");
    let round = why(&web, &request("/round"));
    assert!(round.contains("more than 10 redirects") && !round.contains("s3cret"), "{round}");
    assert!(get(&web, &request("/file")).0.is_err());
    web.cancel.set();
    assert!(matches!(get(&web, &request("/stall")).0, Err(FetchError::Cancelled)));
}

#[test]
fn headers_and_bodies_do_not_follow_a_redirect_to_another_server() {
    let other = server(|_, _| ok("there"));
    let away = format!("{}/end", other.base);
    let server = server(move |path, _| match path {
        "/away" => Does::Answer(307, vec![("Location", away.clone())], vec![]),
        "/end" => ok("here"),
        _ => Does::Answer(307, vec![("Location", "/end".into())], vec![]),
    });
    let web = web(Environment::default(), "http://127.0.0.1:1");
    let asked = |path: &str| {
        let request = Request::get(&format!("{}{path}", server.base));
        request.header("X-Token", "s3cret").header("If-None-Match", "\"v0\"")
    };
    assert_eq!(get(&web, &asked("/near")).1, "here");
    let near = server.seen.lock().unwrap().last().unwrap().join("\n").to_lowercase();
    assert!(near.contains("x-token: s3cret"), "{near}");
    assert_eq!(get(&web, &asked("/away")).1, "there");
    let there = other.seen.lock().unwrap().concat().join("\n").to_lowercase();
    assert!(there.contains("if-none-match") && !there.contains("s3cret"), "{there}");
    let told = Request { method: "POST".into(), body: b"s3cret".to_vec(), ..asked("/away") };
    assert!(why(&web, &told).contains("redirects to another one"));
    assert_eq!(other.seen.lock().unwrap().len(), 1);
}

fn from_environment(endpoint: &str) -> Environment {
    Environment {
        ssm: None,
        secrets: None,
        access_key: Some("AKIDEXAMPLE".into()),
        secret_key: Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()),
        session_token: Some("a+token/of==".into()),
        region: Some("eu-west-1".into()),
        endpoint: Some(endpoint.into()),
    }
}

/// The query of an address, decoded.
fn query(url: &str) -> HashMap<String, String> {
    reqwest::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

/// SigV4 as AWS's documentation describes it, for a GET of an address that carries its signature.
fn signature(url: &str, secret: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::{Digest, Sha256};
    let sign = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let parsed = reqwest::Url::parse(url).unwrap();
    let host = format!("{}:{}", parsed.host_str().unwrap(), parsed.port().unwrap());
    let mut pairs: Vec<&str> =
        parsed.query().unwrap().split('&').filter(|p| !p.starts_with("X-Amz-Signature=")).collect();
    pairs.sort_unstable();
    let canonical =
        format!("GET\n{}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", parsed.path(), pairs.join("&"));
    let query = query(url);
    let scope = query["X-Amz-Credential"].split_once('/').unwrap().1.to_owned();
    let date = &query["X-Amz-Date"];
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(&canonical)));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| sign(&key, part));
    hex(&sign(&key, &text))
}

#[test]
fn an_object_of_s3_is_asked_for_with_a_signature_that_holds() {
    let server = server(|_, _| ok("object"));
    let environment = from_environment(&server.base);
    let secret = environment.secret_key.clone().unwrap();
    let web = web(environment, "http://127.0.0.1:1");
    assert_eq!(get(&web, &Request::get("s3://artefacts/app/a b+c=ü.tgz")).1, "object");
    let seen = server.seen.lock().unwrap().concat();
    let path = seen[0].split(' ').nth(1).unwrap();
    assert!(path.starts_with("/artefacts/app/a%20b%2Bc%3D%C3%BC.tgz?"), "{path}");
    let url = format!("{}{path}", server.base);
    let query = query(&url);
    assert_eq!(query["X-Amz-Security-Token"], "a+token/of==");
    assert!(query["X-Amz-Credential"].ends_with("/eu-west-1/s3/aws4_request"), "{query:?}");
    assert_eq!(query["X-Amz-Signature"], signature(&url, &secret));
}

#[test]
fn the_role_of_the_instance_signs_where_the_environment_says_nothing() {
    let s3 = server(|_, _| ok("object"));
    let imds = server(|path, head| {
        let roles = "/latest/meta-data/iam/security-credentials/";
        let has_token = head.iter().any(|l| l.eq_ignore_ascii_case("x-aws-ec2-metadata-token: t0ken"));
        match path {
            "/latest/api/token" => ok("t0ken"),
            _ if !has_token => Does::Answer(401, vec![], vec![]),
            "/latest/dynamic/instance-identity/document" => ok(r#"{"region": "eu-central-1"}"#),
            p if p == roles => ok("web-role"),
            p if p == format!("{roles}web-role") => ok(
                r#"{"Code": "Success", "AccessKeyId": "ASIAROLE", "SecretAccessKey": "role/secret", "Token": "role-token",
                    "Expiration": "2999-01-01T00:00:00Z"}"#,
            ),
            _ => Does::Answer(404, vec![], vec![]),
        }
    });
    let environment = Environment { endpoint: Some(s3.base.clone()), ..Environment::default() };
    let web = web(environment, &imds.base);
    for _ in 0..2 {
        assert_eq!(get(&web, &Request::get("s3://b/k")).1, "object");
    }
    let path = s3.seen.lock().unwrap()[1][0].split(' ').nth(1).unwrap().to_owned();
    let query = query(&format!("{}{path}", s3.base));
    assert!(query["X-Amz-Credential"].starts_with("ASIAROLE/"), "{query:?}");
    assert!(query["X-Amz-Credential"].contains("/eu-central-1/"), "{query:?}");
    assert_eq!(query["X-Amz-Signature"], signature(&format!("{}{path}", s3.base), "role/secret"));
    let asked = imds.seen.lock().unwrap().iter().filter(|r| r[0].contains("web-role")).count();
    assert_eq!(asked, 1, "credentials are kept until they end");
}

#[test]
fn refusals_of_s3_have_their_code_and_another_region_is_tried() {
    let server = server(|path, _| match path.contains("us-west-2") {
        true => ok("there"),
        false if path.starts_with("/moved") => {
            Does::Answer(301, vec![("x-amz-bucket-region", "us-west-2".into())], vec![])
        }
        false => Does::Answer(403, vec![], "<Error><Code>AccessDenied</Code><X/></Error>".into()),
    });
    let web = web(from_environment(&server.base), "http://127.0.0.1:1");
    assert_eq!(why(&web, &Request::get("s3://b/k")), "the server answers HTTP 403 (AccessDenied)");
    assert_eq!(get(&web, &Request::get("s3://moved/k")).1, "there");
    for wrong in ["s3://b", "s3:///k", "s3://b/", "s3://b/../k"] {
        assert!(matches!(get(&web, &Request::get(wrong)).0, Err(FetchError::Failed(_))), "{wrong}");
    }
}

#[test]
fn aws_itself_is_asked_at_the_host_of_the_bucket() {
    let environment = Environment { endpoint: None, ..from_environment("") };
    let s3 = S3::new("http://127.0.0.1:1", environment, Cancel::default());
    let url = |object| s3.signed(object, None).unwrap();
    assert!(url("b/k/x").starts_with("https://b.s3.eu-west-1.amazonaws.com/k/x?"));
    assert!(url("b.c/k").starts_with("https://s3.eu-west-1.amazonaws.com/b.c/k?"));
    let china = s3.elsewhere("b/k", "cn-north-1").unwrap().unwrap();
    assert!(china.starts_with("https://b.s3.cn-north-1.amazonaws.com.cn/k?"), "{china}");
    assert_eq!(s3.elsewhere("b/k", "eu-west-1").unwrap(), None);
    assert_eq!(s3.elsewhere("b/k", "evil.org/").unwrap(), None);
}

#[test]
fn only_this_machine_is_near() {
    for near in ["http://127.0.0.1:8080/x", "https://localhost/", "http://[::1]:1/", "http://me:x@127.9.9.9/"]
    {
        assert!(is_near(near), "{near}");
    }
    for far in ["http://10.0.0.1/", "http://127.0.0.1.evil.org/", "https://x@localhost.org/", "nonsense"] {
        assert!(!is_near(far), "{far}");
    }
}
