//! The deployer against moto, a cloud that others wrote: wire format, records, the lock, recovery after kills.
// Effects: tests run real programs.
#![allow(clippy::disallowed_methods, clippy::panic)]

mod bench;
mod classic;
mod images;
mod lock;
mod rollback;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod target_groups;
