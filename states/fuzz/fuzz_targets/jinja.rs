//! Jinja: any template ends, with text or with an error.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tree"));
    if let Err(error) = mayfly_states::fuzzing::jinja(text, root) {
        // Errors are made to be read: showing one must not fail either.
        let _ = error.to_string();
    }
});
