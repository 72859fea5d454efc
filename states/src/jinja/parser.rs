//! Tokens to statements: Jinja2's tags, `do`, loop controls, and Salt's `import_*` and `load_*`.

use std::rc::Rc;

use super::Header;
use super::ast::{At, Block, Expr, ExprKind, For, Format, Macro, Stmt, StmtKind, Target, Template, Uses};
use super::lexer::{LexError, Token, lex};
use crate::error::{Error, Fault};

/// Nesting of statements and expressions that is accepted.
pub(super) const MAX_NESTING: usize = 100;

pub(super) type Parsed<T> = Result<T, LexError>;

pub(super) struct Parser {
    tokens: Vec<(Token, At)>,
    index: usize,
    depth: usize,
    /// Loops around the tag that is read, within its macro or block.
    loops: usize,
    blocks: Vec<Rc<Block>>,
    /// The tags that are read, each inside of the one before it, with their places.
    pub(super) open: Vec<(Rc<str>, At)>,
    pub(super) name: Rc<str>,
    pub(super) source: Rc<str>,
}

/// Parses a template whose header has been read.
pub(super) fn parse(name: &str, source: &str, header: Header) -> Parsed<Template> {
    let tokens = lex(source, header)?;
    let (name, source) = (name.into(), source.into());
    let mut parser =
        Parser { tokens, index: 0, depth: 0, loops: 0, blocks: Vec::new(), open: Vec::new(), name, source };
    let body = parser.body(&[])?;
    Ok(Template { name: parser.name, source: parser.source, body, blocks: parser.blocks })
}

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, n: usize) -> &Token {
        self.tokens.get(self.index + n).map_or(&Token::End, |(t, _)| t)
    }

    pub(super) fn at(&self) -> At {
        self.tokens.get(self.index).or(self.tokens.last()).map_or(0, |(_, at)| *at)
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.index += 1;
        token
    }

    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Parsed<T> {
        self.fail_at(message, self.at())
    }

    pub(super) fn fail_at<T>(&self, message: impl Into<String>, at: At) -> Parsed<T> {
        Err((Error::new(Fault::Syntax(message.into())), at))
    }

    pub(super) fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Token::Op(o) if *o == op)
    }

    pub(super) fn eat_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        self.index += usize::from(found);
        found
    }

    pub(super) fn expect_op(&mut self, op: &str) -> Parsed<()> {
        if self.eat_op(op) { Ok(()) } else { self.unexpected(op) }
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(n) if n == name)
    }

    pub(super) fn eat_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.index += usize::from(found);
        found
    }

    pub(super) fn expect_name(&mut self, name: &str) -> Parsed<()> {
        if self.eat_name(name) {
            Ok(())
        } else {
            self.fail(format!("expected `{name}`, found {}", self.found()))
        }
    }

    pub(super) fn name(&mut self) -> Parsed<Rc<str>> {
        match self.peek() {
            Token::Name(name) => {
                let name = name.as_str().into();
                self.index += 1;
                Ok(name)
            }
            _ => self.fail(format!("expected a name, found {}", self.found())),
        }
    }

    pub(super) fn found(&self) -> String {
        match self.peek() {
            Token::Data(_) => "text".to_owned(),
            Token::VarBegin => "`{{`".to_owned(),
            Token::VarEnd => "`}}`".to_owned(),
            Token::BlockBegin => "`{%`".to_owned(),
            Token::BlockEnd => "`%}`".to_owned(),
            Token::Name(name) => format!("`{name}`"),
            Token::Int(i) => format!("`{i}`"),
            Token::Float(f) => format!("`{f}`"),
            Token::Str(s) => format!("the string {s:?}"),
            Token::Op(op) => format!("`{op}`"),
            Token::End => "the end of the template".to_owned(),
        }
    }

    /// Runs `parse` one level deeper.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_NESTING {
            return self.fail("nested too deeply");
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Statements up to one of `ends` (its name is left to be read), or to the end when `ends` is empty.
    fn body(&mut self, ends: &[&str]) -> Parsed<Vec<Stmt>> {
        let mut body = Vec::new();
        loop {
            let at = self.at();
            match self.next() {
                Token::End if ends.is_empty() => return Ok(body),
                Token::End => return self.unclosed(ends),
                Token::Data(text) => body.push(Stmt { at, kind: StmtKind::Text(text.into()) }),
                Token::VarBegin => {
                    let expr = self.tuple(true)?;
                    if *self.peek() != Token::VarEnd {
                        return self.unexpected("}}");
                    }
                    self.index += 1;
                    body.push(Stmt { at, kind: StmtKind::Print(expr) });
                }
                Token::BlockBegin => {
                    if matches!(self.peek(), Token::Name(n) if ends.contains(&n.as_str())) {
                        return Ok(body);
                    }
                    let at = self.at();
                    let kind = self.nested(Self::statement)?;
                    body.push(Stmt { at, kind });
                }
                _ => return self.fail_at("unexpected token", at),
            }
        }
    }

    fn block_end(&mut self) -> Parsed<()> {
        if *self.peek() != Token::BlockEnd {
            return self.unexpected("%}");
        }
        self.index += 1;
        Ok(())
    }

    /// The body of a tag, and its closing tag `end`.
    fn until(&mut self, end: &str) -> Parsed<Vec<Stmt>> {
        self.block_end()?;
        let body = self.body(&[end])?;
        self.index += 1;
        Ok(body)
    }

    fn statement(&mut self) -> Parsed<StmtKind> {
        let at = self.at();
        let tag = self.name()?;
        self.open.push((tag.clone(), at));
        let kind = self.tag(&tag, at)?;
        self.open.pop();
        Ok(kind)
    }

    fn tag(&mut self, tag: &str, at: At) -> Parsed<StmtKind> {
        let kind = match tag {
            "for" => return self.for_loop(),
            "if" => return self.condition(),
            "set" => return self.set(),
            "macro" => return self.macro_decl(),
            "call" => return self.call_block(),
            "with" => return self.with_block(),
            "filter" => return self.filter_block(),
            "block" => return self.named_block(),
            "load_yaml" | "load_json" | "load_text" => return self.load_block(tag),
            "autoescape" => {
                let on = self.expr()?;
                let body = self.until("endautoescape")?;
                StmtKind::Autoescape(on, body)
            }
            "do" => StmtKind::Do(self.tuple(true)?),
            "break" | "continue" if self.loops == 0 => {
                return self.fail_at(format!("`{tag}` stands outside of a loop"), at);
            }
            "break" => StmtKind::Break,
            "continue" => StmtKind::Continue,
            "include" => self.include()?,
            "import" => self.import()?,
            "from" => self.import_names()?,
            "import_yaml" | "import_json" | "import_text" => self.import_data(tag)?,
            "profile" => {
                self.expect_name("as")?;
                self.expr()?;
                let body = self.until("endprofile")?;
                StmtKind::If(Vec::new(), body)
            }
            "extends" => StmtKind::Extends(self.expr()?),
            other => return self.unknown_tag(other, at),
        };
        self.block_end()?;
        Ok(kind)
    }

    fn for_loop(&mut self) -> Parsed<StmtKind> {
        let target = self.targets()?;
        self.expect_name("in")?;
        let iter = self.tuple(false)?;
        let filter = if self.eat_name("if") { Some(self.expr()?) } else { None };
        let recursive = self.eat_name("recursive");
        self.block_end()?;
        let start = self.index;
        self.loops += 1;
        let body = self.body(&["else", "endfor"])?;
        self.loops -= 1;
        let uses_loop = recursive || self.mentions(start, "loop") || self.mentions(start, "scoped");
        let otherwise = if self.eat_name("else") { self.until("endfor")? } else { self.skip(Vec::new())? };
        self.block_end()?;
        Ok(StmtKind::For(Rc::new(For { target, iter, filter, recursive, uses_loop, body, otherwise })))
    }

    fn skip<T>(&mut self, value: T) -> Parsed<T> {
        self.index += 1;
        Ok(value)
    }

    fn condition(&mut self) -> Parsed<StmtKind> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            let test = self.tuple(true)?;
            self.block_end()?;
            branches.push((test, self.body(&["elif", "else", "endif"])?));
            if self.eat_name("elif") {
                continue;
            }
            if self.eat_name("else") {
                otherwise = self.until("endif")?;
            } else {
                self.index += 1;
            }
            self.block_end()?;
            return Ok(StmtKind::If(branches, otherwise));
        }
    }

    fn set(&mut self) -> Parsed<StmtKind> {
        let target = self.targets()?;
        if self.eat_op("=") {
            let expr = self.tuple(true)?;
            self.block_end()?;
            return Ok(StmtKind::Set(target, expr));
        }
        let filter = if self.eat_op("|") { Some(self.filter_chain(None)?) } else { None };
        let body = self.until("endset")?;
        self.block_end()?;
        Ok(StmtKind::SetBlock(target, filter, body))
    }

    /// `a`, `ns.a`, `a, b` or `(a, b)`.
    fn targets(&mut self) -> Parsed<Target> {
        let first = self.target()?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.eat_op(",") {
            if !matches!(self.peek(), Token::Name(n) if n != "in") && !self.is_op("(") {
                break;
            }
            all.push(self.target()?);
        }
        Ok(Target::Tuple(all))
    }

    fn target(&mut self) -> Parsed<Target> {
        if self.eat_op("(") {
            let inner = self.nested(Self::targets)?;
            self.expect_op(")")?;
            return Ok(inner);
        }
        let name = self.name()?;
        if matches!(&*name, "true" | "false" | "none" | "True" | "False" | "None") {
            return self.fail(format!("cannot assign to `{name}`"));
        }
        if self.eat_op(".") {
            return Ok(Target::Attr(name, self.name()?));
        }
        Ok(Target::Name(name))
    }

    fn macro_decl(&mut self) -> Parsed<StmtKind> {
        let name = self.name()?;
        let params = self.signature()?;
        let start = self.index;
        let body = self.function(|p| p.until("endmacro"))?;
        let uses = self.uses(start);
        self.block_end()?;
        Ok(StmtKind::Macro(Rc::new(Macro { name, params, body, uses })))
    }

    /// Reads what becomes a function: a loop around it is none for it.
    fn function<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let loops = std::mem::take(&mut self.loops);
        let result = read(self);
        self.loops = loops;
        result
    }

    /// Whether the tokens since `start` mention a name.
    fn mentions(&self, start: usize, name: &str) -> bool {
        let tokens = &self.tokens[start..self.index.min(self.tokens.len())];
        tokens.iter().any(|(t, _)| matches!(t, Token::Name(n) if n == name))
    }

    /// Which of a macro's own names the tokens since `start` mention.
    fn uses(&self, start: usize) -> Uses {
        let mentions = |name: &str| self.mentions(start, name);
        Uses { varargs: mentions("varargs"), kwargs: mentions("kwargs"), caller: mentions("caller") }
    }

    fn signature(&mut self) -> Parsed<Vec<(Rc<str>, Option<Expr>)>> {
        self.expect_op("(")?;
        let mut params: Vec<(Rc<str>, Option<Expr>)> = Vec::new();
        while !self.eat_op(")") {
            if !params.is_empty() {
                self.expect_op(",")?;
                if self.eat_op(")") {
                    break;
                }
            }
            let name = self.name()?;
            if params.iter().any(|(n, _)| *n == name) {
                return self.fail(format!("the parameter `{name}` is there twice"));
            }
            let default = if self.eat_op("=") { Some(self.expr()?) } else { None };
            if default.is_none() && params.last().is_some_and(|(_, d)| d.is_some()) {
                return self.fail("a parameter without a default follows one that has one");
            }
            params.push((name, default));
        }
        Ok(params)
    }

    fn call_block(&mut self) -> Parsed<StmtKind> {
        let params = if self.is_op("(") { self.signature()? } else { Vec::new() };
        let call = self.expr()?;
        if !matches!(call.kind, ExprKind::Call(..)) {
            return self.fail_at("`call` needs a call", call.at);
        }
        let start = self.index;
        let body = self.function(|p| p.until("endcall"))?;
        let uses = self.uses(start);
        self.block_end()?;
        Ok(StmtKind::CallBlock(Rc::new(Macro { name: "".into(), params, body, uses }), call))
    }

    fn with_block(&mut self) -> Parsed<StmtKind> {
        let mut assignments = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !assignments.is_empty() {
                self.expect_op(",")?;
            }
            let target = self.target()?;
            self.expect_op("=")?;
            assignments.push((target, self.expr()?));
        }
        let body = self.until("endwith")?;
        self.block_end()?;
        Ok(StmtKind::With(assignments, body))
    }

    fn filter_block(&mut self) -> Parsed<StmtKind> {
        let chain = self.filter_chain(None)?;
        let body = self.until("endfilter")?;
        self.block_end()?;
        Ok(StmtKind::FilterBlock(chain, body))
    }

    fn named_block(&mut self) -> Parsed<StmtKind> {
        let name = self.name()?;
        let scoped = self.eat_name("scoped");
        let required = self.eat_name("required");
        let at = self.at();
        let body = self.function(|p| p.until("endblock"))?;
        self.eat_name(&name);
        self.block_end()?;
        let blank = |s: &Stmt| matches!(&s.kind, StmtKind::Text(t) if t.trim().is_empty());
        if required && !body.iter().all(blank) {
            return self.fail_at("a required block can only contain comments or whitespace", at);
        }
        if self.blocks.iter().any(|b| b.name == name) {
            return self.fail_at(format!("block '{name}' defined twice"), at);
        }
        let block = Rc::new(Block { name, scoped, required, body });
        self.blocks.push(block.clone());
        Ok(StmtKind::Block(block))
    }

    fn load_block(&mut self, tag: &str) -> Parsed<StmtKind> {
        self.expect_name("as")?;
        let target = self.targets()?;
        let body = self.function(|p| p.until("endload"))?;
        self.block_end()?;
        Ok(StmtKind::LoadBlock(format_of(tag), target, body))
    }

    fn import_data(&mut self, tag: &str) -> Parsed<StmtKind> {
        let from = self.expr()?;
        self.expect_name("as")?;
        let name = self.name()?;
        let context = self.context(false);
        Ok(StmtKind::ImportData { format: format_of(tag), from, name, context })
    }

    /// `with context` or `without context`, if it is there.
    fn context(&mut self, default: bool) -> bool {
        let with = self.is_name("with");
        let here = with || self.is_name("without");
        if here && matches!(self.ahead(1), Token::Name(n) if n == "context") {
            self.index += 2;
            return with;
        }
        default
    }

    fn include(&mut self) -> Parsed<StmtKind> {
        let names = self.expr()?;
        let ignore_missing =
            self.is_name("ignore") && matches!(self.ahead(1), Token::Name(n) if n == "missing");
        self.index += if ignore_missing { 2 } else { 0 };
        let context = self.context(true);
        Ok(StmtKind::Include { names, ignore_missing, context })
    }

    fn import(&mut self) -> Parsed<StmtKind> {
        let from = self.expr()?;
        self.expect_name("as")?;
        let name = self.name()?;
        let context = self.context(false);
        Ok(StmtKind::Import { from, name, context })
    }

    fn import_names(&mut self) -> Parsed<StmtKind> {
        let from = self.expr()?;
        self.expect_name("import")?;
        let mut names = Vec::new();
        let context = loop {
            if (self.is_name("with") || self.is_name("without"))
                && matches!(self.ahead(1), Token::Name(n) if n == "context")
            {
                break self.context(false);
            }
            if *self.peek() == Token::BlockEnd {
                break false;
            }
            let name = self.name()?;
            if name.starts_with('_') {
                return self.fail(format!("`{name}` starts with an underscore: it cannot be imported"));
            }
            let alias = if self.eat_name("as") { self.name()? } else { name.clone() };
            names.push((name, alias));
            if !self.eat_op(",") {
                break self.context(false);
            }
        };
        if names.is_empty() {
            return self.fail("nothing is imported");
        }
        Ok(StmtKind::From { from, names, context })
    }
}

fn format_of(tag: &str) -> Format {
    match tag.rsplit('_').next() {
        Some("yaml") => Format::Yaml,
        Some("json") => Format::Json,
        _ => Format::Text,
    }
}
