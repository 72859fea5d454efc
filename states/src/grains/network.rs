//! Grains of the network: interfaces, addresses, names, resolver and default gateways. Nothing is asked of the network.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use indexmap::IndexMap;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::sys::socket::LinkAddr;

use super::read::Root;
use super::{list, map, opt, text};
use crate::value::{Map, Value};

/// A network interface and its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// MAC address, lower case with colons.
    pub hardware: Option<String>,
    /// IPv4 addresses, the first of each net.
    pub ip4: Vec<Ipv4Addr>,
    /// Further IPv4 addresses of the same nets.
    pub secondary: Vec<Ipv4Addr>,
    /// IPv6 addresses.
    pub ip6: Vec<Ipv6Addr>,
}

/// No resolver is given more name servers, nets or options than this.
const MANY: usize = 256;

/// What is read of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// uname's nodename.
    pub nodename: String,
    /// `/etc/hosts`.
    pub hosts: String,
    /// systemd's or `/etc/resolv.conf`.
    pub resolver: Option<String>,
    /// `/proc/net/route`.
    pub routes4: String,
    /// `/proc/net/ipv6_route`.
    pub routes6: String,
    /// Interfaces by name, in the kernel's order.
    pub interfaces: IndexMap<String, Interface>,
}

impl Network {
    pub(crate) fn read(root: &Root, nodename: &str) -> Self {
        Self {
            nodename: nodename.to_owned(),
            hosts: root.text("etc/hosts").unwrap_or_default(),
            resolver: root.first(&["run/systemd/resolve/resolv.conf", "etc/resolv.conf"]),
            routes4: root.text("proc/net/route").unwrap_or_default(),
            routes6: root.text("proc/net/ipv6_route").unwrap_or_default(),
            interfaces: interfaces(),
        }
    }

    /// The full name: the first one beside the nodename in `/etc/hosts`, else the nodename.
    pub(crate) fn fqdn(&self) -> String {
        let line = self.host_lines().find(|(_, names)| contains(names, &self.nodename));
        line.and_then(|(_, names)| names.first().copied()).unwrap_or(&self.nodename).to_owned()
    }

    pub(crate) fn grains(&self) -> Map {
        let fqdn = self.fqdn();
        let (host, domain) = fqdn.split_once('.').unwrap_or((&fqdn, ""));
        let mut grains = map([
            ("fqdn", text(&fqdn)),
            ("host", text(host)),
            ("domain", text(domain)),
            ("nodename", text(&self.nodename)),
            ("localhost", text(&self.nodename)),
            ("fqdns", list(self.fqdns())),
            ("fqdn_ip4", list(self.addresses_of(&fqdn, IpAddr::is_ipv4))),
            ("fqdn_ip6", list(self.addresses_of(&fqdn, IpAddr::is_ipv6))),
        ]);
        grains.extend(self.interface_grains());
        grains.extend(self.gateways());
        grains.extend(opt("dns", self.resolver.as_deref().map(resolver)));
        grains
    }

    fn interface_grains(&self) -> Map {
        let by_name = |pick: fn(&Interface) -> Value| {
            Value::Map(self.interfaces.iter().map(|(name, i)| (name.clone(), pick(i))).collect())
        };
        let with_mac =
            self.interfaces.iter().filter_map(|(name, i)| Some((name.clone(), text(i.hardware.as_deref()?))));
        let ip4: BTreeSet<Ipv4Addr> = self.interfaces.values().flat_map(Interface::all4).collect();
        let ip6: BTreeSet<Ipv6Addr> = self.interfaces.values().flat_map(|i| i.ip6.iter().copied()).collect();
        map([
            ("hwaddr_interfaces", Value::Map(with_mac.collect())),
            ("ip4_interfaces", by_name(|i| list(i.all4()))),
            ("ip6_interfaces", by_name(|i| list(&i.ip6))),
            ("ip_interfaces", by_name(Interface::all)),
            ("ipv4", list(ip4)),
            ("ipv6", list(ip6)),
        ])
    }

