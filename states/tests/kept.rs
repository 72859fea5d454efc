//! Compiles that are kept: over the whole corpus, whatever is changed, what comes of it is what a fresh compile gives.
// Effects: copies the corpus into temporary folders. A test stops where it finds something else than it expects.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mayfly_states::compile;
use mayfly_states::execution::MachineFunctions;
use mayfly_states::host::{Machine, NoServices};
use mayfly_states::kept::{Keeper, Source};
use mayfly_states::low::LowState;
use mayfly_states::minion::Minion;
use mayfly_states::modules::Registry;
use mayfly_states::options::Options;
use mayfly_states::session::Session;
use mayfly_states::tree::{Roots, Tree};
use mayfly_states::value::{Map, Value};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// A tree in a folder of its own, who asks for it, and where its compile is kept.
struct Room {
    folder: tempfile::TempDir,
    tree: Tree,
    minion: Minion,
    names: Vec<String>,
    functions: MachineFunctions,
}

impl Room {
    fn new(files: &[(&str, &str)], names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree {
            file_roots: Roots::from([(
                "base".to_owned(),
                vec![folder.path().join("first"), folder.path().join("states")],
            )]),
            pillar_roots: Roots::from([("base".to_owned(), vec![folder.path().join("pillar")])]),
        };
        let minion = Minion { id: "web1".into(), ..Minion::default() };
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        let room = Self { folder, tree, minion, names, functions: machine() };
        files.iter().for_each(|(path, text)| room.write(path, text));
        room
    }

    /// A tree of the corpus.
    fn corpus(source: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(source, folder.path());
        let told: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(source.join("minion.json")).unwrap()).unwrap();
        let text = |json: &serde_json::Value| json.as_str().unwrap_or_default().to_owned();
        let map = |json: &serde_json::Value| value(json).as_map().cloned().unwrap_or_else(Map::new);
        let roots = |key: &str, default: &str| -> Roots {
            let below = |all: &serde_json::Value| {
                all.as_array().unwrap().iter().map(|p| folder.path().join(text(p))).collect()
            };
            match told[key].as_object() {
                Some(envs) => envs.iter().map(|(env, all)| (env.clone(), below(all))).collect(),
                None => Roots::from([("base".to_owned(), vec![folder.path().join(default)])]),
            }
        };
        Self {
            tree: Tree {
                file_roots: roots("file_roots", "states"),
                pillar_roots: roots("pillar_roots", "pillar"),
            },
            minion: Minion {
                id: text(&told["id"]),
                grains: map(&told["grains"]),
                pillar: map(&told["pillar"]),
                saltenv: text(&told["saltenv"]),
                options: Options::from_map(&map(&told["options"])).unwrap(),
            },
            names: told["sls"].as_array().into_iter().flatten().map(text).collect(),
            functions: machine(),
            folder,
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let full = self.at(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.at("var/cache/compiled/one")
    }

    fn with(&self, keeper: &Keeper) -> Result<(LowState, Source), String> {
        let low = keeper.compile(&self.tree, &self.minion, &self.functions, &self.names);
        low.map_err(|errors| errors.to_string())
    }

    fn compile(&self) -> Result<(LowState, Source), String> {
        self.with(&Keeper::new(self.file()))
    }

    fn source(&self) -> Source {
        self.compile().unwrap().1
    }

    fn fresh(&self) -> Result<LowState, String> {
        let session =
            Session { tree: &self.tree, minion: &self.minion, functions: &self.functions, states: &Registry };
        let low = match self.names.as_slice() {
            [] => compile::highstate(&session),
            names => compile::sls(&session, names),
        };
        low.map_err(|errors| errors.to_string())
    }

    /// What is kept gives what a fresh compile gives; nothing is written.
    fn agrees(&self, what: &str) -> Option<Source> {
        let (found, fresh) = (self.with(&Keeper::new(self.file()).only_reading()), self.fresh());
        let source = found.as_ref().ok().map(|(_, source)| *source);
        match (found, fresh) {
            (Ok((low, _)), Ok(fresh)) => {
                assert!(same(&low, &fresh), "{what}: {source:?}\n{low:#?}\n{fresh:#?}")
            }
            (found, fresh) => assert_eq!(found.map(|_| ()), fresh.map(|_| ()), "{what}"),
        }
        source
    }
}

fn same(one: &LowState, other: &LowState) -> bool {
    let places = |low: &LowState| low.chunks.iter().map(|c| low.origin(c)).collect::<Vec<_>>();
    let warnings = |low: &LowState| low.warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    // Equal maps may be in another order, which their text shows.
    one == other
        && places(one) == places(other)
        && warnings(one) == warnings(other)
        && format!("{:?}", (&one.chunks, &one.pillar)) == format!("{:?}", (&other.chunks, &other.pillar))
}

fn machine() -> MachineFunctions {
    MachineFunctions::new(Arc::new(Machine::new(Arc::new(NoServices))))
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => {
            n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap()), Value::Int)
        }
        serde_json::Value::String(s) => Value::Str(s.clone()),
        serde_json::Value::Array(a) => Value::List(a.iter().map(value).collect()),
        serde_json::Value::Object(o) => Value::Map(o.iter().map(|(k, v)| (k.clone(), value(v))).collect()),
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).min_depth(1).into_iter().map(Result::unwrap) {
        let dest = to.join(entry.path().strip_prefix(from).unwrap());
        match entry.file_type() {
            kind if kind.is_dir() => std::fs::create_dir_all(dest).unwrap(),
            kind if kind.is_symlink() => symlink(std::fs::read_link(entry.path()).unwrap(), dest).unwrap(),
            _ => _ = std::fs::copy(entry.path(), dest).unwrap(),
        }
    }
}

