//! `host.present`, `host.absent` and `host.only`: names in hosts(5).

use std::net::IpAddr;

use crate::engine::step::{Call, Failure};
use crate::modules::args::Args;
use crate::modules::textfile::{Edited, Editor, TextFile, one_line, roots};
use crate::value::{Map, Value};

pub(crate) const PRESENT: &[&str] = &["ip", "comment", "clean"];
pub(crate) const ABSENT: &[&str] = &["ip"];
pub(crate) const ONLY: &[&str] = &["hostnames"];

const HOSTS: &str = "/etc/hosts";

/// One line of the file.
#[derive(Debug, Clone, PartialEq)]
enum Line {
    /// Comments and empty lines, as they are.
    Other(String),
    Entry {
        raw: String,
        ip: String,
        names: Vec<String>,
        comment: Option<String>,
    },
}

impl Line {
    fn parse(raw: &str) -> Self {
        let (entry, comment) =
            raw.split_once('#').map_or((raw, None), |(e, c)| (e, Some(c.trim().to_owned())));
        let mut words = entry.split_whitespace().map(str::to_owned);
        match words.next() {
            None => Line::Other(raw.to_owned()),
            Some(ip) => Line::Entry { raw: raw.to_owned(), ip, names: words.collect(), comment },
        }
    }

    fn new(ip: &str, names: Vec<String>, comment: Option<String>) -> Self {
        let tail = comment.as_ref().filter(|c| !c.is_empty()).map_or(String::new(), |c| format!("\t\t# {c}"));
        let raw = format!("{ip}\t\t{}{tail}", names.join(" "));
        Line::Entry { raw, ip: ip.to_owned(), names, comment }
    }

    fn raw(&self) -> &str {
        match self {
            Line::Other(raw) | Line::Entry { raw, .. } => raw,
        }
    }

    fn is_for(&self, address: &str) -> bool {
        matches!(self, Line::Entry { ip, .. } if ip == address)
    }
}

/// The file, line by line.
struct Hosts(Vec<Line>);

impl Hosts {
    fn parse(text: &str) -> Self {
        Self(text.lines().map(Line::parse).collect())
    }

    fn render(&self) -> String {
        self.0.iter().map(|l| format!("{}\n", l.raw())).collect()
    }

    /// All names of an address, in order.
    fn names(&self, address: &str) -> Vec<&str> {
        let of = |l: &'_ Line| l.is_for(address);
        let lines = self.0.iter().filter(|l| of(l));
        lines
            .flat_map(|l| if let Line::Entry { names, .. } = l { names.as_slice() } else { &[] })
            .map(String::as_str)
            .collect()
    }

    fn comment(&self, address: &str) -> Option<&str> {
        let entries = self.0.iter().filter(|l| l.is_for(address));
        entries
            .filter_map(|l| if let Line::Entry { comment, .. } = l { comment.as_deref() } else { None })
            .next_back()
    }

    /// Addresses that a name has.
    fn addresses(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for line in &self.0 {
            if let Line::Entry { ip, names, .. } = line
                && names.iter().any(|n| n == name)
                && !found.contains(ip)
            {
                found.push(ip.clone());
            }
        }
        found
    }

    /// Change each line of an address; a line that is left without names goes.
    fn rewrite(&mut self, address: &str, change: impl Fn(&mut Vec<String>, &mut Option<String>)) {
        let mut lines = Vec::new();
        for line in std::mem::take(&mut self.0) {
            match line {
                Line::Entry { raw, ip, mut names, mut comment } if ip == address => {
                    let before = (names.clone(), comment.clone());
                    change(&mut names, &mut comment);
                    match (names.is_empty(), before == (names.clone(), comment.clone())) {
                        (true, _) => {}
                        (false, true) => lines.push(Line::Entry { raw, ip, names, comment }),
                        (false, false) => lines.push(Line::new(&ip, names, comment)),
                    }
                }
                other => lines.push(other),
            }
        }
        self.0 = lines;
    }

    /// Give the address another name: on its first line, else on a new one.
    fn add(&mut self, address: &str, name: &str) {
        let Some(at) = self.0.iter().position(|l| l.is_for(address)) else {
            return self.0.push(Line::new(address, vec![name.to_owned()], None));
        };
        if let Line::Entry { ip, names, comment, .. } = self.0[at].clone() {
            let names = [names, vec![name.to_owned()]].concat();
            self.0[at] = Line::new(&ip, names, comment);
        }
    }

    fn remove(&mut self, address: &str, name: &str) {
        self.rewrite(address, |names, _| names.retain(|n| n != name));
    }
}

fn hosts(call: &Call<'_>) -> Result<TextFile, Failure> {
    TextFile::read(HOSTS, roots(0o644), call)
}

fn host_name(name: &str) -> Result<String, Failure> {
    match name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
        true => Err(Failure::declaration(format!("{name:?} cannot be the name of a host"))),
        false => Ok(name.to_owned()),
    }
}

fn address(text: &str) -> Result<String, Failure> {
    // A link-local address may carry its interface.
    let number = text.split('%').next().unwrap_or_default();
    match number.parse::<IpAddr>().is_ok() && !text.contains(char::is_whitespace) {
        true => Ok(text.to_owned()),
        false => Err(Failure::declaration(format!("{text:?} is not an IP address"))),
    }
}

