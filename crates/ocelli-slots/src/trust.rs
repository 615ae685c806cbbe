//! Whose models a board runs.

use crate::SIGNATURE_BYTES;

/// Says whose models a board runs.
pub trait Trust {
    /// Whether a model with that signature may run.
    fn accepts(&self, model: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool;
}

/// Runs any model: its own checksum must match, no signature is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anyone;

impl Trust for Anyone {
    fn accepts(&self, _: &[u8], _: &[u8; SIGNATURE_BYTES]) -> bool {
        true
    }
}

/// Bytes of a public key.
#[cfg(feature = "signed")]
pub const KEY_BYTES: usize = ed25519_dalek::PUBLIC_KEY_LENGTH;

/// Runs models that the holder of a key has signed, all their bytes, with Ed25519 (RFC 8032).
#[cfg(feature = "signed")]
#[derive(Clone, Debug)]
pub struct SignedBy(ed25519_dalek::VerifyingKey);

#[cfg(feature = "signed")]
impl SignedBy {
    /// Trusts the holder of the private key to this public one; `None` where it is no public key.
    pub fn new(key: &[u8; KEY_BYTES]) -> Option<Self> {
        ed25519_dalek::VerifyingKey::from_bytes(key).ok().map(Self)
    }
}

#[cfg(feature = "signed")]
impl Trust for SignedBy {
    fn accepts(&self, model: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(model, &signature).is_ok()
    }
}
