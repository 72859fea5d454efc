//! Makes a [`Spec`] of text: the environment is merged in, then every value is checked.

use super::error::{Problem, SpecError, nearest};
use super::keys::{ENVIRONMENTS, TOP};
use super::node::{At, Node, Value};
use super::strategy;
use super::table::{Read, Table, Wrong, kind};
use super::{Address, DEFAULT_ENVIRONMENT, Probe, Spec, Timeouts, operate, told};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn spec(text: &str, file: &str, environment: &str) -> Result<Spec, SpecError> {
    let (base, environments) = parts(text, file)?;
    let wrong = |wrong: Wrong| placed(file, wrong);
    check_name(environment).map_err(|why| SpecError {
        file: "--env".to_owned(),
        at: None,
        problem: Box::new(Problem::Value { key: environment.to_owned(), why }),
    })?;
    for (name, over) in &environments {
        validated(&strategy::without_replaced(base.clone(), over).merged(over.clone()), name)
            .map_err(wrong)?;
    }
    match environments.into_iter().find(|(name, _)| name == environment) {
        Some((_, over)) => {
            validated(&strategy::without_replaced(base, &over).merged(over), environment).map_err(wrong)
        }
        None if environment == DEFAULT_ENVIRONMENT => validated(&base, environment).map_err(wrong),
        None => Err(unknown_environment(text, file, environment)),
    }
}

/// The base and the environments of a file.
fn parts(text: &str, file: &str) -> Result<(Node, Vec<(String, Node)>), SpecError> {
    let root = Node::parse(text).map_err(|malformed| SpecError {
        file: file.to_owned(),
        at: malformed.at,
        problem: Box::new(Problem::Malformed(malformed.message)),
    })?;
    split(root).map_err(|wrong| placed(file, wrong))
}

fn placed(file: &str, wrong: Wrong) -> SpecError {
    SpecError { file: file.to_owned(), at: wrong.at, problem: Box::new(wrong.problem) }
}

/// Takes the environments out of the file, so that what remains is the base that they are merged over.
fn split(root: Node) -> Read<(Node, Vec<(String, Node)>)> {
    let named = environments(Table::open(&root, "", TOP)?.get(ENVIRONMENTS))?;
    let Node { at, value: Value::Map(entries) } = root else { return Ok((root, named)) };
    let entries = entries.into_iter().filter(|(key, _)| key.name != ENVIRONMENTS).collect();
    Ok((Node { at, value: Value::Map(entries) }, named))
}

fn environments(node: Option<&Node>) -> Read<Vec<(String, Node)>> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let Value::Map(entries) = &node.value else { return Err(kind(node, ENVIRONMENTS, "a mapping")) };
    entries.iter().map(|(key, node)| environment(&key.name, key.at, node)).collect()
}

/// One override. It is checked for unknown keys by itself, so that the error shows the environment's name.
fn environment(name: &str, at: At, node: &Node) -> Read<(String, Node)> {
    let path = format!("{ENVIRONMENTS}.{name}");
    check_name(name)
        .map_err(|why| Wrong { at: Some(at), problem: Problem::Value { key: path.clone(), why } })?;
    if node.value == Value::Null {
        return Ok((name.to_owned(), Node { at: node.at, value: Value::Map(Vec::new()) }));
    }
    let table = Table::open(node, &path, TOP)?;
    if table.get("service").is_some() {
        return Err(table.value("service", "an environment cannot rename the service"));
    }
    if table.get(ENVIRONMENTS).is_some() {
        return Err(table.value(ENVIRONMENTS, "an environment has no environments of its own"));
    }
    Ok((name.to_owned(), node.clone()))
}

/// The environments of a file, the default one first when its base is complete.
pub(super) fn names(text: &str, file: &str) -> Result<Vec<String>, SpecError> {
    let (base, environments) = parts(text, file)?;
    let mut names: Vec<String> = environments.into_iter().map(|(name, _)| name).collect();
    let is_listed = names.iter().any(|name| name == DEFAULT_ENVIRONMENT);
    if !is_listed && (names.is_empty() || validated(&base, DEFAULT_ENVIRONMENT).is_ok()) {
        names.insert(0, DEFAULT_ENVIRONMENT.to_owned());
    }
    Ok(names)
}

