//! The state language and its engine.
//!
//! Theory of operation, in order. Each stage is a function of its arguments; files, commands and the machine come in
//! through [`host::Host`], so every stage but the last can run anywhere.
//!
//! 1. [`tree`] names the file roots and pillar roots of an environment; [`minion`] is who asks (id, grains).
//! 2. `render` turns a template into text (Jinja) and text into [`value::Value`] (YAML), keeping file:line.
//! 3. `top` matches the minion to SLS names; `pillar` does the same for pillar data.
//! 4. `high` gathers the SLS files and their includes into high data.
//! 5. `compile` resolves requisites and orders them into [`low::LowState`].
//! 6. [`engine`] walks the low state: observe, diff, apply, one step after the other, into [`report::Report`].
//!
//! Nothing here knows of EC2, of git or of inotify.

mod addresses;
pub mod compile;
mod depend;
mod digests;
mod drafts;
pub mod engine;
pub mod error;
mod execution;
mod extend;
mod files;
pub mod fsys;
mod functions;
mod glob;
pub mod grains;
pub mod high;
pub mod host;
mod jinja;
pub mod low;
mod merge;
pub mod minion;
pub mod modules;
pub mod options;
mod order;
pub mod pillar;
mod pyrandom;
mod pyregex;
mod pysub;
pub mod render;
pub mod report;
pub mod session;
mod targets;
pub mod top;
pub mod tree;
pub mod value;
mod verify;
pub mod watches;
mod yaml;
