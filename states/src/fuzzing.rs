//! What the fuzz targets of `states/fuzz` drive: the readers of this crate, in memory and with limits small enough for
//! thousands of inputs a second. Built with the feature `fuzzing` alone.

use std::path::Path;

use crate::error::Error;
use crate::jinja::{self, Limits, Py, Source};
use crate::minion::Minion;
use crate::render::{Scene, on_stack};
use crate::session::NoFunctions;
use crate::tree::Tree;
use crate::value::{Map, Value};
use crate::yaml;

/// What a fuzzed template may use up.
const LIMITS: Limits = Limits { steps: 100_000, depth: 50, output: 1 << 20 };
/// Aliases make much of little: what is written back is at most this long.
const MAX_WRITTEN: usize = 1 << 16;

/// Reads a YAML document, and writes what was read in both styles: it must read back the same.
///
/// # Errors
/// It does not, in a sentence. Text that is no YAML is none of these errors.
pub fn yaml(text: &str) -> Result<(), String> {
    let Ok(node) = yaml::load(text, "fuzz.yaml") else { return Ok(()) };
    for flow in [false, true] {
        let Ok(written) = yaml::dump(&node.to_py(), flow) else { continue };
        if written.len() > MAX_WRITTEN {
            continue;
        }
        let back = yaml::load(&written, "written.yaml").map_err(|e| format!("{e}\n{written}"))?;
        let again = yaml::dump(&back.to_py(), flow).map_err(|e| e.to_string())?;
        if again != written {
            return Err(format!("written:\n{written}\nread back and written again:\n{again}"));
        }
    }
    Ok(())
}

/// Renders a template that may import from the files below `root`.
///
/// # Errors
/// Whatever is wrong with the template.
pub fn jinja(text: &str, root: &Path) -> Result<String, Error> {
    on_stack(|| {
        let tree = Tree::base(root, None);
        let minion = Minion { id: "web1".to_owned(), grains: data(), ..Minion::default() };
        let pillar = Py::from(&data());
        let scene = Scene::new(&tree, &minion, &NoFunctions, pillar.clone(), "base", false);
        let vars = vec![
            ("salt", Py::Salt),
            ("grains", scene.grains()),
            ("pillar", pillar),
            ("d", Py::from(&data())),
            ("l", Py::list((0..5).map(Py::Int).collect())),
            ("s", Py::str("A string, with Words\nand lines.")),
            ("n", Py::Int(42)),
        ];
        let source = Source { name: "fuzz.jinja".to_owned(), text: text.to_owned() };
        jinja::render(&source, vars, &scene, LIMITS)
    })
}

fn data() -> Map {
    let text = |t: &str| Value::Str(t.to_owned());
    let list = ["web", "db"].map(text).to_vec();
    let inner =
        Map::from_iter([("port".to_owned(), Value::Int(80)), ("ratio".to_owned(), Value::Float(0.5))]);
    Map::from_iter([
        ("os_family".to_owned(), text("Debian")),
        ("roles".to_owned(), Value::List(list)),
        ("nested".to_owned(), Value::Map(inner)),
        ("on".to_owned(), Value::Bool(true)),
        ("nothing".to_owned(), Value::Null),
    ])
}
