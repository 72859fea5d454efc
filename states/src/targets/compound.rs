//! Compound targets: words joined by `and`, `or`, `not` and parentheses, with the meaning that Python gives to them.

use super::nodegroup::{self, OPERATORS};
use super::{DELIMITER, Subject, simple};
use crate::python::glob::fnmatch;

/// Parentheses inside parentheses; Python refuses more.
const MAX_DEPTH: usize = 200;
/// Words of one target.
const MAX_WORDS: usize = 20_000;

/// Whether a compound target means the minion. One that makes no sense means nobody, as in Salt.
///
/// # Errors
/// A word of it is an error on its own.
pub(super) fn matches(subject: &Subject<'_>, words: Vec<String>) -> Result<bool, String> {
    let Some(tokens) = tokens(subject, words)? else { return Ok(false) };
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let parsed = parser.any().filter(|_| parser.at == tokens.len());
    Ok(parsed.and_then(|expression| expression.value()).unwrap_or(false))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Value(bool),
    And,
    Or,
    Not,
    Open,
    Close,
}

/// Every word tried; `None` where the target cannot be meant for anybody.
fn tokens(subject: &Subject<'_>, words: Vec<String>) -> Result<Option<Vec<Token>>, String> {
    let mut words = std::collections::VecDeque::from(words);
    let mut tokens: Vec<Token> = Vec::new();
    let mut taken = 0;
    while let Some(word) = words.pop_front() {
        taken += 1;
        if taken > MAX_WORDS {
            return Err("the target has too many words".to_owned());
        }
        if OPERATORS.contains(&word.as_str()) {
            if !operator(&word, &mut tokens) {
                return Ok(None);
            }
            continue;
        }
        match engine(&word) {
            Some(('N', _, group)) => {
                let inner = nodegroup::words(group, subject.nodegroups)?.unwrap_or_default();
                for word in inner.into_iter().rev() {
                    words.push_front(word);
                }
            }
            Some((letter, delimiter, pattern)) => match kind(letter) {
                Some(kind) => tokens.push(Token::Value(simple(subject, kind, pattern, delimiter)?)),
                None => return Ok(None),
            },
            None => tokens.push(Token::Value(fnmatch(subject.id, &word))),
        }
    }
    Ok(Some(tokens))
}

/// Adds an operator; false where none can stand.
fn operator(word: &str, tokens: &mut Vec<Token>) -> bool {
    let last = tokens.last().copied();
    let token = match word {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        "(" => Token::Open,
        _ => Token::Close,
    };
    match (last, token) {
        (None, Token::And | Token::Or | Token::Close) => return false,
        (Some(Token::Open), Token::And | Token::Or) => return false,
        // `web* not db*` is `web* and not db*`.
        (Some(last), Token::Not) if !matches!(last, Token::And | Token::Or | Token::Open) => {
            tokens.push(Token::And);
        }
        _ => {}
    }
    tokens.push(token);
    true
}

/// The letter, delimiter and pattern of `G@os:Debian` or `G|@os|Debian`.
fn engine(word: &str) -> Option<(char, &str, &str)> {
    let letter = word.chars().next().filter(|c| "GPIJLNSERTM".contains(*c))?;
    let rest = &word[1..];
    let second = rest.chars().next()?;
    let own = rest[second.len_utf8()..].strip_prefix('@').filter(|p| !p.is_empty());
    match own.filter(|_| "GPIJ".contains(letter)) {
        Some(pattern) => Some((letter, &rest[..second.len_utf8()], pattern)),
        None => rest.strip_prefix('@').filter(|p| !p.is_empty()).map(|p| (letter, DELIMITER, p)),
    }
}

fn kind(letter: char) -> Option<&'static str> {
    Some(match letter {
        'G' => "grain",
        'P' => "grain_pcre",
        'I' => "pillar",
        'J' => "pillar_pcre",
        'L' => "list",
        'S' => "ipcidr",
        'E' => "pcre",
        'T' => "resource",
        'M' => "managing_minion",
        // `R`, range, needs a server of its own.
        _ => return None,
    })
}

enum Expression {
    Value(bool),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    /// `x ( y )` would call x, which fails when it is reached.
    Call,
}

impl Expression {
    /// `None` where Python would raise.
    fn value(&self) -> Option<bool> {
        match self {
            Expression::Value(value) => Some(*value),
            Expression::Not(inner) => inner.value().map(|v| !v),
            Expression::And(all) => joined(all, false),
            Expression::Or(all) => joined(all, true),
            Expression::Call => None,
        }
    }
}

/// The first value that decides, or what the last one is.
fn joined(all: &[Expression], decides: bool) -> Option<bool> {
    for one in all {
        if one.value()? == decides {
            return Some(decides);
        }
    }
    Some(!decides)
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, token: Token) -> bool {
        let found = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Option<Expression> {
        let mut all = vec![self.all()?];
        while self.eat(Token::Or) {
            all.push(self.all()?);
        }
        Some(if all.len() == 1 { all.pop()? } else { Expression::Or(all) })
    }

    fn all(&mut self) -> Option<Expression> {
        let mut all = vec![self.one()?];
        while self.eat(Token::And) {
            all.push(self.one()?);
        }
        Some(if all.len() == 1 { all.pop()? } else { Expression::And(all) })
    }

    fn one(&mut self) -> Option<Expression> {
        // `not not` cannot come here: an `and` stands between.
        if self.eat(Token::Not) {
            return Some(Expression::Not(Box::new(self.operand()?)));
        }
        self.operand()
    }

    fn operand(&mut self) -> Option<Expression> {
        let mut found = match self.tokens.get(self.at)? {
            Token::Value(value) => {
                self.at += 1;
                Expression::Value(*value)
            }
            Token::Open => self.parenthesis(Expression::Value(false))?,
            _ => return None,
        };
        while self.tokens.get(self.at) == Some(&Token::Open) {
            self.parenthesis(Expression::Call)?;
            found = Expression::Call;
        }
        Some(found)
    }

    /// What is in parentheses; nothing in them is `empty`.
    fn parenthesis(&mut self, empty: Expression) -> Option<Expression> {
        self.at += 1;
        if self.eat(Token::Close) {
            return Some(empty);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let inner = self.any()?;
        self.depth -= 1;
        self.eat(Token::Close).then_some(inner)
    }
}