fn corpus() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trees");
    let mut all: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

/// The files of a tree that a compile can read.
fn files(room: &Room) -> Vec<PathBuf> {
    let roots = room.tree.file_roots.values().chain(room.tree.pillar_roots.values()).flatten();
    let all = roots.flat_map(|root| walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok));
    all.filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn a_kept_compile_of_the_corpus_is_a_fresh_one_whatever_is_changed() {
    let (mut kept, mut afresh) = (0, 0);
    for source in corpus() {
        let mut room = Room::corpus(&source);
        let name = source.file_name().unwrap().to_string_lossy().into_owned();
        if room.compile().is_ok_and(|(_, source)| source == Source::Fresh) {
            assert_eq!(room.agrees(&name), Some(Source::Kept), "{name}");
            kept += 1;
            afresh += change_each(&room, &name);
        }
        for sls in each(&source) {
            room.names = vec![sls.clone()];
            if room.compile().is_ok_and(|(_, source)| source == Source::Fresh) {
                assert_eq!(room.agrees(&sls), Some(Source::Kept), "{name}: {sls}");
                kept += 1;
            }
        }
    }
    assert!(kept > 110 && afresh > 750, "{kept} compiles, {afresh} changes that count");
}

/// The SLS that are asked on their own.
fn each(tree: &Path) -> Vec<String> {
    let stored = std::fs::read_to_string(tree.join("salt.json")).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    stored["each"].as_object().map(|each| each.keys().cloned().collect()).unwrap_or_default()
}

/// Changes each file, removes it, and puts one before or beside it; how many of these made a compile another.
fn change_each(room: &Room, tree: &str) -> usize {
    let mut afresh = 0;
    let mut check = |what: String| {
        afresh += usize::from(room.agrees(&format!("{tree}: {what}")) != Some(Source::Kept));
    };
    for path in files(room) {
        let shown = path.strip_prefix(room.folder.path()).unwrap().display().to_string();
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&text[..], b"\nzz_more:\n  test.nop: []\n"].concat()).unwrap();
        check(format!("{shown} changed"));
        std::fs::remove_file(&path).unwrap();
        check(format!("{shown} removed"));
        std::fs::write(&path, &text).unwrap();
        beside(&path, &shown, &mut check);
    }
    assert_eq!(room.agrees(tree), Some(Source::Kept), "{tree}: as it was");
    afresh
}

/// `x.sls` beside `x/init.sls` and the other way round, and a new SLS.
fn beside(path: &Path, shown: &str, check: &mut impl FnMut(String)) {
    let text = shown.strip_suffix(".sls").map(|_| "zz_beside:\n  test.nop: []\n");
    let Some(text) = text else { return };
    let folder = path.parent().unwrap();
    let other = match path.file_name().is_some_and(|name| name == "init.sls") {
        true => folder.with_extension("sls"),
        false => path.with_extension("").join("init.sls"),
    };
    for added in [other, folder.join("zz_new.sls")].iter().filter(|added| !added.exists()) {
        let new_folder = added.parent().filter(|folder| !folder.exists());
        std::fs::create_dir_all(added.parent().unwrap()).unwrap();
        std::fs::write(added, text).unwrap();
        check(format!("{} beside {shown}", added.display()));
        std::fs::remove_file(added).unwrap();
        new_folder.map(std::fs::remove_dir);
    }
}

