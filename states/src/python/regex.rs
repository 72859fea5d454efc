//! Python's regular expressions: its syntax translated to that of `fancy-regex`, which has look-around and
//! back-references as Python's engine has, and a limit on backtracking, which Python's has not.

mod replace;

pub(crate) use replace::{Template, replaced};

/// How often a match may go back before it is given up.
const BACKTRACKS: usize = 300_000;
/// Bytes of a compiled expression.
const SIZE: usize = 4 << 20;
/// Nesting of groups.
const MAX_DEPTH: usize = 60;

/// What Python's `re` calls flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    pub(crate) ignore_case: bool,
    pub(crate) multi_line: bool,
    pub(crate) dot_all: bool,
    pub(crate) verbose: bool,
    /// Classes such as `\w` hold ASCII alone, as in a pattern of bytes.
    pub(crate) ascii: bool,
}

/// A compiled Python expression; `re.match` is a match that starts at 0.
///
/// # Errors
/// What Python would call an error of the expression, or one that grows too large.
pub(crate) fn build(
    pattern: &str,
    ignore_case: bool,
    multi_line: bool,
) -> Result<fancy_regex::Regex, String> {
    build_with(pattern, Flags { ignore_case, multi_line, ..Flags::default() })
}

/// As [`build`], with every flag.
pub(crate) fn build_with(pattern: &str, flags: Flags) -> Result<fancy_regex::Regex, String> {
    let wrong = |cause: String| format!("the regular expression {pattern:?} cannot be used: {cause}");
    let translated = translated(pattern, flags).map_err(wrong)?;
    fancy_regex::RegexBuilder::new(&translated)
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .backtrack_limit(BACKTRACKS)
        .delegate_size_limit(SIZE)
        .build()
        .map_err(|e| wrong(e.to_string()))
}

/// The expression in the syntax of `fancy-regex`.
fn translated(pattern: &str, flags: Flags) -> Result<String, String> {
    let mut translator = Translator {
        chars: pattern.chars().collect(),
        at: 0,
        out: String::with_capacity(pattern.len() + 8),
        modes: vec![Mode { multi_line: flags.multi_line, verbose: flags.verbose }],
        last: Last::Nothing,
        dot: if flags.dot_all { "(?s:.)" } else { "." },
        ascii: flags.ascii,
    };
    translator.run()?;
    Ok(translator.out)
}

/// A class such as `\w` written out for ASCII.
fn ascii_class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'w' => "[A-Za-z0-9_]",
        'W' => "[^A-Za-z0-9_]",
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[ \\t\\n\\r\\x0c\\x0b]",
        'S' => "[^ \\t\\n\\r\\x0c\\x0b]",
        _ => return None,
    })
}

/// Flags that change what is written here; the others are handed on.
#[derive(Clone, Copy)]
struct Mode {
    multi_line: bool,
    verbose: bool,
}

/// What a quantifier would apply to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Item,
    Quantifier,
}

struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
    modes: Vec<Mode>,
    last: Last,
    dot: &'static str,
    ascii: bool,
}

type Done = Result<(), String>;

