//! `urllib.parse`, as far as trees know it.

/// The text with everything but letters, digits, `_.-~` and what is `safe` as percent and two digits a byte.
pub(crate) fn quote(text: &str, safe: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-~".contains(&b) || safe.as_bytes().contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A mapping as `key=value&…`, with `+` for spaces.
pub(crate) fn encode<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    let field = |text: &str| quote(text, " ").replace(' ', "+");
    pairs.map(|(key, value)| format!("{}={}", field(key), field(&value))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    #[test]
    fn forms_are_encoded_as_python_does_it() {
        let pairs = [("a b", "1&2".to_owned()), ("ü", "~/".to_owned())];
        assert_eq!(super::encode(pairs.into_iter()), "a+b=1%262&%C3%BC=~%2F");
    }
}
