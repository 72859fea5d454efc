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

/// The commands in a page: those of its shell blocks, and those within its sentences.
fn commands(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(workspace().join(page)).unwrap();
    let blocks = blocks(page, "sh");
    let lines = blocks.iter().flat_map(|block| block.lines());
    let lines =
        lines.map(|line| line.split('#').next().unwrap().trim().trim_start_matches("target/release/"));
    let outside = text.split("```").step_by(2);
    let inline = outside.flat_map(|part| part.split('`').skip(1).step_by(2));
    lines.chain(inline).filter(|shown| shown.starts_with("mayfly")).map(str::to_owned).collect()
}

/// What a command says of itself. Its words end where its arguments begin.
fn help_of(program_name: &str, words: &[&str]) -> String {
    let is_command = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase());
    let command = words.iter().take_while(is_command);
    text(&run(Command::new(program(program_name)).args(command).arg("--help")).stdout)
}

/// Every command that the pages show exists, with its options.
#[test]
fn the_commands_in_the_pages_exist() {
    for page in ["README.md", "docs/operating.md", "docs/sandbox.md", "docs/spec.md", "docs/user-data.md"] {
        for shown in commands(page) {
            let words: Vec<&str> = shown.split_whitespace().collect();
            let Some((name @ (&"mayfly" | &"mayfly-boot"), words)) = words.split_first() else { continue };
            let help = help_of(name, words);
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let option = option.split('=').next().unwrap();
                assert!(help.contains(option), "{page}: {shown}: no {option}\n{help}");
            }
            assert!(help.contains("Usage"), "{page}: {shown}");
        }
    }
}

/// Every command is in the page on operating, with what it is for.
#[test]
fn every_command_is_in_the_page_on_operating() {
    let help = help_of("mayfly", &[]);
    let list = help.split_once("Commands:\n").unwrap().1.split("\n\n").next().unwrap();
    let names: Vec<&str> = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 15, "{names:?}");
    let shown = blocks("docs/operating.md", "sh").concat();
    for name in names {
        assert!(shown.lines().any(|line| line.starts_with(&format!("mayfly {name}"))), "{name}");
    }
}
