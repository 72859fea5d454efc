//! Encrypted values: the pillar that the real Salt makes of the same files, with real gpg and age; what was changed or cannot be
//! opened; and that nothing of it is told or kept.
// Effects: starts gpg and age, writes trees.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use mayfly_states::engine::{self, Context, Options, Seen, Silent};
use mayfly_states::execution::MachineFunctions;
use mayfly_states::host::{Machine, NoServices};
use mayfly_states::kept::{Keeper, Source};
use mayfly_states::minion::Minion;
use mayfly_states::session::{AnyState, Functions, Session};
use mayfly_states::tree::Tree;
use mayfly_states::value::Value;
use mayfly_states::{compile, pillar};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encrypted")
}

/// A machine that has both keys, and a tree to write.
struct Bench {
    dir: tempfile::TempDir,
    minion: Minion,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bench = Self { dir, minion: Minion { id: "web1".into(), ..Minion::default() } };
        for folder in ["root/etc/salt/gpgkeys", "root/etc/mayfly", "pillar", "states"] {
            std::fs::create_dir_all(bench.path(folder)).unwrap();
        }
        private(&bench.home(), 0o700);
        gpg(&bench, &["--import", here().join("gpg.key").to_str().unwrap()], b"");
        std::fs::copy(here().join("age.key"), bench.path("root/etc/mayfly/age.key")).unwrap();
        private(&bench.path("root/etc/mayfly/age.key"), 0o600);
        bench
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn home(&self) -> PathBuf {
        self.path("root/etc/salt/gpgkeys")
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path(path), text).unwrap();
    }

    /// A pillar of one file, for the minion.
    fn pillar_file(&self, text: &str) {
        self.write("pillar/top.sls", "base:\n  '*':\n    - secret\n");
        self.write("pillar/secret.sls", text);
    }

    fn functions(&self) -> MachineFunctions {
        let machine = Machine::new(Arc::new(NoServices)).with_root(self.path("root"));
        MachineFunctions::new(Arc::new(machine))
    }

    fn pillar(&self) -> Result<serde_json::Value, String> {
        self.pillar_of(&self.path("pillar"))
    }

    fn pillar_of(&self, root: &Path) -> Result<serde_json::Value, String> {
        let tree = Tree::base(self.path("states"), Some(root.to_owned()));
        let functions = self.functions();
        let session = Session { tree: &tree, minion: &self.minion, functions: &functions, states: &AnyState };
        pillar::pillar(&session).map(|pillar| serde_json::json!(pillar)).map_err(|errors| errors.to_string())
    }

    /// Whether the agent of gpg runs for our home.
    fn agent(&self) -> bool {
        let home = self.home();
        let mut ask = Command::new("gpg-connect-agent");
        let ask = ask.arg("--homedir").arg(home).args(["--no-autostart", "GETINFO pid", "/bye"]);
        String::from_utf8_lossy(&ask.output().unwrap().stdout).contains("D ")
    }
}

fn private(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What a program says to an input.
fn said(command: &mut Command, input: &[u8]) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    // Beside the reading: both pipes may be full.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn gpg(bench: &Bench, args: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("gpg");
    command.arg("--homedir").arg(bench.home()).args([
        "--batch",
        "--quiet",
        "--armor",
        "--trust-model",
        "always",
    ]);
    said(command.args(args), input)
}

fn to_gpg(bench: &Bench, text: &str) -> String {
    gpg(bench, &["--encrypt", "-r", "tests@example.invalid"], text.as_bytes())
}

