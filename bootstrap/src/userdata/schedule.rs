//! When an instance asks the remote: its schedule, and the delay that keeps many instances apart. Pure.

pub(crate) use mayfly_ami::schedule::Schedule;

use sha2::Digest;
use std::time::Duration;

/// The delay of one instance: the same for its whole life, spread evenly over `splay`.
pub(crate) fn splay_of(instance_id: &str, splay: Duration) -> Duration {
    let digest = sha2::Sha256::digest(instance_id.as_bytes());
    let number = digest.iter().take(8).fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
    let millis = u64::try_from(splay.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 { Duration::ZERO } else { Duration::from_millis(number % millis) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splay_is_fixed_for_an_id_and_delays_every_tick() {
        let day = Duration::from_secs(60);
        assert_eq!(splay_of("i-1", day), splay_of("i-1", day));
        assert_ne!(splay_of("i-1", day), splay_of("i-2", day));
        assert!(splay_of("i-1", day) < day);
        assert_eq!(splay_of("i-1", Duration::ZERO), Duration::ZERO);
    }
}
