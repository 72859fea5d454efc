//! What trees know from Python's library, with Python's rules: addresses, digests, paths, shell patterns, seeded randomness,
//! regular expressions, URLs.

pub(crate) mod addresses;
pub(crate) mod digests;
pub(crate) mod glob;
pub(crate) mod paths;
pub(crate) mod random;
pub(crate) mod regex;
pub(crate) mod sub;
pub(crate) mod urls;
