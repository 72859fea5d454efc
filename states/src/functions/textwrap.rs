//! Text filled into lines as Python's `textwrap` fills it.

/// The lines of a text, none longer than `width` characters.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut first = true;
        for piece in pieces(word) {
            let gap = usize::from(first && !line.is_empty());
            first = false;
            if length(&line) + gap + length(piece) <= width {
                line.push_str(if gap == 1 { " " } else { "" });
                line.push_str(piece);
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line = broken(piece, width, &mut lines);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// A word is parted behind its hyphens.
fn pieces(word: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let (mut start, mut before) = (0, ' ');
    for (at, c) in word.char_indices() {
        let after = word[at + c.len_utf8()..].chars().next().unwrap_or(' ');
        if c == '-' && before.is_alphanumeric() && after.is_alphabetic() {
            all.push(&word[start..=at]);
            start = at + 1;
        }
        before = c;
    }
    all.push(&word[start..]);
    all
}

/// What is longer than a line is cut; the rest is the next line's begin.
fn broken(piece: &str, width: usize, lines: &mut Vec<String>) -> String {
    let chars: Vec<char> = piece.chars().collect();
    let whole = chars.len().saturating_sub(1) / width * width;
    lines.extend(chars[..whole].chunks(width).map(|line| line.iter().collect::<String>()));
    chars[whole..].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_are_filled_and_long_words_cut() {
        assert_eq!(wrap("the quick  brown fox", 9), ["the quick", "brown fox"]);
        assert_eq!(wrap("well-known abcdefghijk", 6), ["well-", "known", "abcdef", "ghijk"]);
        assert_eq!(wrap("", 6), Vec::<String>::new());
    }
}
