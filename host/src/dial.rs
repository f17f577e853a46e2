//! Connections to registries, with the names and the certificates of this process.

use starcell_policy::{AddressClass, Host};
use starcell_registry::dial::may_lead;
use starcell_registry::{Dialled, RegistryDial, RegistryStream};
use starcell_runtime::remote::dial;

/// The network of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnNetwork;

impl RegistryDial for OwnNetwork {
    fn dial<'a>(&'a self, host: &'a Host, port: u16, tls: bool, within: Option<AddressClass>) -> Dialled<'a> {
        Box::pin(async move {
            let (address, stream) = dial::http(host, port, tls, |address| may_lead(within, address)).await?;
            Ok((address, Box::new(stream) as Box<dyn RegistryStream>))
        })
    }
}
