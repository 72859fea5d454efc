//! Targets that name an address or a network of the minion.

use std::net::IpAddr;

use crate::jinja::{Py, text};

/// Whether one of the minion's addresses is this one, or in this network. What is neither means nobody.
pub(super) fn matches(grains: &Py, target: &str) -> bool {
    if let Ok(address) = target.parse::<IpAddr>() {
        return own(grains, address).iter().any(|ip| *ip == address.to_string());
    }
    let Some((network, bits)) = network(target) else { return false };
    let inside = |ip: &String| {
        let ip = ip.parse::<IpAddr>().ok().filter(|ip| ip.is_ipv4() == network.is_ipv4());
        ip.is_some_and(|ip| cut(ip, bits) == cut(network, bits))
    };
    own(grains, network).iter().any(inside)
}

/// The minion's addresses of the same family.
fn own(grains: &Py, like: IpAddr) -> Vec<String> {
    let grain = grains.item(if like.is_ipv4() { "ipv4" } else { "ipv6" });
    match grain {
        Some(Py::Str(one)) => vec![one.to_string()],
        Some(many) => many.elements().unwrap_or_default().iter().map(text).collect(),
        None => Vec::new(),
    }
}

/// `10.0.0.0/8` or `10.0.0.0/255.0.0.0`; a network whose address has bits of a host is none.
fn network(target: &str) -> Option<(IpAddr, u32)> {
    let (address, mask) = target.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = match mask.parse::<u32>() {
        Ok(bits) if mask.bytes().all(|b| b.is_ascii_digit()) => bits,
        _ => mask_bits(mask).filter(|_| address.is_ipv4())?,
    };
    let host_bits = width.min(128) - bits.min(width);
    (bits <= width && number(address).trailing_zeros() >= host_bits).then_some((address, bits))
}

/// The length of a netmask, or of a host mask, which has its ones at the end.
fn mask_bits(mask: &str) -> Option<u32> {
    let mask = u32::from(mask.parse::<std::net::Ipv4Addr>().ok()?);
    if mask.leading_ones() + mask.trailing_zeros() == 32 {
        return Some(mask.leading_ones());
    }
    (mask.leading_zeros() + mask.trailing_ones() == 32).then(|| mask.leading_zeros())
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The first bits of an address.
fn cut(ip: IpAddr, bits: u32) -> u128 {
    let width = if ip.is_ipv4() { 32 } else { 128 };
    number(ip).checked_shr(width - bits).unwrap_or(0)
}
