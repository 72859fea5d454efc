//! `network.*`: the addresses and routes of the machine.

use std::net::{IpAddr, Ipv6Addr};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;

use super::asked::{Asked, flag, is_true, split, str_arg, text};
use super::file::text::regex;
use super::{Answer, Table, list, map, number, str_of, string};
use crate::python::addresses;
use crate::python::glob::fnmatch;
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: Table = &[
    ("network.default_route", default_route),
    ("network.get_fqdn", get_fqdn),
    ("network.get_hostname", get_hostname),
    ("network.get_route", get_route),
    ("network.hw_addr", hw_addr),
    ("network.hwaddr", hw_addr),
    ("network.in_subnet", in_subnet),
    ("network.interface", interface),
    ("network.interface_ip", interface_ip),
    ("network.interfaces", interfaces),
    ("network.ip_addrs", ip_addrs),
    ("network.ip_addrs6", ip_addrs6),
    ("network.ip_networks", ip_networks),
    ("network.ip_networks6", ip_networks6),
    ("network.ipaddrs", ip_addrs),
    ("network.ipaddrs6", ip_addrs6),
    ("network.routes", routes),
    ("network.subnets", subnets),
    ("network.subnets6", subnets6),
];

/// What is known of all interfaces, in the order of the kernel.
fn all() -> Result<Map, String> {
    let mut all = Map::new();
    for entry in getifaddrs().map_err(|e| e.to_string())? {
        let label = entry.interface_name.clone();
        let name = label.split(':').next().unwrap_or_default().to_owned();
        let known = all.entry(name).or_insert_with(|| Value::Map(Map::new()));
        let Value::Map(known) = known else { continue };
        known.insert("up".to_owned(), Value::Bool(entry.flags.contains(InterfaceFlags::IFF_UP)));
        add(known, &entry, &label);
    }
    Ok(all)
}

fn add(known: &mut Map, entry: &InterfaceAddress, label: &str) {
    let Some(address) = &entry.address else { return };
    if let Some(mac) = address.as_link_addr().and_then(nix::sys::socket::LinkAddr::addr) {
        known.insert("hwaddr".to_owned(), string(mac.map(|byte| format!("{byte:02x}")).join(":")));
    } else if let Some(ip) = address.as_sockaddr_in() {
        let mask = entry.netmask.as_ref().and_then(|m| m.as_sockaddr_in().map(|m| m.ip().to_string()));
        let broadcast = entry.broadcast.as_ref().and_then(|b| b.as_sockaddr_in().map(|b| b.ip().to_string()));
        let own = map([
            ("address", string(ip.ip().to_string())),
            ("netmask", string(mask.unwrap_or_default())),
            ("broadcast", broadcast.map_or(Value::Null, Value::Str)),
            ("label", string(label)),
        ]);
        put(known, "inet", own);
    } else if let Some(ip) = address.as_sockaddr_in6() {
        let mask = entry.netmask.as_ref().and_then(|m| m.as_sockaddr_in6().map(|m| u128::from(m.ip())));
        let own = map([
            ("address", string(ip.ip().to_string())),
            ("prefixlen", string(mask.unwrap_or(u128::MAX).leading_ones().to_string())),
            ("scope", string(scope(ip.ip()))),
        ]);
        put(known, "inet6", own);
    }
}

/// A second address of the same network is what the kernel calls a secondary one.
fn put(known: &mut Map, kind: &str, mut address: Value) {
    let net = |value: &Value| network_of(value, kind);
    let own = net(&address);
    let primary = known.get(kind).and_then(Value::as_list).unwrap_or_default();
    let second = kind == "inet" && primary.iter().any(|p| net(p) == own);
    if let (true, Value::Map(fields)) = (second, &mut address) {
        fields.insert("type".to_owned(), string(kind));
    }
    let key = if second { "secondary" } else { kind };
    if let Value::List(all) = known.entry(key.to_owned()).or_insert_with(|| Value::List(Vec::new())) {
        all.push(address);
    }
}

fn scope(ip: Ipv6Addr) -> &'static str {
    match ip.segments()[0] {
        _ if ip.is_loopback() => "host",
        first if first & 0xffc0 == 0xfe80 => "link",
        first if first & 0xffc0 == 0xfec0 => "site",
        _ => "global",
    }
}

fn field(address: &Value, key: &str) -> String {
    address.as_map().and_then(|a| a.get(key)).map(str_of).unwrap_or_default()
}

fn network_of(address: &Value, kind: &str) -> Option<ipnet::IpNet> {
    let mask = field(address, if kind == "inet" { "netmask" } else { "prefixlen" });
    addresses::network(&format!("{}/{mask}", field(address, "address")), false)
}

