//! Placeholder.

pub mod git_server;
