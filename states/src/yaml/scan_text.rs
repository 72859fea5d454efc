//! Scalars: plain, quoted and block texts, with their folding.

use super::scan::{Scan, Scanner, Token, is_blank, is_break, is_gap};

/// The blanks and line breaks between two pieces of a scalar, as they are folded.
#[derive(Default)]
struct Between {
    blanks: String,
    first_break: String,
    more_breaks: String,
    /// A line break was seen: blanks no longer count.
    broken: bool,
}

impl Between {
    fn fold_into(&mut self, text: &mut String) {
        if !self.broken {
            text.push_str(&self.blanks);
        } else if self.first_break.starts_with('\n') && self.more_breaks.is_empty() {
            text.push(' ');
        } else {
            if !self.first_break.starts_with('\n') {
                text.push_str(&self.first_break);
            }
            text.push_str(&self.more_breaks);
        }
        *self = Self::default();
    }

    fn is_empty(&self) -> bool {
        !self.broken && self.blanks.is_empty()
    }
}

/// What a block scalar does with the line breaks at its end.
#[derive(Clone, Copy, PartialEq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

impl Scanner {
    /// Takes in one blank or line break.
    fn between(&mut self, between: &mut Between) {
        if is_blank(self.look(0)) {
            let blank = self.skip();
            if !between.broken {
                between.blanks.push(blank);
            }
        } else if let Some(line_break) = self.skip_break() {
            if between.broken {
                between.more_breaks.push(line_break);
            } else {
                between.broken = true;
                between.blanks.clear();
                between.first_break.push(line_break);
            }
        }
    }

    pub(super) fn plain(&mut self) -> Scan<Token> {
        let indent = self.indent + 1;
        let mut text = String::new();
        let mut between = Between::default();
        while self.at_document_mark().is_none() && self.look(0) != '#' {
            while !is_gap(self.look(0)) {
                if self.in_flow()
                    && self.look(0) == ':'
                    && matches!(self.look(1), ',' | '?' | '[' | ']' | '{' | '}')
                {
                    return self.fail("found unexpected ':'");
                }
                if self.ends_plain() {
                    break;
                }
                if !between.is_empty() {
                    between.fold_into(&mut text);
                }
                text.push(self.skip());
            }
            if !is_blank(self.look(0)) && !is_break(self.look(0)) {
                break;
            }
            while is_blank(self.look(0)) || is_break(self.look(0)) {
                if between.broken && self.column() < indent && self.look(0) == '\t' {
                    return self.fail("found a tab character that violates indentation");
                }
                self.between(&mut between);
            }
            if !self.in_flow() && self.column() < indent {
                break;
            }
        }
        if between.broken {
            self.key_allowed = true;
        }
        Ok(Token::Scalar { text, plain: true })
    }

    fn ends_plain(&self) -> bool {
        match self.look(0) {
            ':' => is_gap(self.look(1)),
            ',' | '[' | ']' | '{' | '}' => self.in_flow(),
            _ => false,
        }
    }

    pub(super) fn quoted(&mut self) -> Scan<Token> {
        let quote = self.skip();
        let mut text = String::new();
        let mut between = Between::default();
        loop {
            if self.at_document_mark().is_some() {
                return self.fail("found unexpected document indicator in a quoted text");
            }
            if self.look(0) == Self::END {
                return self.fail("found unexpected end of the text in a quoted text");
            }
            while !is_gap(self.look(0)) {
                match (self.look(0), self.look(1)) {
                    ('\'', '\'') if quote == '\'' => {
                        self.skip();
                        text.push(self.skip());
                    }
                    (c, _) if c == quote => break,
                    ('\\', next) if quote == '"' && is_break(next) => {
                        self.skip();
                        self.skip_break();
                        between.broken = true;
                        break;
                    }
                    ('\\', _) if quote == '"' => text.push(self.escape()?),
                    _ => text.push(self.skip()),
                }
            }
            if self.look(0) == quote {
                self.skip();
                return Ok(Token::Scalar { text, plain: false });
            }
            while is_blank(self.look(0)) || is_break(self.look(0)) {
                self.between(&mut between);
            }
            between.fold_into(&mut text);
        }
    }

