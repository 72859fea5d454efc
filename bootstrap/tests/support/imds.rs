//! A small metadata service, version 2 only, whose user-data can be changed.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

pub struct Imds {
    pub url: String,
    user_data: Arc<Mutex<Vec<u8>>>,
    role: Arc<Mutex<Option<String>>>,
}

impl Imds {
    pub fn start(instance_id: &'static str, user_data: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let user_data = Arc::new(Mutex::new(user_data.into()));
        let role: Arc<Mutex<Option<String>>> = Arc::default();
        let (served, given) = (user_data.clone(), role.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut lines = Vec::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    lines.push(line.trim().to_ascii_lowercase());
                }
                let Some(first) = lines.first() else { continue };
                let has_token = lines.iter().any(|l| l == "x-aws-ec2-metadata-token: t0ken");
                let mut words = first.split(' ');
                let (status, body): (u16, Vec<u8>) = match (words.next(), words.next(), has_token) {
                    (Some("put"), Some("/latest/api/token"), _) => (200, b"t0ken".to_vec()),
                    (_, _, false) => (401, Vec::new()),
                    (_, Some("/latest/meta-data/instance-id"), _) => (200, instance_id.into()),
                    (_, Some("/latest/user-data"), _) => (200, served.lock().unwrap().clone()),
                    (_, Some("/latest/dynamic/instance-identity/document"), _) => {
                        (200, br#"{"region": "eu-west-1"}"#.to_vec())
                    }
                    (_, Some("/latest/meta-data/iam/security-credentials/"), _) => {
                        let has = given.lock().unwrap().is_some();
                        if has { (200, b"web-role".to_vec()) } else { (404, Vec::new()) }
                    }
                    (_, Some("/latest/meta-data/iam/security-credentials/web-role"), _) => {
                        (200, given.lock().unwrap().clone().unwrap_or_default().into_bytes())
                    }
                    _ => (404, Vec::new()),
                };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(&body);
            }
        });
        Self { url, user_data, role }
    }

    /// What the role of the instance signs with: the JSON that EC2 serves.
    pub fn set_role(&self, credentials: String) {
        *self.role.lock().unwrap() = Some(credentials);
    }

    pub fn set_user_data(&self, user_data: impl Into<Vec<u8>>) {
        *self.user_data.lock().unwrap() = user_data.into();
    }
}
