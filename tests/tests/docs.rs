//! What the documentation shows is understood by the programs.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::process::Command;

use mayfly_tests::programs::{program, run, text, workspace};

/// The fenced blocks of a page in one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(workspace().join(page)).unwrap();
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// `mayfly plan` without a cloud: a spec that is refused says so before any cloud is asked.
#[test]
fn the_specs_in_the_pages_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for page in ["README.md", "docs/spec.md"] {
        for spec in blocks(page, "yaml") {
            std::fs::write(folder.path().join("mayfly.yaml"), &spec).unwrap();
            let output = run(Command::new(program("mayfly"))
                .arg("plan")
                .current_dir(folder.path())
                .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
                .envs([
                    ("AWS_ACCESS_KEY_ID", "x"),
                    ("AWS_SECRET_ACCESS_KEY", "x"),
                    ("AWS_REGION", "us-east-1"),
                ]));
            let said = text(&output.stderr);
            assert!(!said.contains("mayfly.yaml:"), "{page}: {said}");
            seen += 1;
        }
    }
    assert!(seen > 0);
}

/// Every command that the pages show exists, with its options.
#[test]
fn the_commands_in_the_pages_exist() {
    for page in ["README.md", "docs/operating.md", "docs/sandbox.md", "docs/spec.md", "docs/user-data.md"] {
        for line in blocks(page, "sh").iter().flat_map(|block| block.lines()) {
            let shown = line.split('#').next().unwrap().trim().trim_start_matches("target/release/");
            let words: Vec<&str> = shown.split_whitespace().collect();
            let Some((name @ (&"mayfly" | &"mayfly-boot"), words)) = words.split_first() else { continue };
            let command: Vec<&str> =
                words.iter().take_while(|word| !word.starts_with('-')).copied().collect();
            let help = run(Command::new(program(name)).args(&command).arg("--help"));
            let help = text(&help.stdout);
            for option in words.iter().filter(|word| word.starts_with("--")) {
                assert!(
                    help.contains(option.split('=').next().unwrap()),
                    "{page}: {shown}: no {option}\n{help}"
                );
            }
            assert!(help.contains("Usage"), "{page}: {shown}");
        }
    }
}
