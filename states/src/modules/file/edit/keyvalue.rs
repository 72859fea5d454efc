//! `file.keyvalue`: values by key, one a line, as in `sshd_config` or `sysctl.conf`.

use super::{Frame, Missing, TextEdit};
use crate::engine::step::{Call, Failure};
use crate::modules::args::{Args, scalar};
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "key",
    "value",
    "key_values",
    "separator",
    "append_if_not_found",
    "prepend_if_not_found",
    "show_changes",
    "ignore_if_missing",
    "count",
    "uncomment",
    "key_ignore_case",
    "value_ignore_case",
    "create_if_missing",
    "prune",
    "follow_symlinks",
];
pub(crate) const IGNORED: &[&str] = &["search_only"];

/// What is to be set, and how keys are found.
pub(crate) struct Spec {
    pairs: Vec<(String, String)>,
    separator: String,
    otherwise: Otherwise,
    count: i64,
    /// Characters that go from the start of a line; `None`: white space.
    uncomment: Option<String>,
    key_ignore_case: bool,
    value_ignore_case: bool,
    prune: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    Leave,
    Append,
    Prepend,
}

/// `file.keyvalue`.
pub(crate) struct KeyValue;

impl TextEdit for KeyValue {
    type Spec = Spec;

    fn read(args: &Args<'_>, call: &Call<'_>) -> Result<(Frame, Spec), Failure> {
        let create = args.flag("create_if_missing", false)?;
        let missing = match (create, args.flag("ignore_if_missing", false)?) {
            (true, _) => Missing::Create { makedirs: false },
            (false, true) => Missing::Ignore,
            (false, false) => Missing::Refuse,
        };
        let otherwise =
            match (args.flag("append_if_not_found", false)?, args.flag("prepend_if_not_found", false)?) {
                (true, _) => Otherwise::Append,
                (false, true) => Otherwise::Prepend,
                (false, false) if create => Otherwise::Append,
                (false, false) => Otherwise::Leave,
            };
        let separator = args.text("separator")?.unwrap_or_else(|| "=".to_owned());
        if separator.is_empty() {
            return Err(Failure::declaration("`separator` is empty"));
        }
        let spec = Spec {
            pairs: pairs(args)?,
            separator,
            otherwise,
            count: count(args)?,
            uncomment: args.text("uncomment")?,
            key_ignore_case: args.flag("key_ignore_case", false)?,
            value_ignore_case: args.flag("value_ignore_case", false)?,
            prune: args.flag("prune", false)?,
        };
        Ok((Frame { missing, ..Frame::read(args, call)? }, spec))
    }

    fn edit(spec: &Spec, text: &str) -> Result<String, String> {
        let mut left: Vec<i64> = spec.pairs.iter().map(|_| spec.count).collect();
        let mut lines: Vec<String> = Vec::new();
        for line in text.split_inclusive('\n') {
            lines.extend(settled(spec, line, &mut left));
        }
        let missing = spec.pairs.iter().zip(&left).filter(|(_, left)| **left > 0).map(|(pair, _)| pair);
        let new = missing.map(|(key, value)| format!("{key}{}{value}\n", spec.separator));
        match spec.otherwise {
            Otherwise::Leave => {}
            Otherwise::Append => append(&mut lines, new.collect()),
            // One before the other, as in Salt.
            Otherwise::Prepend => new.for_each(|line| lines.insert(0, line)),
        }
        Ok(lines.concat())
    }
}

fn append(lines: &mut Vec<String>, new: Vec<String>) {
    if let Some(last) = lines.last_mut().filter(|last| !new.is_empty() && !last.ends_with('\n')) {
        last.push('\n');
    }
    lines.extend(new);
}

fn count(args: &Args<'_>) -> Result<i64, Failure> {
    match args.get("count") {
        None => Ok(1),
        Some(Value::Int(count)) => Ok(*count),
        Some(other) => scalar(other)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Failure::declaration("`count` must be a number")),
    }
}

fn pairs(args: &Args<'_>) -> Result<Vec<(String, String)>, Failure> {
    let given = match (args.text("key")?, args.get("value"), args.get("key_values")) {
        (Some(_), Some(_), Some(_)) => {
            return Err(Failure::declaration(
                "only one of `key` with `value`, and `key_values` can be given",
            ));
        }
        (Some(key), Some(value), None) => Map::from([(key, value.clone())]),
        (_, _, Some(Value::Map(map))) if !map.is_empty() => map.clone(),
        (_, _, Some(_)) => {
            return Err(Failure::declaration("`key_values` must be a mapping with keys in it"));
        }
        _ => return Err(Failure::declaration("`key` and `value`, or `key_values`, are missing")),
    };
    let pair = |(key, value): (String, Value)| match value {
        Value::Null => Ok((key, "None".to_owned())),
        value => match scalar(&value) {
            Some(text) => Ok((key, text)),
            None => Err(Failure::declaration(format!("the value of `{key}` must be text"))),
        },
    };
    given.into_iter().map(pair).collect()
}

/// The line as it should be; `None` when it goes.
fn settled(spec: &Spec, line: &str, left: &mut [i64]) -> Option<String> {
    let bare = match &spec.uncomment {
        None => line.trim_start(),
        Some(marks) => line.trim_start_matches(|c| marks.contains(c)),
    };
    let uncommented = bare.len() < line.len();
    let fold = |text: &str, ignore: bool| if ignore { text.to_lowercase() } else { text.to_owned() };
    let key_case = |text: &str| fold(text, spec.key_ignore_case);
    if spec.prune && !spec.pairs.iter().any(|(key, _)| key_case(bare).starts_with(&key_case(key))) {
        return None;
    }
    let mut line = line.to_owned();
    let Some((key, old)) = bare.split_once(&spec.separator) else { return Some(line) };
    for ((wanted, value), left) in spec.pairs.iter().zip(left) {
        if key_case(key) != key_case(wanted) {
            continue;
        }
        let same = fold(old.trim(), spec.value_ignore_case) == fold(value.trim(), spec.value_ignore_case);
        // One that is commented out is left when there are enough; one too many goes.
        let (same, change) = match (uncommented, *left) {
            (true, left) => (same || left <= 0, left > 0),
            (false, left) => (same, left == 0),
        };
        if !same || change {
            let end = if bare.ends_with("\r\n") { "\r\n" } else { "\n" };
            line = if *left == 0 { String::new() } else { format!("{key}{}{value}{end}", spec.separator) };
        }
        *left -= i64::from(*left > 0);
    }
    Some(line)
}
