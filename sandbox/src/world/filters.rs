//! Filters, wildcards and pages: what all `Describe…` calls share.
use super::error::{ApiError, ApiResult};
use super::model::Tags;
use super::request::{Describe, Filter};
use super::response::Page;

/// Whether a text matches a filter value: `*` is any run of characters, `?` any one, `\` takes the next literally.
pub(super) fn matches_pattern(pattern: &str, text: &str) -> bool {
    if !pattern.contains(['*', '?', '\\']) {
        return pattern == text;
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let literal = pattern.get(p) == Some(&'\\') && p + 1 < pattern.len();
        let at = if literal { p + 1 } else { p };
        match pattern.get(at) {
            Some('*') if !literal => {
                retry = Some((p, t));
                p += 1;
                continue;
            }
            Some(&wanted) if wanted == text[t] || (wanted == '?' && !literal) => {
                (p, t) = (at + 1, t + 1);
                continue;
            }
            _ => {}
        }
        let Some((star, from)) = retry else { return false };
        (p, t) = (star + 1, from + 1);
        retry = Some((star, from + 1));
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// What a record says to a filter name.
pub(super) enum Field {
    /// These values; none of them is "does not match".
    Values(Vec<String>),
    /// The filter does not exist for this kind of record.
    Unknown,
}

impl Field {
    pub(super) fn one(value: impl Into<String>) -> Self {
        Self::Values(vec![value.into()])
    }

    pub(super) fn maybe(value: Option<impl Into<String>>) -> Self {
        Self::Values(value.into_iter().map(Into::into).collect())
    }
}

/// The filters on tags that every kind of record has.
pub(super) fn tag_field(tags: &Tags, name: &str) -> Field {
    match name {
        "tag-key" => Field::Values(tags.keys().cloned().collect()),
        "tag-value" => Field::Values(tags.values().cloned().collect()),
        _ => match name.strip_prefix("tag:") {
            Some(key) => Field::maybe(tags.get(key).cloned()),
            None => Field::Unknown,
        },
    }
}

/// Whether a record matches all filters.
pub(super) fn matches(filters: &[Filter], field: impl Fn(&str) -> Field) -> ApiResult<bool> {
    for filter in filters {
        match field(&filter.name) {
            Field::Unknown => return Err(unknown_filter(&filter.name)),
            Field::Values(values) => {
                let hit =
                    |value: &String| filter.values.iter().any(|pattern| matches_pattern(pattern, value));
                if !values.iter().any(hit) {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

fn unknown_filter(name: &str) -> ApiError {
    ApiError::client("InvalidParameterValue", format!("The filter '{name}' is invalid"))
}

/// Refuses filters that no record could be asked (there may be no record to ask), and too many values.
pub(super) fn check(filters: &[Filter], field: impl Fn(&str) -> Field) -> ApiResult<()> {
    let values: usize = filters.iter().map(|filter| filter.values.len()).sum();
    if values > 200 {
        return Err(ApiError::client("FilterLimitExceeded", "The maximum number of filter values is 200."));
    }
    for filter in filters {
        if matches!(field(&filter.name), Field::Unknown) {
            return Err(unknown_filter(&filter.name));
        }
        if filter.values.is_empty() {
            return Err(ApiError::missing(&format!("value for filter '{}'", filter.name)));
        }
    }
    Ok(())
}

/// The rules of `MaxResults`, and the page that is asked for out of records in a stable order.
///
/// The token holds the key of the last record seen, so that records which come and go between two pages neither
/// shift nor repeat the others.
pub(super) fn page<T>(
    describe: &Describe,
    (least, most): (i64, i64),
    items: Vec<T>,
    key: impl Fn(&T) -> String,
) -> ApiResult<Page<T>> {
    if let Some(max) = describe.max_results {
        if !describe.ids.is_empty() {
            let text = "The parameter MaxResults cannot be used together with ids in the same call.";
            return Err(ApiError::combination(text));
        }
        if !(least..=most).contains(&max) {
            let why = format!("Expecting a value between {least} and {most}.");
            return Err(ApiError::invalid("maxResults", &max.to_string(), &why));
        }
    }
    let after = describe.next_token.as_deref().map(read_token).transpose()?;
    let size = describe.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
    let mut rest: Vec<T> =
        items.into_iter().filter(|item| after.as_ref().is_none_or(|after| key(item) > *after)).collect();
    let more = rest.len() > size;
    rest.truncate(size);
    let next_token = if more { rest.last().map(|item| token(&key(item))) } else { None };
    Ok(Page { items: rest, next_token })
}

fn token(key: &str) -> String {
    format!("mf{}", hex::encode(key))
}

fn read_token(token: &str) -> ApiResult<String> {
    let bytes = token.strip_prefix("mf").and_then(|digits| hex::decode(digits).ok());
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| ApiError::client("InvalidParameterValue", "Unable to parse pagination token"))
}
