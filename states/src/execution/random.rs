//! `random.*`: random where no seed is given, Python's numbers where one is.

use rand::RngExt;

use super::asked::{Asked, flag, text, truth};
use super::{Answer, Table, str_of, string};
use crate::python::digests::hex_digest;
use crate::python::random::PyRandom;
use crate::value::Value;

pub(super) const FUNCTIONS: Table = &[
    ("random.get_str", get_str),
    ("random.rand_int", rand_int),
    ("random.sample", sample),
    ("random.shadow_hash", shadow_hash),
    ("random.shuffle", shuffle),
    ("test.rand_str", random_hash),
    ("test.random_hash", random_hash),
];

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const WHITESPACE: &str = " \t\n\r\x0b\x0c";

fn whole(name: &str, value: Option<&Value>, default: i64) -> Result<i64, String> {
    match value {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Int(number)) => Ok(*number),
        Some(other) => str_of(other).trim().parse().map_err(|_| format!("`{name}` must be a whole number")),
    }
}

fn get_str(asked: &Asked<'_>) -> Answer {
    let names =
        ["length", "chars", "lowercase", "uppercase", "digits", "punctuation", "whitespace", "printable"];
    let [length, chars, lower, upper, digits, punctuation, whitespace, printable] = asked.bind(names)?;
    let length = usize::try_from(whole("length", length, 20)?).unwrap_or(0);
    if length > 1 << 20 {
        return Err(format!("a text of {length} characters is too long"));
    }
    let kinds = [
        (LOWER, flag(lower, true)),
        (UPPER, flag(upper, true)),
        (DIGITS, flag(digits, true)),
        (PUNCTUATION, flag(punctuation, true)),
        (WHITESPACE, flag(whitespace, false)),
    ];
    let own = chars.filter(|c| truth(Some(c))).map(str_of);
    let all: String = match (truth(printable), own) {
        (true, _) => [DIGITS, LOWER, UPPER, PUNCTUATION, WHITESPACE].concat(),
        (false, Some(own)) => own,
        (false, None) => kinds.iter().filter(|(_, wanted)| *wanted).map(|(chars, _)| *chars).collect(),
    };
    let all: Vec<char> = all.chars().collect();
    if all.is_empty() {
        return Err("there are no characters to choose from".to_owned());
    }
    let mut random = rand::rng();
    Ok(string((0..length).map(|_| all[random.random_range(0..all.len())]).collect::<String>()))
}

fn rand_int(asked: &Asked<'_>) -> Answer {
    let [start, end, seed] = asked.bind(["start", "end", "seed"])?;
    let (start, end) = (whole("start", start, 1)?, whole("end", end, 10)?);
    let width = end.checked_sub(start).and_then(|w| w.checked_add(1)).and_then(|w| u64::try_from(w).ok());
    let Some(width) = width.filter(|w| *w > 0) else {
        return Err(format!("empty range for randrange() ({start}, {}, ...)", end.saturating_add(1)));
    };
    let below = match seed {
        None | Some(Value::Null) => rand::rng().random_range(0..width),
        Some(Value::Int(seed)) => PyRandom::of_number(*seed).below(width),
        Some(Value::Float(_)) => return Err("a seed must be a text or a whole number".to_owned()),
        Some(seed) => PyRandom::of_text(&text("seed", Some(seed))?).below(width),
    };
    Ok(Value::Int(start + i64::try_from(below).unwrap_or(0)))
}

fn sample(asked: &Asked<'_>) -> Answer {
    let [value, size, seed] = asked.bind(["value", "size", "seed"])?;
    let items = items(value)?;
    let size = whole("size", size, 0)?;
    let size = usize::try_from(size).ok().filter(|size| *size <= items.len());
    picked(&items, size.ok_or("Sample larger than population or is negative")?, seed)
}

fn shuffle(asked: &Asked<'_>) -> Answer {
    let [value, seed] = asked.bind(["value", "seed"])?;
    let items = items(value)?;
    picked(&items, items.len(), seed)
}

fn items(value: Option<&Value>) -> Result<Vec<Value>, String> {
    match value {
        Some(Value::List(items)) => Ok(items.clone()),
        Some(Value::Str(text)) => Ok(text.chars().map(|c| string(c.to_string())).collect()),
        Some(_) => Err("Population must be a sequence.".to_owned()),
        None => Err("missing required argument: 'value'".to_owned()),
    }
}

/// Salt seeds with the digest of the text it is given.
fn picked(items: &[Value], size: usize, seed: Option<&Value>) -> Answer {
    let mut random = match seed {
        None | Some(Value::Null) => PyRandom::of_bytes(&rand::rng().random::<[u8; 32]>()),
        Some(Value::Str(seed)) => {
            PyRandom::of_text(&hex_digest("sha512", seed.as_bytes()).unwrap_or_default())
        }
        Some(_) => return Err("a seed must be a text".to_owned()),
    };
    Ok(Value::List(random.sample(items.len(), size).into_iter().map(|at| items[at].clone()).collect()))
}

fn random_hash(asked: &Asked<'_>) -> Answer {
    let [size, kind] = asked.bind(["size", "hash_type"])?;
    let size = u64::try_from(whole("size", size, 9_999_999_999)?).unwrap_or(0);
    let kind = kind.filter(|k| truth(Some(k))).map_or_else(|| "sha256".to_owned(), str_of);
    let number = rand::rng().random_range(0..=size).to_string();
    hex_digest(&kind, number.as_bytes()).map(string).ok_or_else(|| format!("there is no digest `{kind}`"))
}

