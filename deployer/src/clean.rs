//! What others wrote (consoles, answers, tags, commits) as it may reach a terminal, a log or a variable: no control characters.

/// One line: every control character is shown as one that does nothing.
#[must_use]
pub fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The same, with its line breaks.
#[must_use]
pub fn block(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\t' | '\n') { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(
            line("a\x1b]52;c;eA==\x07b\nc\0\u{9b}1m\td"),
            "a\u{fffd}]52;c;eA==\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}1m\td"
        );
        assert_eq!(block("a\r\nb\x1b[2J"), "a\u{fffd}\nb\u{fffd}[2J");
    }
}
