//! How the new replace the old, behind which balancers, under which lock: the keys `strategy`, `load_balancer(s)`, `lock`.

use super::node::{Node, Value};
use super::table::{Read, Table, kind};
use super::{Timeouts, keys};
use crate::cloud::BalancerRef;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Keys that an environment replaces as a whole: a part of one kind does not go with a part of another.
pub(crate) const WHOLE: [&[&str]; 3] = [&["load_balancer", "load_balancers"], &["strategy"], &["lock"]];

/// In which waves the new replace the old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// All at once, beside the old.
    #[default]
    BlueGreen,
    /// Some at a time.
    Rolling {
        /// How many at a time.
        batch: Share,
        /// Capacity in service that must stay whatever happens; what it was, when it is not declared.
        minimum: Option<Share>,
    },
    /// A part first, beside the old, then the rest.
    Canary {
        /// The part.
        size: Share,
        /// What has to come before the rest.
        promote: Promote,
    },
}

/// What lets a canary become the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promote {
    /// It held its health for this long.
    Soak(Duration),
    /// Somebody says `mayfly promote`.
    Manual,
}

impl Strategy {
    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BlueGreen => "blue-green",
            Self::Rolling { .. } => "rolling",
            Self::Canary { .. } => "canary",
        }
    }
}

/// A part of all instances: `3`, `25%`, or `1/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many parts of so many.
    Part(u32, u32),
}

impl Share {
    /// How many of `all` that is: at least one, at most all, what is odd counts up.
    #[must_use]
    pub fn of(self, all: u32) -> u32 {
        let many = match self {
            Self::Count(count) => u64::from(count),
            Self::Part(part, whole) => (u64::from(all) * u64::from(part)).div_ceil(u64::from(whole.max(1))),
        };
        u32::try_from(many).unwrap_or(u32::MAX).clamp(1, all.max(1))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Part(part, 100) => write!(f, "{part}%"),
            Self::Part(part, whole) => write!(f, "{part}/{whole}"),
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a part of all such as `2`, `25%` or `1/4`");
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong());
        let share = match (text.strip_suffix('%'), text.split_once('/')) {
            (Some(percent), _) => Self::Part(number(percent)?, 100),
            (None, Some((part, whole))) => Self::Part(number(part)?, number(whole)?),
            (None, None) => Self::Count(number(text)?),
        };
        match share {
            Self::Count(0) | Self::Part(0, _) | Self::Part(_, 0) => Err(wrong()),
            Self::Part(part, whole) if part > whole => Err(wrong()),
            share => Ok(share),
        }
    }
}

/// Where the lock is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LockPlace {
    /// The name of a launch template.
    #[default]
    Template,
    /// An object in S3.
    Bucket {
        /// The bucket.
        bucket: String,
        /// What the key begins with; empty or ending in `/`.
        prefix: String,
    },
}

/// All balancers that the spec names, in its order.
pub(super) fn balancers(top: &Table<'_>) -> Read<Vec<BalancerRef>> {
    match (top.get("load_balancer"), top.get("load_balancers")) {
        (Some(_), Some(_)) => {
            Err(top.value("load_balancers", "give `load_balancer` or `load_balancers`, not both"))
        }
        (Some(node), None) if is_none(node) => Ok(Vec::new()),
        (None, Some(node)) if is_none(node) => Ok(Vec::new()),
        (Some(node), None) => Ok(vec![balancer(node, "load_balancer")?]),
        (None, Some(node)) => list(top, node),
        (None, None) => Ok(Vec::new()),
    }
}

fn list(top: &Table<'_>, node: &Node) -> Read<Vec<BalancerRef>> {
    let Value::List(items) = &node.value else { return Err(kind(node, "load_balancers", "a list")) };
    let mut found: Vec<BalancerRef> = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let key = format!("load_balancers[{number}]");
        let balancer = balancer(item, &key)?;
        if found.contains(&balancer) {
            return Err(top.value("load_balancers", format!("{balancer} is listed twice")));
        }
        found.push(balancer);
    }
    Ok(found)
}

fn is_none(node: &Node) -> bool {
    matches!(&node.value, Value::Text(word) if word == "none")
}

fn balancer(node: &Node, key: &str) -> Read<BalancerRef> {
    let table = Table::open(node, key, keys::BALANCER)?;
    match (table.text("classic")?, table.text("target_group")?) {
        (Some(name), None) => Ok(BalancerRef::Classic(name)),
        (None, Some(group)) => Ok(BalancerRef::TargetGroup(group)),
        (Some(_), Some(_)) => {
            Err(table.value("target_group", "one entry is one balancer; list several under `load_balancers`"))
        }
        (None, None) => Err(table.missing("classic")),
    }
}

