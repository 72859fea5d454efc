//! The network of an instance, from inside: loopback, its address, the route to the metadata service, nothing more.

use std::net::Ipv4Addr;

use futures::TryStreamExt;
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};

use super::GuestError;
use crate::runtime::spec::{HOST_ADDRESS, HOST_MAC, METADATA_ADDRESS, PREFIX_LENGTH};

/// Name of the instance's interface.
pub(crate) const INTERFACE: &str = "eth0";

/// Configures loopback and `eth0`, which must be plugged in already. Runs on this thread alone.
pub(crate) fn configure(address: Ipv4Addr) -> Result<(), GuestError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(GuestError::io("start the network configuration"))?;
    runtime.block_on(apply(address)).map_err(|e| GuestError::Network(e.to_string()))
}

async fn apply(address: Ipv4Addr) -> Result<(), rtnetlink::Error> {
    let (connection, handle, _) =
        rtnetlink::new_connection().map_err(|e| rtnetlink::Error::NamespaceError(e.to_string()))?;
    tokio::spawn(connection);
    let loopback = index(&handle, "lo").await?;
    handle.link().set(LinkUnspec::new_with_index(loopback).up().build()).execute().await?;
    let eth0 = index(&handle, INTERFACE).await?;
    handle.address().add(eth0, address.into(), PREFIX_LENGTH).execute().await?;
    handle.link().set(LinkUnspec::new_with_index(eth0).up().build()).execute().await?;
    let metadata = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(METADATA_ADDRESS, 32)
        .output_interface(eth0)
        .build();
    handle.route().add(metadata).execute().await?;
    for host in [METADATA_ADDRESS, HOST_ADDRESS] {
        handle.neighbours().add(eth0, host.into()).link_layer_address(&HOST_MAC).replace().execute().await?;
    }
    Ok(())
}

/// The index of the interface called `name`.
pub(crate) async fn index(handle: &Handle, name: &str) -> Result<u32, rtnetlink::Error> {
    let mut found = handle.link().get().match_name(name.to_owned()).execute();
    let link = found.try_next().await?;
    link.map(|l| l.header.index).ok_or(rtnetlink::Error::RequestFailed)
}
