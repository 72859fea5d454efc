//! User-data: any bytes are validated or refused. The program is a binary: its pure modules are compiled in here.
#![no_main]
#![allow(dead_code, unused_imports)]

#[path = "../../src/convert.rs"]
mod convert;
#[path = "../../src/userdata/mod.rs"]
mod userdata;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = userdata::parse(bytes) {
        let _ = error.to_string();
    }
});