pub(super) fn strategy(top: &Table<'_>, count: u32) -> Read<Strategy> {
    let Some(node) = top.get("strategy") else { return Ok(Strategy::BlueGreen) };
    if let Value::Text(word) = &node.value {
        return match word.as_str() {
            "blue-green" => Ok(Strategy::BlueGreen),
            other => Err(top.value(
                "strategy",
                format!("`{other}` is not `blue-green`, `{{rolling: …}}` or `{{canary: …}}`"),
            )),
        };
    }
    let table = Table::open(node, "strategy", keys::STRATEGY)?;
    match (table.get("rolling"), table.get("canary")) {
        (Some(node), None) => rolling(node, count),
        (None, Some(node)) => canary(node),
        _ => Err(top.value("strategy", "give one of `rolling` and `canary`")),
    }
}

fn rolling(node: &Node, count: u32) -> Read<Strategy> {
    let table = Table::open(node, "strategy.rolling", keys::ROLLING)?;
    let batch = share(&table, "batch")?.ok_or_else(|| table.missing("batch"))?;
    let minimum = share(&table, "minimum")?;
    match minimum {
        Some(Share::Count(least)) if least > count => {
            Err(table.value("minimum", format!("{least} is more than `count`, {count}")))
        }
        _ => Ok(Strategy::Rolling { batch, minimum }),
    }
}

fn canary(node: &Node) -> Read<Strategy> {
    let table = Table::open(node, "strategy.canary", keys::CANARY)?;
    let size = share(&table, "size")?.ok_or_else(|| table.missing("size"))?;
    let promote = match (table.duration("soak")?, table.text("promote")?.as_deref()) {
        (Some(soak), None) => Promote::Soak(soak),
        (None, Some("manual")) => Promote::Manual,
        (None, Some(other)) => return Err(table.value("promote", format!("`{other}` is not `manual`"))),
        (Some(_), Some(_)) => {
            return Err(table.value("promote", "give `soak: DURATION` or `promote: manual`, not both"));
        }
        (None, None) => return Err(table.missing("soak")),
    };
    Ok(Strategy::Canary { size, promote })
}

fn share(table: &Table<'_>, name: &str) -> Read<Option<Share>> {
    let Some(node) = table.get(name) else { return Ok(None) };
    let text = match &node.value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        _ => return Err(kind(node, &table.key(name), "a number such as `2` or a part such as `25%`")),
    };
    text.parse().map(Some).map_err(|why: String| table.value(name, why))
}

pub(super) fn lock(top: &Table<'_>) -> Read<LockPlace> {
    let Some(node) = top.get("lock") else { return Ok(LockPlace::Template) };
    let table = Table::open(node, "lock", keys::LOCK)?;
    let bucket = table.text("bucket")?.ok_or_else(|| table.missing("bucket"))?;
    let prefix = table.text("prefix")?.unwrap_or_default();
    let prefix = prefix.trim_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Ok(LockPlace::Bucket { bucket, prefix })
}

/// How long a pause before a step waits to be let go on.
pub(super) fn pause(table: &Table<'_>) -> Read<Duration> {
    Ok(table.duration("pause")?.unwrap_or(Timeouts::default().pause))
}