    fn host_lines(&self) -> impl Iterator<Item = (IpAddr, Vec<&str>)> {
        self.hosts.lines().filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            Some((words.next()?.parse().ok()?, words.collect()))
        })
    }

    /// The name's addresses in `/etc/hosts`, where the loopback of IPv6 stands for that of IPv4 too; else a name of this
    /// machine is taken to mean its own IPv4 addresses.
    fn addresses_of(&self, name: &str, family: fn(&IpAddr) -> bool) -> Vec<IpAddr> {
        let lines = self.host_lines().filter(|(_, names)| contains(names, name));
        let mut found: Vec<IpAddr> = lines.map(|(address, _)| address).collect();
        if found.is_empty() {
            let own = self.interfaces.values().flat_map(Interface::all4).filter(|ip| !ip.is_loopback());
            found.extend(own.map(IpAddr::V4));
        }
        if found.contains(&IpAddr::V6(Ipv6Addr::LOCALHOST)) {
            found.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        found.sort();
        found.dedup();
        found.into_iter().filter(family).collect()
    }

    /// The dotted names that `/etc/hosts` has for this machine's addresses.
    fn fqdns(&self) -> Vec<String> {
        let own: Vec<IpAddr> = self
            .interfaces
            .values()
            .flat_map(|i| i.all4().map(IpAddr::V4).chain(i.ip6.iter().copied().map(IpAddr::V6)))
            .filter(|ip| !ip.is_loopback())
            .collect();
        let full = |names: Vec<&str>| {
            let dotted = names.iter().find(|name| name.contains('.')).or(names.first()).copied();
            dotted.map(str::to_owned)
        };
        let lines = self.host_lines().filter(|(address, _)| own.contains(address));
        let names: BTreeSet<String> = lines.filter_map(|(_, names)| full(names)).collect();
        names.into_iter().collect()
    }

    /// `ip4_gw`, `ip6_gw` (the address, or whether there is one without address) and `ip_gw`.
    fn gateways(&self) -> Map {
        let (four, six) = (gateway4(&self.routes4), gateway6(&self.routes6));
        let any = four.is_some() || six.is_some();
        let told = |gateway: Option<Value>| gateway.unwrap_or(Value::Bool(false));
        map([("ip_gw", Value::Bool(any)), ("ip4_gw", told(four)), ("ip6_gw", told(six))])
    }
}

impl Interface {
    fn all4(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.ip4.iter().chain(&self.secondary).copied()
    }

    fn all(&self) -> Value {
        let (six, rest) = (self.ip6.iter().copied().map(IpAddr::V6), self.secondary.iter().copied());
        list(self.ip4.iter().copied().map(IpAddr::V4).chain(six).chain(rest.map(IpAddr::V4)))
    }

    /// Adds an address; the kernel calls it secondary where another of the same net is there before it.
    fn add4(&mut self, entry: &InterfaceAddress, nets: &mut Vec<(String, u32, u32)>, address: Ipv4Addr) {
        let mask =
            entry.netmask.as_ref().and_then(|m| m.as_sockaddr_in()).map_or(u32::MAX, |m| m.ip().to_bits());
        let net = (name_of(entry), mask, address.to_bits() & mask);
        let known = nets.contains(&net);
        nets.push(net);
        if known { &mut self.secondary } else { &mut self.ip4 }.push(address);
    }
}

/// Host names are the same in capitals.
fn contains(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// An interface's name; a label behind a colon is not a part of it.
fn name_of(entry: &InterfaceAddress) -> String {
    entry.interface_name.split(':').next().unwrap_or_default().to_owned()
}

fn interfaces() -> IndexMap<String, Interface> {
    let Ok(addresses) = getifaddrs() else { return IndexMap::new() };
    let (mut all, mut nets) = (IndexMap::<String, Interface>::new(), Vec::new());
    for entry in addresses {
        let interface = all.entry(name_of(&entry)).or_default();
        let Some(address) = &entry.address else { continue };
        if let Some(ip) = address.as_sockaddr_in() {
            interface.add4(&entry, &mut nets, ip.ip());
        } else if let Some(ip) = address.as_sockaddr_in6() {
            interface.ip6.push(ip.ip());
        } else if let Some(link) = address.as_link_addr() {
            interface.hardware = hardware_address(link);
        }
    }
    all
}

/// Six bytes with colons; tunnels have an IPv4 address in its place, or none.
fn hardware_address(link: &LinkAddr) -> Option<String> {
    let bytes = link.addr()?;
    match link.halen() {
        6 => Some(bytes.map(|byte| format!("{byte:02x}")).join(":")),
        4 => Some(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).to_string()),
        _ => None,
    }
}

