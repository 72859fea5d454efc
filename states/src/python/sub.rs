//! Python's `re.sub`: the replacement's own small language, and what counts as a match.

use fancy_regex::{Captures, Regex};

/// Bytes that a replaced text may grow to.
const LIMIT: usize = 64 << 20;

/// A replacement, read.
#[derive(Debug, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Template {
    /// Text that stands for itself.
    pub(crate) fn literal(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// Read `\1`, `\g<name>`, `\n` and the like; a group must be one of the expression's.
    pub(crate) fn parse(text: &str, regex: &Regex) -> Result<Self, String> {
        let mut reader = Reader { chars: text.chars().collect(), at: 0, regex };
        let mut parts = Vec::new();
        let mut plain = String::new();
        while let Some(c) = reader.next() {
            let part = if c == '\\' { reader.escape()? } else { Part::Text(c.to_string()) };
            match part {
                Part::Text(text) => plain.push_str(&text),
                group => parts.extend([Part::Text(std::mem::take(&mut plain)), group]),
            }
        }
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    fn expand(&self, found: &Captures<'_, str>, out: &mut String) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(number) => out.push_str(found.get(*number).map_or("", |g| g.as_str())),
            }
        }
    }
}

struct Reader<'a> {
    chars: Vec<char>,
    at: usize,
    regex: &'a Regex,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        self.at += 1;
        self.chars.get(self.at - 1).copied()
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn escape(&mut self) -> Result<Part, String> {
        let text = |c: char| Ok(Part::Text(c.to_string()));
        match self.next() {
            None => Err("bad escape (end of the replacement)".to_owned()),
            Some('g') => self.named(),
            Some('0') => text(self.octal(0, 2)),
            Some(c @ '1'..='9') => self.numbered(c),
            Some('a') => text('\x07'),
            Some('b') => text('\x08'),
            Some('f') => text('\x0c'),
            Some('n') => text('\n'),
            Some('r') => text('\r'),
            Some('t') => text('\t'),
            Some('v') => text('\x0b'),
            Some('\\') => text('\\'),
            Some(c) if c.is_ascii_alphabetic() => Err(format!("bad escape \\{c}")),
            Some(c) => Ok(Part::Text(format!("\\{c}"))),
        }
    }

    /// Up to so many more octal digits.
    fn octal(&mut self, mut value: u32, digits: usize) -> char {
        for _ in 0..digits {
            let Some(digit) = self.peek(0).and_then(|c| c.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.at += 1;
        }
        char::from_u32(value & 0xff).unwrap_or('\0')
    }

    /// A group by one or two digits; three octal digits are a character.
    fn numbered(&mut self, first: char) -> Result<Part, String> {
        let digit = |c: Option<char>, radix| c.and_then(|c| c.to_digit(radix));
        let value = digit(Some(first), 10).unwrap_or(0);
        let octal = [Some(first), self.peek(0), self.peek(1)].into_iter().all(|c| digit(c, 8).is_some());
        if octal {
            return Ok(Part::Text(self.octal(value, 2).to_string()));
        }
        match digit(self.peek(0), 10) {
            Some(second) => {
                self.at += 1;
                self.group((value * 10 + second) as usize)
            }
            None => self.group(value as usize),
        }
    }

    /// `<name>` or `<number>` after `\g`.
    fn named(&mut self) -> Result<Part, String> {
        let mut name = String::new();
        let opened = self.next() == Some('<');
        loop {
            match self.next() {
                Some('>') if opened && !name.is_empty() => break,
                Some(c) if opened => name.push(c),
                _ => return Err("\\g must be followed by a group's name in angle brackets".to_owned()),
            }
        }
        if let Ok(number) = name.parse() {
            return self.group(number);
        }
        let number = self.regex.capture_names().position(|n| n == Some(name.as_str()));
        number.map(Part::Group).ok_or_else(|| format!("there is no group {name:?}"))
    }

    fn group(&self, number: usize) -> Result<Part, String> {
        match number < self.regex.captures_len() {
            true => Ok(Part::Group(number)),
            false => Err(format!("there is no group {number}")),
        }
    }
}

/// The text with the first `count` matches replaced (all when 0), and how many there were.
pub(crate) fn substitute(
    regex: &Regex,
    template: &Template,
    text: &str,
    count: usize,
) -> Result<(String, usize), String> {
    let mut out = String::new();
    let (mut copied, mut from, mut found) = (0, 0, 0);
    while from <= text.len() && (count == 0 || found < count) {
        let captures = regex.captures_from_pos(text, from).map_err(|e| e.to_string())?;
        let Some((captures, whole)) = captures.and_then(|c| c.get(0).map(|w| (c, w))) else { break };
        out.push_str(text.get(copied..whole.start()).unwrap_or_default());
        template.expand(&captures, &mut out);
        if out.len() > LIMIT {
            return Err("the text grows too large by the replacement".to_owned());
        }
        found += 1;
        copied = whole.end();
        // After an empty match the search goes on at the next character.
        let step = text.get(copied..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        from = if whole.start() == whole.end() { copied + step } else { copied };
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Ok((out, found))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::python::regex::build;

    fn sub(pattern: &str, template: &str, text: &str) -> String {
        let regex = build(pattern, false, true).unwrap();
        substitute(&regex, &Template::parse(template, &regex).unwrap(), text, 0).unwrap().0
    }

    #[test]
    fn replacements_are_read_as_python_reads_them() {
        for (pattern, template, text, expected) in [
            (r"(\w)(\d)", r"\2\1", "a1 b2", "1a 2b"),
            (r"(?P<k>\w+)=", r"\g<k>: \g<1>\g<0>", "a=", "a: aa="),
            ("x", r"a\nb\tc\\d\.", "x", "a\nb\tc\\d\\."),
            ("x", r"\101\0", "x", "A\0"),
            ("(a)|b", r"<\1>", "ab", "<a><>"),
            ("x*", "-", "abxd", "-a-b--d-"),
            ("$", ";", "a\nb", "a;\nb;"),
            ("^", "# ", "ö\nü", "# ö\n# ü"),
        ] {
            assert_eq!(sub(pattern, template, text), expected, "{pattern} {template}");
        }
    }

    #[test]
    fn what_python_refuses_in_a_replacement_is_refused() {
        let regex = build("(a)", false, false).unwrap();
        for template in [r"\2", r"\g<b>", r"\g<1", r"\g", r"\q", "\\", r"\99"] {
            assert!(Template::parse(template, &regex).is_err(), "{template}");
        }
    }
}