/// Addresses of one kind on these interfaces, the secondary ones too.
fn addresses_of(chosen: &Map, kind: &str) -> Vec<Value> {
    let of = |interface: &Value, key: &str| {
        let all = interface.as_map().and_then(|i| i.get(key)).and_then(Value::as_list);
        all.unwrap_or_default().to_vec()
    };
    let secondary = |i: &Value| of(i, "secondary").into_iter().filter(|a| field(a, "type") == kind).collect();
    chosen.values().flat_map(|i| [of(i, kind), secondary(i)].concat()).collect()
}

fn chosen(wanted: Option<&Value>) -> Result<Map, String> {
    let mut all = all()?;
    if wanted.is_some_and(|w| !matches!(w, Value::Null)) {
        let patterns = split(wanted);
        all.retain(|name, _| patterns.iter().any(|p| fnmatch(name, p)));
    }
    Ok(all)
}

fn interfaces(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    all().map(Value::Map)
}

/// One interface, or Salt's sentence about its absence.
fn about(asked: &Asked<'_>, answer: impl Fn(&Map) -> Value) -> Answer {
    let name = asked.only("iface")?;
    let all = all()?;
    match all.get(&name).and_then(Value::as_map) {
        Some(known) => Ok(answer(known)),
        None => {
            let names = all.keys().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
            Ok(string(format!("Interface \"{name}\" not in available interfaces: {names}")))
        }
    }
}

fn interface(asked: &Asked<'_>) -> Answer {
    about(asked, |known| known.get("inet").cloned().unwrap_or_else(|| string("")))
}

fn hw_addr(asked: &Asked<'_>) -> Answer {
    about(asked, |known| known.get("hwaddr").cloned().unwrap_or_else(|| string("")))
}

fn interface_ip(asked: &Asked<'_>) -> Answer {
    about(asked, |known| {
        let first = known.get("inet").and_then(Value::as_list).and_then(<[Value]>::first);
        string(first.map(|a| field(a, "address")).unwrap_or_default())
    })
}

/// Addresses in their order, without those of the loopback unless they are wanted.
fn sorted(chosen: &Map, kind: &str, loopback: bool) -> Vec<IpAddr> {
    let texts = addresses_of(chosen, kind).into_iter().map(|a| field(&a, "address"));
    let mut ips: Vec<IpAddr> = texts.filter_map(|t| addresses::address(&t)).collect();
    ips.retain(|ip| loopback || !ip.is_loopback());
    ips.sort();
    ips.dedup();
    ips
}

fn within(ips: Vec<IpAddr>, cidr: Option<&Value>) -> Result<Vec<IpAddr>, String> {
    let Some(cidr) = str_arg(cidr) else { return Ok(ips) };
    let net = addresses::network(&cidr, true);
    Ok(ips.into_iter().filter(|ip| net.is_some_and(|net| net.contains(ip))).collect())
}

fn texts(ips: Vec<IpAddr>) -> Value {
    list(ips.into_iter().map(|ip| ip.to_string()))
}

fn ip_addrs(asked: &Asked<'_>) -> Answer {
    let [interface, loopback, cidr, kind] = asked.bind(["interface", "include_loopback", "cidr", "type"])?;
    let mut ips = sorted(&chosen(interface)?, "inet", flag(loopback, false));
    match (str_arg(cidr), str_arg(kind).as_deref()) {
        (None, Some("public")) => ips.retain(|ip| !addresses::is_private(*ip)),
        (None, Some("private")) => ips.retain(|ip| addresses::is_private(*ip)),
        _ => ips = within(ips, cidr)?,
    }
    Ok(texts(ips))
}

fn ip_addrs6(asked: &Asked<'_>) -> Answer {
    let [interface, loopback, cidr] = asked.bind(["interface", "include_loopback", "cidr"])?;
    let ips = sorted(&chosen(interface)?, "inet6", flag(loopback, false));
    within(ips, cidr).map(texts)
}

fn in_subnet(asked: &Asked<'_>) -> Answer {
    let cidr = asked.only("cidr")?;
    let all = all()?;
    let own = [sorted(&all, "inet", false), sorted(&all, "inet6", false)].concat();
    let own: Vec<String> = own.iter().map(IpAddr::to_string).collect();
    addresses::in_network(&cidr, &own).map(Value::Bool)
}

/// Networks in their order, without those of the loopback unless they are wanted.
fn networks(chosen: &Map, kind: &str, loopback: bool) -> Vec<ipnet::IpNet> {
    let mut nets: Vec<ipnet::IpNet> =
        addresses_of(chosen, kind).iter().filter_map(|a| network_of(a, kind)).collect();
    nets.retain(|net| loopback || !net.network().is_loopback());
    nets.sort_by_key(|net| (net.network(), net.netmask()));
    nets.dedup();
    nets
}

