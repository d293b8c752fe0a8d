//! The keys of a key set, each pinned to one algorithm.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde::Deserialize;

use crate::identity::IdentityError;
use crate::limits::FILE_BYTES;

/// A public key, its id and the one algorithm it is for.
pub(super) struct Key {
    pub(super) id: Box<str>,
    pub(super) algorithm: Algorithm,
    pub(super) public: DecodingKey,
}

impl Key {
    pub(super) const fn algorithm_name(&self) -> &'static str {
        super::name(self.algorithm)
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Entry>,
}

/// A key as RFC 7517 and 7518 write it. What makes a key secret is read only to
/// refuse it.
#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<serde::de::IgnoredAny>,
    k: Option<serde::de::IgnoredAny>,
}

fn unusable(found: impl Into<Box<str>>) -> IdentityError {
    IdentityError::KeySet { found: found.into(), line: 0, column: 0 }
}

pub(super) fn read(text: &str) -> Result<Vec<Key>, IdentityError> {
    if text.len() > FILE_BYTES {
        return Err(unusable(format!("more than {FILE_BYTES} bytes")));
    }
    let set: Set = serde_json::from_str(text).map_err(|error| IdentityError::KeySet {
        found: format!("a {} error", super::category(&error)).into(),
        line: error.line(),
        column: error.column(),
    })?;
    let mut keys: Vec<Key> = Vec::new();
    for (i, entry) in set.keys.into_iter().enumerate() {
        let place =
            entry.kid.as_deref().map_or_else(|| i.to_string(), |id| super::shown(id).into());
        if entry.d.is_some() || entry.k.is_some() {
            return Err(unusable(format!("a secret or private key in key `{place}`")));
        }
        let Some(key) = entry.into_key(&place)? else { continue };
        if keys.iter().any(|other| other.id == key.id) {
            return Err(unusable(format!("key `{place}` twice")));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(unusable("no key for EdDSA, ES256 or RS256"));
    }
    Ok(keys)
}

impl Entry {
    /// The key, or `None` when it is for something else.
    fn into_key(self, place: &str) -> Result<Option<Key>, IdentityError> {
        let signs = self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Algorithm::EdDSA,
            ("EC", Some("P-256")) => Algorithm::ES256,
            ("RSA", None) => Algorithm::RS256,
            _ => return Ok(None),
        };
        if !signs || self.alg.as_deref().is_some_and(|alg| alg != super::name(algorithm)) {
            return Ok(None);
        }
        let broken = |what: &str| unusable(format!("{what} in key `{place}`"));
        let part = |value: Option<&String>, name: &str| {
            value.cloned().ok_or_else(|| broken(&format!("no `{name}`")))
        };
        let read = match algorithm {
            Algorithm::EdDSA => DecodingKey::from_ed_components(&part(self.x.as_ref(), "x")?),
            Algorithm::ES256 => DecodingKey::from_ec_components(
                &part(self.x.as_ref(), "x")?,
                &part(self.y.as_ref(), "y")?,
            ),
            _ => DecodingKey::from_rsa_components(
                &part(self.n.as_ref(), "n")?,
                &part(self.e.as_ref(), "e")?,
            ),
        };
        let key = read.map_err(|_| broken("a number that is not base64url"))?;
        let fits = match key.kind() {
            DecodingKeyKind::SecretOrDer(bytes) if algorithm == Algorithm::EdDSA => {
                bytes.len() == 32
            }
            DecodingKeyKind::SecretOrDer(bytes) => bytes.len() == 65,
            // RFC 7518 §3.3: 2048 bits or more, so the highest of 256 bytes is used.
            DecodingKeyKind::RsaModulusExponent { n, .. } => {
                let bytes = n.iter().skip_while(|byte| **byte == 0);
                bytes.clone().count() > 256
                    || (bytes.clone().count() == 256
                        && bytes.clone().next().is_some_and(|high| *high >= 0x80))
            }
        };
        if !fits {
            return Err(broken("a number that is too short or too long"));
        }
        let id = self.kid.unwrap_or_default().into();
        Ok(Some(Key { id, algorithm, public: key }))
    }
}
