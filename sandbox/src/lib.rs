//! Placeholder.

pub mod git_server;
pub mod runtime;
pub mod world;