fn net_texts(nets: Vec<ipnet::IpNet>) -> Value {
    list(nets.into_iter().map(|net| net.to_string()))
}

fn subnets(asked: &Asked<'_>) -> Answer {
    let [interfaces] = asked.bind(["interfaces"])?;
    let mut all = all()?;
    if let Some(wanted) = interfaces.filter(|w| !matches!(w, Value::Null)) {
        let names = split(Some(wanted));
        all.retain(|name, _| names.contains(name));
    }
    Ok(net_texts(networks(&all, "inet", false)))
}

fn subnets6(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    Ok(net_texts(networks(&all()?, "inet6", false)))
}

fn ip_networks(asked: &Asked<'_>) -> Answer {
    networks_of(asked, "inet")
}

fn ip_networks6(asked: &Asked<'_>) -> Answer {
    networks_of(asked, "inet6")
}

fn networks_of(asked: &Asked<'_>, kind: &str) -> Answer {
    let [interface, loopback, verbose] = asked.bind(["interface", "include_loopback", "verbose"])?;
    let nets = networks(&chosen(interface)?, kind, flag(loopback, false));
    if !is_true(verbose) {
        return Ok(net_texts(nets));
    }
    let about = |net: ipnet::IpNet| {
        let width = net.max_prefix_len() - net.prefix_len();
        let count = 1_i64.checked_shl(width.into()).filter(|_| width < 63).unwrap_or(i64::MAX);
        let fields = map([
            ("address", string(net.network().to_string())),
            ("netmask", string(net.netmask().to_string())),
            ("num_addresses", Value::Int(count)),
            ("prefixlen", number(net.prefix_len())),
        ]);
        (net.to_string(), fields)
    };
    Ok(map(nets.into_iter().map(about)))
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn get_hostname(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    Ok(string(hostname()))
}

fn get_fqdn(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    Ok(string(fqdn(&asked.read_or_empty("/etc/hosts"), hostname())))
}

/// The address that the hosts file gives to this name leads back to names: the first one with a dot, else the first.
fn fqdn(hosts: &str, hostname: String) -> String {
    let lines = || hosts.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    let address = lines().find_map(|mut words| {
        let address = words.next()?;
        words.any(|name| name == hostname).then_some(address)
    });
    let names = address.and_then(|address| lines().find(|words| words.clone().next() == Some(address)));
    let best = names.and_then(|words| {
        let mut names = words.skip(1);
        names.clone().find(|name| name.contains('.')).or_else(|| names.next()).map(str::to_owned)
    });
    best.unwrap_or(hostname)
}

/// A number of the kernel's route table: hexadecimal, the bytes in the machine's order.
fn address4(hex: &str) -> Option<String> {
    let number = u32::from_str_radix(hex, 16).ok()?;
    Some(std::net::Ipv4Addr::from(number.to_ne_bytes()).to_string())
}

/// What `netstat` calls the flags of a route.
fn letters(flags: u32) -> String {
    let known = [(0x1, 'U'), (0x2, 'G'), (0x4, 'H'), (0x20_0000, 'n')];
    let up = if flags & 0x200 != 0 { "!" } else { "" };
    let letters = known.iter().filter(|(bit, l)| flags & bit != 0 && (*l != 'U' || up.is_empty()));
    up.chars().chain(letters.map(|(_, l)| *l)).collect()
}

fn route(
    family: &str,
    destination: String,
    gateway: String,
    mask: String,
    flags: u32,
    device: &str,
) -> Value {
    map([
        ("addr_family", string(family)),
        ("destination", string(destination)),
        ("gateway", string(gateway)),
        ("netmask", string(mask)),
        ("flags", string(letters(flags))),
        ("interface", string(device)),
    ])
}

fn route4(line: &str) -> Option<Value> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [device, to, via, flags, _, _, _, mask, ..] = fields.as_slice() else { return None };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    Some(route("inet", address4(to)?, address4(via)?, address4(mask)?, flags, device))
}

fn route6(line: &str) -> Option<Value> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [to, bits, _, _, via, _, _, _, flags, device] = fields.as_slice() else { return None };
    let ip = |hex: &str| Some(Ipv6Addr::from(u128::from_str_radix(hex, 16).ok()?));
    let bits = u8::from_str_radix(bits, 16).ok()?;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    Some(route("inet6", format!("{}/{bits}", ip(to)?), ip(via)?.to_string(), String::new(), flags, device))
}

/// The routes of both families, from the kernel's tables.
fn all_routes(asked: &Asked<'_>, family: Option<&Value>) -> Result<Vec<Value>, String> {
    let family = str_arg(family);
    if let Some(other) = family.as_deref().filter(|f| !["inet", "inet6"].contains(f)) {
        return Err(format!("Invalid address family {other}"));
    }
    let four = asked.read_or_empty("/proc/net/route");
    let six = asked.read_or_empty("/proc/net/ipv6_route");
    let mut all: Vec<Value> = four.lines().skip(1).filter_map(route4).collect();
    all.extend(six.lines().filter_map(route6));
    all.retain(|route| family.as_ref().is_none_or(|f| field(route, "addr_family") == *f));
    Ok(all)
}

