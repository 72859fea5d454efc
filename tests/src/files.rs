//! Files over HTTP from this machine, as a bucket of releases would give them: what instances fetch.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Serves until the test ends.
#[derive(Debug)]
pub struct Files {
    /// Where.
    pub address: SocketAddr,
    files: Arc<Mutex<BTreeMap<String, PathBuf>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Files {
    /// With nothing in it.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (files, asked) =
            (Arc::<Mutex<BTreeMap<String, PathBuf>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (held, heard) = (Arc::clone(&files), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (held, heard) = (Arc::clone(&held), Arc::clone(&heard));
                // A client that hangs up has what it wanted.
                std::thread::spawn(move || drop(serve(stream, &held, &heard)));
            }
        });
        Self { address, files, asked }
    }

    /// Offers a file of this machine as `/name`.
    pub fn offer(&self, name: &str, file: impl Into<PathBuf>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(format!("/{name}"), file.into());
    }

    /// What was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    stream: TcpStream,
    files: &Mutex<BTreeMap<String, PathBuf>>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
    let file = files.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
    let mut stream = reader.into_inner();
    let Some(mut file) = file.and_then(|file| std::fs::File::open(file).ok()) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let length = file.metadata()?.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    std::io::copy(&mut file, &mut stream).map(|_| ())
}