/// What an environment gives of a group of keys replaces all that the base gives of it.
pub(super) fn without_replaced(base: Node, over: &Node) -> Node {
    let (Node { at, value: Value::Map(entries) }, Value::Map(given)) = (base.clone(), &over.value) else {
        return base;
    };
    let replaced = |name: &str| {
        let group = WHOLE.iter().find(|group| group.contains(&name));
        group.is_some_and(|group| given.iter().any(|(key, _)| group.contains(&key.name.as_str())))
    };
    let entries = entries.into_iter().filter(|(key, _)| !replaced(&key.name)).collect();
    Node { at, value: Value::Map(entries) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;

    const BASE: &str = "\
service: greeter
count: 6
image: ami-1
states: {url: 'https://example.org/states.git'}
probe: none
";

    fn read(more: &str) -> Spec {
        Spec::parse(&format!("{BASE}{more}"), "mayfly.yaml", "production", &[]).expect("a spec")
    }

    fn error(more: &str) -> String {
        let text = format!("{BASE}{more}");
        Spec::parse(&text, "mayfly.yaml", "production", &[]).expect_err("refused").to_string()
    }

    #[test]
    fn a_share_counts_up_and_is_never_nothing() {
        let of = |text: &str, all| text.parse::<Share>().expect("a share").of(all);
        assert_eq!([of("2", 6), of("25%", 6), of("1/4", 6), of("1%", 6), of("100%", 6)], [2, 2, 2, 1, 6]);
        assert_eq!([of("9", 6), of("2", 0)], [6, 1]);
        for wrong in ["0", "0%", "101%", "5/4", "1/0", "x", "-1", ""] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn strategies_are_read() {
        assert_eq!(read("").strategy, Strategy::BlueGreen);
        assert_eq!(read("strategy: blue-green\n").strategy, Strategy::BlueGreen);
        let rolling = Strategy::Rolling { batch: Share::Count(2), minimum: Some(Share::Part(50, 100)) };
        assert_eq!(read("strategy: {rolling: {batch: 2, minimum: 50%}}\n").strategy, rolling);
        let canary = |promote| Strategy::Canary { size: Share::Part(10, 100), promote };
        let soak = Promote::Soak(Duration::from_secs(600));
        assert_eq!(read("strategy: {canary: {size: 10%, soak: 10m}}\n").strategy, canary(soak));
        let text = "strategy: {canary: {size: 10%, promote: manual}}\n";
        assert_eq!(read(text).strategy, canary(Promote::Manual));
    }

    #[test]
    fn what_makes_no_strategy_is_refused_where_it_stands() {
        for (text, why) in [
            (
                "strategy: {rolling: {}}\n",
                "`strategy.rolling.batch` is missing; docs/spec.md shows what it takes",
            ),
            ("strategy: {rolling: {batch: 0}}\n", "`0` is not a part of all such as `2`, `25%` or `1/4`"),
            ("strategy: {rolling: {batch: 1, minimum: 9}}\n", "9 is more than `count`, 6"),
            ("strategy: {canary: {size: 1}}\n", "`strategy.canary.soak` is missing"),
            ("strategy: {canary: {size: 1, soak: 1m, promote: manual}}\n", "not both"),
            ("strategy: red\n", "`red` is not `blue-green`"),
            ("load_balancer: {classic: a, target_group: b}\n", "list several under `load_balancers`"),
            ("load_balancer: {}\n", "`load_balancer.classic` is missing"),
            ("load_balancers: [{classic: a}, {classic: a}]\n", "a is listed twice"),
            ("load_balancers: [{classic: a}]\nload_balancer: {classic: b}\n", "not both"),
        ] {
            let said = error(text);
            assert!(said.starts_with("mayfly.yaml:6:") || said.starts_with("mayfly.yaml:7:"), "{said}");
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn balancers_of_both_kinds_are_read_in_order() {
        let spec = read("load_balancers: [{target_group: web}, {classic: old}]\n");
        let expected = [BalancerRef::TargetGroup("web".into()), BalancerRef::Classic("old".into())];
        assert_eq!(spec.load_balancers, expected);
        assert_eq!(read("load_balancer: none\n").load_balancers, []);
    }

    #[test]
    fn an_environment_replaces_balancers_and_strategy_as_a_whole() {
        let text = format!(
            "{BASE}load_balancers: [{{classic: a}}, {{classic: b}}]\nstrategy: {{rolling: {{batch: 1}}}}\n\
             environments:\n  staging: {{load_balancer: {{target_group: c}}, strategy: {{canary: {{size: 1, soak: 1m}}}}}}\n"
        );
        let spec = Spec::parse(&text, "mayfly.yaml", "staging", &[]).expect("a spec");
        assert_eq!(spec.load_balancers, [BalancerRef::TargetGroup("c".into())]);
        assert_eq!(spec.strategy.name(), "canary");
        let spec = Spec::parse(&text, "mayfly.yaml", "production", &[]).expect("a spec");
        assert_eq!((spec.load_balancers.len(), spec.strategy.name()), (2, "rolling"));
    }

    #[test]
    fn a_lock_in_a_bucket_has_a_tidy_prefix() {
        let place = |prefix: &str| LockPlace::Bucket { bucket: "b".into(), prefix: prefix.into() };
        assert_eq!(read("lock: {bucket: b, prefix: /x/y/}\n").lock, place("x/y/"));
        assert_eq!(read("lock: {bucket: b}\n").lock, place(""));
        assert_eq!(read("").lock, LockPlace::Template);
    }
}
