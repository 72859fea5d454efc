//! A certificate authority of one test, and a server certificate for 127.0.0.1 signed by it.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes both in `dir`; gives the authority's file and the server's configuration.
pub fn authority(dir: &Path) -> (PathBuf, rustls::ServerConfig) {
    authority_for(dir, "IP:127.0.0.1")
}

/// The same for another name, as openssl writes it.
pub fn authority_for(dir: &Path, name: &str) -> (PathBuf, rustls::ServerConfig) {
    let openssl = |args: &str| {
        let output = Command::new("openssl").current_dir(dir).args(args.split(' ')).output();
        let output = output.expect("openssl runs: install openssl");
        assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!("req -x509 {key} -subj /CN=test-authority -keyout ca.key -out ca.pem"));
    openssl(&format!(
        "req -x509 {key} -subj /CN=127.0.0.1 -addext subjectAltName={name} -addext basicConstraints=critical,CA:FALSE \
         -CA ca.pem -CAkey ca.key -keyout server.key -out server.pem"
    ));
    let certificate = CertificateDer::from_pem_file(dir.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("server.key")).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    (dir.join("ca.pem"), config)
}
