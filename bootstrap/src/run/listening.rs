//! Where the endpoints answer: opened when user-data says where, moved when it says another place, and tried again while
//! somebody else has the port.

use super::board::Board;
use super::console::say;
use super::server::Server;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

struct Open {
    /// As it was asked for, whose port may be 0.
    asked: SocketAddr,
    /// As it came out.
    address: SocketAddr,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Inner {
    wanted: Option<SocketAddr>,
    open: Option<Open>,
    /// What was said of the last attempt.
    said: Option<String>,
}

/// See the module.
pub(super) struct Listening {
    server: Arc<Server>,
    board: Arc<Board>,
    inner: Mutex<Inner>,
}

impl Listening {
    pub(super) fn new(server: Arc<Server>, board: Arc<Board>) -> Self {
        Self { server, board, inner: Mutex::default() }
    }

    /// From now on answers there. An address that cannot be had is said; the instance works without, or with the old one.
    pub(super) fn at(&self, address: SocketAddr) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.wanted, inner.said) = (Some(address), None);
        self.open(&mut inner, true);
    }

    /// Tries once more what could not be had. `asked` says that a person waits for it.
    pub(super) fn again(&self, asked: bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if asked {
            inner.said = None;
        }
        self.open(&mut inner, asked);
    }

    /// `may_close`: what is open may be in the way itself, and is closed for a moment.
    fn open(&self, inner: &mut Inner, may_close: bool) {
        let Some(wanted) = inner.wanted.filter(|wanted| inner.is_missing(*wanted)) else { return };
        let mut served = self.server.serve(wanted, self.board.clone());
        let in_the_way = inner.open.as_ref().filter(|open| open.asked.port() == wanted.port());
        if let (Err(_), Some(old), true) = (&served, in_the_way.map(|open| open.address), may_close) {
            self.close(inner);
            served = self.server.serve(wanted, self.board.clone());
            if served.is_err() {
                self.reopen(inner, old);
            }
        }
        match served {
            Ok((address, serving)) => {
                self.close(inner);
                inner.open = Some(Open { asked: wanted, address, serving });
                say(format!("listening on {address} for /ready, /status, /metrics"));
                self.board.note(|status| status.listen = Some(address.to_string()));
            }
            Err(error) => inner.tell(wanted, &error),
        }
    }

    fn close(&self, inner: &mut Inner) {
        if let Some(old) = inner.open.take() {
            self.server.end(old.serving);
        }
    }

    fn reopen(&self, inner: &mut Inner, old: SocketAddr) {
        if let Ok((address, serving)) = self.server.serve(old, self.board.clone()) {
            inner.open = Some(Open { asked: old, address, serving });
        }
    }
}

impl Inner {
    fn is_missing(&self, wanted: SocketAddr) -> bool {
        self.open.as_ref().is_none_or(|open| open.asked != wanted)
    }

    /// Once for each reason.
    fn tell(&mut self, wanted: SocketAddr, error: &std::io::Error) {
        let meanwhile = match &self.open {
            Some(open) => format!("still listening on {}", open.address),
            None => "going on without /ready".to_owned(),
        };
        let text = format!("cannot listen on {wanted}: {error}; {meanwhile}, and trying again");
        if self.said.as_ref() != Some(&text) {
            say(&text);
            self.said = Some(text);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Tests: real sockets.
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn listening(dir: &std::path::Path) -> (Listening, Arc<Board>) {
        let board = Arc::new(Board::new(dir.join("status.json")));
        let server = Arc::new(Server::start(|_| {}).unwrap());
        (Listening::new(server, board.clone()), board)
    }

    fn answers(address: &str) -> bool {
        std::net::TcpStream::connect(address).is_ok()
    }

    #[test]
    fn another_address_of_the_same_port_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (listening, board) = listening(dir.path());
        listening.at("127.0.0.1:0".parse().unwrap());
        let first = board.snapshot().listen.unwrap();
        let port = first.rsplit(':').next().unwrap();
        // What was asked for by its number now, and then on every address.
        listening.inner.lock().unwrap().open.as_mut().unwrap().asked = first.parse().unwrap();
        let all = format!("0.0.0.0:{port}");
        listening.at(all.parse().unwrap());
        assert_eq!(board.snapshot().listen, Some(all));
        assert!(answers(&first));
    }

    #[test]
    fn the_old_address_is_kept_while_the_new_one_is_taken_and_left_after_that() {
        let dir = tempfile::tempdir().unwrap();
        let (listening, board) = listening(dir.path());
        listening.at("127.0.0.1:0".parse().unwrap());
        let first = board.snapshot().listen.unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = other.local_addr().unwrap();
        listening.at(wanted);
        assert!(answers(&first) && board.snapshot().listen == Some(first.clone()));
        let said = listening.inner.lock().unwrap().said.clone().unwrap();
        assert!(said.ends_with(&format!("; still listening on {first}, and trying again")), "{said}");
        drop(other);
        listening.again(false);
        assert_eq!(board.snapshot().listen, Some(wanted.to_string()));
        assert!(answers(&wanted.to_string()) && !answers(&first));
    }
}
