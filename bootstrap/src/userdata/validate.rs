//! From user-data as written to user-data checked: every value, with the place of the first that is wrong. Pure.

use super::raw::{RawRule, RawUserData};
use super::rule::WatchRule;
use super::source::source;
use super::{Error, Finish, Schedule, Supervisor, UserData};
use crate::convert;
use mayfly_states::options::Options;
use mayfly_states::tree::Roots;
use mayfly_states::value::{Map, Value};
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Where the local endpoints answer unless told otherwise.
pub(super) const DEFAULT_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9273);
const MAX_SPLAY: Duration = Duration::from_secs(24 * 3600);
const MAX_RULES: usize = 256;

/// Turns a plain sentence into an error with the place of a value.
pub(super) struct Places<'a>(&'a str);

impl Places<'_> {
    pub(super) fn at<T>(&self, value: &Spanned<T>, message: String) -> Error {
        let (line, column) = (value.referenced.line().max(1), value.referenced.column().max(1));
        Error::At { source_name: self.0.to_owned(), line, column, message }
    }

    pub(super) fn missing(&self, message: &str) -> Error {
        Error::At { source_name: self.0.to_owned(), line: 1, column: 1, message: message.to_owned() }
    }

    /// Checks a value that may be absent.
    pub(super) fn check<T, R>(
        &self,
        value: Option<Spanned<T>>,
        check: impl FnOnce(T) -> Result<R, String>,
    ) -> Result<Option<R>, Error>
    where
        T: Clone,
    {
        let Some(value) = value else { return Ok(None) };
        check(value.value.clone()).map(Some).map_err(|e| self.at(&value, e))
    }
}

/// Checks everything.
pub(super) fn user_data(raw: RawUserData, source_name: &str) -> Result<UserData, Error> {
    let p = Places(source_name);
    let name = |key: &'static str| move |s: String| safe_name(key, s);
    let role = p.check(raw.role, name("role"))?.ok_or_else(|| p.missing("`role` is required"))?;
    let states = raw.states.ok_or_else(|| p.missing("`states` is required, with `url`"))?;
    Ok(UserData {
        role,
        environment: p
            .check(raw.environment, name("environment"))?
            .unwrap_or_else(|| "production".to_owned()),
        id: p.check(raw.id, name("id"))?,
        deployment: p.check(raw.deployment, name("deployment"))?,
        states: source(states, &p)?,
        pillar: p.check(raw.pillar, |v| mapping("pillar", v))?.unwrap_or_default(),
        grains: p.check(raw.grains, |v| mapping("grains", v))?.unwrap_or_default(),
        saltenv: p.check(raw.saltenv, name("saltenv"))?.unwrap_or_default(),
        options: options(raw.options.unwrap_or_default(), raw.nodegroups, &p)?,
        schedule: p.check(raw.schedule, |s| Schedule::parse(&s))?.map_or_else(every_minute, Ok)?,
        splay: p.check(raw.splay, |s| duration("splay", &s, MAX_SPLAY))?,
        drift: p.check(raw.drift, |s| Schedule::parse(&s))?.unwrap_or(Schedule::Never),
        listen: p.check(raw.listen, |s| listen(&s))?.unwrap_or_else(|| SocketAddr::from(DEFAULT_LISTEN)),
        supervisor: p.check(raw.supervisor, |s| supervisor(&s))?.unwrap_or(Supervisor::Auto),
        watch: rules(raw.watch.unwrap_or_default(), &p)?,
        finish: p.check(raw.finish, |s| finish(&s))?.unwrap_or(Finish::Stay),
    })
}

fn every_minute() -> Result<Schedule, Error> {
    Schedule::parse("* * * * *").map_err(Error::Envelope)
}

/// The folders of each environment: one for `base`, or a mapping with a list for each.
pub(super) fn roots(
    key: &'static str,
    one: Option<Spanned<String>>,
    many: Option<Spanned<serde_json::Value>>,
    default: &str,
    p: &Places<'_>,
) -> Result<Roots, Error> {
    if let (Some(_), Some(many)) = (&one, &many) {
        return Err(p.at(many, format!("`{key}` and `{key}s` are the same thing; keep one")));
    }
    let base = p.check(one, |s| inside(key, &s))?.unwrap_or_else(|| default.into());
    let environments = p.check(many, |v| environments(key, v))?;
    Ok(environments.unwrap_or_else(|| Roots::from([("base".to_owned(), vec![base])])))
}

