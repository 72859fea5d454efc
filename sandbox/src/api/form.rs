//! Form parameters: AWS's flattened lists and structures, read by name, remembering what nobody read.
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::world::{ApiError, ApiResult, Filter, Tags};

/// More parameters than any honest call has.
const MAX_PARAMETERS: usize = 5_000;

/// All parameters of one call.
#[derive(Debug, Default)]
pub(super) struct Form {
    values: BTreeMap<String, String>,
    read: RefCell<BTreeSet<String>>,
}

impl Form {
    /// Parses `application/x-www-form-urlencoded`.
    pub(super) fn parse(query: &str, body: &[u8]) -> ApiResult<Self> {
        let malformed =
            |_| ApiError::client("MalformedQueryString", "The query string contains a syntax error.");
        let mut values: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(malformed)?;
        let posted: Vec<(String, String)> = serde_urlencoded::from_bytes(body).map_err(malformed)?;
        values.extend(posted);
        if values.len() > MAX_PARAMETERS {
            let text = format!("A call can have at most {MAX_PARAMETERS} parameters.");
            return Err(ApiError::client("MalformedQueryString", text));
        }
        Ok(Self { values: values.into_iter().collect(), read: RefCell::default() })
    }

    /// Parameters as they are written at the top; `member` is how ELB and STS number their lists.
    pub(super) fn top(&self, style: Style) -> Params<'_> {
        Params { form: self, prefix: String::new(), style }
    }

    /// For the log: secrets are taken out.
    pub(super) fn redacted(&self) -> BTreeMap<String, String> {
        let hidden =
            |key: &str| key.contains("Signature") || key.contains("Token") && key.starts_with("X-Amz");
        let redact = |(key, value): (&String, &String)| {
            let shown = if key.ends_with("UserData") || key.ends_with("UserData.Value") {
                format!("({} characters)", value.len())
            } else if hidden(key) {
                "(redacted)".to_owned()
            } else {
                value.chars().take(500).collect()
            };
            (key.clone(), shown)
        };
        self.values.iter().map(redact).collect()
    }

    /// Names of the parameters that nothing has read.
    pub(super) fn unread(&self) -> Vec<String> {
        let read = self.read.borrow();
        let common = |key: &str| {
            key == "Action" || key == "Version" || key.starts_with("X-Amz") || key.starts_with("Signature")
        };
        self.values.keys().filter(|key| !common(key) && !read.contains(*key)).cloned().collect()
    }

    fn get(&self, key: &str) -> Option<&String> {
        let value = self.values.get(key);
        if value.is_some() {
            self.read.borrow_mut().insert(key.to_owned());
        }
        value
    }
}

/// How a service numbers its lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `Name.1`.
    Ec2,
    /// `Name.member.1`.
    Query,
}

/// Parameters below a prefix.
#[derive(Debug, Clone)]
pub(super) struct Params<'a> {
    form: &'a Form,
    prefix: String,
    style: Style,
}

