//! `iptables.*`: rules, policies and chains of the kernel's packet filter, and the file that has them at
//! boot.

use std::time::Duration;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::host::{Command, Output};
use crate::modules::args::Args;
use crate::modules::cmd::last_words;
use crate::modules::iptables_rule::build;
use crate::modules::textfile::{TextFile, roots};
use crate::value::{Map, Value};

pub(crate) const RULE: &[&str] = &["table", "chain", "family", "position", "save", "jump"];
pub(crate) const POLICY: &[&str] = &["table", "chain", "family", "policy", "save"];
pub(crate) const CHAIN: &[&str] = &["table", "family"];
pub(crate) const FLUSH: &[&str] = &["table", "chain", "family"];

/// The kernel answers at once; another iptables may hold the lock.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Which table of which family.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    program: &'static str,
    table: String,
    family: String,
}

impl Table {
    fn read(args: &Args<'_>) -> Result<Self, Failure> {
        let family = args.text("family")?.unwrap_or_else(|| "ipv4".to_owned());
        let program = match family.as_str() {
            "ipv4" => "iptables",
            "ipv6" => "ip6tables",
            other => {
                return Err(Failure::declaration(format!("`family` must be ipv4 or ipv6, but is {other}")));
            }
        };
        let table = word("table", args.text("table")?.unwrap_or_else(|| "filter".to_owned()))?;
        Ok(Self { program, table, family })
    }

    fn ask(&self, verb: &[&str], rule: &[String], call: &Call<'_>) -> Result<Output, Failure> {
        let fixed = [self.program, "--wait", "-t", &self.table].map(str::to_owned);
        let verb = verb.iter().map(|w| (*w).to_owned());
        let mut command = Command::argv(fixed.into_iter().chain(verb).chain(rule.iter().cloned()));
        command = command.env("LC_ALL", "C.UTF-8");
        command.timeout = TIMEOUT;
        Ok(call.context.host.run(&command)?)
    }

    fn must(&self, verb: &[&str], rule: &[String], call: &Call<'_>) -> Result<String, Failure> {
        let output = self.ask(verb, rule, call)?;
        match output.code {
            0 => Ok(output.out()),
            code => {
                let (program, words) = (self.program, last_words(&output));
                Err(Failure::machine(format!(
                    "`{program} {}` ended with exit code {code}{words}",
                    verb.join(" ")
                )))
            }
        }
    }

    /// The lines of a chain, or nothing when it is not there.
    fn chain(&self, chain: &str, call: &Call<'_>) -> Result<Option<Vec<String>>, Failure> {
        let output = self.ask(&["-S", chain], &[], call)?;
        match output.code {
            0 => Ok(Some(output.out().lines().map(str::to_owned).collect())),
            1 => Ok(None),
            _ => self.must(&["-S", chain], &[], call).map(|_| None),
        }
    }
}

/// A name that is never read as an option.
fn word(key: &str, text: String) -> Result<String, Failure> {
    match text.is_empty() || text.starts_with('-') || text.contains(char::is_whitespace) {
        true => Err(Failure::declaration(format!("`{key}` cannot be {text:?}"))),
        false => Ok(text),
    }
}

fn chain(args: &Args<'_>) -> Result<String, Failure> {
    let chain = args.text("chain")?.ok_or_else(|| Failure::declaration("`chain` is needed"))?;
    word("chain", chain)
}

/// Where the rules are kept for the next boot: the place that is named, or the family's.
fn kept(args: &Args<'_>, table: &Table, call: &Call<'_>) -> Result<Option<String>, Failure> {
    if !matches!(args.get("save"), Some(Value::Bool(true))) {
        return Ok(args.text("save")?.filter(|path| path.starts_with('/')));
    }
    let family = call.context.minion.grains.get("os_family").and_then(Value::as_str).unwrap_or_default();
    let four = table.family == "ipv4";
    match family {
        "RedHat" => Ok(Some(format!("/etc/sysconfig/{}", table.program))),
        "Suse" => Err(Failure::declaration("`save` needs a path on this machine")),
        "Arch" => Ok(Some(format!("/etc/iptables/{}.rules", table.program))),
        "Alpine" => Ok(Some(format!("/etc/iptables/{}", if four { "rules-save" } else { "rules6-save" }))),
        _ => Ok(Some(format!("/etc/iptables/rules.{}", if four { "v4" } else { "v6" }))),
    }
}

