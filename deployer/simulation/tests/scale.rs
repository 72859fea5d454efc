//! A thousand instances cost pages and polls, not calls by the instance, and no more of the deployer's own time than ten.

use mayfly_simulation::figures::{Figure, measure};
use mayfly_simulation::scenario::{Behind, Course, Scenario};

/// Instances in one page of an answer, or in one request.
const PAGE: usize = 200;
/// Consoles that are looked at before a wave is let in.
const CONSOLES: usize = 16;

#[test]
fn a_thousand_instances_are_pages_and_not_calls() {
    let (ten, many) = (blue_green(10), blue_green(1_000));
    println!("10: {:?}\n1000: {:?}", ten.by_action, many.by_action);
    let pages = 1_000_usize.div_ceil(PAGE);
    // What names instances goes a page at a time: register, deregister, terminate, launch in each subnet, and the last
    // looks; beside that as many polls as with ten, a few more while they boot, and a few consoles.
    let bound = ten.calls + 8 * pages + CONSOLES;
    assert!(many.calls <= bound, "{} calls, {bound} at most: {:?}", many.calls, many.by_action);
    assert!(many.beyond <= ten.beyond * 2, "{:?}, and {:?} for ten", many.beyond, ten.beyond);
}

fn blue_green(count: u32) -> Figure {
    measure(Scenario::even(Course::BlueGreen, Behind::Group, count))
}
