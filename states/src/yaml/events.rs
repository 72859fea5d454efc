//! Events of libyaml, the C parser below PyYAML, by its port to safe Rust: what is written, before anything is resolved.

use libyaml_safer::{Encoding, Error, EventData, Parser};

use super::Pos;
use super::compose::Stop;
use super::guard::{LAST_BREAK, Spared};

/// A piece of a document.
pub(super) enum Event {
    Start,
    DocumentStart,
    DocumentEnd,
    End,
    Alias(String),
    Scalar {
        properties: Properties,
        text: String,
        plain: bool,
    },
    Seq(Properties),
    Map(Properties),
    /// The end of a sequence or mapping.
    Close,
}

impl Event {
    /// Whether nothing is written where this node is.
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Event::Scalar { properties, text, plain } => {
                *plain && text.is_empty() && properties.anchor.is_none() && properties.tag.is_none()
            }
            _ => false,
        }
    }
}

/// What is written before a node.
#[derive(Default)]
pub(super) struct Properties {
    pub(super) anchor: Option<String>,
    pub(super) tag: Option<String>,
}

/// The events of a text, one after the other.
pub(super) struct Events<'t, R> {
    text: &'t Spared<'t>,
    parser: Parser<R>,
}

impl<'t, R: std::io::BufRead> Events<'t, R> {
    pub(super) fn new(text: &'t Spared<'t>, input: R) -> Self {
        let mut parser = Parser::new();
        parser.set_input(input);
        parser.set_encoding(Encoding::Utf8);
        Self { text, parser }
    }

    /// The next event and where it begins.
    pub(super) fn next(&mut self) -> Result<(Event, Pos), Stop> {
        let event = self.parser.parse().map_err(|error| self.fault(&error))?;
        let made = match event.data {
            EventData::StreamStart { .. } => Event::Start,
            EventData::StreamEnd => Event::End,
            EventData::DocumentStart { .. } => Event::DocumentStart,
            EventData::DocumentEnd { .. } => Event::DocumentEnd,
            EventData::Alias { anchor } => Event::Alias(anchor),
            EventData::Scalar { anchor, tag, mut value, plain_implicit, .. } => {
                if self.text.ends_at(event.end_mark) && value.ends_with(LAST_BREAK) {
                    value.pop();
                }
                let properties = Properties { anchor, tag };
                Event::Scalar { properties, text: value, plain: plain_implicit }
            }
            EventData::SequenceStart { anchor, tag, .. } => Event::Seq(Properties { anchor, tag }),
            EventData::MappingStart { anchor, tag, .. } => Event::Map(Properties { anchor, tag }),
            EventData::SequenceEnd | EventData::MappingEnd => Event::Close,
        };
        Ok((made, self.text.place(event.start_mark)))
    }

    fn fault(&self, error: &Error) -> Stop {
        let problem = error.problem();
        // A key or a text without an end is best shown where it begins.
        let begins = problem.contains("expected ':'") || problem.contains("end of stream");
        let mark = if begins { error.context_mark() } else { None };
        let mark = mark.or(error.problem_mark()).unwrap_or_default();
        let message = match error.context() {
            Some(context) => format!("{problem} {context}"),
            None => problem.to_owned(),
        };
        Stop::Fault(message, self.text.place(mark))
    }
}
