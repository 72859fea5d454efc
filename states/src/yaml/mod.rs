//! YAML as Salt's loader reads it (PyYAML, YAML 1.1), with the line and column of every node kept.
//!
//! Theory of operation: `events` are those of libyaml, which PyYAML gives Salt, by its port to safe Rust; `guard` spares the
//! port what it cannot read. `compose` makes nodes of them, shares what has an anchor and bounds what a document may use up,
//! `resolve` says what each scalar is, and `construct` makes the values: merge keys, duplicate keys, types. `complaint` words
//! what is wrong, and `dump` writes.
//!
//! A tree must be read or refused exactly as Salt does it; the parsers of YAML 1.2 differ in thousands of small texts.
//!
//! Whole numbers beyond 64 bits, which Python has, are kept as the text of their decimal digits.

mod complaint;
mod compose;
mod construct;
mod dump;
mod events;
mod guard;
mod resolve;

pub(crate) use complaint::{colon_without_space, dash_without_space};
pub(crate) use construct::load;
pub(crate) use dump::{double_quoted, dump, dump_compact};

use std::sync::Arc;

use crate::jinja::{Dict, Key, Py};
use crate::low::Origin;
use crate::value::{Map, Value};

/// Line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pos {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Pos {
    /// The place in a file.
    pub(crate) fn in_file(self, file: impl Into<Arc<str>>) -> Origin {
        Origin { file: file.into(), line: self.line, column: self.column }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Pos,
    pub(crate) data: Data,
}

