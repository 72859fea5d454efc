//! Python's random numbers from a seed: what a tree computes with a seed is the same here.

use rand_mt::Mt;
use sha2::{Digest, Sha512};

/// Python's `random.Random(seed)`.
pub(crate) struct PyRandom {
    twister: Mt,
}

impl PyRandom {
    /// Seeded with a whole number.
    pub(crate) fn of_number(seed: i64) -> Self {
        let magnitude = seed.unsigned_abs();
        Self::of_bytes(&magnitude.to_be_bytes())
    }

    /// Seeded with a text.
    pub(crate) fn of_text(seed: &str) -> Self {
        let mut bytes = seed.as_bytes().to_vec();
        bytes.extend(Sha512::digest(seed.as_bytes()));
        Self::of_bytes(&bytes)
    }

    /// Seeded with a big-endian number of any size.
    pub(crate) fn of_bytes(number: &[u8]) -> Self {
        let word = |chunk: &[u8]| chunk.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        let mut key: Vec<u32> = number.rchunks(4).map(word).collect();
        while key.len() > 1 && key.last() == Some(&0) {
            key.pop();
        }
        Self { twister: Mt::new_with_key(key) }
    }

    /// A number below `limit`; 0 for 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let bits = u64::BITS - limit.leading_zeros();
        loop {
            let number = self.bits(bits);
            if number < limit || limit == 0 {
                return number;
            }
        }
    }

    fn bits(&mut self, count: u32) -> u64 {
        match count {
            0 => 0,
            1..=32 => u64::from(self.twister.next_u32() >> (32 - count)),
            _ => {
                let low = u64::from(self.twister.next_u32());
                low | (u64::from(self.twister.next_u32() >> (64 - count)) << 32)
            }
        }
    }

    /// `random.sample`: `size` different positions below `length`.
    pub(crate) fn sample(&mut self, length: usize, size: usize) -> Vec<usize> {
        let mut picked = Vec::with_capacity(size);
        if length <= pool_limit(size) {
            let mut pool: Vec<usize> = (0..length).collect();
            for i in 0..size.min(length) {
                let at = self.position(length - i);
                picked.push(pool[at]);
                pool[at] = pool[length - i - 1];
            }
            return picked;
        }
        let mut seen = std::collections::HashSet::new();
        while picked.len() < size {
            let at = self.position(length);
            if seen.insert(at) {
                picked.push(at);
            }
        }
        picked
    }

    fn position(&mut self, limit: usize) -> usize {
        let number = self.below(u64::try_from(limit).unwrap_or(u64::MAX));
        usize::try_from(number).unwrap_or(0)
    }
}

/// Up to which length Python picks from a copy of the list rather than by trial.
fn pool_limit(size: usize) -> usize {
    let mut power = 1_usize;
    if size > 5 {
        while power < size.saturating_mul(3) {
            power = power.saturating_mul(4);
        }
        return power.saturating_add(21);
    }
    21
}

#[cfg(test)]
mod tests {
    use super::PyRandom;

    #[test]
    fn numbers_are_those_of_python() {
        assert_eq!(PyRandom::of_text("web1").below(10), 5);
        assert_eq!(PyRandom::of_number(42).below(100), 81);
        assert_eq!(PyRandom::of_number(-42).below(100), 81);
        assert_eq!(PyRandom::of_number(1 << 40).below(1 << 40), 773_539_241_345);
        assert_eq!(PyRandom::of_number(7).sample(10, 4), [5, 2, 6, 9]);
        assert_eq!(PyRandom::of_number(7).sample(1000, 4), [331, 970, 154, 404]);
    }
}
