//! The difference between two contents, for people to read.

use crate::edits::unified;
use crate::fsys::Content;

/// Contents beyond this are compared by hash and not shown.
pub(crate) const KEEP: usize = 1 << 20;
/// A longer diff is cut.
const SHOWN: usize = 64 * 1024;

/// A unified diff, or a sentence where one would not be readable.
pub(crate) fn describe(old: &Content, new: &Content) -> String {
    let (Some(a), Some(b)) = (old.bytes(), new.bytes()) else {
        return format!("content differs: {} bytes, now {} bytes", old.len(), new.len());
    };
    let (Ok(a), Ok(b)) = (std::str::from_utf8(a), std::str::from_utf8(b)) else {
        return format!("binary content differs: {} bytes, now {} bytes", old.len(), new.len());
    };
    if a.contains('\0') || b.contains('\0') {
        return format!("binary content differs: {} bytes, now {} bytes", old.len(), new.len());
    }
    cut(unified(a, b))
}

fn cut(mut diff: String) -> String {
    if diff.len() > SHOWN {
        diff.truncate(diff.floor_char_boundary(SHOWN));
        diff.push_str("\n… cut here\n");
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &[u8]) -> Content {
        Content::of(text.to_vec())
    }

    #[test]
    fn text_gets_a_unified_diff_and_binary_does_not() {
        let diff = describe(&content(b"a\nb\n"), &content(b"a\nc\n"));
        assert_eq!(diff, "--- \n+++ \n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
        let diff = describe(&content(b"\xff"), &content(b"a"));
        assert_eq!(diff, "binary content differs: 1 bytes, now 1 bytes");
    }

    #[test]
    fn a_long_diff_is_cut() {
        let long: String = (0..20_000).map(|i| format!("line {i}\n")).collect();
        let diff = describe(&content(b"x\n"), &content(long.as_bytes()));
        assert!(diff.len() < SHOWN + 100 && diff.ends_with("… cut here\n"));
    }
}
