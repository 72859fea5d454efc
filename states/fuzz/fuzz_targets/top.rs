//! Top files: any text is matched against a minion or refused. The renderer is named to be plain YAML: templates have a
//! target of their own.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use mayfly_states::minion::Minion;
use mayfly_states::session::{AnyState, NoFunctions, Session};
use mayfly_states::top;
use mayfly_states::tree::Tree;
use mayfly_states::value::{Map, Value};

/// A folder in memory where the system has one.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let parent = if shared.is_dir() { shared } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("fuzz-top-").tempdir_in(parent).expect("a temporary folder").keep()
});

static MINION: LazyLock<Minion> = LazyLock::new(|| {
    let addresses = Value::List(vec![Value::Str("127.0.0.1".into()), Value::Str("10.1.2.3".into())]);
    let ec2 = Value::Map(Map::from_iter([("region".to_owned(), Value::Str("eu-west-1".into()))]));
    let pillar = Map::from_iter([("tier".to_owned(), Value::Str("front".into())), ("n".to_owned(), Value::Int(3))]);
    let grains = Map::from_iter([
        ("os".to_owned(), Value::Str("Debian".into())),
        ("roles".to_owned(), Value::List(vec![Value::Str("web".into()), Value::Str("cache".into())])),
        ("ipv4".to_owned(), addresses),
        ("ec2".to_owned(), ec2),
    ]);
    Minion { id: "web1.example.com".into(), grains, pillar, ..Minion::default() }
});

libfuzzer_sys::fuzz_target!(|text: &str| {
    fs::write(ROOT.join("top.sls"), format!("#!yaml\n{text}")).expect("a writable folder");
    let tree = Tree::base(ROOT.as_path(), None);
    let session = Session { tree: &tree, minion: &MINION, functions: &NoFunctions, states: &AnyState };
    if let Err(errors) = top::top(&session) {
        let _ = errors.to_string();
    }
});
