//! What goes before a node or a document: anchors, aliases, tags, directives.

use super::scan::{Scan, Scanner, Token, is_blank, is_break, is_gap};

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

impl Scanner {
    fn name(&mut self) -> String {
        let mut name = String::new();
        while in_name(self.look(0)) {
            name.push(self.skip());
        }
        name
    }

    pub(super) fn anchor(&mut self) -> Scan<Token> {
        let alias = self.skip() == '*';
        let name = self.name();
        let next = self.look(0);
        let ends = is_gap(next) || matches!(next, '?' | ':' | ',' | ']' | '}' | '%' | '@' | '`');
        match (name.is_empty() || !ends, alias) {
            (true, true) => self.fail("did not find expected alphabetic or numeric character of an alias"),
            (true, false) => self.fail("did not find expected alphabetic or numeric character of an anchor"),
            (false, true) => Ok(Token::Alias(name)),
            (false, false) => Ok(Token::Anchor(name)),
        }
    }

    pub(super) fn tag(&mut self) -> Scan<Token> {
        let (handle, suffix) = if self.look(1) == '<' {
            self.skip();
            self.skip();
            let whole = self.uri(true, String::new())?;
            if whole.is_empty() {
                return self.fail("did not find expected tag URI");
            }
            if self.look(0) != '>' {
                return self.fail("did not find the expected '>' of a tag");
            }
            self.skip();
            (String::new(), whole)
        } else {
            self.short_tag()?
        };
        let comma = self.in_flow() && self.look(0) == ',';
        if !comma && !is_gap(self.look(0)) {
            return self.fail("did not find expected whitespace or line break after a tag");
        }
        Ok(Token::Tag { handle, suffix })
    }

    /// `!handle!suffix`, `!!suffix`, `!suffix` or `!` alone.
    fn short_tag(&mut self) -> Scan<(String, String)> {
        let handle = self.handle();
        if handle.len() > 1 && handle.ends_with('!') {
            let suffix = self.uri(false, String::new())?;
            if suffix.is_empty() {
                return self.fail("did not find expected tag URI");
            }
            return Ok((handle, suffix));
        }
        let suffix = self.uri(false, handle[1..].to_owned())?;
        Ok(if suffix.is_empty() { (String::new(), "!".to_owned()) } else { ("!".to_owned(), suffix) })
    }

    /// From a `!` to the next one, or to where the name ends.
    fn handle(&mut self) -> String {
        let mut handle = String::from(self.skip());
        handle += &self.name();
        if self.look(0) == '!' {
            handle.push(self.skip());
        }
        handle
    }

    fn uri(&mut self, verbatim: bool, mut uri: String) -> Scan<String> {
        loop {
            match self.look(0) {
                '%' => self.uri_escape(&mut uri)?,
                c if in_name(c) || ";/?:@&=+$.!~*'()".contains(c) => uri.push(self.skip()),
                ',' | '[' | ']' if verbatim => uri.push(self.skip()),
                _ => return Ok(uri),
            }
        }
    }

    /// `%C3%A9`: one character.
    fn uri_escape(&mut self, uri: &mut String) -> Scan<()> {
        let mut bytes = Vec::new();
        loop {
            let digit = |n| self.look(n).to_digit(16).and_then(|d| u8::try_from(d).ok());
            let (Some(high), Some(low), '%') = (digit(1), digit(2), self.look(0)) else {
                return self.fail("did not find URI escaped octet");
            };
            (0..3).for_each(|_| _ = self.skip());
            bytes.push(high << 4 | low);
            match std::str::from_utf8(&bytes) {
                Ok(c) => {
                    uri.push_str(c);
                    return Ok(());
                }
                Err(e) if e.error_len().is_some() => return self.fail("found an incorrect UTF-8 octet"),
                Err(_) => {}
            }
        }
    }

    pub(super) fn directive(&mut self) -> Scan<Token> {
        self.skip();
        let name = self.name();
        if name.is_empty() || !is_gap(self.look(0)) {
            return self.fail("could not find expected directive name");
        }
        self.blanks();
        let token = match name.as_str() {
            "YAML" => {
                let major = self.number()?;
                if self.look(0) != '.' {
                    return self.fail("did not find expected digit or '.' character of a version");
                }
                self.skip();
                Token::Version { major, minor: self.number()? }
            }
            "TAG" => self.tag_prefix()?,
            _ => return self.fail("found unknown directive name"),
        };
        self.blanks();
        self.skip_comment();
        if !is_break(self.look(0)) && self.look(0) != Self::END {
            return self.fail("did not find expected comment or line break after a directive");
        }
        self.skip_break();
        Ok(token)
    }

    fn blanks(&mut self) {
        while is_blank(self.look(0)) {
            self.skip();
        }
    }

    fn number(&mut self) -> Scan<u32> {
        let mut number = String::new();
        while self.look(0).is_ascii_digit() && number.len() < 9 {
            number.push(self.skip());
        }
        match number.parse() {
            Ok(n) if !self.look(0).is_ascii_digit() => Ok(n),
            _ => self.fail("did not find expected version number"),
        }
    }

    fn tag_prefix(&mut self) -> Scan<Token> {
        if self.look(0) != '!' {
            return self.fail("did not find expected '!' of a tag directive");
        }
        let handle = self.handle();
        if handle != "!" && !(handle.len() > 1 && handle.ends_with('!')) {
            return self.fail("did not find expected '!' of a tag directive");
        }
        if !is_blank(self.look(0)) {
            return self.fail("did not find expected whitespace in a tag directive");
        }
        self.blanks();
        let prefix = self.uri(true, String::new())?;
        if prefix.is_empty() || !is_gap(self.look(0)) {
            return self.fail("did not find expected tag URI");
        }
        Ok(Token::TagPrefix { handle, prefix })
    }
}
