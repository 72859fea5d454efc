//! What really runs: the parts of the sandbox that touch the machine.
pub mod balancer;
