//! Seed images as data: what an instance is told at birth, the recipes of images, and the plan that bakes one.
//!
//! Nothing here acts. [`user_data`] writes the document that `docs/user-data.md` describes, for builders and for every
//! instance the deployer launches, and [`schedule`] reads the cron expressions in it; [`stock`] brings `mayfly-boot` onto
//! images that have not got it; [`recipe`] says what goes into an image; [`bake`] lists the steps that make it, and [`keep`]
//! which of the made ones stay. The deployer runs them.

pub mod bake;
pub mod keep;
pub mod recipe;
pub mod schedule;
pub mod stock;
pub mod user_data;
mod yaml;