    fn escape(&mut self) -> Scan<char> {
        let digits = match self.look(1) {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let plain = match self.look(1) {
            '0' => '\0',
            'a' => '\x07',
            'b' => '\x08',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\x0b',
            'f' => '\x0c',
            'r' => '\r',
            'e' => '\x1b',
            c @ (' ' | '"' | '/' | '\\') => c,
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            _ if digits > 0 => ' ',
            _ => return self.fail("found unknown escape character"),
        };
        self.skip();
        self.skip();
        if digits == 0 {
            return Ok(plain);
        }
        let mut code = 0u32;
        for _ in 0..digits {
            let Some(digit) = self.look(0).to_digit(16) else {
                return self.fail("did not find expected hexadecimal number");
            };
            code = (code << 4) | digit;
            self.skip();
        }
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.fail("found invalid Unicode character escape code"),
        }
    }

    pub(super) fn block_scalar(&mut self, literal: bool) -> Scan<Token> {
        self.skip();
        let (chomp, increment) = self.block_header()?;
        let mut indent = increment.map_or(0, |n| self.indent.max(0) + n);
        let mut text = String::new();
        let mut first_break: Option<char> = None;
        let mut more_breaks = self.block_breaks(&mut indent)?;
        let mut blank_before = false;
        while self.column() == indent && self.look(0) != Self::END {
            let blank_after = is_blank(self.look(0));
            let folds = !literal && first_break == Some('\n') && !blank_before && !blank_after;
            match first_break.take() {
                Some(_) if folds && more_breaks.is_empty() => text.push(' '),
                Some(line_break) if !folds => text.push(line_break),
                _ => {}
            }
            text.push_str(&more_breaks);
            blank_before = blank_after;
            while !is_break(self.look(0)) && self.look(0) != Self::END {
                text.push(self.skip());
            }
            first_break = self.skip_break();
            more_breaks = self.block_breaks(&mut indent)?;
        }
        if chomp != Chomp::Strip {
            text.extend(first_break);
        }
        if chomp == Chomp::Keep {
            text.push_str(&more_breaks);
        }
        Ok(Token::Scalar { text, plain: false })
    }

    fn block_header(&mut self) -> Scan<(Chomp, Option<isize>)> {
        let mut chomp = None;
        let mut increment = None;
        loop {
            match self.look(0) {
                '+' if chomp.is_none() => chomp = Some(Chomp::Keep),
                '-' if chomp.is_none() => chomp = Some(Chomp::Strip),
                '0' if increment.is_none() => return self.fail("found an indentation indicator equal to 0"),
                c if increment.is_none() && c.is_ascii_digit() => {
                    increment = c.to_digit(10).and_then(|n| isize::try_from(n).ok());
                }
                _ => break,
            }
            self.skip();
        }
        while is_blank(self.look(0)) {
            self.skip();
        }
        self.skip_comment();
        if self.skip_break().is_none() && self.look(0) != Self::END {
            return self.fail("did not find expected comment or line break");
        }
        Ok((chomp.unwrap_or(Chomp::Clip), increment))
    }

    /// The empty lines before a line of a block scalar; the first line of text decides the indentation.
    fn block_breaks(&mut self, indent: &mut isize) -> Scan<String> {
        let mut breaks = String::new();
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.column() < *indent) && self.look(0) == ' ' {
                self.skip();
            }
            deepest = deepest.max(self.column());
            if (*indent == 0 || self.column() < *indent) && self.look(0) == '\t' {
                return self.fail("found a tab character where an indentation space is expected");
            }
            match self.skip_break() {
                Some(line_break) => breaks.push(line_break),
                None => break,
            }
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(breaks)
    }
}