fn environments(key: &str, value: serde_json::Value) -> Result<Roots, String> {
    let folders = |(env, folders): (String, Value)| {
        let texts = folders.as_list().and_then(|l| l.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let texts = texts.filter(|texts| !texts.is_empty());
        let texts =
            texts.ok_or_else(|| format!("{key}s: the environment `{env}` needs a list of folders"))?;
        let paths: Result<Vec<PathBuf>, String> = texts.into_iter().map(|text| inside(key, text)).collect();
        Ok((safe_name("environment", env)?, paths?))
    };
    mapping(&format!("{key}s"), value)?.into_iter().map(folders).collect()
}

/// `options`, and `nodegroups`, which may stand on their own as they are written most often.
fn options(
    raw: BTreeMap<String, Spanned<serde_json::Value>>,
    nodegroups: Option<Spanned<serde_json::Value>>,
    p: &Places<'_>,
) -> Result<Options, Error> {
    let mut options = Options::default();
    if let (Some(own), true) = (&nodegroups, raw.contains_key("nodegroups")) {
        return Err(p.at(own, "`nodegroups` is there twice: here and in `options`".into()));
    }
    let own = nodegroups.map(|groups| ("nodegroups".to_owned(), groups));
    for (name, value) in own.into_iter().chain(raw) {
        options.set(&name, &convert::value(value.value.clone())).map_err(|e| p.at(&value, e))?;
    }
    Ok(options)
}

fn rules(raw: Vec<Spanned<RawRule>>, p: &Places<'_>) -> Result<Vec<WatchRule>, Error> {
    let mut names = BTreeSet::new();
    let mut rules = Vec::new();
    for one in raw {
        let rule = super::rule::rule(one.value.clone()).map_err(|e| p.at(&one, e))?;
        if rules.len() == MAX_RULES {
            return Err(p.at(&one, format!("more than {MAX_RULES} rules")));
        }
        if !names.insert(rule.name.clone()) {
            return Err(p.at(&one, format!("a second rule named {:?}; give one a `name`", rule.name)));
        }
        rules.push(rule);
    }
    Ok(rules)
}

/// Letters, digits, `.`, `_`, `-`, not beginning with one of the marks.
pub(super) fn safe_name(key: &str, text: String) -> Result<String, String> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || ".@_-".contains(c));
    if plain && text.len() <= 128 && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(text);
    }
    Err(format!(
        "{key} \"{text}\" is not a name: letters, digits, `.`, `_`, `-`, at most 128, beginning with a letter or digit"
    ))
}

/// A duration such as `250ms`, `5s`, `1m 30s`, at most `max`.
pub(super) fn duration(key: &str, text: &str, max: Duration) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text)
        .map_err(|_| format!("{key} \"{text}\" is not a duration; write `5s`"))?;
    match parsed <= max {
        true => Ok(parsed),
        false => Err(format!("{key} \"{text}\" is longer than {}", humantime::format_duration(max))),
    }
}

/// 40 hex digits, in lower case.
pub(super) fn commit(text: &str) -> Result<String, String> {
    match text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("commit {text:?} is not 40 hex digits")),
    }
}

pub(super) fn reference(text: String) -> Result<String, String> {
    let full = if text.starts_with("refs/") { text.clone() } else { format!("refs/heads/{text}") };
    let bad_glob = text.contains(['*', ':', '+']);
    match !text.starts_with('-') && !bad_glob && git2::Reference::is_valid_name(&full) {
        true => Ok(text),
        false => Err(format!("ref {text:?} is not a name that git allows for a branch or tag")),
    }
}

pub(super) fn inside(key: &str, text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) if part != ".git" => clean.push(part),
            Component::CurDir => {}
            _ => {
                return Err(format!(
                    "{key} {text:?} must be a folder inside the repository, without `..` or leading `/`"
                ));
            }
        }
    }
    if text.is_empty() || text.contains('\0') {
        return Err(format!("{key} is empty; leave it out, or write `.`"));
    }
    Ok(clean)
}

