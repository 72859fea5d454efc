//! What whole-system tests stand on: the built programs, a sandbox of their own, a state repository, steady traffic.
//!
//! Nothing here imitates a part of Mayfly: tests run the programs that people run.
// Effects: tests start programs and wait for them. A test that cannot go on says why and fails.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, clippy::expect_used)]

pub mod bucket;
pub mod files;
pub mod iam;
pub mod load;
pub mod programs;
pub mod realistic;
pub mod repo;
pub mod sandbox;
pub mod traffic;
pub mod wait;
