//! The metadata service: whatever it answers, and however often, the questions end in time, a token is asked for first,
//! and what is believed is plain. The program is a binary: its pure module is compiled in here.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/imds/session.rs"]
mod session;

use session::{Line, LineError, Question, Session};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);
/// What one question may take: it has a limit of its own.
const ONE: Duration = Duration::from_secs(3);

/// Answers that follow each other as the input says, `STATUS` and a body each, parted by lines of `%%`; after them silence.
struct Script<'a> {
    answers: Vec<&'a [u8]>,
    time: Duration,
    token: Option<Vec<u8>>,
}

impl<'a> Script<'a> {
    fn new(mut text: &'a [u8]) -> Self {
        let mut answers = Vec::new();
        while let Some(at) = text.windows(4).position(|window| window == b"\n%%\n") {
            answers.push(&text[..at]);
            text = &text[at + 4..];
        }
        answers.push(text);
        answers.reverse();
        Self { answers, time: Duration::ZERO, token: None }
    }
}

impl Line for Script<'_> {
    fn ask(&mut self, question: &Question<'_>) -> Result<(u16, Vec<u8>), LineError> {
        if let Question::Get { path, token } = question {
            assert_eq!(self.token.as_deref(), Some(token.as_bytes()), "another token than the last one given");
            assert!(token.bytes().all(|b| b.is_ascii_graphic()), "the token would end its header");
            assert!(path.starts_with("/latest/") && path.bytes().all(|b| b.is_ascii_graphic()), "{path:?}");
            assert!(!path.contains("/../") && !path.ends_with("/.."), "{path:?}");
        }
        let Some(answer) = self.answers.pop() else {
            self.time += ONE;
            return Err(LineError::Failed("silence".to_owned()));
        };
        self.time += Duration::from_millis(1);
        let (status, body) = match answer.iter().position(|b| *b == b'\n') {
            Some(at) => (&answer[..at], &answer[at + 1..]),
            None => (answer, &[][..]),
        };
        let status = std::str::from_utf8(status).ok().and_then(|text| text.parse().ok()).unwrap_or(200);
        if matches!(question, Question::Token { .. }) && status == 200 {
            self.token = Some(body.to_vec());
        }
        Ok((status, body.to_vec()))
    }

    fn pause(&mut self, pause: Duration) -> Result<(), LineError> {
        self.time += pause;
        Ok(())
    }

    fn elapsed(&self) -> Duration {
        self.time
    }
}

fn check<T>(result: Result<T, session::Error>, session: &Session<Script<'_>>) -> Option<T> {
    let all = Duration::from_secs(1) + ONE + WITHIN;
    assert!(session.line().elapsed() <= all, "{:?} is longer than allowed", session.line().elapsed());
    result
        .map_err(|error| {
            let text = error.to_string();
            assert!(text.len() < 1024 && !text.contains(['\n', '\u{1b}']), "{text:?}");
        })
        .ok()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let fresh = || Session::new(Script::new(bytes), "http://metadata".to_owned());
    let mut session = fresh();
    let identity = session.identity(WITHIN);
    if let Some(identity) = check(identity, &session) {
        let id = &identity.instance_id;
        assert!(!id.is_empty() && id.len() <= 64, "{id:?}");
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{id:?}");
    }
    let mut session = fresh();
    let credentials = session.role_credentials(WITHIN);
    check(credentials, &session);
    let mut session = fresh();
    let region = session.region(WITHIN);
    check(region, &session);
});
