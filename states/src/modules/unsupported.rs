//! State functions that trees may name and that are not built: each says so.

use crate::engine::step::{Call, Return};

/// A failure with what to do instead.
pub(crate) fn refuse(call: &Call<'_>) -> Return {
    let name = format!("{}.{}", call.chunk.state, call.chunk.fun);
    let instead = match call.chunk.state.as_str() {
        "x509" => "bring keys and certificates with file.managed, or make them with cmd.run and openssl(1)",
        _ => "get certificates with cmd.run and an ACME client such as certbot(1)",
    };
    Return::failed(format!("{name} is not supported: {instead}"))
}
