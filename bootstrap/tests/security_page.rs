//! docs/security.md promises nothing that no test holds: every test that it names is there, and every promise names one.
// Tests: reads the sources.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::Path;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What a line names as `file.rs::test`.
fn named(line: &str) -> Vec<(&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|word| word.split_once(".rs::")).collect()
}

#[test]
fn every_promise_is_held_by_tests_that_are_there() {
    let page = std::fs::read_to_string(workspace().join("docs/security.md")).unwrap();
    let promised = page.split("## What is promised").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = promised.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 12, "{rows:?}");
    for row in rows {
        let tests = named(row);
        assert!(!tests.is_empty(), "no test holds: {row}");
        for (file, test) in tests {
            let source = std::fs::read_to_string(workspace().join(format!("{file}.rs"))).unwrap_or_default();
            let is_test = source.split("test]\n").skip(1).any(|after| {
                let head = after.split('{').next().unwrap_or_default();
                head.contains(&format!("fn {test}("))
            });
            assert!(is_test, "{file}.rs has no test {test}");
        }
    }
}
