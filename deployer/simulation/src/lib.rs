//! The deployer's core against a model of the cloud, in one process and in virtual time, with what goes wrong chosen.
//!
//! 1. [`universe`] is the sandbox's pure world with simulated [`machines`]: it boots, checks and drains by the clock it
//!    is given. [`stage`] makes one in which another service lives and ours is deployed.
//! 2. [`cloud`] is the deployer's cloud over it, call for call as its client of AWS makes them. Each passes a
//!    [`session`], where it takes time, meets the [`fault`]s of its number, and is watched by the [`monitor`].
//! 3. [`bench`] runs one deployer; [`schedule`] a deployment with faults and then one without, and judges both by what is
//!    [`settled`]. [`campaign`] runs many: each call of a good run of a [`scenario`] failed in each way, or chance.
//!
//! A schedule is one line of text, and the same line gives the same run, so a failure is shown again by its line.
// A test bench: what cannot go on ends with its reason.
#![allow(clippy::panic, clippy::expect_used)]

mod balancers;
pub mod bench;
pub mod campaign;
pub mod cloud;
pub mod fault;
pub mod figures;
pub mod machines;
pub mod membership;
pub mod monitor;
pub mod random;
pub mod scenario;
pub mod schedule;
pub mod session;
pub mod settled;
pub mod stage;
pub mod universe;
