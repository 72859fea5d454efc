//! Placeholder.

pub mod git_server;
pub mod world;
