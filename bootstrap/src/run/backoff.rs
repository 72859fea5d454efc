//! How long to wait before trying again. Pure: chance is an argument.

use std::time::Duration;

/// Doubles from `first` to `longest`; `chance` (0 to 1) takes away up to half, so that a fleet spreads out.
pub(crate) fn pause(attempt: u32, first: Duration, longest: Duration, chance: f64) -> Duration {
    let doubled = first.saturating_mul(2u32.saturating_pow(attempt.min(20))).min(longest);
    doubled.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_to_the_longest_and_chance_halves_at_most() {
        let at = |n, c| pause(n, Duration::from_secs(1), Duration::from_secs(60), c).as_millis();
        assert_eq!(
            [at(0, 0.0), at(1, 0.0), at(5, 0.0), at(6, 0.0), at(999, 0.0)],
            [1000, 2000, 32000, 60000, 60000]
        );
        assert_eq!([at(0, 1.0), at(1, 0.5)], [500, 1500]);
    }
}
