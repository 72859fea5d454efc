//! inotify to decisions to restarts of supervised services. Knows nothing of states.
//!
//! Theory of operation: [`rule::Rule`]s say which paths belong to which service. The kernel's events only wake us; what
//! decides is the content hash of the watched files against the hashes that were current when the service last
//! (re)started. After the debounce, and when the rule's check command passes, the rule's action is carried out through
//! a [`supervisor::Supervisor`].

pub mod rule;
pub mod supervisor;
