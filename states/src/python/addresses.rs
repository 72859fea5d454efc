//! Internet addresses and networks as Python's `ipaddress` reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// An address; a zone such as `%eth0` is allowed and dropped.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let (plain, zone) = text.split_once('%').map_or((text, None), |(ip, zone)| (ip, Some(zone)));
    let ip: IpAddr = plain.parse().ok()?;
    match zone {
        Some(zone) if zone.is_empty() || ip.is_ipv4() => None,
        _ => Some(ip),
    }
}

/// A network: an address, with a prefix length, a netmask or a host mask. Where it is `strict`, no bit may be set behind
/// the mask; otherwise those bits are cleared.
pub(crate) fn network(text: &str, strict: bool) -> Option<IpNet> {
    let (ip, mask) = text.split_once('/').map_or((text, None), |(ip, mask)| (ip, Some(mask)));
    let ip: IpAddr = ip.parse().ok()?;
    let bits = match (ip, mask) {
        (IpAddr::V4(_), None) => 32,
        (IpAddr::V6(_), None) => 128,
        (IpAddr::V4(_), Some(mask)) => prefix4(mask)?,
        (IpAddr::V6(_), Some(mask)) => digits(mask)?,
    };
    let net = IpNet::new(ip, bits).ok()?;
    if strict && net.network() != ip {
        return None;
    }
    Some(net.trunc())
}

fn digits(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `24`, `255.255.255.0` or `0.0.0.255`.
fn prefix4(mask: &str) -> Option<u8> {
    if let Some(bits) = digits(mask) {
        return Some(bits);
    }
    let mask: Ipv4Addr = mask.parse().ok()?;
    let inverted = Ipv4Addr::from(!u32::from(mask));
    ipnet::ipv4_mask_to_prefix(mask).or_else(|_| ipnet::ipv4_mask_to_prefix(inverted)).ok()
}

/// Whether one of the addresses is in the network; a network that is none holds nothing.
///
/// # Errors
/// One of them is no address: a sentence.
pub(crate) fn in_network(cidr: &str, addresses: &[String]) -> Result<bool, String> {
    let Some(net) = network(cidr, true) else { return Ok(false) };
    for text in addresses {
        let ip = address(text).ok_or_else(|| not_an_address(text))?;
        if net.contains(&ip) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn not_an_address(text: &str) -> String {
    format!("'{text}' does not appear to be an IPv4 or IPv6 address")
}

pub(crate) fn not_a_network(text: &str) -> String {
    format!("'{text}' does not appear to be an IPv4 or IPv6 network")
}

/// Networks that are not of the public internet, by the registries of IANA.
const PRIVATE4: &[(u8, u8, u8, u8, u8)] = &[
    (0, 0, 0, 0, 8),
    (10, 0, 0, 0, 8),
    (127, 0, 0, 0, 8),
    (169, 254, 0, 0, 16),
    (172, 16, 0, 0, 12),
    (192, 0, 0, 0, 29),
    (192, 0, 0, 170, 31),
    (192, 0, 2, 0, 24),
    (192, 168, 0, 0, 16),
    (198, 18, 0, 0, 15),
    (198, 51, 100, 0, 24),
    (203, 0, 113, 0, 24),
    (240, 0, 0, 0, 4),
];
const PRIVATE6: &[&str] =
    &["::1/128", "::/128", "100::/64", "2001::/23", "2001:db8::/32", "2001:10::/28", "fc00::/7", "fe80::/10"];

/// Python's `is_private`.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => private4(ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| private6(ip), private4),
    }
}

fn private4(ip: Ipv4Addr) -> bool {
    let within = |(a, b, c, d, bits): &(u8, u8, u8, u8, u8)| {
        Ipv4Net::new(Ipv4Addr::new(*a, *b, *c, *d), *bits).is_ok_and(|net| net.contains(&ip))
    };
    PRIVATE4.iter().any(within)
}

fn private6(ip: Ipv6Addr) -> bool {
    let within = |net: &&str| network(net, true).is_some_and(|net| net.contains(&IpAddr::V6(ip)));
    PRIVATE6.iter().any(within)
}

/// The name that reverse look-ups ask for.
pub(crate) fn reverse_pointer(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles: String =
                format!("{:032x}", u128::from(ip)).chars().rev().fold(String::new(), |mut all, c| {
                    all.push(c);
                    all.push('.');
                    all
                });
            format!("{nibbles}ip6.arpa")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_with_any_mask() {
        let loose = |text| network(text, false).map(|n| n.to_string());
        assert_eq!(loose("10.1.2.3/255.255.0.0").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(loose("10.1.2.3/0.0.0.255").as_deref(), Some("10.1.2.0/24"));
        assert_eq!(loose("10.1.2.3").as_deref(), Some("10.1.2.3/32"));
        assert_eq!(loose("fe80::1/10").as_deref(), Some("fe80::/10"));
        assert_eq!(loose("10.1.2.3/33"), None);
        assert_eq!(network("10.1.2.3/24", true), None);
    }

    #[test]
    fn private_networks_are_those_of_the_registries() {
        for (ip, private) in
            [("10.0.0.1", true), ("8.8.8.8", false), ("172.32.0.1", false), ("::1", true), ("fd00::1", true)]
        {
            assert_eq!(is_private(address(ip).unwrap()), private, "{ip}");
        }
    }
}