/// One of everything that a compile asks of a tree.
fn everything() -> Room {
    Room::new(
        &[
            ("states/top.sls", "base:\n  '*':\n    - 'web*'\n    - app\n"),
            ("states/web.sls", "{% from 'map.jinja' import x %}\nweb:\n  test.nop:\n    - name: {{ x }}\n"),
            ("states/map.jinja", "{% import_yaml 'data.yaml' as data %}{% set x = data.x ~ pillar.p %}"),
            ("states/data.yaml", "x: 1\n"),
            (
                "states/app/init.sls",
                "{% for n in salt['cp.list_master'](prefix='app') %}\n{{ n }}:\n  test.nop: []\n{% endfor %}\n\
                 {% if salt['slsutil.dir_exists']('extra') %}\nextra:\n  test.nop: []\n{% endif %}\n",
            ),
            ("pillar/top.sls", "base:\n  '*':\n    - p\n"),
            ("pillar/p.sls", "p: 1\n"),
            ("pillar/q.sls", "p: 3\n"),
        ],
        &[],
    )
}

#[test]
fn whatever_was_asked_is_asked_again() {
    let changes: &[(&str, &str)] = &[
        ("states/top.sls", "base:\n  '*':\n    - app\n"),
        ("states/web.sls", "web:\n  test.nop: []\n"),
        ("states/map.jinja", "{% set x = 5 %}"),
        ("states/data.yaml", "x: 2\n"),
        ("states/app/init.sls", "app:\n  test.nop: []\n"),
        ("pillar/top.sls", "base:\n  '*':\n    - q\n"),
        ("pillar/p.sls", "p: 2\n"),
        ("first/top.sls", "base:\n  '*':\n    - app\n"),
        ("first/web.sls", "shadow:\n  test.nop: []\n"),
        ("first/data.yaml", "x: 3\n"),
        ("first/map.jinja", "{% set x = 6 %}"),
        ("states/web_new.sls", "new:\n  test.nop: []\n"),
        ("states/app.sls", "beside:\n  test.nop: []\n"),
        ("states/app/more.conf", ""),
        ("first/extra/x", ""),
    ];
    for (path, text) in changes {
        let room = everything();
        let before = room.compile().unwrap();
        assert_eq!((before.1, room.source()), (Source::Fresh, Source::Kept));
        room.write(path, text);
        let after = room.compile().unwrap();
        assert_eq!(after.1, Source::Fresh, "{path}");
        assert!(same(&after.0, &room.fresh().unwrap()), "{path}");
        assert!(!same(&after.0, &before.0), "{path} was to make a difference");
        assert_eq!(room.agrees(path), Some(Source::Kept), "{path}");
    }
}

#[test]
fn a_pattern_means_new_files_too() {
    let nop = "a:\n  test.nop: []\n";
    let room =
        Room::new(&[("states/top.sls", "base:\n  '*':\n    - 'web*'\n"), ("states/web.sls", nop)], &[]);
    assert_eq!([room.source(), room.source()], [Source::Fresh, Source::Kept]);
    room.write("states/web_new.sls", "b:\n  test.nop: []\n");
    let (low, source) = room.compile().unwrap();
    assert_eq!((low.chunks.len(), source), (2, Source::Fresh));
}

#[test]
fn a_file_that_has_nothing_to_do_with_it_makes_no_difference() {
    let room = Room::new(&[("states/a.sls", "a:\n  test.nop: []\n")], &["a"]);
    assert_eq!([room.source(), room.source()], [Source::Fresh, Source::Kept]);
    room.write("states/b.sls", "b:\n  test.nop: []\n");
    room.write("states/a.sls", "a:\n  test.nop: []\n");
    assert_eq!(room.source(), Source::Kept, "the same content, written again");
}

