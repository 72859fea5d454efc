//! What is taken out of texts before anybody sees them: passwords and tokens in URLs, and in a single address the query too,
//! which holds signatures.

use std::borrow::Cow;

/// The text without the passwords of its URLs. A name without a password stays, but for HTTP, where it may be a token.
pub(crate) fn urls(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut all = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        all.push_str(before);
        rest = match secret_end(before, after) {
            Some(end) => {
                all.push_str("<redacted>");
                after.get(end..).unwrap_or_default()
            }
            None => after,
        };
    }
    Cow::Owned(all + rest)
}

/// The same, owned.
pub(crate) fn redacted(text: &str) -> String {
    urls(text).into_owned()
}

/// One URL, without user, password and query. A path or anything else stays as it is.
pub(crate) fn url(url: &str) -> String {
    let shown = redacted(url);
    match shown.split_once('?') {
        Some((before, _)) if url.contains("://") && !url.starts_with("salt://") => {
            format!("{before}?<redacted>")
        }
        _ => shown,
    }
}

/// Where the user and password before a host end, if they are to be hidden.
fn secret_end(before: &str, after: &str) -> Option<usize> {
    let end = after.find(['/', ' ', '\n', '\'', '"']).unwrap_or(after.len());
    let mark = after.get(..end)?.rfind('@')?;
    let is_http = before.ends_with("http://") || before.ends_with("https://");
    (is_http || after.get(..mark)?.contains(':')).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_tokens_go_and_names_stay() {
        assert_eq!(
            urls("https://me:pw@h/x and http://token@h"),
            "https://<redacted>@h/x and http://<redacted>@h"
        );
        assert_eq!(urls("ssh://git@h/x"), "ssh://git@h/x");
        assert_eq!(urls("ssh://git:pw@h/x"), "ssh://<redacted>@h/x");
        assert_eq!(urls("https://h/a@b"), "https://h/a@b");
        assert_eq!(urls("salt://"), "salt://");
    }
    #[test]
    fn a_single_address_is_told_without_its_query() {
        assert_eq!(url("https://u:p@x.org/y?sig=z&a=b@c"), "https://<redacted>@x.org/y?<redacted>");
        assert_eq!(url("https://u:p?x@y/z"), "https://<redacted>@y/z");
        assert_eq!(url("salt://a?saltenv=dev"), "salt://a?saltenv=dev");
        assert_eq!(url("/srv/what?"), "/srv/what?");
    }
}
