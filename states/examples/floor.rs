//! The least that a converge of files could do: open, read and hash each file of a list. `floor LIST`, a path a line.

// Effects: reads what it is told to.
#![allow(clippy::disallowed_methods)]

use std::io::Read;

use sha2::{Digest, Sha256};

fn main() -> std::io::Result<()> {
    let list = std::env::args().nth(1).ok_or_else(|| std::io::Error::other("floor LIST"))?;
    let mut buffer = vec![0; 1 << 16];
    let mut all = Sha256::new();
    for path in std::fs::read_to_string(list)?.lines() {
        let mut file = std::fs::File::open(path)?;
        let mut one = Sha256::new();
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => one.update(&buffer[..n]),
            }
        }
        all.update(one.finalize());
    }
    println!("{}", hex::encode(all.finalize()));
    Ok(())
}
