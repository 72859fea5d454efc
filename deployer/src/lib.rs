//! The deployer: `mayfly.yaml` to running instances behind a load balancer, and back when they do not serve.
//!
//! In order: [`spec`] reads and checks what is wanted; [`git_ref`] resolves the state branch to a commit;
//! [`snapshot`] reads what the cloud has; [`plan`] makes, purely, the ordered steps with their undo; [`run`] takes the
//! [`lock`], runs the steps and undoes them on failure; [`history`] reads the records back and [`diff`]
//! compares them. [`notify`] tells others, `hooks` runs the user's own commands beside the steps, [`schedule`] says when
//! to deploy, [`status`] and [`inventory`] show what lives, [`init`] and [`schema`] help to begin. [`cloud`] is the narrow
//! view of AWS that all of it shares, [`report`] shows the progress, [`bake`] makes seed images, and [`cli`] is the
//! operator's command line.

pub mod bake;
pub mod clean;
pub mod cli;
pub mod cloud;
pub mod demo;
pub mod diff;
pub mod exit;
mod git_fetch;
pub mod git_log;
pub mod git_ref;
pub mod history;
mod hooks;
pub mod images;
pub mod init;
pub mod inventory;
pub mod lock;
pub mod naming;
pub mod notify;
pub mod plan;
pub mod report;
pub mod run;
pub mod schedule;
pub mod schema;
pub mod snapshot;
pub mod spec;
pub mod status;
pub mod system;
