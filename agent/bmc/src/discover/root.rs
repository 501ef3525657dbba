//! The service root of whoever listens at an address, asked for without a login.

use super::Product;
use crate::Fingerprint;
use crate::redfish::stranger;
use outband_schemas::Cause;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A Redfish service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// What it says of itself.
    pub product: Product,
    /// The certificate that it offered. Nobody vouched for it.
    pub certificate: Option<Fingerprint>,
}

/// What is at an address' HTTPS port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listener {
    /// A Redfish service.
    Redfish(Box<Root>),
    /// Something that listens and is none, or could not say so.
    Other {
        /// What kind of failure.
        cause: Cause,
        /// What it did, for people.
        detail: String,
    },
    /// Nothing listens, or nothing is there.
    Nothing,
}

/// Looks who listens. No credentials are sent.
pub async fn look(address: IpAddr, port: u16, connect_within: Duration, answer_within: Duration) -> Listener {
    // Most addresses of a range are empty: to learn that takes no TLS.
    match timeout(connect_within, TcpStream::connect(SocketAddr::new(address, port))).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) | Err(_) => return Listener::Nothing,
    }
    match stranger::service_root(address, port, answer_within).await {
        Ok((root, certificate)) => Listener::Redfish(Box::new(Root { product: Product::of(&root), certificate })),
        Err(error) => Listener::Other { cause: error.cause, detail: error.detail },
    }
}