fn unknown_environment(text: &str, file: &str, name: &str) -> SpecError {
    let listed =
        Node::parse(text).ok().and_then(|root| split(root).ok()).map(|(_, named)| named).unwrap_or_default();
    let known: Vec<String> = listed.into_iter().map(|(name, _)| name).collect();
    let nearest = nearest(name, &known.iter().map(String::as_str).collect::<Vec<_>>());
    let problem = Problem::UnknownEnvironment { name: name.to_owned(), nearest, known };
    SpecError { file: file.to_owned(), at: None, problem: Box::new(problem) }
}

fn validated(node: &Node, environment: &str) -> Read<Spec> {
    let top = Table::open(node, "", TOP)?;
    let service = service(&top)?;
    let role = top.text("role")?.unwrap_or_else(|| service.clone());
    check_role(&role).map_err(|why| top.value("role", why))?;
    let count = u32::try_from(top.number("count")?.unwrap_or(1)).unwrap_or(1);
    Ok(Spec {
        environment: environment.to_owned(),
        role,
        count,
        image: super::image::read(&top)?,
        boot: super::image::boot(&top)?,
        instance_types: nonempty(&top, "instance_type", "t3.micro")?,
        subnets: top.texts("subnets")?.unwrap_or_default(),
        security_groups: top.texts("security_groups")?.unwrap_or_default(),
        instance_profile: top.text("instance_profile")?,
        key_name: top.text("key_name")?,
        load_balancers: strategy::balancers(&top)?,
        strategy: strategy::strategy(&top, count)?,
        lock: strategy::lock(&top)?,
        states: told::states(&top)?,
        pillar: top.free("pillar")?,
        grains: top.free("grains")?,
        saltenv: top.text("saltenv")?,
        nodegroups: top.free("nodegroups")?,
        options: top.free("options")?,
        schedule: operate::cron(&top, "schedule")?.map(|(text, _)| text),
        splay: top.duration_text("splay")?,
        drift: operate::cron(&top, "drift")?.map(|(text, _)| text),
        listen: top.text("listen")?,
        supervisor: top.word("supervisor")?,
        watch: told::watch(&top)?,
        probe: probe(&top)?,
        timeouts: timeouts(&top)?,
        tags: tags(&top)?,
        region: top.text("region")?,
        metadata: top.free("metadata")?,
        settings: Vec::new(),
        notify: operate::notify(&top)?,
        github: operate::github(&top)?,
        hooks: operate::hooks(&top)?,
        schedules: operate::schedules(&top)?,
        service,
    })
}

fn service(top: &Table<'_>) -> Read<String> {
    let name = top.text("service")?.ok_or_else(|| top.missing("service"))?;
    let letters = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if name.is_empty() || name.len() > 32 || !letters || name.starts_with('-') {
        return Err(
            top.value("service", "lower-case letters, digits and `-`, at most 32, not starting with `-`")
        );
    }
    if name == "lock" || name.starts_with("lock-") {
        return Err(
            top.value("service", "`lock` and names that start with `lock-` are those of Mayfly's locks")
        );
    }
    Ok(name)
}

fn check_name(name: &str) -> Result<(), String> {
    let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if name.is_empty() || name.len() > 32 || !letters {
        return Err("an environment's name is letters, digits, `-` and `_`, at most 32".to_owned());
    }
    Ok(())
}

fn check_role(role: &str) -> Result<(), String> {
    let letters = role.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if role.is_empty() || role.len() > 64 || !letters {
        return Err("a role is letters, digits, `.`, `_` and `-`, at most 64".to_owned());
    }
    Ok(())
}

fn nonempty(top: &Table<'_>, name: &str, default: &str) -> Read<Vec<String>> {
    let items = top.texts(name)?.unwrap_or_else(|| vec![default.to_owned()]);
    if items.is_empty() {
        return Err(top.value(name, "the list is empty"));
    }
    Ok(items)
}

