//! Replacing what a Python regular expression matches.

/// Bytes of a text after replacing.
const MAX_LENGTH: usize = 8 << 20;

/// Replaces every match, as `re.sub` does: an empty match counts also right behind another match.
pub(crate) fn replaced(
    regex: &fancy_regex::Regex,
    text: &str,
    mut with: impl FnMut(&fancy_regex::Captures<'_, str>) -> String,
) -> Result<String, String> {
    let wrong = |e: fancy_regex::Error| format!("matching a regular expression: {e}");
    let mut out = String::new();
    let (mut copied, mut from, mut last_empty) = (0, 0, None);
    while from <= text.len() {
        let Some(found) = regex.captures_from_pos(text, from).map_err(wrong)? else { break };
        let Some(all) = found.get(0) else { break };
        if all.start() == all.end() && last_empty == Some(all.start()) {
            from = all.end() + text[all.end()..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        out.push_str(&text[copied..all.start()]);
        out.push_str(&with(&found));
        if out.len() > MAX_LENGTH {
            return Err(format!("replacing makes a text longer than {MAX_LENGTH}"));
        }
        (copied, from) = (all.end(), all.end());
        last_empty = (all.start() == all.end()).then_some(all.start());
        if last_empty.is_some() {
            // A match that is not empty may start where an empty one was.
            last_empty = Some(all.end());
            from = all.end() + text[all.end()..].chars().next().map_or(1, char::len_utf8);
        }
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

/// What a match is replaced with: text, and groups by number.
pub(crate) struct Template(Vec<Result<String, usize>>);

impl Template {
    /// Reads `\\1`, `\\g<name>` and the escapes of a replacement.
    ///
    /// # Errors
    /// What Python would refuse: a group that is not there, an escape that is none.
    pub(crate) fn parse(text: &str, regex: &fancy_regex::Regex) -> Result<Self, String> {
        let mut parts: Vec<Result<String, usize>> = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let group = match (c, if c == '\\' { chars.next() } else { None }) {
                ('\\', None) => return Err("bad escape (end of pattern)".to_owned()),
                ('\\', Some('g')) => {
                    let named: String =
                        chars.by_ref().skip_while(|c| *c == '<').take_while(|c| *c != '>').collect();
                    named.parse().or_else(|_| {
                        let index = regex.capture_names().position(|n| n == Some(&*named));
                        index.ok_or_else(|| format!("unknown group name '{named}'"))
                    })?
                }
                ('\\', Some(d @ '1'..='9')) => {
                    let second = chars.next_if(char::is_ascii_digit);
                    let number: String = [Some(d), second].into_iter().flatten().collect();
                    number.parse().map_err(|_| "invalid group reference".to_owned())?
                }
                ('\\', Some(escape)) => {
                    literal.push_str(&plain_escape(escape)?);
                    continue;
                }
                (c, _) => {
                    literal.push(c);
                    continue;
                }
            };
            if group >= regex.captures_len() {
                return Err(format!("invalid group reference {group}"));
            }
            parts.push(Ok(std::mem::take(&mut literal)));
            parts.push(Err(group));
        }
        parts.push(Ok(literal));
        Ok(Self(parts))
    }

    /// The replacement of one match.
    pub(crate) fn fill(&self, found: &fancy_regex::Captures<'_, str>) -> String {
        let part = |part: &Result<String, usize>| match part {
            Ok(text) => text.clone(),
            Err(group) => found.get(*group).map_or("", |m| m.as_str()).to_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

fn plain_escape(escape: char) -> Result<String, String> {
    Ok(match escape {
        'n' => "\n".to_owned(),
        't' => "\t".to_owned(),
        'r' => "\r".to_owned(),
        'a' => "\x07".to_owned(),
        'b' => "\x08".to_owned(),
        'f' => "\x0c".to_owned(),
        'v' => "\x0b".to_owned(),
        '0' => "\0".to_owned(),
        '\\' => "\\".to_owned(),
        c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
        c => format!("\\{c}"),
    })
}