#[test]
fn places_and_warnings_are_told_again() {
    let text = "{% for n in range(3) %}\nf{{ n }}:\n  nothing.there: []\n{% endfor %}\n";
    let room = Room::new(&[("states/a.sls", text)], &["a"]);
    let (first, again) = (room.compile().unwrap(), room.compile().unwrap());
    assert_eq!((first.1, again.1), (Source::Fresh, Source::Kept));
    assert_eq!(again.0.warnings.len(), 3);
    assert!(same(&first.0, &again.0));
    assert_eq!(again.0.chunks.iter().map(|c| again.0.origin(c).line).collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn a_compile_with_errors_is_not_kept_and_takes_away_what_was() {
    let room = Room::new(&[("states/a.sls", "a:\n  test.nop: []\n")], &["a"]);
    assert_eq!(room.source(), Source::Fresh);
    room.write("states/a.sls", "a: [\n");
    assert!(room.compile().is_err() && room.compile().is_err());
    // The pillar in it may have been changed because it was known.
    assert!(!room.file().exists());
    room.write("states/a.sls", "a:\n  test.nop: []\n");
    assert_eq!([room.source(), room.source()], [Source::Fresh, Source::Kept]);
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn one() -> Room {
    let room = Room::new(&[("states/a.sls", "a:\n  test.nop: []\n")], &["a"]);
    assert_eq!([room.source(), room.source()], [Source::Fresh, Source::Kept]);
    room
}

#[test]
fn only_its_owner_can_look_into_it_and_only_its_owner_is_believed() {
    let room = one();
    let (file, folder) = (room.file(), room.file().parent().unwrap().to_owned());
    assert_eq!((mode(&file), mode(&folder)), (0o600, 0o700));
    for wrong in [0o640, 0o604, 0o620] {
        set_mode(&file, wrong);
        assert_eq!([room.source(), room.source()], [Source::Fresh, Source::Kept], "{wrong:o}");
        assert_eq!(mode(&file), 0o600);
    }
    for wrong in [0o750, 0o701, 0o755] {
        set_mode(&folder, wrong);
        assert_eq!([room.source(), room.source()], [Source::Passing; 2], "{wrong:o}");
    }
}

#[test]
fn links_and_other_things_are_not_followed() {
    let room = one();
    let (file, folder) = (room.file(), room.file().parent().unwrap().to_owned());
    let moved = room.at("elsewhere");
    std::fs::rename(&file, &moved).unwrap();
    symlink(&moved, &file).unwrap();
    assert_eq!([room.source(), room.source()], [Source::Fresh, Source::Kept], "a link gives way to a file");
    assert!(std::fs::symlink_metadata(&file).unwrap().is_file());
    std::fs::rename(&folder, room.at("folder")).unwrap();
    symlink(room.at("folder"), &folder).unwrap();
    assert_eq!([room.source(), room.source()], [Source::Passing; 2], "a link to a folder is none");
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir_all(&file).unwrap();
    set_mode(&folder, 0o700);
    assert_eq!(room.source(), Source::Passing, "a folder in the place of the file");
    std::fs::remove_dir(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(room.source(), Source::Fresh, "nobody waits for a pipe");
}

#[test]
fn what_another_account_wrote_is_not_believed() {
    assert!(nix::unistd::geteuid().is_root(), "this test needs root");
    for of_folder in [false, true] {
        let room = one();
        let path = if of_folder { room.file().parent().unwrap().to_owned() } else { room.file() };
        std::os::unix::fs::chown(path, Some(65534), None).unwrap();
        let read_only = room.with(&Keeper::new(room.file()).only_reading()).unwrap();
        assert_eq!(read_only.1, Source::Passing);
        let wanted = if of_folder { [Source::Passing; 2] } else { [Source::Fresh, Source::Kept] };
        assert_eq!([room.source(), room.source()], wanted);
    }
}

#[test]
fn where_nothing_can_be_written_the_compile_is_there() {
    let room = Room::new(&[("states/a.sls", "a:\n  test.nop: []\n")], &["a"]);
    room.write("var/cache", "a file where a folder should be");
    assert_eq!([room.source(), room.source()], [Source::Passing; 2]);
    for nowhere in ["/proc/nothing/compiled/one", "/one", "one"] {
        let low = room.with(&Keeper::new(nowhere).only_reading()).unwrap();
        assert_eq!(low.1, Source::Passing, "{nowhere}");
    }
    assert_eq!(room.with(&Keeper::new("/proc/nothing/compiled/one")).unwrap().1, Source::Passing);
}

#[test]
fn a_full_disk_hinders_nothing() {
    assert!(nix::unistd::geteuid().is_root(), "this test needs root");
    // A mount namespace is the thread's own.
    std::thread::spawn(|| {
        let room = Room::new(&[("states/a.sls", "a:\n  test.nop: []\n"), ("var/x", "")], &["a"]);
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        mount(Some("tmpfs"), &room.at("var"), Some("tmpfs"), MsFlags::empty(), Some("size=64k")).unwrap();
        let filler = room.at("var/filler");
        let fill = || assert!(std::fs::write(&filler, vec![0; 1 << 20]).is_err());
        fill();
        assert_eq!([room.source(), room.source()], [Source::Passing; 2]);
        std::fs::remove_file(&filler).unwrap();
        assert_eq!([room.source(), room.source()], [Source::Fresh, Source::Kept]);
        fill();
        assert_eq!(room.source(), Source::Kept);
        room.write("states/a.sls", "b:\n  test.nop: []\n");
        assert_eq!([room.source(), room.source()], [Source::Passing; 2]);
        assert_eq!(
            std::fs::read_dir(room.file().parent().unwrap()).unwrap().count(),
            1,
            "nothing is left over"
        );
        umount2(&room.at("var"), MntFlags::MNT_DETACH).unwrap();
    })
    .join()
    .unwrap();
}

#[test]
fn a_rehearsal_uses_what_is_kept_and_writes_nothing() {
    let room = Room::new(&[("states/a.sls", "a:\n  test.nop: []\n")], &["a"]);
    let reading = || room.with(&Keeper::new(room.file()).only_reading()).unwrap().1;
    assert_eq!(reading(), Source::Passing);
    assert!(!room.at("var").exists());
    assert_eq!(room.source(), Source::Fresh);
    assert_eq!(reading(), Source::Kept);
}
