//! What is not kept, what is found damaged, and that no source of change is forgotten.
// Effects: writes trees into temporary folders, reads the sources.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use sha2::Digest;

use super::*;
use crate::execution::MachineFunctions;
use crate::host::{Machine, NoServices};
use crate::value::Value;

struct Bench {
    folder: tempfile::TempDir,
    minion: Minion,
}

impl Bench {
    fn new(template: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let minion = Minion { id: "web1".into(), ..Minion::default() };
        let bench = Self { folder, minion };
        bench.write("states/a.sls", template);
        bench
    }

    fn write(&self, path: &str, text: &str) {
        let full = self.folder.path().join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, text).unwrap();
    }

    fn grain(&mut self, name: &str, value: Value) {
        self.minion.grains.insert(name.into(), value);
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("cache/compiled/one")
    }

    fn compile(&self) -> (LowState, Source) {
        let tree = Tree::base(self.folder.path().join("states"), Some(self.folder.path().join("pillar")));
        let machine = Machine::new(Arc::new(NoServices)).with_root(self.folder.path());
        let functions = MachineFunctions::new(Arc::new(machine));
        Keeper::new(self.file()).compile(&tree, &self.minion, &functions, &["a".to_owned()]).unwrap()
    }

    fn sources(&self) -> [Source; 2] {
        [self.compile().1, self.compile().1]
    }
}

const KEPT: [Source; 2] = [Source::Fresh, Source::Kept];
const NOT_KEPT: [Source; 2] = [Source::Passing, Source::Passing];

fn shows(expression: &str) -> String {
    format!("a:\n  test.nop:\n    - name: {{{{ ({expression}) | string | json }}}}\n")
}

#[test]
fn what_asks_more_than_the_tree_is_not_kept() {
    for expression in [
        "salt['cmd.run']('date')",
        "salt['random.get_str'](8)",
        "salt['environ.get']('PATH')",
        "salt['file.file_exists']('/etc/a')",
        "salt['cp.get_file_str']('/etc/a')",
        "salt['test.provider']('service')",
        "salt['test.try'](module='status.uptime')",
        "none | strftime('%s')",
        "1700000000 | strftime('%H')",
        "'2020-01-01' | date_format",
    ] {
        let bench = Bench::new(&shows(expression));
        bench.write("etc/a", "a\n");
        assert_eq!(bench.sources(), NOT_KEPT, "{expression}");
    }
    let tried =
        "{% set x = salt['test.try'](module='cp.get_file_str', path='salt://b') %}a:\n  test.nop: []\n";
    let bench = Bench::new(tried);
    std::fs::write(bench.folder.path().join("states/b"), b"\xff").unwrap();
    assert_eq!(bench.sources(), KEPT, "what is no text now is none as long as it is the same");
}

#[test]
fn what_asks_the_tree_the_minion_and_itself_is_kept() {
    for expression in [
        "grains.id",
        "grains.get('role', 1)",
        "salt['grains.get']('role', 1)",
        "salt['grains.filter_by']({'default': 1}, grain='role')",
        "salt['config.get']('role')",
        "salt['match.compound']('G@role:web')",
        "pillar.get('a')",
        "salt['cp.list_master']()",
        "salt['cp.list_master_dirs']()",
        "salt['cp.list_states']()",
        "salt['cp.hash_file']('salt://a.sls').hsum",
        "salt['slsutil.path_exists']('x')",
        "salt['random.seed'](9)",
        "'x' | uuid",
        "opts.id",
    ] {
        let mut bench = Bench::new(&shows(expression));
        bench.grain("role", Value::Str("web".into()));
        bench.grain("pid", Value::Int(7));
        assert_eq!(bench.sources(), KEPT, "{expression}");
        bench.grain("pid", Value::Int(8));
        assert_eq!(bench.compile().1, Source::Kept, "{expression}");
    }
}

#[test]
fn grains_that_every_run_has_anew_hinder_only_who_looks_at_them() {
    for expression in [
        "grains.pid",
        "grains['pid']",
        "'pid' in grains",
        "grains | length",
        "grains",
        "grains.items() | list",
        "grains | json",
        "opts.grains.pid",
        "salt['grains.get']('pid')",
        "salt['grains.items']()",
        "salt['grains.ls']()",
        "salt['config.get']('pid')",
        "salt['match.grain']('pid:7')",
        "(opts | tojson | load_json).grains.pid",
    ] {
        let mut bench = Bench::new(&shows(expression));
        bench.grain("pid", Value::Int(7));
        assert_eq!(bench.sources(), NOT_KEPT, "{expression}");
    }
}

