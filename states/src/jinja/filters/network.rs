//! Salt's filters over addresses, as Python's `ipaddress` sees them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::args::{Res, int_arg, iterate, required, runtime};
use super::super::repr::text;
use super::super::value::{Dict, Py};
use super::Call;

pub(super) const NAMES: &[&str] = &[
    "filter_by_networks",
    "ip_host",
    "ipaddr",
    "ipv4",
    "ipv6",
    "ipwrap",
    "is_ip",
    "is_ipv4",
    "is_ipv6",
    "network_hosts",
    "network_size",
];

/// Hosts of a network that are listed at most.
const MAX_HOSTS: u128 = 100_000;

pub(super) fn apply(call: Call<'_, '_>) -> Res<Py> {
    let Call { interp, name, subject, args, .. } = call;
    match name {
        "is_ip" | "is_ipv4" | "is_ipv6" => {
            let [options] = args.bind(name, ["options"])?;
            let options = options.filter(Py::truth).map(|o| text(&o));
            let version = version_of(name);
            Ok(Py::Bool(checked(&subject, version, options.as_deref()).is_some()))
        }
        "ipaddr" | "ipv4" | "ipv6" => {
            let [options] = args.bind(name, ["options"])?;
            let options = options.filter(Py::truth).map(|o| text(&o));
            Ok(filtered(&subject, version_of(name), options.as_deref()).unwrap_or(Py::None))
        }
        "ipwrap" => match &subject {
            Py::List(_) | Py::Tuple(_) => {
                let all: Res<Vec<Py>> = iterate(&subject)?.iter().map(wrapped).collect();
                Ok(Py::list(all?))
            }
            one => wrapped(one),
        },
        "filter_by_networks" => {
            let [networks] = args.bind(name, ["networks"])?;
            by_networks(&subject, &required(name, "networks", networks)?)
        }
        _ => {
            let [options, version] = args.bind(name, ["options", "version"])?;
            let options = options.filter(Py::truth).map(|o| text(&o));
            let version = int_arg(name, "version", version)?;
            let found = filtered(&subject, version, options.as_deref()).filter(Py::truth);
            let Some(found) = found else { return Ok(Py::None) };
            if let Py::Str(one) = &found {
                return of_network(interp, name, one);
            }
            let all: Res<Vec<Py>> =
                iterate(&found)?.iter().map(|one| of_network(interp, name, &text(one))).collect();
            Ok(Py::list(all?))
        }
    }
}

fn version_of(name: &str) -> Option<i64> {
    match name.chars().last() {
        Some('4') => Some(4),
        Some('6') => Some(6),
        _ => None,
    }
}

/// An address, its prefix length, and how it was written: with a prefix or without.
struct Interface {
    address: IpAddr,
    prefix: u32,
    zone: String,
    bare: bool,
}

impl Interface {
    fn parse(written: &str) -> Option<Self> {
        let (address, prefix) = written.split_once('/').map_or((written, None), |(a, p)| (a, Some(p)));
        let (plain, zone) = address.split_once('%').map_or((address, ""), |(a, z)| (a, z));
        let address: IpAddr = plain.parse().ok()?;
        if address.is_ipv4() && !zone.is_empty() {
            return None;
        }
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let digits = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit());
        let length = match prefix {
            None => bits,
            Some(p) if digits(p) => p.parse().ok().filter(|p| *p <= bits)?,
            Some(mask) => mask_length(mask.parse().ok().filter(|_| bits == 32)?)?,
        };
        let zone = if zone.is_empty() { String::new() } else { format!("%{zone}") };
        Some(Self { address, prefix: length, zone, bare: prefix.is_none() })
    }

    fn bits(&self) -> u32 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    fn number(&self) -> u128 {
        match self.address {
            IpAddr::V4(a) => u128::from(u32::from(a)),
            IpAddr::V6(a) => u128::from(a),
        }
    }

    /// The first address of the network, and how many it has but for one.
    fn network(&self) -> (u128, u128) {
        let host = self.bits() - self.prefix;
        let span = 1u128.checked_shl(host).map_or(u128::MAX, |s| s - 1);
        (self.number() & !span, span)
    }

    fn contains(&self, other: &Interface) -> bool {
        let (first, span) = self.network();
        self.bits() == other.bits() && other.number().checked_sub(first).is_some_and(|d| d <= span)
    }

    fn shown(&self) -> String {
        let prefix = if self.bare { String::new() } else { format!("/{}", self.prefix) };
        format!("{}{}{prefix}", compressed(self.address), self.zone)
    }
}