fn shadow_hash(asked: &Asked<'_>) -> Answer {
    let [salt, password, algorithm] = asked.bind(["crypt_salt", "password", "algorithm"])?;
    let algorithm = algorithm.filter(|a| truth(Some(a))).map_or_else(|| "sha512".to_owned(), str_of);
    let letters: Vec<char> = [LOWER, UPPER, DIGITS].concat().chars().collect();
    let drawn = |length: usize| -> String {
        let mut random = rand::rng();
        (0..length).map(|_| letters[random.random_range(0..letters.len())]).collect()
    };
    let salt = salt.filter(|s| truth(Some(s))).map_or_else(|| drawn(16), str_of);
    let password = password.filter(|p| !matches!(p, Value::Null)).map_or_else(|| drawn(20), str_of);
    crypt(&salt, &password, &algorithm).map(string)
}

/// More rounds than this would hold up a compile.
const MAX_ROUNDS: u32 = 1_000_000;

/// `crypt(3)` with SHA-512 or SHA-256; the salt may begin with `rounds=N$`.
fn crypt(salt: &str, password: &str, algorithm: &str) -> Result<String, String> {
    let (rounds, salt) = match salt.split_once('$') {
        Some((rounds, salt)) => (rounds.strip_prefix("rounds=").and_then(|r| r.parse::<u32>().ok()), salt),
        None => (None, salt),
    };
    let salt: String = salt.chars().filter(|c| c.is_ascii() && *c != '$').take(16).collect();
    let count = rounds.unwrap_or(sha_crypt::Params::RECOMMENDED_ROUNDS).clamp(1000, MAX_ROUNDS);
    let params = sha_crypt::Params::new(count).map_err(|e| e.to_string())?;
    let shown = if rounds.is_some() { format!("rounds={count}$") } else { String::new() };
    let (id, text) = match algorithm {
        "sha512" => {
            (6, encoded(&sha_crypt::sha512_crypt(password.as_bytes(), salt.as_bytes(), params), false))
        }
        "sha256" => {
            (5, encoded(&sha_crypt::sha256_crypt(password.as_bytes(), salt.as_bytes(), params), true))
        }
        other => return Err(format!("cannot hash with `{other}` here; `sha512` and `sha256` are supported")),
    };
    Ok(format!("${id}${shown}{salt}${text}"))
}

/// The letters of `crypt(3)`: three bytes from the thirds of the digest become four, the lowest bits first; which third
/// comes first changes from group to group, in opposite ways for the two digests.
fn encoded(digest: &[u8], rightwards: bool) -> String {
    const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut out = String::new();
    let mut put = |bytes: &[u8], letters: u32| {
        let word = bytes.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        let letter = |i: u32| char::from(LETTERS[((word >> (6 * i)) & 63) as usize]);
        out.extend((0..letters).map(letter));
    };
    let third = digest.len() / 3;
    for i in 0..third {
        let mut group = [digest[i], digest[i + third], digest[i + 2 * third]];
        if rightwards {
            group.rotate_right(i % 3)
        } else {
            group.rotate_left(i % 3)
        }
        put(&group, 4);
    }
    let rest: Vec<u8> = digest[3 * third..].iter().rev().copied().collect();
    put(&rest, if rest.len() == 1 { 2 } else { 3 });
    out
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::*;

    #[test]
    fn seeded_numbers_are_those_of_python() {
        let bench = Bench::new(&[]);
        let seed = |seed: Value| [("start", Value::Int(1)), ("end", Value::Int(100)), ("seed", seed)];
        assert_eq!(bench.with("random.rand_int", &[], &seed(string("x"))), Ok(Value::Int(81)));
        assert_eq!(bench.with("random.rand_int", &[], &seed(Value::Int(5))), Ok(Value::Int(80)));
        let letters = ("value", Value::List("abcdefgh".chars().map(|c| string(c.to_string())).collect()));
        let shuffled = bench.with("random.shuffle", &[], &[letters, ("seed", string("static"))]).unwrap();
        assert_eq!(str_of(&shuffled), "['g', 'h', 'd', 'c', 'b', 'f', 'a', 'e']");
    }

    #[test]
    fn texts_and_their_bounds() {
        let bench = Bench::new(&[]);
        assert_eq!(bench.with("random.get_str", &["5"], &[("chars", string("a"))]), Ok(string("aaaaa")));
        assert!(bench.call("random.rand_int", &["5", "1"]).unwrap_err().contains("empty range"));
        assert!(bench.call("random.sample", &["ab", "3"]).unwrap_err().contains("larger"));
    }

    #[test]
    fn password_hashes_are_those_of_crypt() {
        let bench = Bench::new(&[]);
        assert_eq!(
            bench.json("random.shadow_hash", &["GX.fS3mW", "secret", "sha256"]),
            "\"$5$GX.fS3mW$vp9uBehIfnzynWOARmYYOUlVEdT.6TJz35qhDKCO2g8\""
        );
        assert_eq!(
            bench.json("random.shadow_hash", &["rounds=1000$GX.fS3mW", "secret", "sha512"]),
            "\"$6$rounds=1000$GX.fS3mW$hulkeR4LJWfxWar.zm6l4leMU7OjfbsBBqzOmqpv63nEYJX/93ffQ7hnL5UGLx29pStkXohGQN70HPXTcKoJW1\""
        );
        assert!(bench.call("random.shadow_hash", &["ab", "secret", "md5"]).is_err());
    }
}