impl Translator {
    fn mode(&self) -> Mode {
        self.modes.last().copied().unwrap_or(Mode { multi_line: false, verbose: false })
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek(0);
        self.at += 1;
        c
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c));
        self.at += if found { text.chars().count() } else { 0 };
        found
    }

    fn item(&mut self, text: &str) {
        self.out.push_str(text);
        self.last = Last::Item;
    }

    fn literal(&mut self, c: char) {
        push_literal(&mut self.out, c);
        self.last = Last::Item;
    }

    fn run(&mut self) -> Done {
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => {
                    if self.modes.len() == 1 {
                        return Err("unbalanced parenthesis".to_owned());
                    }
                    self.modes.pop();
                    self.item(")");
                }
                '|' => {
                    self.out.push('|');
                    self.last = Last::Nothing;
                }
                '*' | '+' | '?' => self.quantifier(&c.to_string())?,
                '{' => match self.counts() {
                    Some(counts) => self.quantifier(&counts)?,
                    None => self.literal('{'),
                },
                // Python's `$` also stands before a line break that ends the text.
                '$' if !self.mode().multi_line => self.item("(?=\\n?\\z)"),
                '$' => self.item("(?m:$)"),
                '^' if self.mode().multi_line => self.item("(?m:^)"),
                '^' => self.item("\\A"),
                '.' => self.item(self.dot),
                c if self.mode().verbose && c.is_whitespace() => {}
                '#' if self.mode().verbose => while self.next().is_some_and(|c| c != '\n') {},
                c => self.literal(c),
            }
        }
        if self.modes.len() > 1 { Err("missing ), unterminated subpattern".to_owned()) } else { Ok(()) }
    }

    fn quantifier(&mut self, text: &str) -> Done {
        match self.last {
            Last::Nothing => return Err("nothing to repeat".to_owned()),
            Last::Quantifier => return Err("multiple repeat".to_owned()),
            Last::Item => {}
        }
        self.out.push_str(text);
        if let Some(c @ ('?' | '+')) = self.peek(0) {
            self.out.push(c);
            self.at += 1;
        }
        self.last = Last::Quantifier;
        Ok(())
    }

    /// `{2}`, `{2,}`, `{,3}` or `{2,3}` after its brace; anything else is text.
    fn counts(&mut self) -> Option<String> {
        let rest = &self.chars[self.at..];
        let end = rest.iter().take(24).position(|c| *c == '}')?;
        let body: String = rest[..end].iter().collect();
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let (low, high) = body.split_once(',').map_or((body.as_str(), None), |(l, h)| (l, Some(h)));
        let valid = digits(low) && high.is_none_or(digits) && !(low.is_empty() && high.is_none());
        if !valid {
            return None;
        }
        self.at += end + 1;
        let low = if low.is_empty() { "0" } else { low };
        Some(high.map_or_else(|| format!("{{{low}}}"), |high| format!("{{{low},{high}}}")))
    }

    /// What follows a `(`.
    fn group(&mut self) -> Done {
        if self.modes.len() > MAX_DEPTH {
            return Err("groups are nested too deeply".to_owned());
        }
        if self.eat("?#") {
            while self.next().is_some_and(|c| c != ')') {}
            return Ok(());
        }
        let mut mode = self.mode();
        if self.eat("?P=") {
            let name = self.name(')')?;
            self.item(&format!("\\k<{name}>"));
            return Ok(());
        }
        if self.eat("?P<") {
            let name = self.name('>')?;
            self.out.push_str(&format!("(?P<{name}>"));
        } else if self.eat("?(") {
            let name = self.name(')')?;
            let number = name.bytes().all(|b| b.is_ascii_digit());
            self.out.push_str(&if number { format!("(?({name})") } else { format!("(?(<{name}>)") });
        } else if let Some(kind) = ["?:", "?=", "?!", "?<=", "?<!", "?>"].into_iter().find(|k| self.eat(k)) {
            self.out.push('(');
            self.out.push_str(kind);
        } else if self.eat("?") {
            return self.flags(&mut mode);
        } else {
            self.out.push('(');
        }
        self.modes.push(mode);
        self.last = Last::Nothing;
        Ok(())
    }

    fn name(&mut self, end: char) -> Result<String, String> {
        let mut name = String::new();
        loop {
            match self.next() {
                Some(c) if c == end && !name.is_empty() => return Ok(name),
                Some(c) if c == '_' || c.is_alphanumeric() => name.push(c),
                _ => return Err("bad character in group name".to_owned()),
            }
        }
    }

    /// `(?i)` at the start, or `(?i-m:…)` anywhere; `self.at` is after the `?`.
    fn flags(&mut self, mode: &mut Mode) -> Done {
        let global = self.at == 2;
        let (mut on, mut off, mut negative) = (String::new(), String::new(), false);
        loop {
            match self.next() {
                Some('-') if !negative => negative = true,
                Some('m') => mode.multi_line = !negative,
                Some('x') => mode.verbose = !negative,
                Some('u') if !negative => {}
                Some(c @ ('i' | 's')) => (if negative { &mut off } else { &mut on }).push(c),
                Some('a' | 'L') => return Err("ASCII and locale flags are not supported".to_owned()),
                Some(end @ (':' | ')')) => {
                    let minus = if off.is_empty() { "" } else { "-" };
                    let flags = format!("(?{on}{minus}{off}");
                    return self.apply(*mode, &flags, end, global);
                }
                _ => return Err("unknown extension".to_owned()),
            }
        }
    }

    fn apply(&mut self, mode: Mode, flags: &str, end: char, global: bool) -> Done {
        if end == ':' {
            self.out.push_str(flags);
            self.out.push(':');
            self.modes.push(mode);
        } else if global {
            if flags.len() > 2 {
                self.out.push_str(flags);
                self.out.push(')');
            }
            self.modes[0] = mode;
        } else {
            return Err("global flags not at the start of the expression".to_owned());
        }
        self.last = Last::Nothing;
        Ok(())
    }

    /// An escape outside of a class; `self.at` is after the backslash.
    fn escape(&mut self) -> Done {
        let Some(c) = self.next() else { return Err("bad escape (end of pattern)".to_owned()) };
        match c {
            'Z' => self.item("\\z"),
            c if self.ascii && ascii_class(c).is_some() => self.item(ascii_class(c).unwrap_or_default()),
            'A' | 'b' | 'B' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.item(&format!("\\{c}")),
            '1'..='9' => match self.octal(c) {
                Some(c) => self.literal(c),
                None => {
                    let second = self.peek(0).filter(char::is_ascii_digit);
                    self.at += usize::from(second.is_some());
                    let number: String = [Some(c), second].into_iter().flatten().collect();
                    self.item(&format!("(?:\\{number})"));
                }
            },
            c => {
                let c = self.escaped(c)?;
                self.literal(c);
            }
        }
        Ok(())
    }

    /// `\123`, three octal digits, is a character and no back-reference.
    fn octal(&mut self, first: char) -> Option<char> {
        let digits = [Some(first), self.peek(0), self.peek(1)];
        let value = digits.into_iter().try_fold(0, |n, c| Some(n * 8 + c?.to_digit(8)?))?;
        self.at += 2;
        char::from_u32(value)
    }

    /// The character that an escape means, in a class or outside.
    fn escaped(&mut self, c: char) -> Result<char, String> {
        Ok(match c {
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => self.hex(2)?,
            'u' => self.hex(4)?,
            'U' => self.hex(8)?,
            '0' => {
                let mut value = 0;
                while let Some(d) = self.peek(0).and_then(|c| c.to_digit(8)).filter(|_| value < 8) {
                    value = value * 8 + d;
                    self.at += 1;
                }
                char::from_u32(value).unwrap_or('\0')
            }
            c if c.is_ascii_alphanumeric() => return Err(format!("bad escape \\{c}")),
            c => c,
        })
    }

    fn hex(&mut self, length: usize) -> Result<char, String> {
        let digits: String = self.chars.iter().skip(self.at).take(length).collect();
        self.at += length;
        let value = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.chars().count() == length);
        value.and_then(char::from_u32).ok_or_else(|| "incomplete escape".to_owned())
    }

    /// A class; `self.at` is after the `[`.
    fn class(&mut self) -> Done {
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
        }
        let start = self.at;
        loop {
            match self.next() {
                None => return Err("unterminated character set".to_owned()),
                Some(']') if self.at > start + 1 => break,
                Some('\\') => self.class_escape()?,
                // A dash between two members is a range; elsewhere it is itself.
                Some('-') if self.at > start + 1 && self.peek(0) != Some(']') => self.out.push('-'),
                Some(c) => push_literal(&mut self.out, c),
            }
        }
        self.item("]");
        Ok(())
    }

    fn class_escape(&mut self) -> Done {
        let Some(c) = self.next() else { return Err("unterminated character set".to_owned()) };
        match c {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                match ascii_class(c).filter(|_| self.ascii) {
                    Some(class) => self.out.push_str(class),
                    None => self.out.extend(['\\', c]),
                }
                // `[\w-.]`: a dash behind a class of characters is itself.
                if self.peek(0) == Some('-') && self.peek(1) != Some(']') {
                    if self.peek(1).is_some_and(|c| c != '\\') {
                        return Err("bad character range".to_owned());
                    }
                    self.at += 1;
                    self.out.push_str("\\-");
                }
            }
            'b' => push_literal(&mut self.out, '\x08'),
            c @ '1'..='9' => match self.octal(c) {
                Some(c) => push_literal(&mut self.out, c),
                None => return Err(format!("bad escape \\{c}")),
            },
            c => {
                let c = self.escaped(c)?;
                push_literal(&mut self.out, c);
            }
        }
        Ok(())
    }
}