impl Params<'_> {
    /// A text; an empty one is a text too.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.form.get(&format!("{}{name}", self.prefix)).cloned()
    }

    /// A text that says something.
    pub(super) fn said(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// A text that must be there.
    pub(super) fn need(&self, name: &str) -> ApiResult<String> {
        self.said(name).ok_or_else(|| self.missing(name))
    }

    /// A number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> ApiResult<Option<T>> {
        let parse = |text: String| text.parse().map_err(|_| self.bad(name, &text, "Expecting a number."));
        self.said(name).map(parse).transpose()
    }

    /// A number that must be there.
    pub(super) fn need_number<T: FromStr>(&self, name: &str) -> ApiResult<T> {
        self.number(name)?.ok_or_else(|| self.missing(name))
    }

    /// A boolean.
    pub(super) fn flag(&self, name: &str) -> ApiResult<Option<bool>> {
        let parse = |text: String| match text.as_str() {
            "true" | "True" | "1" => Ok(true),
            "false" | "False" | "0" => Ok(false),
            _ => Err(self.bad(name, &text, "Expecting true or false.")),
        };
        self.said(name).map(parse).transpose()
    }

    /// A list of texts, by index.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let base = self.base(name);
        let values =
            self.indices(&base).into_iter().filter_map(|index| self.form.get(&format!("{base}{index}")));
        values.cloned().collect()
    }

    /// A list of structures, by index.
    pub(super) fn structs(&self, name: &str) -> Vec<Self> {
        let base = self.base(name);
        let below = |index| Params { form: self.form, prefix: format!("{base}{index}."), style: self.style };
        self.indices(&base).into_iter().map(below).collect()
    }

    /// One structure.
    pub(super) fn inner(&self, name: &str) -> Self {
        Params { form: self.form, prefix: format!("{}{name}.", self.prefix), style: self.style }
    }

    /// Whether anything is said below the prefix.
    pub(super) fn is_empty(&self) -> bool {
        let first = self.form.values.range(self.prefix.clone()..).next();
        first.is_none_or(|(key, _)| !key.starts_with(&self.prefix))
    }

    /// `Filter.N.Name` and `Filter.N.Value.N`.
    pub(super) fn filters(&self) -> ApiResult<Vec<Filter>> {
        let filter = |filter: Self| Ok(Filter { name: filter.need("Name")?, values: filter.list("Value") });
        self.structs("Filter").into_iter().map(filter).collect()
    }

    /// `NAME.N.Key` and `NAME.N.Value`; a key said twice is refused.
    pub(super) fn tags(&self, name: &str) -> ApiResult<Tags> {
        let mut tags = Tags::new();
        for tag in self.structs(name) {
            let key = tag.text("Key").ok_or_else(|| tag.missing("Key"))?;
            if tags.insert(key.clone(), tag.text("Value").unwrap_or_default()).is_some() {
                let text = format!("Duplicate tag key '{key}' specified.");
                return Err(ApiError::client("InvalidParameterValue", text));
            }
        }
        Ok(tags)
    }

    /// `TagSpecification.N.ResourceType` and `.Tag.N`, by type.
    pub(super) fn tag_specifications(&self) -> ApiResult<BTreeMap<String, Tags>> {
        let mut by_type = BTreeMap::new();
        for specification in self.structs("TagSpecification") {
            let tags = specification.tags("Tag")?;
            let kind = specification.need("ResourceType")?;
            if by_type.insert(kind.clone(), tags).is_some() {
                return Err(self.bad("TagSpecification", &kind, "A resource type can be named once."));
            }
        }
        Ok(by_type)
    }

    fn base(&self, name: &str) -> String {
        match self.style {
            Style::Ec2 => format!("{}{name}.", self.prefix),
            Style::Query => format!("{}{name}.member.", self.prefix),
        }
    }

    /// The numbers after a prefix, in order and once each.
    fn indices(&self, base: &str) -> BTreeSet<u32> {
        let keys = self.form.values.range(base.to_owned()..).map(|(key, _)| key);
        let below = keys.take_while(|key| key.starts_with(base)).map(|key| &key[base.len()..]);
        below.filter_map(|rest| rest.split('.').next().and_then(|index| index.parse().ok())).collect()
    }

    fn missing(&self, name: &str) -> ApiError {
        match self.style {
            Style::Ec2 => ApiError::missing(&format!("{}{name}", self.prefix)),
            Style::Query => ApiError::validation(format!("{}{name} must be given.", self.prefix)),
        }
    }

    fn bad(&self, name: &str, value: &str, why: &str) -> ApiError {
        match self.style {
            Style::Ec2 => ApiError::invalid(&format!("{}{name}", self.prefix), value, why),
            Style::Query => {
                ApiError::validation(format!("Value '{value}' of {}{name} is invalid. {why}", self.prefix))
            }
        }
    }
}
