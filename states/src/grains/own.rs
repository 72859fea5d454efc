//! Grains that whoever keeps the machine wrote into `/etc/salt/grains`.

use super::read::Root;
use crate::value::{Map, Value};
use crate::yaml;

/// Below the root.
const FILE: &str = "etc/salt/grains";

/// The file's mapping; a file that is none is no reason not to converge, so what is wrong with it is only told.
///
/// # Errors
/// What is wrong, in a line.
pub(crate) fn read(root: &Root) -> Result<Map, String> {
    let Some(text) = root.text(FILE) else { return Ok(Map::new()) };
    let name = format!("/{FILE}");
    match yaml::load(&text, &name).map(|node| node.to_value()) {
        Ok(Value::Map(grains)) => Ok(grains),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(format!("{name}: must be a mapping of grains; none of it is used")),
        Err(error) => Err(format!("{error}; none of it is used")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::written as below;
    use super::*;

    #[test]
    fn a_mapping_nothing_and_what_is_neither() {
        let none = tempfile::tempdir().unwrap();
        assert_eq!(read(&Root(none.path())), Ok(Map::new()));
        let written = |text: &str| read(&Root(below(&[(FILE, text)]).path()));
        assert_eq!(written("rack: 7\n").unwrap()["rack"], Value::Int(7));
        assert_eq!(written("# nothing\n"), Ok(Map::new()));
        for wrong in ["- a\n", "a: [\n", "\0", &"[".repeat(100_000)] {
            assert!(written(wrong).unwrap_err().contains("/etc/salt/grains"), "{wrong:.9}");
        }
    }
}