#[test]
fn everything_that_a_compile_is_given_is_in_its_key() {
    let start = || {
        let mut bench = Bench::new(&shows("grains.id"));
        bench.grain("role", Value::Str("1".into()));
        assert_eq!(bench.sources(), KEPT);
        bench
    };
    let changes: [fn(&mut Bench); 8] = [
        |b| b.minion.id = "web2".into(),
        |b| b.minion.saltenv = "base".into(),
        |b| b.grain("role", Value::Int(1)),
        |b| b.grain("other", Value::Null),
        |b| _ = b.minion.pillar.insert("a".into(), Value::Null),
        |b| b.minion.options.pillar_merge_lists = true,
        |b| _ = b.minion.options.nodegroups.insert("web".into(), vec!["web1".into()]),
        |b| b.minion.options.state_top = "other.sls".into(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut bench = start();
        change(&mut bench);
        assert_eq!(bench.sources(), KEPT, "change {n}");
    }
}

#[test]
fn names_and_roots_are_in_the_key() {
    let bench = Bench::new(&shows("grains.id"));
    let (states, pillar) = (bench.folder.path().join("states"), bench.folder.path().join("pillar"));
    let key = |tree: &Tree, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        Key::new(tree, &bench.minion, &crate::session::NoFunctions, &names).unwrap()
    };
    let tree = Tree::base(&states, Some(pillar.clone()));
    let same = key(&tree, &["a"]);
    assert_eq!(same, key(&tree.clone(), &["a"]));
    assert_ne!(same, key(&tree, &[]));
    assert_ne!(same, key(&tree, &["a", "a"]));
    assert_ne!(same, key(&Tree::base(&states, None), &["a"]));
    assert_ne!(same, key(&Tree::base(&pillar, Some(pillar.clone())), &["a"]));
}

/// Files of this crate that can look beyond their arguments, of those that a compile runs through, and what keeps a compile
/// honest there.
const SOURCES: &[(&str, &str)] = &[
    ("edits.rs", "patience: where a line came from, at worst less exactly"),
    ("files/raw.rs", "every question goes through `files`, which takes it down"),
    ("jinja/filters/dates.rs", "kept::volatile"),
    ("kept/place.rs", "what was kept"),
    ("render.rs", "kept::volatile"),
];
/// Rooms that a compile enters by `Scene::call_machine` or `Scene::opened` alone, or after it is done.
const BEHIND: &[&str] = &[
    "decrypt",
    "engine",
    "execution",
    "fsys",
    "grains",
    "host",
    "host.rs",
    "modules",
    "report",
    "report.rs",
];
const WORDS: &[&str] = &[
    "disallowed_methods",
    "rand::",
    "Local",
    "Utc",
    "SystemTime",
    "Instant",
    "Duration",
    "env::var",
    "env::current",
    "env::args",
    "env::temp",
    "TcpStream",
    "UdpSocket",
    "ToSocketAddrs",
    "std::process",
    "nix::",
    "rustix::",
    "libc::",
    "tempfile::",
    "thread::spawn",
    "std::fs",
    "walkdir",
    ".is_file()",
    ".is_dir()",
    ".exists()",
    ".metadata()",
    ".canonicalize()",
    ".functions.call",
];

#[test]
fn no_source_of_change_is_forgotten() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(&src).into_iter().map(Result::unwrap) {
        let name = entry.path().strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let room = name.split('/').next().unwrap_or_default();
        let tests =
            ["tests.rs", "hostile.rs", "trials.rs", "fuzzing.rs"].iter().any(|end| name.ends_with(end));
        if !name.ends_with(".rs") || BEHIND.contains(&room) || tests {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = || text.lines().filter(|line| !line.trim_start().starts_with("//"));
        if code().any(|line| WORDS.iter().any(|word| line.contains(word))) {
            found.push(name.clone());
        }
        let said = SOURCES.iter().find(|(file, _)| *file == name).map_or("", |(_, why)| why);
        assert!(said != "kept::volatile" || text.contains("kept::volatile()"), "{name}");
    }
    found.sort();
    let known: Vec<&str> = SOURCES.iter().map(|(file, _)| *file).collect();
    assert_eq!(
        found, known,
        "a file that looks at more than its arguments must be honest about it, and be listed"
    );
}

