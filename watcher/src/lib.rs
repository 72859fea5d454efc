//! inotify to decisions to restarts of supervised services. Knows nothing of states.
//!
//! Theory of operation: [`rule::Rule`]s say which paths belong to which service. The kernel's events only wake us; what
//! decides is the content hash of the watched files against the hashes that were current when the service last
//! (re)started. After the debounce, and when the rule's check command passes, the rule's action is carried out through
//! a [`supervisor::Supervisor`].
//!
//! The stages: `pattern` (paths to steps) → `survey` (steps to files and directories) → `arms` and `inotify` (directories
//! to kernel watches, and what these tell) → `board` (events and contents to decisions; pure) → `engine` (decisions to threads that check and act).

mod command;
mod listener;
mod programs;
pub mod rule;
pub mod supervisor;
pub mod watch;

pub use listener::Listener;
pub use rule::{Action, OnEdit, Rate, Rule};
pub use supervisor::Supervisor;
pub use watch::{Cause, Event, Watcher};
