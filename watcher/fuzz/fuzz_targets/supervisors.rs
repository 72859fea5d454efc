//! What supervisors answer and leave behind: any bytes in the place of supervisord's answer and configuration, of
//! `systemctl show`, of a unit, an environment file and a record of the built-in supervisor are understood or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mayfly_watcher::supervisor::fuzz(bytes));