/// An address as Python writes it: IPv4 inside IPv6 is not shown with dots.
fn compressed(address: IpAddr) -> String {
    match address {
        IpAddr::V6(a) if a.to_ipv4_mapped().is_some() || a.to_string().contains('.') => {
            let [.., g, h] = a.segments();
            let head = a.to_string();
            let (head, _) = head.rsplit_once(':').unwrap_or((&head, ""));
            format!("{head}:{g:x}:{h:x}")
        }
        other => other.to_string(),
    }
}

fn mask_length(mask: Ipv4Addr) -> Option<u32> {
    let (mask, inverse) = (u32::from(mask), !u32::from(mask));
    let length = |m: u32| (m.leading_ones() + m.trailing_zeros() >= 32).then(|| m.leading_ones());
    length(mask).or_else(|| length(inverse))
}

/// The address as Python writes it, where it is one of this version and all options hold for it.
fn checked(value: &Py, version: Option<i64>, options: Option<&str>) -> Option<String> {
    let written = match value {
        Py::Str(s) => s.to_string(),
        // A whole number is an IPv4 address, or one of IPv6 where it is larger.
        Py::Int(i) => u32::try_from(*i).ok().map(|i| Ipv4Addr::from(i).to_string())?,
        _ => return None,
    };
    let interface = Interface::parse(&written)?;
    let fits = version.is_none_or(|v| (v == 4) == interface.address.is_ipv4() && matches!(v, 4 | 6));
    let known = |option: &str| option_holds(&interface.address, option.trim());
    let holds = options.is_none_or(|all| all.split(',').all(|o| known(o) != Some(false)));
    (fits && holds).then(|| interface.shown())
}

/// Whether an address has a property; an unknown one is not asked for.
fn option_holds(address: &IpAddr, option: &str) -> Option<bool> {
    let first = |a: &Ipv6Addr| a.segments()[0];
    Some(match (option, address) {
        ("private", a) => private(a),
        ("public" | "global", a) => !private(a),
        ("loopback" | "lo", a) => a.is_loopback(),
        ("multicast", a) => a.is_multicast(),
        ("unspecified", a) => a.is_unspecified(),
        ("link-local" | "linklocal" | "ll" | "link_local", IpAddr::V4(a)) => a.is_link_local(),
        ("link-local" | "linklocal" | "ll" | "link_local", IpAddr::V6(a)) => first(a) & 0xffc0 == 0xfe80,
        ("site-local" | "sl" | "site_local", IpAddr::V4(_)) => false,
        ("site-local" | "sl" | "site_local", IpAddr::V6(a)) => first(a) & 0xffc0 == 0xfec0,
        ("reserved", IpAddr::V4(a)) => a.octets()[0] >= 240,
        ("reserved", IpAddr::V6(a)) => {
            let top = first(a) >> 13;
            matches!(top, 2..=6) || first(a) < 0x2000 || matches!(first(a) >> 9, 0x7c..0x7f)
        }
        _ => return None,
    })
}

/// Networks that the registries keep for private use, and the holes in them.
fn private(address: &IpAddr) -> bool {
    const PRIVATE: &[&str] = &[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/29",
        "192.0.0.170/31",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "255.255.255.255/32",
        "::1/128",
        "::/128",
        "::ffff:0:0/96",
        "100::/64",
        "2001::/23",
        "2001:2::/48",
        "2001:db8::/32",
        "2001:10::/28",
        "fc00::/7",
        "fe80::/10",
    ];
    let own = Interface { address: *address, prefix: 0, zone: String::new(), bare: true };
    PRIVATE.iter().filter_map(|n| Interface::parse(n)).any(|n| n.contains(&own))
}