/// The rules as they are now, and as they are kept.
fn saved(table: &Table, path: &str, call: &Call<'_>) -> Result<(String, TextFile), Failure> {
    let argv = [format!("{}-save", table.program)];
    let now = crate::modules::cmd::tool(call, &argv, TIMEOUT)?.out() + "\n";
    Ok((now, TextFile::read(path, roots(0o600), call)?.with_parents(roots(0o755))))
}

/// Rules without times and counters.
fn plain(text: &str) -> Vec<String> {
    let line = |l: &str| l.split(" [").next().unwrap_or_default().trim().to_owned();
    text.lines().filter(|l| !l.starts_with('#')).map(line).filter(|l| !l.is_empty()).collect()
}

fn keep(table: &Table, path: &str, call: &Call<'_>) -> Result<(), Failure> {
    let (now, file) = saved(table, path, call)?;
    match file.exists && plain(&now) == plain(&file.text) {
        true => Ok(()),
        false => file.write(&now),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Append,
    Insert,
    Delete,
}

/// The declaration of a rule.
pub(crate) struct Want {
    verb: Verb,
    name: String,
    table: Table,
    chain: String,
    rule: Vec<String>,
    position: Option<i64>,
    save: Option<String>,
}

/// How it stands.
pub(crate) struct Observed {
    there: bool,
    /// The file has what the kernel has, or nobody asks.
    kept: bool,
}

/// Whether the rule itself is to be changed; it is kept in any case.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    rule: bool,
}

fn want(verb: Verb, args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
    args.refuse("rules", "write a state for each rule")?;
    let table = Table::read(args)?;
    let rule = build(&call.chunk.args).map_err(Failure::declaration)?;
    let position = args.text("position")?.map(|p| p.parse::<i64>());
    let position =
        position.transpose().map_err(|_| Failure::declaration("`position` must be a whole number"))?;
    if verb == Verb::Insert && position.is_none_or(|p| p == 0) {
        return Err(Failure::declaration("`position` is needed: 1 is the first, -1 before the last"));
    }
    if rule.is_empty() && (verb != Verb::Delete || position.is_none()) {
        return Err(Failure::declaration("a rule needs more than a chain, such as `jump`"));
    }
    let save = kept(args, &table, call)?;
    Ok(Want { verb, name: call.chunk.name.clone(), table, chain: chain(args)?, rule, position, save })
}

fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
    let there = match want.rule.is_empty() {
        true => true,
        false => {
            let output = want.table.ask(&["-C", &want.chain], &want.rule, call)?;
            if output.code > 1 {
                want.table.must(&["-C", &want.chain], &want.rule, call)?;
            }
            output.code == 0
        }
    };
    let kept = match &want.save {
        None => true,
        Some(path) => {
            let (now, file) = saved(&want.table, path, call)?;
            file.exists && plain(&now) == plain(&file.text)
        }
    };
    Ok(Observed { there, kept })
}

fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
    let rule = now.there == (want.verb == Verb::Delete);
    let (name, chain) = (&want.name, &want.chain);
    let text = |s: &str| Value::Str(s.to_owned());
    let changes = match (rule, now.kept) {
        (true, _) => Map::from([("locale".to_owned(), text(name))]),
        (false, false) => Map::from([("saved".to_owned(), text(want.save.as_deref().unwrap_or_default()))]),
        (false, true) => {
            let how = if want.verb == Verb::Delete { "absent from" } else { "set in" };
            return Diff::Same(format!("iptables rule for {name} is {how} {chain}"));
        }
    };
    let verb = match want.verb {
        Verb::Append => "appended to",
        Verb::Insert => "inserted into",
        Verb::Delete => "deleted from",
    };
    let would = match rule {
        true => format!("iptables rule for {name} would be {verb} {chain}"),
        false => "iptables rules would be saved".to_owned(),
    };
    Diff::Change { plan: Plan { rule }, changes, would }
}

/// Salt counts from the end when the position is negative: -1 is before the last rule.
fn place(want: &Want, position: i64, call: &Call<'_>) -> Result<String, Failure> {
    if position > 0 {
        return Ok(position.to_string());
    }
    let lines = want.table.chain(&want.chain, call)?.unwrap_or_default();
    let rules = lines.iter().filter(|l| l.starts_with("-A ")).count();
    let rules = i64::try_from(rules).unwrap_or(i64::MAX);
    Ok((rules.saturating_add(position).saturating_add(1)).max(1).to_string())
}

fn apply(want: &Want, plan: &Plan, call: &Call<'_>) -> Result<Applied, Failure> {
    let (table, chain) = (&want.table, want.chain.as_str());
    if plan.rule {
        match (want.verb, want.position) {
            (Verb::Append, _) => table.must(&["-A", chain], &want.rule, call)?,
            (Verb::Insert, at) => {
                let at = place(want, at.unwrap_or(1), call)?;
                table.must(&["-I", chain, &at], &want.rule, call)?
            }
            (Verb::Delete, Some(at)) => table.must(&["-D", chain, &at.to_string()], &[], call)?,
            (Verb::Delete, None) => table.must(&["-D", chain], &want.rule, call)?,
        };
    }
    if let Some(path) = &want.save {
        keep(table, path, call)?;
    }
    let saved = want.save.as_ref().map_or(String::new(), |path| format!("; saved in {path}"));
    Ok(Applied::done(format!("iptables rule for {} is as asked{saved}", want.name)))
}

macro_rules! rule_state {
    ($(#[$doc:meta])* $name:ident, $verb:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl StateFn for $name {
            type Want = Want;
            type Observed = Observed;
            type Plan = Plan;

            fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
                want($verb, args, call)
            }

            fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
                observe(want, call)
            }

            fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
                diff(want, now)
            }

            fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
                apply(want, &plan, call)
            }
        }
    };
}

rule_state!(
    /// `iptables.append`.
    Append,
    Verb::Append
);
rule_state!(
    /// `iptables.insert`.
    Insert,
    Verb::Insert
);
rule_state!(
    /// `iptables.delete`.
    Delete,
    Verb::Delete
);

/// What is asked of a chain.
pub(crate) struct OfChain {
    name: String,
    table: Table,
    chain: Option<String>,
    policy: String,
    save: Option<String>,
}

fn of_chain(args: &Args<'_>, chain: Option<String>, call: &Call<'_>) -> Result<OfChain, Failure> {
    let table = Table::read(args)?;
    let policy = args.text("policy")?.unwrap_or_default();
    let save = kept(args, &table, call)?;
    Ok(OfChain { name: call.chunk.name.clone(), table, chain, policy, save })
}

fn located(want: &OfChain, would: String) -> Diff<()> {
    let changes = Map::from([("locale".to_owned(), Value::Str(want.name.clone()))]);
    Diff::Change { plan: (), changes, would }
}

/// `iptables.set_policy`.
pub(crate) struct SetPolicy;

impl StateFn for SetPolicy {
    type Want = OfChain;
    type Observed = Option<String>;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<OfChain, Failure> {
        let want = of_chain(args, Some(chain(args)?), call)?;
        word("policy", want.policy.clone())?;
        Ok(want)
    }