fn routes(asked: &Asked<'_>) -> Answer {
    let [family] = asked.bind(["family"])?;
    all_routes(asked, family).map(Value::List)
}

fn default_route(asked: &Asked<'_>) -> Answer {
    let [family] = asked.bind(["family"])?;
    let mut all = all_routes(asked, family)?;
    all.retain(|route| ["0.0.0.0", "::/0"].contains(&field(route, "destination").as_str()));
    Ok(Value::List(all))
}

fn get_route(asked: &Asked<'_>) -> Answer {
    let ip = asked.only("ip")?;
    if addresses::address(&ip).is_none() {
        return Err(addresses::not_an_address(&ip));
    }
    let said = asked.output(&["ip", "route", "get", &ip])?;
    let form =
        r"(?:via\s+(?P<gateway>[\w.:]+))?\s+dev\s+(?P<interface>[\w.:-]+)\s+.*src\s+(?P<source>[\w.:]+)";
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = regex(form, "")?
        .captures(&line)
        .map(|c| ["gateway", "interface", "source"].map(|part| c.name(part).map(|m| m.as_str().to_owned())));
    let [gateway, interface, source] = parts.unwrap_or_default();
    let value = |part: Option<String>| part.map_or(Value::Null, Value::Str);
    Ok(map([
        ("destination", string(text("ip", asked.args.first().or_else(|| asked.kwargs.get("ip")))?)),
        ("gateway", value(gateway)),
        ("interface", value(interface)),
        ("source", value(source)),
    ]))
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::*;

    #[test]
    fn the_loopback_is_known_and_left_out() {
        let bench = Bench::new(&[]);
        assert_eq!(bench.json("network.interface_ip", &["lo"]), "\"127.0.0.1\"");
        assert!(bench.json("network.interfaces", &[]).contains("\"netmask\":\"255.0.0.0\""));
        assert!(!bench.json("network.ip_addrs", &[]).contains("127.0.0.1"));
        let with = bench.with("network.ip_addrs", &["lo"], &[("include_loopback", Value::Bool(true))]);
        assert_eq!(with, Ok(list(["127.0.0.1"])));
        assert!(bench.json("network.hwaddr", &["none"]).contains("not in available interfaces"));
        assert_eq!(bench.json("network.in_subnet", &["10.0.0.1/8"]), "false");
    }

    #[test]
    fn a_second_address_of_a_network_is_a_secondary_one() {
        let address = |ip: &str| map([("address", string(ip)), ("netmask", string("255.255.255.0"))]);
        let mut known = Map::new();
        for ip in ["10.0.0.1", "10.0.0.2", "10.0.1.1"] {
            put(&mut known, "inet", address(ip));
        }
        assert_eq!(known["inet"].as_list().unwrap().len(), 2);
        assert_eq!(field(&known["secondary"].as_list().unwrap()[0], "type"), "inet");
    }

    #[test]
    fn routes_of_the_kernel() {
        let bench = Bench::new(&[
            (
                "/proc/net/route",
                "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                 eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n\
                 eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n",
            ),
            (
                "/proc/net/ipv6_route",
                "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                 fd000000000000000000000000000001 00000400 1 0 00000003 eth0\n",
            ),
        ]);
        let four = bench.json("network.default_route", &["inet"]);
        assert_eq!(
            four,
            "[{\"addr_family\":\"inet\",\"destination\":\"0.0.0.0\",\"gateway\":\"192.0.2.1\",\
             \"netmask\":\"0.0.0.0\",\"flags\":\"UG\",\"interface\":\"eth0\"}]"
        );
        assert!(bench.json("network.default_route", &["inet6"]).contains("\"gateway\":\"fd00::1\""));
        assert!(bench.json("network.routes", &[]).contains("\"netmask\":\"255.255.255.0\",\"flags\":\"U\""));
        assert!(bench.call("network.routes", &["ipx"]).is_err());
    }

    #[test]
    fn the_full_name_is_that_of_the_hosts_file() {
        let hosts = "127.0.0.1 localhost\n10.0.0.1 web web.example.org # ours\n10.0.0.2 db\n";
        assert_eq!(fqdn(hosts, "web".into()), "web.example.org");
        assert_eq!(fqdn(hosts, "db".into()), "db");
        assert_eq!(fqdn("127.0.0.1 localhost\n127.0.0.1 vm\n", "vm".into()), "localhost");
        assert_eq!(fqdn(hosts, "other".into()), "other");
    }
}
