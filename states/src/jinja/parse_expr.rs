//! Tokens to expressions, with Jinja2's precedence.

use std::rc::Rc;

use super::ast::{Args, At, BinOp, CmpOp, Expr, ExprKind};
use super::lexer::Token;
use super::parser::{Parsed, Parser};

type Kind = ExprKind;

fn node(at: At, kind: Kind) -> Expr {
    Expr { at, height: 1 + kind.tallest(), kind }
}

/// How many operators, filters, calls and subscripts may stand one inside of the other, or one after the other.
const MAX_HEIGHT: u32 = 1000;

impl Parser {
    /// One more link of a chain, which is evaluated and freed link inside of link.
    fn link(&self, at: At, kind: Kind) -> Parsed<Expr> {
        let link = node(at, kind);
        if link.height > MAX_HEIGHT {
            return self
                .fail(format!("an expression of more than {MAX_HEIGHT} operators and filters in a row"));
        }
        Ok(link)
    }

    /// One expression, with a condition (`a if b else c`).
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.nested(|p| {
            let at = p.at();
            let mut value = p.or()?;
            while p.eat_name("if") {
                let test = p.or()?;
                let otherwise = if p.eat_name("else") { Some(Box::new(p.expr()?)) } else { None };
                value = p.link(at, Kind::Cond(Box::new(test), Box::new(value), otherwise))?;
            }
            Ok(value)
        })
    }

    /// An expression, or a tuple without parentheses.
    pub(super) fn tuple(&mut self, conditional: bool) -> Parsed<Expr> {
        let at = self.at();
        let one = |p: &mut Self| if conditional { p.expr() } else { p.nested(Self::or) };
        let first = one(self)?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.eat_op(",") {
            if self.tuple_ends() {
                break;
            }
            items.push(one(self)?);
        }
        Ok(node(at, Kind::Tuple(items)))
    }

    fn tuple_ends(&self) -> bool {
        matches!(self.peek(), Token::VarEnd | Token::BlockEnd | Token::End)
            || self.is_op(")")
            || self.is_op("]")
            || self.is_name("recursive")
    }

    fn or(&mut self) -> Parsed<Expr> {
        let at = self.at();
        let mut left = self.and()?;
        while self.eat_name("or") {
            let right = self.and()?;
            left = self.link(at, Kind::Or(Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<Expr> {
        let at = self.at();
        let mut left = self.not()?;
        while self.eat_name("and") {
            let right = self.not()?;
            left = self.link(at, Kind::And(Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed<Expr> {
        let at = self.at();
        if self.eat_name("not") {
            let inner = self.nested(Self::not)?;
            return Ok(node(at, Kind::Not(Box::new(inner))));
        }
        self.compare()
    }

    fn compare(&mut self) -> Parsed<Expr> {
        let at = self.at();
        let left = self.sum()?;
        let mut ops = Vec::new();
        while let Some(op) = self.compare_op() {
            ops.push((op, self.sum()?));
        }
        if ops.is_empty() { Ok(left) } else { Ok(node(at, Kind::Compare(Box::new(left), ops))) }
    }

    fn compare_op(&mut self) -> Option<CmpOp> {
        let op = match self.peek() {
            Token::Op("==") => CmpOp::Eq,
            Token::Op("!=") => CmpOp::Ne,
            Token::Op("<") => CmpOp::Lt,
            Token::Op("<=") => CmpOp::Le,
            Token::Op(">") => CmpOp::Gt,
            Token::Op(">=") => CmpOp::Ge,
            Token::Name(n) if n == "in" => CmpOp::In,
            Token::Name(n) if n == "not" && matches!(self.ahead(1), Token::Name(n) if n == "in") => {
                self.next();
                CmpOp::NotIn
            }
            _ => return None,
        };
        self.next();
        Some(op)
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let at = self.at();
        let mut left = self.concat()?;
        loop {
            let op = match self.peek() {
                Token::Op("+") => BinOp::Add,
                Token::Op("-") => BinOp::Sub,
                _ => return Ok(left),
            };
            self.next();
            let right = self.concat()?;
            left = self.link(at, Kind::Bin(op, Box::new(left), Box::new(right)))?;
        }
    }

    fn concat(&mut self) -> Parsed<Expr> {
        let at = self.at();
        let first = self.product()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.eat_op("~") {
            parts.push(self.product()?);
        }
        Ok(node(at, Kind::Concat(parts)))
    }

    fn product(&mut self) -> Parsed<Expr> {
        let at = self.at();
        let mut left = self.power()?;
        loop {
            let op = match self.peek() {
                Token::Op("*") => BinOp::Mul,
                Token::Op("/") => BinOp::Div,
                Token::Op("//") => BinOp::FloorDiv,
                Token::Op("%") => BinOp::Mod,
                _ => return Ok(left),
            };
            self.next();
            let right = self.power()?;
            left = self.link(at, Kind::Bin(op, Box::new(left), Box::new(right)))?;
        }
    }

    fn power(&mut self) -> Parsed<Expr> {
        let at = self.at();
        let mut left = self.unary(true)?;
        while self.eat_op("**") {
            let right = self.unary(true)?;
            left = self.link(at, Kind::Bin(BinOp::Pow, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn unary(&mut self, with_filters: bool) -> Parsed<Expr> {
        let at = self.at();
        let value = if self.eat_op("-") {
            node(at, Kind::Neg(Box::new(self.nested(|p| p.unary(false))?)))
        } else if self.eat_op("+") {
            node(at, Kind::Pos(Box::new(self.nested(|p| p.unary(false))?)))
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
        if with_filters { self.filters_and_tests(value) } else { Ok(value) }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let at = self.at();
        let kind = match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                match name.as_str() {
                    "true" | "True" => Kind::Bool(true),
                    "false" | "False" => Kind::Bool(false),
                    "none" | "None" => Kind::None,
                    _ => Kind::Name(name.into()),
                }
            }
            Token::Int(i) => {
                self.next();
                Kind::Int(i)
            }
            Token::Float(f) => {
                self.next();
                Kind::Float(f)
            }
            Token::Str(_) => Kind::Str(self.strings()),
            Token::Op("(") => return self.parenthesised(at),
            Token::Op("[") => {
                self.next();
                Kind::List(self.items("]")?)
            }
            Token::Op("{") => self.dict()?,
            _ => return self.fail(format!("expected an expression, found {}", self.found())),
        };
        Ok(node(at, kind))
    }

    /// Adjacent string literals are one.
    fn strings(&mut self) -> Rc<str> {
        let mut all = String::new();
        while let Token::Str(s) = self.peek() {
            all.push_str(s);
            self.next();
        }
        all.into()
    }

    fn parenthesised(&mut self, at: At) -> Parsed<Expr> {
        self.expect_op("(")?;
        if self.eat_op(")") {
            return Ok(node(at, Kind::Tuple(Vec::new())));
        }
        let inner = self.tuple(true)?;
        self.expect_op(")")?;
        Ok(inner)
    }

    fn items(&mut self, close: &str) -> Parsed<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.eat_op(close) {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.eat_op(close) {
                    break;
                }
            }
            items.push(self.expr()?);
        }
        Ok(items)
    }

    fn dict(&mut self) -> Parsed<Kind> {
        self.expect_op("{")?;
        let mut pairs = Vec::new();
        while !self.eat_op("}") {
            if !pairs.is_empty() {
                self.expect_op(",")?;
                if self.eat_op("}") {
                    break;
                }
            }
            let key = self.expr()?;
            self.expect_op(":")?;
            pairs.push((key, self.expr()?));
        }
        Ok(Kind::Dict(pairs))
    }

    fn postfix(&mut self, mut value: Expr) -> Parsed<Expr> {
        loop {
            let at = self.at();
            if self.eat_op(".") {
                let kind = match self.next() {
                    Token::Name(name) => Kind::Attr(Box::new(value), name.into()),
                    Token::Int(i) => Kind::Item(Box::new(value), Box::new(node(at, Kind::Int(i)))),
                    _ => return self.fail_at("expected a name after `.`", at),
                };
                value = self.link(at, kind)?;
            } else if self.eat_op("[") {
                let at = value.at;
                let kind = self.subscript(value)?;
                value = self.link(at, kind)?;
            } else if self.is_op("(") {
                let args = self.call_args()?;
                value = self.link(value.at, Kind::Call(Box::new(value), args))?;
            } else {
                return Ok(value);
            }
        }
    }

    fn subscript(&mut self, value: Expr) -> Parsed<Kind> {
        let value = Box::new(value);
        let part = |p: &mut Self| -> Parsed<Option<Box<Expr>>> {
            if p.is_op(":") || p.is_op("]") { Ok(None) } else { Ok(Some(Box::new(p.tuple(true)?))) }
        };
        let start = part(self)?;
        if self.eat_op("]") {
            return match start {
                Some(index) => Ok(Kind::Item(value, index)),
                None => self.fail("an empty subscript"),
            };
        }
        self.expect_op(":")?;
        let stop = part(self)?;
        let step = if self.eat_op(":") { part(self)? } else { None };
        self.expect_op("]")?;
        Ok(Kind::Slice(value, [start, stop, step]))
    }

    fn call_args(&mut self) -> Parsed<Args> {
        self.expect_op("(")?;
        let mut args = Args::default();
        let mut first = true;
        while !self.eat_op(")") {
            if !first {
                self.expect_op(",")?;
                if self.eat_op(")") {
                    break;
                }
            }
            first = false;
            self.call_arg(&mut args)?;
        }
        Ok(args)
    }

    fn call_arg(&mut self, args: &mut Args) -> Parsed<()> {
        if self.eat_op("**") {
            args.double_star = Some(Box::new(self.expr()?));
        } else if self.eat_op("*") {
            args.star = Some(Box::new(self.expr()?));
        } else if let (Token::Name(name), Token::Op("=")) = (self.peek().clone(), self.ahead(1)) {
            self.next();
            self.next();
            args.named.push((name.into(), self.expr()?));
        } else if args.named.is_empty() && args.double_star.is_none() {
            let value = self.expr()?;
            args.positional.push(value);
        } else {
            return self.fail("a positional argument follows a named one");
        }
        Ok(())
    }

    fn filters_and_tests(&mut self, mut value: Expr) -> Parsed<Expr> {
        loop {
            if self.eat_op("|") {
                value = self.filter_chain(Some(value))?;
            } else if self.is_name("is") {
                value = self.test(value)?;
            } else if self.is_op("(") {
                let args = self.call_args()?;
                value = self.link(value.at, Kind::Call(Box::new(value), args))?;
            } else {
                return Ok(value);
            }
        }
    }

    /// `name(args)|name…`, after the `|`. Without a subject, the subject is the text of a block.
    pub(super) fn filter_chain(&mut self, subject: Option<Expr>) -> Parsed<Expr> {
        let mut subject = subject.map(Box::new);
        loop {
            let at = self.at();
            let name = self.dotted_name()?;
            let args = if self.is_op("(") { self.call_args()? } else { Args::default() };
            let filter = self.link(at, Kind::Filter(subject, name, args))?;
            if !self.eat_op("|") {
                return Ok(filter);
            }
            subject = Some(Box::new(filter));
        }
    }

    fn dotted_name(&mut self) -> Parsed<Rc<str>> {
        let mut name = self.name()?.to_string();
        while self.eat_op(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name.into())
    }

    fn test(&mut self, value: Expr) -> Parsed<Expr> {
        let at = self.at();
        self.expect_name("is")?;
        let negated = self.eat_name("not");
        let name = self.dotted_name()?;
        let mut args = Args::default();
        if self.is_op("(") {
            args = self.call_args()?;
        } else if self.test_argument_follows() {
            if self.is_name("is") {
                return self.fail("tests cannot be chained with `is`");
            }
            let argument = self.primary()?;
            args.positional.push(self.postfix(argument)?);
        }
        let test = self.link(at, Kind::Test(Box::new(value), name, args))?;
        if negated { Ok(node(at, Kind::Not(Box::new(test)))) } else { Ok(test) }
    }

    fn test_argument_follows(&self) -> bool {
        match self.peek() {
            Token::Name(name) => {
                !matches!(name.as_str(), "else" | "or" | "and" | "if" | "in" | "not" | "recursive")
            }
            Token::Str(_) | Token::Int(_) | Token::Float(_) => true,
            Token::Op(op) => matches!(*op, "[" | "{"),
            _ => false,
        }
    }
}
