//! A small XML tree and its text.
use std::borrow::Cow;

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

/// An element: its text, or its children.
#[derive(Debug, Clone)]
pub(super) struct El {
    name: Cow<'static, str>,
    namespace: Option<&'static str>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    Children(Vec<El>),
}

/// An element with a text.
// By value, so that callers can hand in numbers, texts and references alike.
#[allow(clippy::needless_pass_by_value)]
pub(super) fn text(name: impl Into<Cow<'static, str>>, value: impl ToString) -> El {
    El { name: name.into(), namespace: None, content: Content::Text(value.to_string()) }
}

/// An element with a text, or nothing.
pub(super) fn maybe(name: &'static str, value: Option<impl ToString>) -> Option<El> {
    value.map(|value| text(name, value))
}

/// An element with children.
pub(super) fn node(name: impl Into<Cow<'static, str>>, children: impl IntoIterator<Item = El>) -> El {
    El { name: name.into(), namespace: None, content: Content::Children(children.into_iter().collect()) }
}

/// A list: each entry in an element of this name.
pub(super) fn list(name: &'static str, entry: &'static str, items: impl IntoIterator<Item = Vec<El>>) -> El {
    node(name, items.into_iter().map(|children| node(entry, children)))
}

/// A list of texts.
pub(super) fn texts<T: ToString>(
    name: &'static str,
    entry: &'static str,
    items: impl IntoIterator<Item = T>,
) -> El {
    node(name, items.into_iter().map(|item| text(entry, item)))
}

impl El {
    /// With an `xmlns`.
    pub(super) fn in_namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// The document.
    pub(super) fn document(&self) -> String {
        let mut writer = Writer::new(Vec::new());
        self.write(&mut writer);
        let body = String::from_utf8(writer.into_inner()).unwrap_or_default();
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}")
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) {
        let mut start = BytesStart::new(self.name.as_ref());
        if let Some(namespace) = self.namespace {
            start.push_attribute(("xmlns", namespace));
        }
        // Writing to memory cannot fail, so the results say nothing.
        let _ = writer.write_event(Event::Start(start));
        match &self.content {
            Content::Text(text) => {
                let clean: String = text.chars().filter(|c| is_xml(*c)).collect();
                let _ = writer.write_event(Event::Text(BytesText::new(&clean)));
            }
            Content::Children(children) => children.iter().for_each(|child| child.write(writer)),
        }
        let _ = writer.write_event(Event::End(BytesEnd::new(self.name.as_ref())));
    }
}

/// Characters that XML 1.0 can have at all.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
