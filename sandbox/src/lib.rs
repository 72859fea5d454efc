//! EC2, load balancers and instance metadata on one machine; instances are real Linux namespaces.
//!
//! One daemon per state directory holds everything:
//! 1. an API call is decoded and handed to the [`world`], a pure model of the cloud, which answers from its records
//!    and asks for effects;
//! 2. the daemon carries the effects out in the [`runtime`]: boots and ends instances, copies disks, changes balancers;
//! 3. what it sees (an instance is up, a probe failed, a machine powered itself off) goes back as observations, and the
//!    clock as ticks.
//!
//! Programs embed it: call [`entry::maybe_run`] first in `main`, then [`up`] and [`Handle`]. The daemon is the same
//! program run again; it and all it started die together, whatever the way.

pub mod api;
pub mod cli;
pub mod config;
mod control;
mod daemon;
mod engine;
pub mod entry;
pub mod git_server;
pub mod handle;
pub mod runtime;
pub mod status;
pub mod world;

pub use config::{Forward, SandboxConfig};
pub use handle::{DaemonInfo, Handle, SandboxError, up};
pub use status::Status;
