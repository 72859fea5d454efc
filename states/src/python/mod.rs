//! What trees know from Python's library, with Python's rules: addresses, digests, shell patterns, seeded randomness,
//! regular expressions.

pub(crate) mod addresses;
pub(crate) mod digests;
pub(crate) mod glob;
pub(crate) mod random;
pub(crate) mod regex;
pub(crate) mod sub;