/// The first default route of `/proc/net/route`; true where it has no gateway.
fn gateway4(routes: &str) -> Option<Value> {
    const UP: u32 = 1;
    routes.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok();
        let (to, gateway, flags, mask) = (number(1)?, number(2)?, number(3)?, number(7)?);
        let known = to == 0 && mask == 0 && flags & UP != 0;
        let address = Ipv4Addr::from(gateway.to_ne_bytes());
        known.then(|| if gateway == 0 { Value::Bool(true) } else { text(&address.to_string()) })
    })
}

/// The first default route of `/proc/net/ipv6_route` that does not refuse what it is given.
fn gateway6(routes: &str) -> Option<Value> {
    const UP: u32 = 1;
    const REJECT: u32 = 0x200;
    routes.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = |at: usize| u128::from_str_radix(words.get(at)?, 16).ok();
        let flags = u32::from_str_radix(words.get(8)?, 16).ok()?;
        let known = address(0)? == 0 && *words.get(1)? == "00" && flags & UP != 0 && flags & REJECT == 0;
        let gateway = Ipv6Addr::from(address(4)?);
        known.then(|| if gateway.is_unspecified() { Value::Bool(true) } else { text(&gateway.to_string()) })
    })
}

/// What resolv.conf(5) says.
fn resolver(conf: &str) -> Value {
    let (mut servers, mut sortlist, mut options) = (Vec::new(), Vec::new(), Vec::new());
    let (mut domain, mut search) = (String::new(), Vec::new());
    let add = |all: &mut Vec<String>, one: String| {
        (all.len() < MANY && !all.contains(&one)).then(|| all.push(one));
    };
    for line in conf.lines() {
        let mut words = line.split_whitespace();
        let Some(directive) = words.next() else { continue };
        let rest: Vec<&str> = words.take_while(|word| !word.starts_with(['#', ';'])).collect();
        match (&*directive.to_lowercase(), rest.first()) {
            ("nameserver", Some(server)) if server_address(server).is_some() => {
                add(&mut servers, (*server).to_owned());
            }
            ("domain", Some(name)) => (*name).clone_into(&mut domain),
            ("search", _) => search = rest.iter().map(|name| (*name).to_owned()).collect(),
            ("sortlist", _) => rest.iter().filter_map(|net| sort_net(net)).for_each(|net| {
                add(&mut sortlist, net);
            }),
            ("options", Some(option)) => {
                add(&mut options, (*option).to_owned());
            }
            _ => {}
        }
    }
    let of_family =
        |six: bool| list(servers.iter().filter(|s| server_address(s).is_some_and(|ip| ip.is_ipv6() == six)));
    Value::Map(map([
        ("nameservers", list(&servers)),
        ("ip4_nameservers", of_family(false)),
        ("ip6_nameservers", of_family(true)),
        ("sortlist", list(&sortlist)),
        ("domain", text(&domain)),
        ("search", list(&search)),
        ("options", list(&options)),
    ]))
}

/// A name server's address; an IPv6 one may name its interface.
fn server_address(server: &str) -> Option<IpAddr> {
    let (address, zone) = server.split_once('%').unwrap_or((server, "-"));
    let address = IpAddr::from_str(address).ok()?;
    (!zone.is_empty() && (zone == "-" || address.is_ipv6())).then_some(address)
}

