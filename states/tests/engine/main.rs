//! The engine and the state modules on real files, processes, accounts and packages.

// A helper of a test may fail like the test itself.
#![allow(clippy::unwrap_used, clippy::panic)]

mod accounts;
mod archives;
mod bench;
mod commands;
mod crash;
mod edits;
mod files;
mod firewall;
mod flow;
mod git;
mod judged;
mod mounts;
mod odd;
mod packages;
mod python;
mod registries;
mod repositories;
mod rpms;
mod salt;
mod services;
mod supervised;
mod system;
mod templates;
mod trees;