#[test]
fn a_tree_that_changes_meanwhile_is_not_kept() {
    let at = tempfile::tempdir().unwrap();
    let file = at.path().join("x");
    let read_twice = |second: &str| {
        std::fs::write(&file, "one").unwrap();
        during(|| {
            crate::files::bytes(&file).unwrap();
            std::fs::write(&file, second).unwrap();
            crate::files::bytes(&file).unwrap();
        })
    };
    assert!(read_twice("one").1.is_some_and(|record| record.holds()));
    assert!(read_twice("two").1.is_none());
    let unreadable = during(|| crate::files::bytes(&at.path().join("y")).is_err());
    assert!(matches!(unreadable, (true, None)));
}

/// A kept compile with everything that one can have.
fn rich() -> (Bench, Vec<u8>) {
    let mut bench = Bench::new(
        "include:\n  - b\n{% for n in range(2) %}\na{{ n }}:\n  test.nop:\n    - names: [1, x: [{k: 1.5}, true, ~]]\n\
         {% endfor %}\n",
    );
    bench.write("states/b.sls", "b:\n  nothing.there:\n    - listen_in:\n      - test: a0\n");
    bench.write("pillar/top.sls", "base:\n  '*':\n    - p\n");
    bench.write("pillar/p.sls", "p: {q: [1, 2.5, 'x', true, ~]}\n");
    bench.grain("role", Value::Str("web".into()));
    let (low, _) = bench.compile();
    assert!(!low.warnings.is_empty() && !low.pillar.is_empty());
    let bytes = std::fs::read(bench.file()).unwrap();
    (bench, bytes)
}

#[test]
fn what_is_damaged_is_passed_over_and_replaced() {
    let (bench, bytes) = rich();
    let (whole, source) = bench.compile();
    assert_eq!(source, Source::Kept);
    let key: [u8; 32] = bytes[8..40].try_into().unwrap();
    let opens = |bytes: &[u8]| form::opened(bytes, &Key(key)).and_then(|(_, low)| form::low(low));
    assert_eq!(opens(&bytes), Some(whole.clone()));
    for at in 0..bytes.len() {
        assert_eq!(opens(&bytes[..at]), None, "cut at {at}");
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert_eq!(opens(&flipped), None, "flipped at {at}");
    }
    let longer = [&bytes[..], b"x"].concat();
    for damaged in [&bytes[..70], &longer, b"", b"\xff"] {
        std::fs::write(bench.file(), damaged).unwrap();
        assert_eq!(bench.compile(), (whole.clone(), Source::Fresh));
        assert_eq!(bench.compile(), (whole.clone(), Source::Kept));
    }
}

/// Reads it with a sum that is right.
fn forge(mut forged: Vec<u8>) {
    let sum = sha2::Sha256::digest(&forged[72..]);
    forged[40..72].copy_from_slice(&sum);
    let key = Key(forged[8..40].try_into().unwrap());
    if let Some((seen, low)) = form::opened(&forged, &key) {
        seen.holds();
        form::low(low);
    }
}

/// Whoever could forge the sum could do as much without this program; still nothing falls over.
#[test]
fn a_byte_that_is_forged_is_read_or_refused() {
    let bytes = rich().1;
    for at in 72..bytes.len() {
        for byte in [0, 1, 2, 0x7f, 0x80, 0xff, bytes[at] ^ 4] {
            let mut forged = bytes.clone();
            forged[at] = byte;
            forge(forged);
        }
    }
}

proptest! {
    #[test]
    fn what_is_forged_is_read_or_refused(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..9)) {
        thread_local!(static RICH: Vec<u8> = rich().1);
        let mut forged = RICH.with(Clone::clone);
        let at = 72 + at.index(forged.len() - 72);
        let end = forged.len().min(at + bytes.len());
        forged.splice(at..end, bytes);
        forge(forged);
    }
}

#[test]
fn what_is_nested_too_deeply_is_not_kept() {
    let nested =
        |depth: usize| format!("a:\n  test.nop:\n    - x: {}{}\n", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(Bench::new(&nested(60)).sources(), KEPT);
    let mut low = LowState::default();
    let deep = (0..200).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    low.pillar.insert("a".into(), deep);
    assert!(form::encoded(&Key([0; 32]), &Record::default(), &low).is_none());
}