/// An IPv4 net of the sort list with its mask; one without mask has that of its class.
fn sort_net(net: &str) -> Option<String> {
    let (address, mask) = net.split_once('/').unwrap_or((net, ""));
    let address: Ipv4Addr = address.parse().ok()?;
    let ones = |length: u32| u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let mask = match (mask, address.octets()[0]) {
        ("", 0..=127) => ones(8),
        ("", 128..=191) => ones(16),
        ("", _) => ones(24),
        (mask, _) => match mask.parse::<u32>() {
            Ok(length @ 0..=32) => ones(length),
            _ => mask.parse::<Ipv4Addr>().ok()?.to_bits(),
        },
    };
    let within = net.contains('/') && address.to_bits() & !mask != 0;
    let network = Ipv4Addr::from_bits(address.to_bits() & mask);
    (!within).then(|| format!("{network}/{}", Ipv4Addr::from_bits(mask)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(nodename: &str, hosts: &str) -> Network {
        Network { nodename: nodename.to_owned(), hosts: hosts.to_owned(), ..Network::default() }
    }

    #[test]
    fn this_machine_has_a_loopback() {
        let all = interfaces();
        assert_eq!(all["lo"].ip4, [Ipv4Addr::LOCALHOST]);
        assert_eq!(all["lo"].hardware.as_deref(), Some("00:00:00:00:00:00"));
    }

    #[test]
    fn the_full_name_is_the_first_beside_the_nodename() {
        let hosts = "127.0.0.1 localhost\n10.0.0.1 web1.example.org web1 # this one\n";
        assert_eq!(named("web1", hosts).fqdn(), "web1.example.org");
        assert_eq!(named("db1", hosts).fqdn(), "db1");
        assert_eq!(named("WEB1", hosts).fqdn(), "web1.example.org");
        let two = named("web1", "10.0.0.1 four web1\nfd00::1 six web1\n");
        assert_eq!((two.fqdn(), &two.grains()["fqdn_ip4"]), ("four".to_owned(), &list(["10.0.0.1"])));
        let loopback = named("web1", "::1 web1\n").grains();
        assert_eq!((&loopback["fqdn_ip4"], &loopback["fqdn_ip6"]), (&list(["127.0.0.1"]), &list(["::1"])));
    }

    #[test]
    fn addresses_are_in_order_of_number_and_the_second_of_a_net_comes_last() {
        let eth0 = Interface {
            hardware: Some("02:00:00:00:00:01".to_owned()),
            ip4: vec![Ipv4Addr::new(10, 0, 0, 10)],
            secondary: vec![Ipv4Addr::new(10, 0, 0, 9)],
            ip6: vec![Ipv6Addr::LOCALHOST],
        };
        let mut network = named("web1", "10.0.0.9 a.example.org a\n");
        network.interfaces.insert("eth0".to_owned(), eth0);
        let grains = network.grains();
        assert_eq!(grains["ipv4"], list(["10.0.0.9", "10.0.0.10"]));
        let all = grains["ip_interfaces"].as_map().unwrap();
        assert_eq!(all["eth0"], list(["10.0.0.10", "::1", "10.0.0.9"]));
        assert_eq!(grains["fqdns"], list(["a.example.org"]));
        assert_eq!(grains["fqdn_ip4"], list(["10.0.0.9", "10.0.0.10"]));
    }

    #[test]
    fn gateways_of_the_kernels_tables() {
        let four = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                    eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n\
                    eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n";
        assert_eq!(gateway4(four), Some(text("192.0.2.1")));
        let zero = "0".repeat(32);
        let line = |to: &str, via: &str, flags: &str| {
            format!("{to} 00 {zero} 00 {via} 00000400 00000001 00000000 {flags} eth0\n")
        };
        let via = "fd000000000000000000000000000001";
        let six = line(&zero, &zero, "00000201") + &line(&zero, via, "00000003");
        assert_eq!(gateway6(&six), Some(text("fd00::1")));
        assert_eq!(gateway6(&line(&zero, &zero, "00000001")), Some(Value::Bool(true)));
        assert_eq!((gateway4("x\ny z\n"), gateway6("0 00\n")), (None, None));
    }

    #[test]
    fn a_resolver_with_everything() {
        let conf = "# by hand\nnameserver 10.0.0.2\nNameserver fe80::1%eth0 ; near\nnameserver 10.0.0.2\n\
                    nameserver nonsense\nsearch a.example b.example # two\noptions ndots:5 rotate\n\
                    sortlist 10.0.0.0 10.1.0.0/255.255.0.0 10.2.0.1/8\ndomain\n";
        let Value::Map(dns) = resolver(conf) else { panic!("no mapping") };
        assert_eq!(dns["nameservers"], list(["10.0.0.2", "fe80::1%eth0"]));
        assert_eq!(
            (&dns["ip4_nameservers"], &dns["ip6_nameservers"]),
            (&list(["10.0.0.2"]), &list(["fe80::1%eth0"]))
        );
        assert_eq!(dns["search"], list(["a.example", "b.example"]));
        assert_eq!(dns["options"], list(["ndots:5"]));
        let many: String =
            (0..100_000).map(|n| format!("nameserver fd00::{:x}:{:x}\n", n >> 16, n & 0xffff)).collect();
        let Value::Map(long) = resolver(&many) else { panic!("no mapping") };
        assert_eq!(long["nameservers"].as_list().map(<[Value]>::len), Some(MANY));
        assert_eq!(dns["sortlist"], list(["10.0.0.0/255.0.0.0", "10.1.0.0/255.255.0.0"]));
    }
}