fn addresses(args: &Args<'_>) -> Result<Vec<String>, Failure> {
    let list = args.list("ip")?.filter(|l| !l.is_empty());
    let list = list.ok_or_else(|| Failure::declaration("`ip` is needed: an address or a list of them"))?;
    list.iter().map(|ip| address(ip)).collect()
}

/// What is asked of a name.
pub(crate) struct Want {
    name: String,
    ips: Vec<String>,
    comment: Option<String>,
    clean: bool,
}

/// Pairs of address and name by Salt's keys: `{added: {ip: [name]}}`.
fn note(changes: &mut Map, key: &str, address: &str, what: &str) {
    let inner = changes.entry(key.to_owned()).or_insert_with(|| Value::Map(Map::new()));
    if let Value::Map(inner) = inner {
        inner.insert(address.to_owned(), Value::List(vec![Value::Str(what.to_owned())]));
    }
}

/// `host.present`.
pub(crate) struct Present;

impl Editor for Present {
    type Want = Want;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let comment = args.text("comment")?.filter(|c| !c.is_empty());
        Ok(Want {
            name: host_name(&call.chunk.name)?,
            ips: addresses(args)?,
            comment: comment.map(|c| one_line("comment", c)).transpose()?,
            clean: args.flag("clean", false)?,
        })
    }

    fn file(_: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        hosts(call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let mut hosts = Hosts::parse(text);
        let mut changes = Map::new();
        for ip in &want.ips {
            if !hosts.names(ip).contains(&want.name.as_str()) {
                hosts.add(ip, &want.name);
                note(&mut changes, "added", ip, &want.name);
            }
            if let Some(comment) = want.comment.as_ref().filter(|c| hosts.comment(ip) != Some(c.as_str())) {
                hosts.rewrite(ip, |_, old| *old = Some(comment.clone()));
                note(&mut changes, "comment_added", ip, comment);
            }
        }
        let others = hosts.addresses(&want.name).into_iter().filter(|ip| !want.ips.contains(ip));
        for ip in others.filter(|_| want.clean).collect::<Vec<_>>() {
            hosts.remove(&ip, &want.name);
            note(&mut changes, "removed", &ip, &want.name);
        }
        if changes.is_empty() {
            return Edited::Same(format!("Host {} ({}) already present", want.name, want.ips.join(", ")));
        }
        Edited::To {
            text: hosts.render(),
            changes,
            would: format!("Host {} ({}) would be set", want.name, want.ips.join(", ")),
            done: format!("Set host {} ({})", want.name, want.ips.join(", ")),
        }
    }
}

/// `host.absent`.
pub(crate) struct Absent;

impl Editor for Absent {
    type Want = Want;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let (name, ips) = (host_name(&call.chunk.name)?, addresses(args)?);
        Ok(Want { name, ips, comment: None, clean: false })
    }

    fn file(_: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        hosts(call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let mut hosts = Hosts::parse(text);
        let there = hosts.addresses(&want.name);
        let gone: Vec<&String> = want.ips.iter().filter(|ip| there.contains(ip)).collect();
        if gone.is_empty() {
            return Edited::Same(format!("Host {} ({}) already absent", want.name, want.ips.join(", ")));
        }
        gone.iter().for_each(|ip| hosts.remove(ip, &want.name));
        Edited::To {
            text: hosts.render(),
            changes: Map::from([("host".to_owned(), Value::Str(want.name.clone()))]),
            would: format!("Host {} would be removed", want.name),
            done: format!("Removed host {}", want.name),
        }
    }
}

/// `host.only`: an address and all its names.
pub(crate) struct Only;

impl Editor for Only {
    type Want = (String, Vec<String>);

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Self::Want, Failure> {
        let given = args.get("hostnames").is_some();
        let names = args.list("hostnames")?.unwrap_or_default();
        if !given {
            return Err(Failure::declaration("`hostnames` is needed: a name or a list of them"));
        }
        let names = names.iter().flat_map(|n| n.split_whitespace()).map(host_name);
        Ok((address(&call.chunk.name)?, names.collect::<Result<_, _>>()?))
    }

    fn file(_: &Self::Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        hosts(call)
    }

    fn edit((ip, names): &Self::Want, text: &str) -> Edited {
        let mut hosts = Hosts::parse(text);
        let (old, new) = (hosts.names(ip).join(" "), names.join(" "));
        if old == new {
            return Edited::Same(format!("IP address {ip} already set to \"{new}\""));
        }
        let at = hosts.0.iter().position(|l| l.is_for(ip)).unwrap_or(hosts.0.len());
        hosts.0.retain(|l| !l.is_for(ip));
        if !names.is_empty() {
            hosts.0.insert(at, Line::new(ip, names.clone(), None));
        }
        let pair =
            Map::from([("old".to_owned(), Value::Str(old)), ("new".to_owned(), Value::Str(new.clone()))]);
        Edited::To {
            text: hosts.render(),
            changes: Map::from([(ip.clone(), Value::Map(pair))]),
            would: format!("The names of {ip} would be \"{new}\""),
            done: format!("The names of {ip} are \"{new}\""),
        }
    }
}
