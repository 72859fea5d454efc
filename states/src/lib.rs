//! The state language and its engine.
//!
//! Theory of operation, in order. Each stage is a function of its arguments; files, commands and the machine come in
//! through [`host::Host`], so every stage but the last can run anywhere.
//!
//! 1. [`tree`] names the file roots and pillar roots of an environment; [`minion`] is who asks (id, grains).
//! 2. `render` turns a template into text (Jinja) and text into [`value::Value`] (YAML), keeping file:line.
//! 3. `top` matches the minion to SLS names; `pillar` does the same for pillar data.
//! 4. [`compile`] gathers the SLS files and their includes into high data, resolves requisites and orders the chunks
//!    into [`low::LowState`].
//! 5. While rendering, templates call functions: those in `functions` need only the compile, those in [`execution`] ask
//!    the machine.
//! 6. [`kept`] keeps the low state, for the next compile that would be given and would read the same.
//! 7. [`engine`] walks the low state: observe, diff, apply, one step after the other, into [`report::Report`].
//!
//! Nothing here knows of EC2, of git or of inotify.

pub mod compile;
pub mod decrypt;
mod edits;
pub mod engine;
pub mod error;
pub mod execution;
mod files;
pub mod fsys;
mod functions;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod grains;
pub mod host;
mod jinja;
pub mod kept;
mod lines;
pub mod low;
mod merge;
pub mod minion;
pub mod modules;
pub mod nearest;
pub mod options;
pub mod pillar;
mod python;
mod redact;
pub mod render;
pub mod report;
pub mod secrets;
pub mod session;
mod targets;
pub mod top;
pub mod tree;
pub mod value;
pub mod watches;
mod yaml;