fn probe(top: &Table<'_>) -> Read<Option<Probe>> {
    if top.is_word("probe", "none") {
        return Ok(None);
    }
    let table = top.section("probe")?.ok_or_else(|| top.missing("probe"))?;
    let port = table.number("port")?.ok_or_else(|| table.missing("port"))?;
    let path = table.text("path")?.unwrap_or_else(|| "/".to_owned());
    if !path.starts_with('/') {
        return Err(table.value("path", "a path starts with `/`"));
    }
    let timeout = table.duration("timeout")?.unwrap_or(Duration::from_secs(2));
    let interval = table.duration("interval")?.unwrap_or(Duration::from_secs(1));
    if timeout.is_zero() || interval.is_zero() {
        return Err(table.value("timeout", "interval and timeout must be longer than nothing"));
    }
    let port = u16::try_from(port).unwrap_or(u16::MAX);
    let scheme = table.word("scheme")?.unwrap_or_else(|| "http".to_owned());
    Ok(Some(Probe { port, path, address: address(&table)?, scheme, interval, timeout }))
}

fn address(table: &Table<'_>) -> Read<Address> {
    Ok(if table.word("address")?.as_deref() == Some("public") { Address::Public } else { Address::Private })
}

fn timeouts(top: &Table<'_>) -> Read<Timeouts> {
    let Some(table) = top.section("timeouts")? else { return Ok(Timeouts::default()) };
    let default = Timeouts::default();
    Ok(Timeouts {
        running: table.duration("running")?.unwrap_or(default.running),
        probe: table.duration("probe")?.unwrap_or(default.probe),
        in_service: table.duration("in_service")?.unwrap_or(default.in_service),
        drain: table.duration("drain")?.unwrap_or(default.drain),
        pause: strategy::pause(&table)?,
    })
}

