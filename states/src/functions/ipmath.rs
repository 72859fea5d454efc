//! `network.*` functions that compute with addresses.

use super::{Call, Table};
use crate::jinja::{Dict, Key, Py, Res, runtime, text};
use crate::python::addresses::{self, network};

pub(super) const FUNCTIONS: Table = &[
    ("network.calc_net", calc_net),
    ("network.convert_cidr", convert_cidr),
    ("network.ip_in_subnet", ip_in_subnet),
    ("network.is_loopback", is_loopback),
    ("network.is_private", is_private),
    ("network.reverse_ip", reverse_ip),
];

fn address(call: &mut Call<'_>) -> Res<std::net::IpAddr> {
    let [ip] = call.bind(["ip_addr"])?;
    let ip = call.text("ip_addr", ip)?;
    addresses::address(&ip).map_or_else(|| runtime(addresses::not_an_address(&ip)), Ok)
}

fn is_loopback(call: &mut Call<'_>) -> Res<Py> {
    Ok(Py::Bool(address(call)?.is_loopback()))
}

fn is_private(call: &mut Call<'_>) -> Res<Py> {
    Ok(Py::Bool(addresses::is_private(address(call)?)))
}

fn reverse_ip(call: &mut Call<'_>) -> Res<Py> {
    Ok(Py::str(addresses::reverse_pointer(address(call)?)))
}

fn calc_net(call: &mut Call<'_>) -> Res<Py> {
    let [ip, netmask] = call.bind(["ip_addr", "netmask"])?;
    let mut ip = call.text("ip_addr", ip)?;
    if let Some(mask) = netmask.filter(|m| !matches!(m, Py::None)) {
        ip = format!("{ip}/{}", text(&mask));
    }
    match network(&ip, false) {
        Some(net) => Ok(Py::str(net.to_string())),
        None => runtime(addresses::not_a_network(&ip)),
    }
}

fn convert_cidr(call: &mut Call<'_>) -> Res<Py> {
    let [cidr] = call.bind(["cidr"])?;
    let cidr = call.text("cidr", cidr)?;
    let Some(net) = network(&cidr, false) else { return runtime(addresses::not_a_network(&cidr)) };
    let pairs = [
        ("network", net.network().to_string()),
        ("netmask", net.netmask().to_string()),
        ("broadcast", net.broadcast().to_string()),
    ];
    Ok(Py::dict(pairs.into_iter().map(|(k, v)| (Key::str(k), Py::str(v))).collect::<Dict>()))
}

fn ip_in_subnet(call: &mut Call<'_>) -> Res<Py> {
    let [ip, cidr] = call.bind(["ip_addr", "cidr"])?;
    let (ip, cidr) = (call.text("ip_addr", ip)?, call.text("cidr", cidr)?);
    match addresses::in_network(&cidr, std::slice::from_ref(&ip)) {
        Ok(inside) => Ok(Py::Bool(inside)),
        Err(cause) => runtime(cause),
    }
}
