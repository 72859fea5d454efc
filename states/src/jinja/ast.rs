//! The syntax tree of a template: owned, so that macros can outlive the file that they came from.

use std::rc::Rc;

/// A byte offset into the template's source; line and column are worked out when an error needs them.
pub(super) type At = u32;

/// A parsed template.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) name: Rc<str>,
    pub(super) source: Rc<str>,
    pub(super) body: Vec<Stmt>,
    /// Every block in it, also those inside other statements.
    pub(super) blocks: Vec<Rc<Block>>,
}

/// A block of template inheritance.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) name: Rc<str>,
    /// It sees the variables around it.
    pub(super) scoped: bool,
    /// It must be overridden.
    pub(super) required: bool,
    pub(super) body: Vec<Stmt>,
}

#[derive(Debug)]
pub(super) struct Stmt {
    pub(super) at: At,
    pub(super) kind: StmtKind,
}

#[derive(Debug)]
pub(super) enum StmtKind {
    Text(Rc<str>),
    Print(Expr),
    For(Rc<For>),
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    Set(Target, Expr),
    SetBlock(Target, Option<Expr>, Vec<Stmt>),
    With(Vec<(Target, Expr)>, Vec<Stmt>),
    Macro(Rc<Macro>),
    CallBlock(Rc<Macro>, Expr),
    FilterBlock(Expr, Vec<Stmt>),
    Import { from: Expr, name: Rc<str>, context: bool },
    From { from: Expr, names: Vec<(Rc<str>, Rc<str>)>, context: bool },
    Include { names: Expr, ignore_missing: bool, context: bool },
    Do(Expr),
    Break,
    Continue,
    Block(Rc<Block>),
    Extends(Expr),
    Autoescape(Expr, Vec<Stmt>),
    LoadBlock(Format, Target, Vec<Stmt>),
    ImportData { format: Format, from: Expr, name: Rc<str>, context: bool },
}

/// What Salt's `load_*` and `import_*` tags read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Yaml,
    Json,
    Text,
}

#[derive(Debug)]
pub(super) struct For {
    pub(super) target: Target,
    pub(super) iter: Expr,
    pub(super) filter: Option<Expr>,
    pub(super) recursive: bool,
    /// `loop` is mentioned in it: only then there is one.
    pub(super) uses_loop: bool,
    pub(super) body: Vec<Stmt>,
    pub(super) otherwise: Vec<Stmt>,
}

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Rc<str>,
    pub(super) params: Vec<(Rc<str>, Option<Expr>)>,
    pub(super) body: Vec<Stmt>,
    /// The body mentions `varargs`, `kwargs`, `caller`.
    pub(super) uses: Uses,
}

/// Which of the names that Jinja gives to macros a body mentions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Uses {
    pub(super) varargs: bool,
    pub(super) kwargs: bool,
    pub(super) caller: bool,
}

/// What can be assigned to.
#[derive(Debug)]
pub(super) enum Target {
    Name(Rc<str>),
    Attr(Rc<str>, Rc<str>),
    Tuple(Vec<Target>),
}

#[derive(Debug)]
pub(super) struct Expr {
    pub(super) at: At,
    /// How many expressions are inside of each other here, this one included.
    pub(super) height: u32,
    pub(super) kind: ExprKind,
}

#[derive(Debug)]
pub(super) enum ExprKind {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    Name(Rc<str>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Pos(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Bin(BinOp, Box<Expr>, Box<Expr>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(CmpOp, Expr)>),
    Cond(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    Attr(Box<Expr>, Rc<str>),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Call(Box<Expr>, Args),
    /// `None` as the subject: the text of a filter block.
    Filter(Option<Box<Expr>>, Rc<str>, Args),
    Test(Box<Expr>, Rc<str>, Args),
}

impl ExprKind {
    /// The height of the highest expression right inside.
    pub(super) fn tallest(&self) -> u32 {
        match self {
            Self::None | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Str(_) | Self::Name(_) => 0,
            Self::List(all) | Self::Tuple(all) | Self::Concat(all) => highest(all),
            Self::Dict(pairs) => highest(pairs.iter().flat_map(|(k, v)| [k, v])),
            Self::Not(a) | Self::Neg(a) | Self::Pos(a) | Self::Attr(a, _) => a.height,
            Self::And(a, b) | Self::Or(a, b) | Self::Bin(_, a, b) | Self::Item(a, b) => {
                a.height.max(b.height)
            }
            Self::Compare(first, rest) => first.height.max(highest(rest.iter().map(|(_, e)| e))),
            Self::Cond(a, b, c) => a.height.max(b.height).max(c.as_ref().map_or(0, |c| c.height)),
            Self::Slice(of, bounds) => of.height.max(highest(bounds.iter().flatten().map(|b| &**b))),
            Self::Call(of, args) | Self::Test(of, _, args) => of.height.max(args.tallest()),
            Self::Filter(of, _, args) => args.tallest().max(of.as_ref().map_or(0, |of| of.height)),
        }
    }
}

fn highest<'e>(all: impl IntoIterator<Item = &'e Expr>) -> u32 {
    all.into_iter().map(|e| e.height).max().unwrap_or(0)
}

impl Args {
    fn tallest(&self) -> u32 {
        let stars = [&self.star, &self.double_star].into_iter().flatten().map(|e| &**e);
        highest(self.positional.iter().chain(self.named.iter().map(|(_, e)| e)).chain(stars))
    }
}

#[derive(Debug, Default)]
pub(super) struct Args {
    pub(super) positional: Vec<Expr>,
    pub(super) named: Vec<(Rc<str>, Expr)>,
    pub(super) star: Option<Box<Expr>>,
    pub(super) double_star: Option<Box<Expr>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CmpOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}
