//! The ageing of passwords: shadow(5), and chage(1) that changes it.

use crate::engine::step::{Call, Failure};
use crate::fsys;
use crate::modules::args::{Args, scalar};
use crate::value::{Map, Value};

const LIMIT: usize = 64 << 20;

/// One number of an entry: the argument of `user.present`, Salt's name of the field, the option of chage.
struct Field {
    argument: &'static str,
    name: &'static str,
    option: &'static str,
}

/// In the order of shadow(5).
const FIELDS: [Field; 6] = [
    Field { argument: "date", name: "lstchg", option: "-d" },
    Field { argument: "mindays", name: "min", option: "-m" },
    Field { argument: "maxdays", name: "max", option: "-M" },
    Field { argument: "warndays", name: "warn", option: "-W" },
    Field { argument: "inactdays", name: "inact", option: "-I" },
    Field { argument: "expire", name: "expire", option: "-E" },
];

/// What is known of a user's password. A number that is not set is -1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shadow {
    /// The hash.
    pub(crate) password: String,
    numbers: [i64; FIELDS.len()],
}

impl Shadow {
    /// The entry of a user; none where there is no such user, or no file.
    pub(crate) fn of(user: &str, call: &Call<'_>) -> Result<Option<Self>, Failure> {
        let path = call.context.host.path("/etc/shadow");
        if fsys::stat(&path)?.kind == fsys::Kind::Missing {
            return Ok(None);
        }
        let text = fsys::read_text(&path, LIMIT)?;
        Ok(text.lines().find_map(|line| Self::parse(line, user)))
    }

    fn parse(line: &str, user: &str) -> Option<Self> {
        let mut fields = line.split(':');
        fields.next().filter(|name| *name == user)?;
        let password = fields.next()?.to_owned();
        let numbers = FIELDS.map(|_| fields.next().and_then(|n| n.parse().ok()).unwrap_or(-1));
        Some(Self { password, numbers })
    }

    /// What differs from an earlier entry, by Salt's names; a hash is never told.
    pub(crate) fn since(&self, before: &Self) -> Map {
        let mut changes = Map::new();
        if self.password != before.password {
            changes.insert("passwd".to_owned(), Value::Str("<hidden>".to_owned()));
        }
        for ((field, now), then) in FIELDS.iter().zip(self.numbers).zip(before.numbers) {
            if now != then {
                changes.insert(field.name.to_owned(), Value::Int(now));
            }
        }
        changes
    }
}

/// The numbers that a declaration asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ageing([Option<i64>; FIELDS.len()]);

impl Ageing {
    /// From the arguments.
    pub(crate) fn read(args: &Args<'_>) -> Result<Self, Failure> {
        let mut wanted = Self::default();
        for (field, number) in FIELDS.iter().zip(&mut wanted.0) {
            let Some(value) = args.get(field.argument) else { continue };
            let parsed = scalar(value).and_then(|text| text.parse().ok()).filter(|n| *n >= -1);
            let wrong =
                || Failure::declaration(format!("`{}` must be a number of days, or -1", field.argument));
            *number = Some(parsed.ok_or_else(wrong)?);
        }
        Ok(wanted)
    }

    /// Whether anything is asked.
    pub(crate) fn any(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// What is not as asked; of a user that is yet to be made, all of it, by the names of the arguments.
    pub(crate) fn missing(&self, now: Option<&Shadow>) -> (Vec<String>, Map) {
        let (mut options, mut changes) = (Vec::new(), Map::new());
        for (i, (field, wanted)) in FIELDS.iter().zip(self.0).enumerate() {
            let there = now.and_then(|now| now.numbers.get(i).copied());
            let Some(wanted) = wanted.filter(|wanted| there != Some(*wanted)) else { continue };
            options.extend([field.option.to_owned(), wanted.to_string()]);
            let name = if now.is_some() { field.name } else { field.argument };
            changes.insert(name.to_owned(), Value::Int(wanted));
        }
        (options, changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_compared() {
        assert_eq!(Shadow::parse("web:!:19000:0:99999:7:::", "mail"), None);
        let before = Shadow::parse("web:!:19000:0:99999:7:::", "web").unwrap();
        assert_eq!(before.numbers, [19000, 0, 99999, 7, -1, -1]);
        let after = Shadow::parse("web:$6$a$b:19000:0:90:7::20000:", "web").unwrap();
        let changes = after.since(&before);
        assert_eq!(changes.keys().collect::<Vec<_>>(), ["passwd", "max", "expire"]);
        assert!(!format!("{changes:?}").contains("$6$"));
        assert!(before.since(&before).is_empty());
    }

    #[test]
    fn only_what_is_not_as_asked_is_set() {
        let map =
            Map::from([("maxdays".into(), Value::Int(90)), ("warndays".into(), Value::Str("7".into()))]);
        let wanted = Ageing::read(&Args::new(&map)).unwrap();
        let now = Shadow::parse("web:!:19000:0:99999:7:::", "web");
        let (options, changes) = wanted.missing(now.as_ref());
        assert_eq!(
            (options.join(" ").as_str(), changes.keys().collect::<Vec<_>>()),
            ("-M 90", vec![&"max".to_owned()])
        );
        assert_eq!(wanted.missing(None).0.join(" "), "-M 90 -W 7");
        let odd = Map::from([("expire".into(), Value::Str("soon".into()))]);
        assert!(Ageing::read(&Args::new(&odd)).is_err());
    }
}