/// Encrypted by the age program for our identity.
fn to_age(text: &[u8]) -> String {
    let public = said(Command::new("age-keygen").arg("-y").arg(here().join("age.key")), b"");
    said(Command::new("age").args(["--armor", "-r", public.trim()]), text)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_pillar_is_the_one_that_salt_makes() {
    let bench = Bench::new();
    assert_eq!(bench.pillar_of(&here().join("pillar")).unwrap(), json(&here().join("salt.json")));
    assert!(!bench.agent(), "the agent of gpg outlived the compile");
}

#[test]
fn what_age_encrypts_is_opened() {
    let bench = Bench::new();
    let long: String = (0..40_000).map(|n| format!("{n} ")).collect();
    assert!(long.len() > 3 * 64 * 1024);
    let committed = std::fs::read_to_string(here().join("pillar/age.sls")).unwrap();
    bench.pillar_file(&format!(
        "{committed}long: |\n{}exact: |\n{}",
        indented(&to_age(long.as_bytes())),
        indented(&to_age(&[b'y'; 65_536]))
    ));
    let pillar = bench.pillar().unwrap();
    assert_eq!(pillar["age_password"], "canary-age-4712");
    assert_eq!((pillar["empty"].as_str(), pillar["age_plain"].as_str()), (Some(""), Some("as it is")));
    assert_eq!(pillar["long"], long.as_str());
    assert_eq!(pillar["exact"].as_str().unwrap().len(), 65_536);
}

#[test]
fn an_age_value_that_was_changed_anywhere_is_refused() {
    let bench = Bench::new();
    let armored = to_age(b"canary-of-the-changed");
    let lines: Vec<&str> = armored.lines().collect();
    let body = lines[1..lines.len() - 1].concat();
    let flipped = |at: usize| {
        let other = if body.as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut body = body.clone();
        body.replace_range(at..=at, other);
        let wrapped: Vec<&str> =
            (0..body.len()).step_by(64).map(|n| &body[n..body.len().min(n + 64)]).collect();
        format!("{}\n{}\n{}\n", lines[0], wrapped.join("\n"), lines[lines.len() - 1])
    };
    bench.pillar_file(&format!("#!yaml|age\na: |\n{}", indented(&armored)));
    assert_eq!(bench.pillar().unwrap()["a"], "canary-of-the-changed");
    // Each place of the file but the last characters, whose unused bits may be refused or not be there at all.
    for at in (0..body.trim_end_matches('=').len() - 1).step_by(5) {
        bench.pillar_file(&format!("#!yaml|age\na: |\n{}", indented(&flipped(at))));
        let error = bench.pillar().expect_err(&format!("changed at {at}"));
        assert!(error.starts_with("pillar/secret.sls:2:4: cannot decrypt: "), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    let cut = format!("{}\n{}\n{}\n", lines[0], &body[..64], lines[lines.len() - 1]);
    bench.pillar_file(&format!("#!yaml|age\na: |\n{}", indented(&cut)));
    assert!(bench.pillar().unwrap_err().contains("cannot decrypt"));
}

/// The header is read before it is known whose it is: what it says must be what was written, to the letter.
#[test]
fn an_age_header_that_was_changed_is_refused_though_the_key_is_found() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let bench = Bench::new();
    let armored = to_age(b"canary-of-the-changed");
    let lines: Vec<&str> = armored.lines().collect();
    let file = STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap();
    let mark = file.windows(5).position(|window| window == b"\n--- ").unwrap();
    let mut code = file.clone();
    code[mark + 5] = if code[mark + 5] == b'A' { b'B' } else { b'A' };
    let stanza = [&file[..=mark], b"-> other thing\nAAAA\n", &file[mark + 1..]].concat();
    let open = |file: &[u8]| {
        let body = STANDARD.encode(file);
        let wrapped: Vec<&str> =
            (0..body.len()).step_by(64).map(|n| &body[n..body.len().min(n + 64)]).collect();
        let text = format!("{}\n{}\n{}", lines[0], wrapped.join("\n"), lines[lines.len() - 1]);
        bench.pillar_file(&format!("#!yaml|age\na: |\n{}", indented(&text)));
        bench.pillar()
    };
    assert_eq!(open(&file).unwrap()["a"], "canary-of-the-changed");
    for changed in [code, stanza] {
        let error = open(&changed).unwrap_err();
        assert!(error.contains("its header was changed"), "{error}");
    }
}

#[test]
fn what_cannot_be_opened_ends_the_compile_with_the_reason() {
    let bench = Bench::new();
    let age = format!("#!yaml|age\na: |\n{}", indented(&to_age(b"canary")));
    let key = bench.path("root/etc/mayfly/age.key");
    bench.pillar_file(&age);
    let own = std::fs::read(&key).unwrap();
    let other = said(&mut Command::new("age-keygen"), b"");
    std::fs::write(&key, other).unwrap();
    assert!(bench.pillar().unwrap_err().contains("none of the identities is a recipient"));
    std::fs::write(&key, &own[..own.len() - 5]).unwrap();
    let error = bench.pillar().unwrap_err();
    assert!(error.contains("no `AGE-SECRET-KEY-1…`"), "{error}");
    assert!(
        !error.contains(&String::from_utf8_lossy(&own[own.len() - 30..own.len() - 5]).into_owned()),
        "{error}"
    );
    std::fs::write(&key, &own).unwrap();
    private(&key, 0o640);
    let error = bench.pillar().unwrap_err();
    assert!(error.contains("mode 640 lets others read it; chmod 0600 it"), "{error}");
    private(&key, 0o600);
    std::os::unix::fs::chown(&key, Some(65_534), None).unwrap();
    let error = bench.pillar().unwrap_err();
    assert!(error.contains("belongs to user 65534"), "{error}");
    std::fs::remove_file(&key).unwrap();
    assert!(bench.pillar().unwrap_err().contains("no identity to decrypt with"));

    let block = to_gpg(&bench, "canary");
    bench.pillar_file(&format!("#!yaml|gpg\na:\n  b: |\n{}", indented(&indented(&block))));
    assert_eq!(bench.pillar().unwrap()["a"]["b"], "canary");
    std::fs::remove_dir_all(bench.home().join("private-keys-v1.d")).unwrap();
    let error = bench.pillar().unwrap_err();
    assert!(error.starts_with("pillar/secret.sls:3:6: cannot decrypt: "), "{error}");
    assert!(error.contains("has no secret key for it"), "{error}");
    bench.pillar_file(
        "#!yaml|gpg\na: '-----BEGIN PGP MESSAGE-----\\n\\nnonsense\\n-----END PGP MESSAGE-----'\n",
    );
    assert!(bench.pillar().unwrap_err().contains("cannot decrypt"));
}

#[test]
fn a_renderer_out_of_its_place_says_where_it_belongs() {
    let bench = Bench::new();
    for (first, help) in [
        ("#!gpg|yaml", "write `#!yaml|gpg` or `#!yaml|age`"),
        ("#!yaml|gpg|jinja", "text becomes data once"),
        ("#!yaml|age|age", "text becomes data once"),
        ("#!yaml|nacl", "text becomes data once"),
    ] {
        bench.pillar_file(&format!("{first}\na: 1\n"));
        let error = bench.pillar().unwrap_err();
        assert!(error.contains(help), "{first}: {error}");
    }
}

const STATES: &str = "\
/etc/app.conf:\n  file.managed:\n    - contents: 'password={{ pillar.password }}'\n    - new_file_diff: True\n\
{{ pillar.password }}:\n  cmd.run:\n    - name: echo \"told {{ pillar.password }}\" # {{ pillar.password }}\n\
fails:\n  cmd.run:\n    - name: echo {{ pillar.password }} >&2; exit 3\n\
later:\n  test.nop:\n    - require:\n      - cmd: {{ pillar.password }}\n      - cmd: fails\n";

/// Everything that a run tells, and whether its compile was kept.
fn told(bench: &Bench) -> (String, Source) {
    let tree = Tree::base(bench.path("states"), Some(bench.path("pillar")));
    let machine = Arc::new(Machine::new(Arc::new(NoServices)).with_root(bench.path("root")));
    let functions = MachineFunctions::new(machine.clone());
    let keeper = Keeper::new(bench.path("cache/compiled/one"));
    let (low, source) = keeper.compile(&tree, &bench.minion, &functions, &["app".to_owned()]).unwrap();
    let seen = Seen { tree: &tree, minion: &bench.minion, pillar: &low.pillar, functions: &functions };
    let report = engine::with_jinja(seen, |render| {
        let context = Context { tree: &tree, minion: &bench.minion, host: &*machine, render };
        engine::run(&low, &context, Options::default(), &mut Silent)
    });
    assert_eq!(low.pillar["password"], Value::Str("canary-gpg-4711".into()));
    (format!("{}\n{:#}\n{report:?}", report.to_text(), report.to_salt_json()), source)
}

#[test]
fn a_decrypted_value_is_hidden_in_reports_and_its_compile_is_not_kept() {
    let bench = Bench::new();
    bench.write("states/app.sls", STATES);
    bench
        .pillar_file(&format!("#!yaml|gpg\npassword: |\n{}", indented(&to_gpg(&bench, "canary-gpg-4711\n"))));
    let (text, source) = told(&bench);
    let conf = std::fs::read_to_string(bench.path("root/etc/app.conf")).unwrap();
    assert_eq!(conf, "password=canary-gpg-4711\n");
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains("told <hidden>") && text.contains("+password=<hidden>"), "{text}");
    assert_eq!(source, Source::Passing);
    assert!(!bench.path("cache").exists(), "the compile was kept");
    // The same of a pillar that is not encrypted: that the test would see it.
    bench.pillar_file("password: canary-gpg-4711\n");
    let (text, source) = told(&bench);
    assert!(text.matches("canary").count() > 4, "{text}");
    assert_eq!(source, Source::Fresh);
}

#[test]
fn errors_do_not_quote_a_decrypted_value() {
    let bench = Bench::new();
    bench.pillar_file(&format!("#!yaml|gpg\nname: |\n{}", indented(&to_gpg(&bench, "canary-gpg-4711"))));
    bench.write("states/app.sls", "a: [{{ pillar.name }}\n");
    let tree = Tree::base(bench.path("states"), Some(bench.path("pillar")));
    let functions = bench.functions();
    let session = Session { tree: &tree, minion: &bench.minion, functions: &functions, states: &AnyState };
    for template in [
        "a: [{{ pillar.name }}\n",
        "a: {{ pillar.name | int + 'x' + pillar.name }}\n",
        "{{ raise(pillar.name) }}\n",
    ] {
        bench.write("states/app.sls", template);
        let error = compile::sls(&session, &["app".to_owned()]).unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }
    assert!(functions.secrets().hide("a canary-gpg-4711").ends_with("<hidden>"));
}