pub(super) fn absolute(key: &str, text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let plain = path.components().all(|c| !matches!(c, Component::ParentDir));
    // ssh would read quotes and backslashes of an option in its own way.
    let odd = text.chars().any(|c| c.is_control() || "\"\\".contains(c));
    match path.is_absolute() && plain && !odd {
        true => Ok(path),
        false => Err(format!("{key} {text:?} must be an absolute path without `..`, quotes or backslashes")),
    }
}

fn mapping(key: &str, value: serde_json::Value) -> Result<Map, String> {
    match convert::value(value) {
        Value::Map(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(format!("{key} must be a mapping")),
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("listen {text:?} is not ADDRESS:PORT, such as 127.0.0.1:9273"))
}

fn supervisor(text: &str) -> Result<Supervisor, String> {
    match text {
        "auto" => Ok(Supervisor::Auto),
        "supervisord" => Ok(Supervisor::Supervisord),
        "systemd" => Ok(Supervisor::Systemd),
        "sysv" => Ok(Supervisor::Sysv),
        "builtin" => Ok(Supervisor::Builtin),
        _ => Err(format!("supervisor {text:?} is not `auto`, `supervisord`, `systemd`, `sysv` or `builtin`")),
    }
}

fn finish(text: &str) -> Result<Finish, String> {
    match text {
        "stay" => Ok(Finish::Stay),
        "poweroff" => Ok(Finish::Poweroff),
        _ => Err(format!("finish {text:?} is not `stay` or `poweroff`")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const FULL: &str = "#mayfly\nrole: web\nenvironment: staging\nid: web-1.example\ndeployment: d-1\nstates:\n  \
        url: https://github.com/acme/states.git\n  ref: release/1.x\n  \
        commit: 0123456789ABCDEF0123456789abcdef01234567\n  follow: false\n  file_root: salt/base\n  \
        pillar_root: salt/pillar\n  token_file: /etc/mayfly/token\npillar:\n  greeter: {version: '2', n: 3}\n\
        grains: {rack: a}\nschedule: '*/2 * * * * *'\nsplay: 30s\nlisten: 0.0.0.0:80\nsupervisor: builtin\n\
        watch:\n  - paths: [/etc/a]\n    service: a\nfinish: poweroff\n";

    #[test]
    fn every_key_is_read() {
        let data = parse(FULL.as_bytes()).unwrap();
        assert_eq!(data.role, "web");
        assert_eq!(data.states.commit.as_deref(), Some("0123456789abcdef0123456789abcdef01234567"));
        assert_eq!(data.states.file_roots["base"], [PathBuf::from("salt/base")]);
        assert_eq!(data.pillar["greeter"].as_map().unwrap()["version"], Value::Str("2".into()));
        assert_eq!(data.pillar["greeter"].as_map().unwrap()["n"], Value::Int(3));
        assert_eq!((data.splay, data.finish), (Some(Duration::from_secs(30)), Finish::Poweroff));
        assert_eq!(data.watch.len(), 1);
        assert!(!data.states.follow);
    }

    #[test]
    fn the_defaults_are_those_of_the_docs() {
        let data = parse(b"#mayfly\nrole: web\nstates: {url: 'file:///srv/x'}\n").unwrap();
        assert_eq!((data.environment.as_str(), data.id), ("production", None));
        assert_eq!((data.states.reference.as_str(), data.states.follow), ("main", true));
        assert_eq!(data.states.pillar_roots["base"], [PathBuf::from("pillar")]);
        assert_eq!(data.listen.to_string(), "127.0.0.1:9273");
        assert_eq!((data.supervisor, data.finish), (Supervisor::Auto, Finish::Stay));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let cases: [(&str, &str, &str); 15] = [
            ("role: web\n", "role: ../web\n", "user-data:2:7: role "),
            ("role: web\n", "", "user-data:1:1: `role` is required"),
            ("ref: release/1.x", "ref: --upload-pack=x", "user-data:8:8: ref "),
            ("ref: release/1.x", "ref: a..b", "user-data:8:8: ref "),
            ("ABCDEF", "ABCDEG", "user-data:9:11: commit "),
            ("file_root: salt/base", "file_root: ../x", "user-data:11:14: file_root "),
            ("file_root: salt/base", "file_root: /etc", "user-data:11:14: file_root "),
            ("token_file: /etc/mayfly/token", "token_file: token", "user-data:13:15: token_file "),
            ("https://github.com", "http://github.com", "user-data:13:15: a token would travel unencrypted"),
            ("splay: 30s", "splay: 30 parsecs", "user-data:18:8: splay "),
            ("'*/2 * * * * *'", "'*/2 *'", "user-data:17:11: a cron expression has 5 fields"),
            ("listen: 0.0.0.0:80", "listen: here", "user-data:19:9: listen "),
            ("supervisor: builtin", "supervisor: runit", "user-data:20:13: supervisor "),
            ("[/etc/a]", "['/etc/[']", "user-data:22:5: paths: \"/etc/[\": error parsing glob"),
            ("service: a", "action: reload", "user-data:22:5: `service` is required"),
        ];
        for (from, to, expected) in cases {
            assert!(FULL.contains(from), "{from}");
            let error = parse(FULL.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{to}: {error}");
        }
    }

    #[test]
    fn options_and_nodegroups_are_checked_with_their_place() {
        let head = "#mayfly\nrole: web\nstates: {url: 'file:///x'}\n";
        let read = |rest: &str| parse(format!("{head}{rest}").as_bytes());
        let user = read("nodegroups: {web: 'G@role:web and web*'}\noptions:\n  pillar_merge_lists: true\n");
        let options = user.unwrap().options;
        assert!(options.pillar_merge_lists);
        assert_eq!(options.nodegroups["web"], ["G@role:web", "and", "web*"]);
        for (rest, expected) in [
            (
                "options:\n  pillar_merge_list: true\n",
                "user-data:5:22: unknown option `pillar_merge_list`; did you",
            ),
            ("options: {env_order: base}\n", "user-data:4:22: env_order is a list of names"),
            ("nodegroups: [web]\n", "user-data:4:13: nodegroups is a mapping"),
            ("nodegroups: {}\noptions: {nodegroups: {}}\n", "user-data:4:13: `nodegroups` is there twice"),
            ("options: {ext_pillar: []}\n", "user-data:4:23: ext_pillar: external pillar is not supported"),
        ] {
            let error = read(rest).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{rest}: {error}");
        }
    }

    #[test]
    fn a_tree_may_have_several_environments() {
        let read = |roots: &str| {
            parse(
                format!("#mayfly\nrole: web\nsaltenv: dev\nstates:\n  url: file:///x\n  {roots}\n")
                    .as_bytes(),
            )
        };
        let data = read("file_roots: {base: [states], dev: [dev, shared]}").unwrap();
        let envs: Vec<&str> = data.states.file_roots.keys().map(String::as_str).collect();
        assert_eq!((envs, data.saltenv.as_str()), (vec!["base", "dev"], "dev"));
        assert_eq!(data.states.file_roots["dev"], [PathBuf::from("dev"), PathBuf::from("shared")]);
        for (roots, expected) in [
            ("file_roots: {dev: dev}", "user-data:6:15: file_roots: the environment `dev` needs a list"),
            ("file_roots: {dev: [../x]}", "user-data:6:15: file_root "),
            ("file_roots: {dev: []}", "user-data:6:15: file_roots: the environment `dev` needs a list"),
            (
                "pillar_root: p\n  pillar_roots: {dev: [p]}",
                "user-data:7:17: `pillar_root` and `pillar_roots`",
            ),
        ] {
            let error = read(roots).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{roots}: {error}");
        }
    }

    #[test]
    fn follow_false_needs_a_commit() {
        let error = parse(b"#mayfly\nrole: web\nstates:\n  url: file:///x\n  follow: false\n").unwrap_err();
        assert!(error.to_string().starts_with("user-data:5:11: `follow: false` needs"), "{error}");
    }
}