    fn observe(want: &OfChain, call: &Call<'_>) -> Result<Option<String>, Failure> {
        let chain = want.chain.as_deref().unwrap_or_default();
        let lines = want.table.chain(chain, call)?.unwrap_or_default();
        Ok(lines.iter().find_map(|l| l.strip_prefix("-P ")?.split(' ').nth(1).map(str::to_owned)))
    }

    fn diff(want: &OfChain, now: &Option<String>) -> Diff<()> {
        let (chain, policy) = (want.chain.as_deref().unwrap_or_default(), &want.policy);
        match now {
            None => Diff::Refuse(format!("the chain {chain} is not there, or has no policy")),
            Some(now) if now == policy => Diff::Same(format!("the policy of {chain} is {policy}")),
            Some(now) => located(want, format!("the policy of {chain} would become {policy}, and is {now}")),
        }
    }

    fn apply(want: &OfChain, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        let chain = want.chain.as_deref().unwrap_or_default();
        want.table.must(&["-P", chain, &want.policy], &[], call)?;
        want.save.iter().try_for_each(|path| keep(&want.table, path, call))?;
        Ok(Applied::done(format!("the policy of {chain} is {}", want.policy)))
    }
}

/// `iptables.flush`.
pub(crate) struct Flush;

impl StateFn for Flush {
    type Want = OfChain;
    type Observed = bool;
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<OfChain, Failure> {
        let chain = args.text("chain")?.filter(|c| !c.is_empty());
        let chain = chain.map(|c| word("chain", c)).transpose()?;
        of_chain(args, chain, call)
    }

    fn observe(want: &OfChain, call: &Call<'_>) -> Result<bool, Failure> {
        let verb = [Some("-S"), want.chain.as_deref()];
        let verb: Vec<&str> = verb.into_iter().flatten().collect();
        Ok(want.table.must(&verb, &[], call)?.lines().any(|l| l.starts_with("-A ")))
    }

    fn diff(want: &OfChain, rules: &bool) -> Diff<()> {
        let what = want.chain.as_deref().unwrap_or("every chain");
        match rules {
            false => Diff::Same(format!("there are no rules in {what} of {}", want.table.table)),
            true => located(want, format!("the rules in {what} of {} would be flushed", want.table.table)),
        }
    }

    fn apply(want: &OfChain, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        let verb: Vec<&str> = [Some("-F"), want.chain.as_deref()].into_iter().flatten().collect();
        want.table.must(&verb, &[], call)?;
        Ok(Applied::done(format!("the rules of {} were flushed", want.table.table)))
    }
}

macro_rules! chain_state {
    ($(#[$doc:meta])* $name:ident, $present:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl StateFn for $name {
            type Want = OfChain;
            type Observed = bool;
            type Plan = ();

            fn want(args: &Args<'_>, call: &Call<'_>) -> Result<OfChain, Failure> {
                let chain = word("name", call.chunk.name.clone())?;
                of_chain(args, Some(chain), call)
            }

            fn observe(want: &OfChain, call: &Call<'_>) -> Result<bool, Failure> {
                Ok(want.table.chain(&want.name, call)?.is_some())
            }

            fn diff(want: &OfChain, there: &bool) -> Diff<()> {
                let (name, table) = (&want.name, &want.table.table);
                match *there == $present {
                    true => Diff::Same(format!("the chain {name} of {table} is as asked")),
                    false => located(want, format!("the chain {name} of {table} would be changed")),
                }
            }

            fn apply(want: &OfChain, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
                let verbs: &[&str] = if $present { &["-N"] } else { &["-F", "-X"] };
                for verb in verbs {
                    want.table.must(&[verb, &want.name], &[], call)?;
                }
                Ok(Applied::done(format!("the chain {} is as asked", want.name)))
            }
        }
    };
}

chain_state!(
    /// `iptables.chain_present`.
    ChainPresent,
    true
);
chain_state!(
    /// `iptables.chain_absent`.
    ChainAbsent,
    false
);
