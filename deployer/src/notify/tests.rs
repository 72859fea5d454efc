//! Notices against a server that answers as it is told.

use super::*;
use crate::spec::Notice;
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server was asked: path, authorization, body.
type Asked = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A server that answers 201 with `{"id": 7}`, or the given status to the first requests.
async fn server(mut statuses: Vec<u16>) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Asked::default();
    let keep = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let status = if statuses.is_empty() { 201 } else { statuses.remove(0) };
            let request = answer(stream, status).await;
            keep.lock().expect("no panic").push(request);
        }
    });
    (address, asked)
}

async fn answer(mut stream: TcpStream, status: u16) -> (String, String, Value) {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.expect("a request");
        bytes.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").parse().unwrap_or(0);
        if body.len() >= length {
            break (head.to_owned(), length);
        }
    };
    let body = &bytes[bytes.len() - length..];
    let text = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: 9\r\nLocation: http://127.0.0.1:9/\r\nConnection: close\r\n\r\n{{\"id\": 7}}"
    );
    stream.write_all(text.as_bytes()).await.expect("it listens");
    let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
    (path, header(&head, "authorization"), serde_json::from_slice(body).unwrap_or_default())
}

fn header(head: &str, name: &str) -> String {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
    line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

fn about() -> About {
    About {
        service: "greeter".into(),
        environment: "staging".into(),
        deployment: Some("greeter-staging-1".into()),
        who: "ann@host".into(),
        commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
        branch: None,
        job: Some("https://ci.example/1".into()),
    }
}

fn planned() -> Event {
    Event::Planned { plan: json!({"image": "ami-1"}), text: String::new() }
}

fn finished(outcome: &str, cause: Option<&str>) -> Event {
    Event::Finished {
        outcome: outcome.into(),
        deployment: "greeter-staging-1".into(),
        instances: Vec::new(),
        cause: cause.map(str::to_owned),
        left: Vec::new(),
        seconds: 93.2,
    }
}

fn message(event: &Event) -> Message {
    about().message(event).expect("a notice")
}

fn webhook(url: Option<&str>, on: &[Notice]) -> (Webhook, Option<String>) {
    let secret = Secret::Variable("HOOK".into());
    (Webhook { url: secret, on: on.to_vec() }, url.map(str::to_owned))
}

fn post(webhooks: Vec<(Webhook, Option<String>)>, github: Option<(Github, Option<String>)>) -> send::Post {
    let _ = rustls::crypto::ring::default_provider().install_default();
    send::Post::new(Recipients { webhooks, github })
}

fn github(api: &str) -> Github {
    Github {
        repository: "acme/states".into(),
        reference: None,
        api: Some(api.to_owned()),
        token_env: "GITHUB_TOKEN".into(),
    }
}

#[test]
fn every_end_has_its_words_and_a_taken_lock_is_no_news() {
    let text = |event: &Event| message(event).text();
    assert_eq!(
        text(&planned()),
        "greeter in staging: greeter-staging-1 begins (ann@host, states 0123456789ab)"
    );
    assert_eq!(text(&finished("done", None)), "greeter in staging: greeter-staging-1 is deployed after 93 s");
    assert_eq!(
        text(&finished("rolled-back", Some("no answer"))),
        "greeter in staging: greeter-staging-1 failed and was rolled back: no answer"
    );
    assert_eq!(message(&finished("dirty", Some("x"))).notice, Notice::Failure);
    assert_eq!(about().message(&finished("locked", None)), None);
}

#[tokio::test]
async fn a_webhook_gets_what_it_wants_and_is_asked_once_more_when_it_fails() {
    let (url, asked) = server(vec![503]).await;
    let mut post = post(vec![webhook(Some(&url), &[Notice::Start]), webhook(None, &[Notice::Success])], None);
    assert_eq!(post.send(&message(&planned())).await, Vec::<String>::new());
    assert_eq!(post.send(&message(&finished("rolled-back", None))).await, Vec::<String>::new());
    let failures = post.send(&message(&finished("done", None))).await;
    assert_eq!(failures, ["webhook 1: its environment variable is not set"]);
    let asked = asked.lock().expect("no panic").clone();
    assert_eq!(asked.len(), 2, "{asked:?}");
    let body = &asked[1].2;
    assert_eq!((&body["notice"], &body["image"]), (&json!("start"), &json!("ami-1")));
    assert!(body["text"].as_str().is_some_and(|text| text.contains("begins")), "{body}");
}

#[tokio::test]
async fn github_gets_a_deployment_and_its_statuses() {
    let (api, asked) = server(Vec::new()).await;
    let mut post = post(Vec::new(), Some((github(&api), Some("t0ken".into()))));
    for event in [planned(), finished("rolled-back", Some("no answer"))] {
        assert_eq!(post.send(&message(&event)).await, Vec::<String>::new());
    }
    let asked = asked.lock().expect("no panic").clone();
    let paths: Vec<&str> = asked.iter().map(|(path, ..)| path.as_str()).collect();
    let base = "/repos/acme/states/deployments";
    assert_eq!(paths, [base, &format!("{base}/7/statuses"), &format!("{base}/7/statuses")]);
    assert!(asked.iter().all(|(_, token, _)| token == "Bearer t0ken"), "{asked:?}");
    assert_eq!(asked[0].2["auto_merge"], json!(false));
    assert_eq!(asked[1].2["state"], json!("in_progress"));
    assert_eq!(asked[2].2["state"], json!("failure"));
    assert_eq!(asked[2].2["log_url"], json!("https://ci.example/1"));
}

#[tokio::test]
async fn what_could_not_be_planned_is_told_with_the_branch_for_want_of_a_commit() {
    let (api, asked) = server(Vec::new()).await;
    let hook = webhook(Some(&api), &[Notice::Failure]);
    let mut post = post(vec![hook], Some((github(&api), Some("t0ken".into()))));
    let about = About { deployment: None, commit: None, branch: Some("nightly".into()), ..about() };
    let message = about.unplanned("cannot ask".into());
    assert_eq!(message.text(), "greeter in staging: nothing was deployed, nothing was changed: cannot ask");
    assert_eq!(post.send(&message).await, Vec::<String>::new());
    let asked = asked.lock().expect("no panic").clone();
    let of = |path: &str| asked.iter().find(|(have, ..)| have == path).map(|(.., body)| body.clone());
    let hook = of("/").expect("the webhook was told");
    assert_eq!((&hook["notice"], &hook["deployment"]), (&json!("failure"), &Value::Null), "{hook}");
    let base = "/repos/acme/states/deployments";
    assert_eq!(of(base).expect("a deployment")["ref"], json!("nightly"));
    assert_eq!(of(&format!("{base}/7/statuses")).expect("its status")["state"], json!("error"));
}

#[tokio::test]
async fn a_token_goes_nowhere_else() {
    let (api, asked) = server(vec![302]).await;
    let mut post = post(Vec::new(), Some((github(&api), Some("t0ken".into()))));
    let failures = post.send(&message(&planned())).await;
    assert!(failures[0].starts_with("GitHub: answered 302"), "{failures:?}");
    assert_eq!(asked.lock().expect("no panic").len(), 1);
    let plain = github("http://github.example");
    let mut post = self::post(Vec::new(), Some((plain, Some("t0ken".into()))));
    assert_eq!(post.send(&message(&planned())).await, ["GitHub: the token is sent over https alone"]);
    let mut post = self::post(Vec::new(), Some((github(&api), None)));
    assert_eq!(post.send(&message(&planned())).await, ["GitHub: GITHUB_TOKEN is not set"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_does_not_hold_up_the_end() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let text = format!(
        "service: s\nimage: ami-1\nstates: {{url: u}}\nprobe: none\nnotify: [{{webhook: \"{url}/T0/S3CRET\"}}]\n"
    );
    let spec = Spec::parse(&text, "f", "production", &[]).expect("a spec");
    let notes = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&notes);
    let inner: Arc<dyn Sink> =
        Arc::new(move |event: &Event| keep.lock().expect("no panic").push(event.clone()));
    let (sink, notices) = attach(inner, &spec, about());
    sink.event(&planned());
    sink.event(&finished("done", None));
    notices.finish().await;
    let events = notes.lock().expect("no panic").clone();
    assert!(events.contains(&planned()) && events.contains(&finished("done", None)), "{events:?}");
    let told = format!("{events:?}");
    assert!(told.contains("not told") && !told.contains("S3CRET"), "{told}");
}