fn tags(top: &Table<'_>) -> Read<BTreeMap<String, String>> {
    let tags = top.text_map("tags")?;
    let Some(Node { value: Value::Map(entries), .. }) = top.get("tags") else { return Ok(tags) };
    let is_ours = |name: &str| name.starts_with("mayfly:") || name.starts_with("aws:") || name == "Name";
    match entries.iter().find(|(key, _)| is_ours(&key.name)) {
        Some((key, _)) => {
            let why = "this tag is not yours to set: Mayfly and AWS write it".to_owned();
            let problem = Problem::Value { key: format!("tags.{}", key.name), why };
            Err(Wrong { at: Some(key.at), problem })
        }
        None => Ok(tags),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
service: greeter
role: web
count: 2
image: ami-0123456789abcdef0
states: {url: \"https://github.com/acme/states.git\"}
load_balancer: {classic: greeter}
probe: {port: 8080, path: /health}
environments:
  staging: {count: 1, states: {ref: staging}, probe: none}
";

    fn error(text: &str) -> String {
        Spec::parse(text, "mayfly.yaml", "production", &[]).expect_err("refused").to_string()
    }

    #[test]
    fn an_environment_is_merged_over_the_rest() {
        let spec = Spec::parse(GOOD, "mayfly.yaml", "staging", &[]).expect("a spec");
        assert_eq!((spec.count, spec.probe, spec.role.as_str()), (1, None, "web"));
        assert_eq!(spec.states.tree.url, "https://github.com/acme/states.git");
        assert_eq!(spec.states.reference(), "staging");
        let spec = Spec::parse(GOOD, "mayfly.yaml", "production", &[]).expect("a spec");
        assert_eq!((spec.count, spec.states.reference()), (2, "main"));
        assert_eq!(spec.load_balancers, [crate::cloud::BalancerRef::Classic("greeter".into())]);
    }

    #[test]
    fn unknown_keys_are_refused_at_any_depth_with_the_nearest() {
        assert_eq!(
            error(&GOOD.replace("count: 2", "cuont: 2")),
            "mayfly.yaml:3:1: unknown key `cuont`; did you mean `count`?"
        );
        assert_eq!(
            error(&GOOD.replace("path: /health", "paht: /health")),
            "mayfly.yaml:7:21: unknown key `probe.paht`; did you mean `path`?"
        );
        assert_eq!(
            error(&GOOD.replace("{ref: staging}", "{reef: staging}")),
            "mayfly.yaml:9:32: unknown key `states.reef`; did you mean `ref`?"
        );
        assert_eq!(
            error(&GOOD.replace("staging: {count", "staging: {countt")),
            "mayfly.yaml:9:13: unknown key `environments.staging.countt`; did you mean `count`?"
        );
        assert_eq!(
            error(&format!("{GOOD}timeouts: {{zzz: 1}}\n")),
            "mayfly.yaml:10:12: unknown key `timeouts.zzz`; valid here: running, probe, in_service, drain, pause"
        );
    }

    #[test]
    fn values_are_checked_with_their_place() {
        assert_eq!(
            error(&GOOD.replace("count: 2", "count: two")),
            "mayfly.yaml:3:8: `count` must be a whole number from 1 to 5000, but is text"
        );
        assert_eq!(
            error(&GOOD.replace("count: 2", "count: 0")),
            "mayfly.yaml:3:8: `count`: 0 is not a whole number from 1 to 5000"
        );
        assert_eq!(
            error(&GOOD.replace("role: web", "role: 3")),
            "mayfly.yaml:2:7: `role` must be text (put it in quotes), but is a number"
        );
        assert_eq!(
            error(&GOOD.replace("service: greeter", "service: Greeter")),
            "mayfly.yaml:1:10: `service`: lower-case letters, digits and `-`, at most 32, not starting with `-`"
        );
        assert_eq!(
            error(&format!("{GOOD}timeouts: {{probe: soon}}\n")),
            "mayfly.yaml:10:19: `timeouts.probe`: `soon` is not a duration such as `90s` or `5m`: expected number at 0"
        );
        assert_eq!(
            error(&GOOD.replace("probe: {port: 8080, path: /health}\n", "")),
            "mayfly.yaml:1:1: `probe` is missing; docs/spec.md shows what it takes"
        );
    }

    #[test]
    fn text_that_is_no_yaml_is_refused_with_its_place() {
        let text = error("service: greeter\ncount: [1\nrole: x\n");
        assert!(text.starts_with("mayfly.yaml:3:") || text.starts_with("mayfly.yaml:2:"), "{text}");
        assert_eq!(error("- a\n"), "mayfly.yaml:1:1: `the file` must be a mapping, but is a list");
    }

    #[test]
    fn an_environment_must_be_listed() {
        let refused = Spec::parse(GOOD, "mayfly.yaml", "stagin", &[]).expect_err("refused");
        assert_eq!(
            refused.to_string(),
            "mayfly.yaml: there is no environment `stagin`; did you mean `staging`?"
        );
    }

    #[test]
    fn a_mistake_in_another_environment_is_found_too() {
        assert_eq!(
            error(&GOOD.replace("{count: 1", "{count: -1")),
            "mayfly.yaml:9:20: `count`: -1 is not a whole number from 1 to 5000"
        );
    }

    #[test]
    fn settings_reach_the_pillar_as_text_unless_they_are_json() {
        let settings = ["greeter.version=1.10", "greeter.workers:=3"].map(|s| s.parse().expect("a setting"));
        let text = format!("{GOOD}pillar: {{greeter: {{greeting: hi}}}}\n");
        let spec = Spec::parse(&text, "mayfly.yaml", "production", &settings).expect("a spec");
        let expected = serde_json::json!({"greeter": {"greeting": "hi", "version": "1.10", "workers": 3}});
        assert_eq!(serde_json::Value::Object(spec.pillar), expected);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic() {
        let words = [
            "{", "}", "[", ":", "- ", "\n", "  ", "service", "&a", "*a", "\"", "'", "!!", "|", ">", "\t", "#",
        ];
        proptest::proptest!(|(picks in proptest::collection::vec(0..words.len(), 0..60))| {
            let text: String = picks.iter().map(|&n| words[n]).collect();
            let _ = Spec::parse(&text, "f", "production", &[]);
        });
    }
}
