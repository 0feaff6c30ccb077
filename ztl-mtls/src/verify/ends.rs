//! Which end of TLS a certificate of a path may be used at.

use webpki::{
    Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext,
};

use super::prover::Purpose;
use crate::extension::{CLIENT_AUTH, SERVER_AUTH};

/// RFC 5280 §4.2.1.12: where a certificate has an extKeyUsage, leaf or intermediate, it names the end that the peer is.
/// `anyExtendedKeyUsage` names none.
///
/// As webpki's own, which keeps a copy of each purpose that it reads past, for its error.
#[derive(Clone, Copy)]
pub(super) struct Ends(pub(super) Purpose);

impl ExtendedKeyUsageValidator for Ends {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let (wanted, required) = match self.0 {
            Purpose::Client => (CLIENT_AUTH, KeyUsage::client_auth()),
            Purpose::Server => (SERVER_AUTH, KeyUsage::server_auth()),
        };
        let wanted = KeyPurposeId::new(wanted);
        let mut names_any = false;
        for purpose in purposes {
            if purpose? == wanted {
                return Ok(());
            }
            names_any = true;
        }
        if names_any {
            let present = Vec::new();
            Err(Error::RequiredEkuNotFoundContext(
                RequiredEkuNotFoundContext { required, present },
            ))
        } else {
            Ok(())
        }
    }
}