/// Those of a list that are addresses, or the one address.
fn filtered(value: &Py, version: Option<i64>, options: Option<&str>) -> Option<Py> {
    match value {
        Py::Str(_) => checked(value, version, options).map(Py::str),
        Py::List(_) | Py::Tuple(_) | Py::Gen(..) => {
            let all = value.elements().unwrap_or_default();
            let of = |version: i64| all.iter().filter_map(move |v| checked(v, Some(version), options));
            let found: Vec<Py> = match version {
                Some(version) => of(version).map(Py::str).collect(),
                None => of(4).chain(of(6)).map(Py::str).collect(),
            };
            Some(Py::list(found))
        }
        _ => None,
    }
}

fn wrapped(value: &Py) -> Res<Py> {
    if checked(value, Some(6), None).is_none() {
        return Ok(value.clone());
    }
    match text(value).parse::<Ipv6Addr>() {
        Ok(address) => Ok(Py::str(format!("[{}]", compressed(IpAddr::V6(address))))),
        Err(_) => runtime(format!("'{}' does not appear to be an IPv4 or IPv6 address", text(value))),
    }
}

fn by_networks(values: &Py, networks: &Py) -> Res<Py> {
    if matches!(networks, Py::None) {
        return Ok(values.clone());
    }
    let parsed = |value: &Py| match Interface::parse(&text(value)) {
        Some(interface) => Ok(interface),
        None => runtime(format!("'{}' does not appear to be an IPv4 or IPv6 network", text(value))),
    };
    let networks: Vec<Interface> = iterate(networks)?.iter().map(parsed).collect::<Res<_>>()?;
    let within = |all: &Py| -> Res<Py> {
        let mut kept = Vec::new();
        for value in iterate(all)? {
            let address = parsed(&value)?;
            kept.extend(networks.iter().filter(|n| n.contains(&address)).map(|_| value.clone()));
        }
        Ok(Py::list(kept))
    };
    match values {
        Py::Dict(d) => {
            let pairs = d.borrow().iter().map(|(k, v)| Ok((k.clone(), within(v)?))).collect::<Res<Dict>>()?;
            Ok(Py::dict(pairs))
        }
        Py::List(_) | Py::Tuple(_) => within(values),
        other => runtime(format!("Do not know how to filter a {}", other.type_name())),
    }
}

/// `ip_host`, `network_hosts` or `network_size` of one address.
fn of_network(interp: &mut super::super::eval::Interp<'_>, name: &str, written: &str) -> Res<Py> {
    let Some(interface) = Interface::parse(written) else { return Ok(Py::None) };
    let (first, span) = interface.network();
    if name == "ip_host" {
        let shown = Interface { bare: false, ..interface };
        return Ok(Py::str(shown.shown()));
    }
    if name == "network_size" {
        let size = span.checked_add(1).and_then(|s| i64::try_from(s).ok());
        let beyond = "a whole number beyond 64 bits".to_owned();
        return size.map(Py::Int).ok_or_else(|| crate::error::Error::new(crate::error::Fault::Limit(beyond)));
    }
    let v4 = interface.address.is_ipv4();
    // The network's own address is no host, nor is IPv4's broadcast address, where there is room for others.
    let (from, to) = match span {
        0 | 1 => (first, first + span),
        _ if v4 => (first + 1, first + span - 1),
        _ => (first + 1, first + span),
    };
    if to - from > MAX_HOSTS {
        return runtime(format!("network_hosts: {written} has more than {MAX_HOSTS} hosts"));
    }
    interp.charge(usize::try_from(to - from).unwrap_or(usize::MAX))?;
    let shown = |n: u128| match u32::try_from(n) {
        Ok(n) if v4 => Py::str(Ipv4Addr::from(n).to_string()),
        _ => Py::str(compressed(IpAddr::V6(Ipv6Addr::from(n)))),
    };
    Ok(Py::list((from..=to).map(shown).collect()))
}
