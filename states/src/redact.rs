//! What of addresses is nobody's to read: users and passwords, and in a single address the query, which holds signatures
//! and tokens.

const HIDDEN: &str = "<redacted>";

/// A text without the user and password of URLs in it.
pub(crate) fn users(text: &str) -> String {
    let mut all = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        all.push_str(before);
        let end = after.find(['/', ' ', '\n', '\'', '"']).unwrap_or(after.len());
        let host = after.get(..end).unwrap_or_default();
        rest = match host.rfind('@') {
            Some(mark) => {
                all.push_str(HIDDEN);
                after.get(mark..).unwrap_or_default()
            }
            None => after,
        };
    }
    all + rest
}

/// One URL, without user, password and query. A path or anything else stays as it is.
pub(crate) fn url(url: &str) -> String {
    let shown = users(url);
    match shown.split_once('?') {
        Some((before, _)) if url.contains("://") && !url.starts_with("salt://") => {
            format!("{before}?{HIDDEN}")
        }
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_urls_are_not_told() {
        let text = "fatal: unable to access 'https://u:p@ss@x.org/y.git/': no https://z.org";
        assert_eq!(
            users(text),
            "fatal: unable to access 'https://<redacted>@x.org/y.git/': no https://z.org"
        );
        assert_eq!(url("https://u:p@x.org/y?sig=z&a=b@c"), "https://<redacted>@x.org/y?<redacted>");
        assert_eq!(url("https://u:p?x@y/z"), "https://<redacted>@y/z");
        assert_eq!(url("salt://a?saltenv=dev"), "salt://a?saltenv=dev");
        assert_eq!(url("/srv/what?"), "/srv/what?");
    }
}
