//! Files of signers that say more than a key, and signatures that real programs made.

use super::*;
use crate::userdata::Signer;

/// A repository whose commits can be signed by one SSH key.
pub(super) struct Signed {
    pub(super) p: Place,
    pub(super) public: String,
}

impl Signed {
    pub(super) fn new() -> Self {
        let p = place();
        tool(p.dir.path(), "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "key"]);
        let public = fs::read_to_string(p.dir.path().join("key.pub")).unwrap();
        Self { p, public: public.trim().to_owned() }
    }

    /// Signs what is written, pushes it, and gives the commit.
    pub(super) fn push(&self, text: &str) -> String {
        self.push_at(2_000_000_000, text)
    }

    /// The same at a time, in seconds since the epoch.
    pub(super) fn push_at(&self, time: u64, text: &str) -> String {
        self.p.repo.write("top.sls", text);
        self.p.repo.git(&["add", "-A"]);
        let key = format!("user.signingkey={}", self.p.dir.path().join("key").display());
        let commit = ["-c", "gpg.format=ssh", "-c", &key, "commit", "-q", "-S", "-m", text];
        self.p.repo.git_at(time, &commit);
        self.p.repo.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
        self.p.repo.git(&["rev-parse", "HEAD"])
    }

    /// Fetches with a file of signers that has this text.
    fn by(&self, signers: &str) -> Result<Fetched, Error> {
        let file = self.p.dir.path().join("signers");
        fs::write(&file, signers).unwrap();
        let mut with = source(&self.p.server.url("states.git"));
        with.signed_by = vec![Signer::File(file)];
        fetcher(with, self.p.store()).get(Want::Tip("main"))
    }
}

#[test]
fn a_file_of_signers_that_limits_a_key_is_refused_with_its_line() {
    let signed = Signed::new();
    let commit = signed.push("one");
    let key = &signed.public;
    for line in [key.clone(), format!("me@example.com namespaces=\"git\" {key}")] {
        assert_eq!(signed.by(&format!("# ours\n{line}\n")).unwrap().commit, commit);
    }
    for (option, word) in [
        ("valid-before=\"20200101\"", "valid-before"),
        ("valid-after=\"20990101\"", "valid-after"),
        ("cert-authority", "cert-authority"),
        ("namespaces=\"file\"", "namespaces"),
    ] {
        let error = signed.by(&format!("# ours\nme@example.com {option} {key}\n")).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::NotSigned { .. }) && text.contains("/signers:2: "), "{text}");
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn a_file_of_signers_that_others_can_change_is_not_believed() {
    use std::os::unix::fs::PermissionsExt;
    let signed = Signed::new();
    signed.push("one");
    signed.by(&signed.public).unwrap();
    let file = signed.p.dir.path().join("signers");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    let error = signed.by(&signed.public).unwrap_err().to_string();
    assert!(error.contains("/signers: mode 664 lets others write it"), "{error}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::chown(&file, Some(65_534), None).unwrap();
    let error = signed.by(&signed.public).unwrap_err().to_string();
    assert!(error.contains("/signers: belongs to user 65534"), "{error}");
}

#[test]
fn a_commit_that_was_changed_after_gpg_signed_it_is_refused_wherever_it_was_changed() {
    let p = place();
    let ring = Keyring::new(p.dir.path());
    ring.generate("ours@example.com");
    let program = ring.program.to_str().unwrap();
    tool(p.dir.path(), program, &["--armor", "--output", "ours.asc", "--export", "ours@example.com"]);
    let listed = fs::read_to_string(p.dir.path().join("ours.asc")).unwrap();
    let signers = [Signer::parse(&listed).unwrap()];
    p.repo.write("top.sls", "one");
    p.repo.git(&["add", "-A"]);
    let (program, key) = (format!("gpg.program={program}"), "user.signingkey=ours@example.com");
    p.repo.git(&["-c", &program, "-c", key, "commit", "-q", "-S", "-m", "a message"]);
    let commit = Oid::from_str(&p.repo.git(&["rev-parse", "HEAD"])).unwrap();
    let repository = Repository::open(&p.repo.work).unwrap();
    let raw = repository.odb().unwrap().read(commit).unwrap().data().to_vec();
    let check = |raw: &[u8]| signed::check(raw, &signers, p.dir.path(), &Cancel::default());
    check(&raw).unwrap();
    let text = String::from_utf8(raw.clone()).unwrap();
    let after = |word: &str| text.find(word).unwrap() + word.len();
    let content = [after("tree "), after("author "), after("committer t <"), after("> "), after("a mess")];
    for at in content.into_iter().chain([raw.len() - 1]) {
        let mut changed = raw.clone();
        changed[at] ^= 1;
        let why = check(&changed).expect_err(&format!("changed at {at}"));
        assert!(why.contains("not that of its content"), "{at}: {why}");
    }
    // The signature itself, from its first line to its last.
    let (from, to) = (after("SIGNATURE-----\n \n "), text.find("-----END").unwrap());
    for at in (from..to).step_by(40) {
        let mut changed = raw.clone();
        changed[at] ^= 1;
        check(&changed).expect_err(&format!("changed at {at}"));
    }
}
