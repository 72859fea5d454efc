//! The console: one line an event on standard output, prefixed `mayfly:`.

use std::io::Write;

/// Says one event. Line ends within it become ` | `, so that an event stays a line. A console that is gone is no reason to
/// stop.
pub(crate) fn say(event: impl AsRef<str>) {
    let line = one_line(event.as_ref());
    let _ = writeln!(std::io::stdout().lock(), "mayfly: {line}");
}

fn one_line(text: &str) -> String {
    let parts: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    let joined = parts.join(" | ");
    joined.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        assert_eq!(one_line("a\n\n b\x1b[31m\nc\n"), "a |  b [31m | c");
    }
}
