//! Sources over the network, by the whole program: TLS, redirects, S3, and what is told of failures.
// Tests: real files, processes and a real server.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::boot::PROGRAM;
use support::files::Files;

const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

struct Box {
    dir: tempfile::TempDir,
}

impl Box {
    fn new() -> Self {
        let this = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(this.root("etc")).unwrap();
        fs::create_dir_all(this.dir.path().join("states")).unwrap();
        this
    }

    fn root(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    /// Applies one file that comes from `source`.
    fn apply(&self, source: &str, env: &[(&str, &str)]) -> Output {
        let sls = format!(
            "app:\n  file.managed:\n    - name: /etc/app\n    - source: {source}\n    - source_hash: {SHA256}\n"
        );
        self.apply_sls(&sls, env)
    }

    fn apply_sls(&self, sls: &str, env: &[(&str, &str)]) -> Output {
        fs::write(self.dir.path().join("states/app.sls"), sls).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args([
            "apply",
            "app",
            "--id",
            "box",
            "--supervisor",
            "systemd",
            "--imds",
            "http://127.0.0.1:1",
        ]);
        command.arg("--root").arg(self.root("")).arg("--file-root").arg(self.dir.path().join("states"));
        command.env_clear().envs(env.iter().copied()).output().unwrap()
    }

    /// The same, which fails; all that it says.
    fn fails(&self, source: &str, env: &[(&str, &str)]) -> String {
        let output = self.apply(source, env);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(!self.root("etc/app").exists());
        said
    }

    fn reads(&self) -> String {
        fs::read_to_string(self.root("etc/app")).unwrap_or_default()
    }
}

fn moved(files: &Files, path: &str, to: &str) {
    files.page(path, (302, vec![("Location".into(), to.into())], Vec::new()));
}

#[test]
fn a_file_is_fetched_over_tls_and_only_from_who_can_prove_it() {
    let stage = Box::new();
    let (authority, config) = support::tls::authority(stage.dir.path());
    let files = Files::start(Some(config));
    files.put("/app", "hello\n");
    let url = format!("{}/app", files.base);
    let trusting = [("SSL_CERT_FILE", authority.to_str().unwrap())];
    let unknown =
        stage.fails(&url, &[("SSL_CERT_FILE", other_authority(stage.dir.path()).to_str().unwrap())]);
    assert!(unknown.contains("certificate"), "{unknown}");
    assert_eq!(stage.apply(&url, &trusting).status.code(), Some(0));
    assert_eq!(stage.reads(), "hello\n");
    files.asked();
    assert_eq!(stage.apply(&url, &trusting).status.code(), Some(0));
    assert_eq!(files.asked(), [""; 0], "what is there already is not fetched");
}

fn other_authority(dir: &Path) -> PathBuf {
    let other = dir.join("other");
    fs::create_dir_all(&other).unwrap();
    support::tls::authority(&other).0
}

#[test]
fn redirects_lead_from_plain_to_tls_and_never_back() {
    let stage = Box::new();
    let (authority, config) = support::tls::authority(stage.dir.path());
    let trusting = [("SSL_CERT_FILE", authority.to_str().unwrap())];
    let (plain, secure) = (Files::start(None), Files::start(Some(config)));
    plain.put("/app", "hello\n");
    secure.put("/app", "hello\n");
    moved(&secure, "/down", &format!("{}/app", plain.base));
    moved(&plain, "/up", &format!("{}/app", secure.base));
    let down = stage.fails(&format!("{}/down", secure.base), &trusting);
    assert!(down.contains("redirects from https to http"), "{down}");
    assert_eq!(plain.asked(), [""; 0]);
    assert_eq!(stage.apply(&format!("{}/up", plain.base), &trusting).status.code(), Some(0));
    assert_eq!(stage.reads(), "hello\n");
}

#[test]
fn passwords_of_addresses_are_told_nowhere() {
    let stage = Box::new();
    let files = Files::start(None);
    let url = format!("{}/none?token=s3cret", files.base.replace("http://", "http://me:s3cret@"));
    let said = stage.fails(&url, &[("MAYFLY_LOG", "trace")]);
    assert!(said.contains("HTTP 404") && !said.contains("s3cret"), "{said}");
}

#[test]
fn an_object_of_s3_comes_from_the_endpoint_of_the_environment() {
    let stage = Box::new();
    let files = Files::start(None);
    files.put("/artefacts/app", "hello\n");
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", files.base.as_str()),
        ("MAYFLY_LOG", "trace"),
    ];
    let none = stage.fails("s3://artefacts/none", &env);
    assert!(none.contains("HTTP 404") && !none.contains("X-Amz"), "{none}");
    let output = stage.apply("s3://artefacts/app", &env);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("X-Amz"), "{output:?}");
    assert_eq!(stage.reads(), "hello\n");
    assert!(files.asked().concat().contains("X-Amz-Signature="));
    let refused = Box::new().fails("s3://artefacts/app", &[]);
    assert!(refused.contains("S3: no region (AWS_REGION, or an instance of EC2)"), "{refused}");
}

#[test]
fn a_release_is_fetched_with_a_token_and_taken_back_when_it_is_not_well() {
    let stage = Box::new();
    let (files, health) = (Files::start(None), Files::start(None));
    files.put("/app-1.jar", "one");
    files.put("/app-2.jar", "two");
    health.put("/health", "well");
    let release = |version: u32| {
        let sls = format!(
            "app:\n  release.active:\n    - name: /srv/app\n    - version: {version}\n    - skip_verify: true\n    \
             - source: {}/app-{{version}}.jar\n    - token: s3cret\n    - health_url: {}/health\n    - health_timeout: 0\n",
            files.base, health.base
        );
        let output = stage.apply_sls(&sls, &[("MAYFLY_LOG", "trace")]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains("s3cret"), "{said}");
        (output.status.code(), said)
    };
    let current =
        || fs::read_link(stage.root("srv/app/current")).map(|l| l.display().to_string()).unwrap_or_default();
    let (code, said) = release(1);
    assert_eq!((code, current().as_str()), (Some(0), "releases/1"), "{said}");
    assert_eq!(fs::read_to_string(stage.root("srv/app/current/app-1.jar")).unwrap(), "one");
    health.page("/health", (503, Vec::new(), Vec::new()));
    let (code, said) = release(2);
    assert_eq!((code, current().as_str()), (Some(2), "releases/1"), "{said}");
    assert!(said.contains("2 did not come up") && said.contains("HTTP 503"), "{said}");
}