/// What YAML can say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Node>),
    /// In the order written, keys of any scalar type.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The value for templates, keys keeping their types.
    pub(crate) fn to_py(&self) -> Py {
        match &self.data {
            Data::Null => Py::None,
            Data::Bool(b) => Py::Bool(*b),
            Data::Int(i) => Py::Int(*i),
            Data::Float(f) => Py::Float(*f),
            Data::Str(s) => Py::str(s.as_str()),
            Data::List(l) => Py::list(l.iter().map(Node::to_py).collect()),
            Data::Map(m) => {
                let pair = |(k, v): &(Node, Node)| Key::new(k.to_py()).ok().map(|k| (k, v.to_py()));
                Py::dict(m.iter().filter_map(pair).collect::<Dict>())
            }
        }
    }

    /// The value for the compiler, keys as JSON writes them.
    pub(crate) fn to_value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(b) => Value::Bool(*b),
            Data::Int(i) => Value::Int(*i),
            Data::Float(f) => Value::Float(*f),
            Data::Str(s) => Value::Str(s.clone()),
            Data::List(l) => Value::List(l.iter().map(Node::to_value).collect()),
            Data::Map(m) => Value::Map(m.iter().map(|(k, v)| (k.key(), v.to_value())).collect::<Map>()),
        }
    }

    /// The text of a key.
    pub(crate) fn key(&self) -> String {
        match &self.data {
            Data::Str(s) => s.clone(),
            _ => crate::jinja::key_text(&self.to_py()),
        }
    }

    /// The pairs, if this is a mapping.
    pub(crate) fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.data {
            Data::Map(m) => Some(m),
            _ => None,
        }
    }

    /// The items, if this is a sequence.
    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(l) => Some(l),
            _ => None,
        }
    }

    /// The text, if this is text.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::Str(s) => Some(s),
            _ => None,
        }
    }

    /// What this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a boolean",
            Data::Int(_) | Data::Float(_) => "a number",
            Data::Str(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Data, Node, dump, load};
    use crate::error::Fault;
    use crate::jinja::{Dict, Key, Py};

    fn data(text: &str) -> Data {
        load(text, "t").unwrap().data
    }

    #[test]
    fn a_long_key_is_written_so_that_it_can_be_read_again() {
        let long = "k".repeat(1100);
        let inner: Dict = [(Key::str("a"), Py::Int(1))].into_iter().collect();
        let keys: Dict =
            [(Key::str(long.as_str()), Py::dict(inner)), (Key::str("z"), Py::Int(2))].into_iter().collect();
        let value = Py::dict(keys);
        let block = dump(&value, false).unwrap();
        assert_eq!(block, format!("? {long}\n: a: 1\nz: 2\n"));
        for text in [block, dump(&value, true).unwrap()] {
            assert!(load(&text, "t").unwrap().to_py().equals(&value), "{text}");
        }
    }

    #[test]
    fn plain_scalars_have_the_types_that_salt_gives_them() {
        for (text, expected) in [
            ("yes", Data::Bool(true)),
            ("OFF", Data::Bool(false)),
            ("y", Data::Str("y".into())),
            ("0644", Data::Int(644)),
            ("-012", Data::Int(-10)),
            ("1_000", Data::Int(1000)),
            ("0x1F", Data::Int(31)),
            ("0b101", Data::Int(5)),
            ("190:20:30", Data::Int(685_230)),
            ("1e3", Data::Str("1e3".into())),
            ("1.0e+3", Data::Float(1000.0)),
            ("190:20:30.15", Data::Float(685_230.15)),
            ("-.inf", Data::Float(f64::NEG_INFINITY)),
            ("~", Data::Null),
            ("2001-02-03", Data::Str("2001-02-03".into())),
            ("08", Data::Str("08".into())),
            ("0xFFFFFFFFFFFFFFFF", Data::Str("18446744073709551615".into())),
            ("99999999999999999999", Data::Str("99999999999999999999".into())),
        ] {
            assert_eq!(data(text), expected, "{text}");
        }
        assert!(matches!(data(".nan"), Data::Float(f) if f.is_nan()));
    }

    #[test]
    fn every_node_knows_its_place() {
        let node = load("a:\n  - x\n  - {k: v}\n", "t").unwrap();
        let (key, list) = &node.as_map().unwrap()[0];
        assert_eq!((key.at.line, key.at.column), (1, 1));
        let items = list.as_list().unwrap();
        assert_eq!((items[0].at.line, items[0].at.column), (2, 5));
        assert_eq!((items[1].at.line, items[1].at.column), (3, 5));
    }

    #[test]
    fn a_value_that_is_not_there_is_where_its_key_is() {
        let node = load("a:\n  b:\n\n  c: [{d: }]\n", "t").unwrap();
        let inner = node.as_map().unwrap()[0].1.as_map().unwrap();
        assert_eq!((inner[0].1.at.line, inner[0].1.at.column), (2, 3));
        let flow = &inner[1].1.as_list().unwrap()[0].as_map().unwrap()[0];
        assert_eq!((flow.1.at.line, flow.1.at.column), (4, 8));
    }

    #[test]
    fn a_text_may_end_inside_a_line() {
        for (text, expected) in [
            ("a: |\n  x", "x"),
            ("a: |\n  x\n   ", "x\n "),
            ("a: |+\n  x\n ", "x\n"),
            ("a: >\n  x\n\n  y", "x\ny"),
            ("a: |\n  x\u{2028}", "x\u{2028}"),
            ("a: \"x\\\n  y\"", "xy"),
            ("a: x", "x"),
        ] {
            let node = load(text, "t").unwrap();
            assert_eq!(node.as_map().unwrap()[0].1.as_str(), Some(expected), "{text:?}");
        }
        assert!(load("\"\\", "t").is_err());
        assert!(load("\u{ff41}: b", "t").is_ok());
    }

    #[test]
    fn a_comma_may_be_right_behind_a_tag() {
        for (text, expected) in [
            ("[!!str, a]", vec!["", "a"]),
            ("[a !x, !!str,!!str,b]", vec!["a !x", "", "", "b"]),
            ("[\"q !x, y\", !!str, '!y,z'] # !c, d", vec!["q !x, y", "", "!y,z"]),
            ("[!<tag:yaml.org,2002:str>, !<tag:yaml.org,2002:str> a]", vec!["", "a"]),
            ("[x!<y,!!str,b]", vec!["x!<y", "", "b"]),
            ("- a !b:,c\n- e !d:,", vec!["a !b:,c", "e !d:,"]),
        ] {
            let node = load(text, "t").unwrap();
            let found: Vec<&str> = node.as_list().unwrap().iter().filter_map(Node::as_str).collect();
            assert_eq!(found, expected, "{text}");
        }
        for text in
            ["[!x:,a]", "[a!x:,b]", "[!x,\"", "[!,", "[[!x,", "[!x,[{", &format!("{}[!x,a]", "[".repeat(200))]
        {
            assert!(load(text, "t").is_err(), "{text}");
        }
        let places = load("[!!str,!!str, a]", "t").unwrap();
        let columns: Vec<usize> = places.as_list().unwrap().iter().map(|n| n.at.column).collect();
        assert_eq!(columns, [2, 8, 15]);
    }

    #[test]
    fn what_salt_refuses_is_refused_with_its_place() {
        for (text, line, column) in [
            ("a: 1\nb: 2\na: 3\n", 3, 1),
            ("a: 1\n1: 2\ntrue: 3\n", 3, 1),
            ("a:\n\tb: 1\n", 2, 1),
            ("a: [1\nb: 2\n", 2, 2),
            ("a: !!python/object:os.system x\n", 1, 4),
            ("? [a]\n: b\n", 1, 3),
            ("a: *nothing\n", 1, 4),
            ("---\na\n---\nb\n", 3, 1),
        ] {
            let error = load(text, "t").unwrap_err();
            let origin = error.place.origin.clone().unwrap();
            assert_eq!((origin.line, origin.column), (line, column), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_told_with_both_places() {
        let error = load("a:\n  b: 1\n  c: 2\n  b: 3\n", "t").unwrap_err().to_string();
        assert!(error.starts_with("t:4:3: ") && error.contains("\n  first at t:2:3"), "{error}");
    }

    #[test]
    fn billion_laughs_are_stopped() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            let refs = vec![format!("*a{}", i - 1); 10].join(", ");
            text += &format!("a{i}: &a{i} [{refs}]\n");
        }
        let error = load(&text, "t").unwrap_err();
        assert!(matches!(error.fault, Fault::Limit(_)), "{error}");
    }

    #[test]
    fn deep_nesting_is_refused_not_a_crash() {
        assert!(load(&"[".repeat(100_000), "t").is_err());
        let blocks: String = (0..5000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
        assert!(load(&blocks, "t").is_err());
    }

    #[test]
    fn a_long_chain_of_aliases_is_refused_not_a_crash() {
        let links = (1..20_000).map(|i| format!("- &a{i} [*a{}]\n", i - 1));
        let text: String = std::iter::once("- &a0 [x]\n".to_owned()).chain(links).collect();
        assert!(matches!(load(&text, "t").unwrap_err().fault, Fault::Limit(_)));
    }

    #[test]
    fn long_text_behind_many_aliases_is_stopped() {
        let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1000));
        assert!(matches!(load(&text, "t").unwrap_err().fault, Fault::Limit(_)));
    }

    #[test]
    fn a_text_that_is_nearly_a_date_is_written() {
        assert_eq!(dump(&Py::str("2001-02-0"), false).unwrap(), "2001-02-0\n...\n");
        assert_eq!(dump(&Py::str("2001-02-03"), false).unwrap(), "'2001-02-03'\n");
    }

    #[test]
    fn a_line_separator_at_the_end_survives_writing() {
        let text = Py::str("x\u{2028}");
        assert!(load(&dump(&text, false).unwrap(), "t").unwrap().to_py().equals(&text));
    }

    #[test]
    fn advice_says_what_to_write_instead() {
        for (text, help) in [
            ("a:\n\tb: 1\n", "replace the tab"),
            ("a: {{ b }}\n", "into quotes"),
            ("a: %b\n", "into quotes"),
            ("a: b: c\n", "needs quotes"),
            ("a:\n  b\nc\n", "a colon and a space"),
            ("a:\n  - b\n c: d\n", "line up"),
            ("a: *.conf\n", "begins an alias"),
            ("a: 'b\nc: d\n", "ends with the quote"),
            ("a:\n  - b: c\n  -d: e\n", "a space behind the `-`"),
            ("a:\n  - b: c\n    d:e\n", "a space behind the `:`"),
            ("a:\n  b:c\n  d: e\n", "a space behind the `:`"),
        ] {
            let error = load(text, "t").unwrap_err();
            let shown = error.place.help.clone().unwrap_or_default();
            assert!(shown.contains(help), "{text:?}: {error}");
        }
    }

    fn value() -> impl Strategy<Value = Py> {
        let leaf = prop_oneof![
            Just(Py::None),
            any::<bool>().prop_map(Py::Bool),
            any::<i64>().prop_map(Py::Int),
            (-1e9..1e9f64).prop_map(Py::Float),
            ".*".prop_map(Py::str),
            "[a-z0-9:#, \\-\\[\\]{}'\"yesno~?!*&|>%@.\n]{0,12}".prop_map(Py::str),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            let key = "[ -~]{0,8}";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Py::list),
                prop::collection::vec((key, inner), 0..5).prop_map(|pairs| {
                    Py::dict(pairs.into_iter().map(|(k, v)| (Key::str(k), v)).collect::<Dict>())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
            let _ = load(&text, "t");
        }

        #[test]
        fn yaml_like_text_is_read_or_refused(text in "([a-z&*!<]{0,3}[:,\\-\\[\\]{}'\"|>#?% \n\t]{0,3}){0,30}") {
            let _ = load(&text, "t");
        }

        #[test]
        fn what_is_written_reads_back(value in value(), flow in any::<bool>()) {
            let text = dump(&value, flow).unwrap();
            let back = load(&text, "t").map(|n: Node| n.to_py());
            let same = back.as_ref().is_ok_and(|b| b.equals(&value));
            prop_assert!(same, "{}\n{:?}", text, back.err().map(|e| e.to_string()));
        }
    }
}
