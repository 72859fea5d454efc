//! YAML: any text is read or refused, and what is read can be written and read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(difference) = mayfly_states::fuzzing::yaml(text) {
        panic!("{difference}");
    }
});
