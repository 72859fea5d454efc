//! The engine and the state modules on real files, processes, accounts and packages.

// A helper of a test may fail like the test itself.
#![allow(clippy::unwrap_used, clippy::panic)]

mod accounts;
mod ahead;
mod archives;
mod bench;
mod beside;
mod commands;
mod crash;
mod edits;
mod every;
mod files;
mod firewall;
mod flow;
mod full;
mod git;
mod judged;
mod mounts;
mod odd;
mod packages;
mod python;
mod registries;
mod releases;
mod remote;
mod repositories;
mod requisites;
mod rpms;
mod salt;
mod secrets;
mod services;
mod supervised;
mod system;
mod targets;
mod templates;
mod trees;
mod ways;
mod web;