/// A character as itself, in a class or outside.
fn push_literal(out: &mut String, c: char) {
    if c.is_alphanumeric() || c == '_' || !c.is_ascii() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::build;

    fn found(pattern: &str, text: &str) -> Option<Vec<String>> {
        let regex = build(pattern, false, false).unwrap();
        let found = regex.captures(text).unwrap()?;
        Some(found.iter().map(|g| g.map_or("-", |g| g.as_str()).to_owned()).collect())
    }

    #[test]
    fn the_syntax_of_python_is_understood() {
        for (pattern, text, groups) in [
            (r"(?P<a>x+)(?P=a)", "xxxx", &["xxxx", "xx"][..]),
            (r"(a)(?:b)\1", "aba", &["aba", "a"]),
            (r"(?<=v)\d+(?!\d)", "v42", &["42"]),
            (r"a{,2}b", "aaab", &["aab"]),
            ("{%x{y}", "{%x{y}", &["{%x{y}"]),
            ("a$", "a\n", &["a"]),
            (r"a\Z", "a", &["a"]),
            (r"[]\-[a&&b]+", "]-[a&b", &["]-[a&b"]),
            (r"[\w.-]+", "a-b.c d", &["a-b.c"]),
            (r"\x41\u0042\103", "ABC", &["ABC"]),
            ("(?i)abc", "ABC", &["ABC"]),
            ("(?x) a b # c", "ab", &["ab"]),
            ("(?m)^b$", "a\nb", &["b"]),
            (r"(a)?(?(1)b|c)", "c", &["c", "-"]),
            ("(?>a+)b|a++c", "aac", &["aac"]),
        ] {
            let expected: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
            assert_eq!(found(pattern, text), Some(expected), "{pattern}");
        }
        assert!(found("a$", "a\n\n").is_none() && found(r"a\Z", "a\n").is_none());
        assert!(build("^b$", false, true).unwrap().is_match("a\nb\nc").unwrap());
        assert!(build("B", true, false).unwrap().is_match("b").unwrap());
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for pattern in
            ["(", ")", "[a", "a**", "*a", r"\p{L}", r"\K", "(?<n>a)", "a(?i)", r"\8", "a\\", "(?P<1>"]
        {
            let wrong = build(pattern, false, false).unwrap_err();
            assert!(wrong.contains("cannot be used"), "{pattern}: {wrong}");
        }
    }

    #[test]
    fn a_match_that_would_take_for_ever_is_given_up() {
        let text = "a".repeat(60);
        for pattern in [r"(?:(?=a)a+)+b", r"(a|a)*\1b"] {
            assert!(build(pattern, false, false).unwrap().is_match(&text).is_err(), "{pattern}");
        }
        assert!(build("(a{900}){900}{900}", false, false).is_err());
    }
}
