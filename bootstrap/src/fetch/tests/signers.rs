//! Commits that somebody signed with real programs, and who is listed.

use super::git_repo::ssh_key;
use super::*;
use std::collections::BTreeMap;

/// A repository whose commits can be signed by one SSH key.
pub(super) struct Signed {
    pub(super) p: Place,
    key: PathBuf,
    pub(super) public: String,
}

impl Signed {
    pub(super) fn new() -> Self {
        let p = place();
        let (key, public) = ssh_key(p.dir.path(), "key", "ed25519");
        Self { p, key, public }
    }

    /// Signs what is written, pushes it, and gives the commit.
    pub(super) fn push(&self, text: &str) -> String {
        self.push_at(2_000_000_000, text)
    }

    /// The same at a time, in seconds since the epoch.
    pub(super) fn push_at(&self, time: u64, text: &str) -> String {
        self.p.repo.write("top.sls", text);
        self.p.repo.commit_signed(&self.key, Some(time), text);
        self.p.repo.publish()
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

/// A home of the real gpg, and a program that uses it; its agent ends with the value.
struct Keyring {
    home: PathBuf,
    program: PathBuf,
}

impl Keyring {
    fn new(dir: &Path) -> Self {
        let (home, program) = (dir.join("gnupg"), dir.join("gpg-of-the-test"));
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let script = format!("#!/bin/sh\nexec gpg --homedir {} --batch --quiet \"$@\"\n", home.display());
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { home, program }
    }

    fn generate(&self, who: &str) {
        let key = ["--passphrase", "", "--quick-generate-key", who, "ed25519", "sign", "never"];
        tool(&self.home, self.program.to_str().unwrap(), &key);
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        tool(&self.home, "gpgconf", &["--homedir", self.home.to_str().unwrap(), "--kill", "all"]);
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

#[test]
fn only_commits_signed_by_a_listed_ssh_key_are_used() {
    let p = place();
    let keys = ["ed25519", "rsa", "ecdsa"];
    let made = |kind: &str| {
        let algorithm = if kind == "other" { "ed25519" } else { kind };
        ssh_key(p.dir.path(), &format!("key-{kind}"), algorithm)
    };
    let all: BTreeMap<&str, _> = keys.into_iter().chain(["other"]).map(|kind| (kind, made(kind))).collect();
    let public = |kind: &str| all[kind].1.clone();
    let listed = p.dir.path().join("signers");
    fs::write(&listed, format!("# ours\nme@example.com {}\n", public("ecdsa"))).unwrap();
    let mut with = source(&p.server.url("states.git"));
    with.signed_by = [&public("ed25519"), &public("rsa"), listed.to_str().unwrap()]
        .map(|text| Signer::parse(text).unwrap())
        .to_vec();
    let get = || fetcher(with.clone(), p.store()).get(Want::Tip("main"));
    let sign = |kind: &str, text: &str| {
        p.repo.write("top.sls", text);
        p.repo.commit_signed(&all[kind].0, None, text);
        p.repo.publish()
    };
    for kind in keys {
        let commit = sign(kind, kind);
        assert_eq!(get().unwrap().commit, commit, "{kind}");
        assert!(fetcher(with.clone(), p.store()).at_hand(&commit).is_some());
    }
    let refused = |part: &str| {
        let error = get().unwrap_err();
        assert!(matches!(error, Error::NotSigned { .. }) && error.to_string().contains(part), "{error}");
    };
    sign("other", "other");
    refused("signed by an SSH key that is not listed");
    p.repo.write("top.sls", "unsigned");
    p.repo.push("unsigned");
    refused("is not signed");
    // A good signature under other content.
    let good = sign("ed25519", "good");
    let raw = p.repo.git(&["cat-file", "commit", &good]).replace("good", "evil") + "\n";
    fs::write(p.repo.work.join("forged"), raw).unwrap();
    let forged = p.repo.git(&["hash-object", "-t", "commit", "-w", "forged"]);
    p.repo.git(&["push", "-q", "-f", "origin", &format!("{forged}:refs/heads/main")]);
    refused("not that of its content");
    // A tree that came without the policy, as one baked into an image, is judged when it is looked for.
    let mut without = fetcher(source(&p.server.url("states.git")), p.store());
    sign("other", "again");
    let baked = without.get(Want::Tip("main")).unwrap().commit;
    assert!(without.at_hand(&baked).is_some());
    assert_eq!(fetcher(with.clone(), p.store()).at_hand(&baked), None);
    refused("signed by an SSH key that is not listed");
}

#[test]
fn only_commits_signed_by_a_listed_pgp_key_are_used() {
    let p = place();
    let home = Keyring::new(p.dir.path());
    let gpg = home.program.to_str().unwrap();
    ["ours@example.com", "other@example.com"].iter().for_each(|who| home.generate(who));
    tool(p.dir.path(), gpg, &["--armor", "--output", "ours.asc", "--export", "ours@example.com"]);
    let listed = fs::read_to_string(p.dir.path().join("ours.asc")).unwrap();
    let mut with = source(&p.server.url("states.git"));
    with.signed_by = vec![Signer::parse(&listed).unwrap()];
    let get = || fetcher(with.clone(), p.store()).get(Want::Tip("main"));
    let sign = |who: &str| {
        p.repo.write("top.sls", who);
        p.repo.git(&["add", "-A"]);
        let program = format!("gpg.program={gpg}");
        let key = format!("user.signingkey={who}");
        p.repo.git(&["-c", &program, "-c", &key, "commit", "-q", "-S", "-m", who]);
        p.repo.publish()
    };
    let good = sign("ours@example.com");
    assert_eq!(get().unwrap().commit, good);
    sign("other@example.com");
    let error = get().unwrap_err().to_string();
    assert!(error.contains("signed by a PGP key that is not listed"), "{error}");
    let raw =
        p.repo.git(&["cat-file", "commit", &good]).replace("ours@example.com", "evil@example.com") + "\n";
    fs::write(p.repo.work.join("forged"), raw).unwrap();
    let forged = p.repo.git(&["hash-object", "-t", "commit", "-w", "forged"]);
    p.repo.git(&["push", "-q", "-f", "origin", &format!("{forged}:refs/heads/main")]);
    let error = get().unwrap_err().to_string();
    assert!(error.contains("not that of its content"), "{error}");
}
