//! Keys as PASERK text, and whom an importer trusts.
//!
//! Secret keys are decoded in constant time into memory that is wiped, and are never
//! shown. The all-zero seed, whose secret everybody knows, is refused.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

use ct_codecs::{Base64UrlSafeNoPadding, Decoder as _};
use pasetors::keys::{AsymmetricPublicKey, AsymmetricSecretKey};
use pasetors::paserk::{FormatAsPaserk as _, Id};
use pasetors::version4::V4;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::governance::portable::error::PortableError;
use crate::id::Name;
use crate::limits::{LEEWAY_MILLIS, Limits};

const SECRET: &str = "k4.secret";
const PUBLIC: &str = "k4.public";
const ID: &str = "k4.pid.";
/// Base64 digits of the 33 bytes of an id.
const ID_DIGITS: usize = 44;

/// The PASERK id of a verifying key, `k4.pid.…`: a hash, safe to show.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// The text.
    pub const fn as_str(&self) -> &str {
        &self.0
    }

    fn of(key: &AsymmetricPublicKey<V4>) -> Result<Self, PortableError> {
        let mut text = String::new();
        let written = Id::from(key).fmt(&mut text);
        let refused = PortableError::Key { expected: PUBLIC, found: "one without an id" };
        written.map(|()| Self(text.into())).map_err(|_| refused)
    }

    /// Only what has an id's form, so that nothing else is ever repeated in a message.
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(ID)?;
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let fits = digits.len() == ID_DIGITS && digits.bytes().all(base64);
        fits.then(|| Self(text.into()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// A key that signs (Ed25519). Wiped when dropped.
pub struct SigningKey {
    secret: AsymmetricSecretKey<V4>,
    public: VerifyingKey,
}

impl SigningKey {
    /// Reads `k4.secret.…`. The text stays the caller's to wipe.
    ///
    /// # Errors
    /// [`PortableError::Key`] when it is something else, its halves do not fit, or its
    /// seed is all zeros.
    pub fn from_paserk(text: &str) -> Result<Self, PortableError> {
        let refused = |found| PortableError::Key { expected: SECRET, found };
        let bytes: Zeroizing<[u8; 64]> = decode(text, SECRET)?;
        let seed = bytes.get(..32).unwrap_or_default();
        // Also because the signature's implementation panics on it.
        if bool::from(seed.ct_eq(&[0; 32])) {
            return Err(refused("a seed of zeros"));
        }
        let secret = AsymmetricSecretKey::from(&*bytes)
            .map_err(|_| refused("a public half of another key"))?;
        let public = AsymmetricPublicKey::try_from(&secret)
            .map_err(|_| refused("a public half that is no key"))?;
        Ok(Self { secret, public: VerifyingKey::new(public)? })
    }

    /// The key that verifies what this one signs.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.public.clone()
    }

    /// The id of the verifying key.
    pub const fn id(&self) -> &KeyId {
        self.public.id()
    }

    pub(super) const fn secret(&self) -> &AsymmetricSecretKey<V4> {
        &self.secret
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, secret hidden)", self.id())
    }
}

/// A key that verifies (Ed25519).
#[derive(Clone)]
pub struct VerifyingKey {
    public: AsymmetricPublicKey<V4>,
    id: KeyId,
}

impl VerifyingKey {
    /// Reads `k4.public.…`. A text of 32 bytes that are no point, or a weak one, is read
    /// and verifies nothing.
    ///
    /// # Errors
    /// [`PortableError::Key`] when it is something else.
    pub fn from_paserk(text: &str) -> Result<Self, PortableError> {
        let bytes: Zeroizing<[u8; 32]> = decode(text, PUBLIC)?;
        let refused = PortableError::Key { expected: PUBLIC, found: "another length" };
        Self::new(AsymmetricPublicKey::from(&*bytes).map_err(|_| refused)?)
    }

    fn new(public: AsymmetricPublicKey<V4>) -> Result<Self, PortableError> {
        let id = KeyId::of(&public)?;
        Ok(Self { public, id })
    }

    /// Its id.
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    pub(super) const fn public(&self) -> &AsymmetricPublicKey<V4> {
        &self.public
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.id)
    }
}

/// Whose tokens an importer takes: one issuer, the importer's own name, the issuer's keys.
///
/// One issuer to one `Trust`, so that no issuer's key vouches for another issuer.
#[derive(Debug, Clone)]
pub struct Trust {
    issuer: Name,
    audience: Name,
    keys: BTreeMap<KeyId, VerifyingKey>,
    leeway_ms: u64,
    limits: Limits,
}

impl Trust {
    /// Trust in an issuer, by the importer of this name; no key yet.
    pub const fn new(issuer: Name, audience: Name) -> Self {
        Self { issuer, audience, keys: BTreeMap::new(), leeway_ms: 0, limits: Limits::DEFAULT }
    }

    /// Adds a key of the issuer; two during a rotation.
    #[must_use]
    pub fn with_key(mut self, key: VerifyingKey) -> Self {
        self.keys.insert(key.id.clone(), key);
        self
    }

    /// How far the issuer's clock may be ahead, at most five minutes. It is given to the
    /// start of a token, never to its end.
    #[must_use]
    pub const fn with_clock_leeway(mut self, millis: u64) -> Self {
        self.leeway_ms = if millis < LEEWAY_MILLIS { millis } else { LEEWAY_MILLIS };
        self
    }

    /// Lowers the bound on a token's size.
    #[must_use]
    pub const fn with_limits(mut self, limits: &Limits) -> Self {
        self.limits = self.limits.and(limits);
        self
    }

    /// The issuer.
    pub const fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// The importer.
    pub const fn audience(&self) -> &Name {
        &self.audience
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) const fn leeway_ms(&self) -> u64 {
        self.leeway_ms
    }

    pub(super) fn key(&self, id: &KeyId) -> Option<&VerifyingKey> {
        self.keys.get(id)
    }
}

/// The bytes of a PASERK text of this type, straight into memory that is wiped.
fn decode<const N: usize>(
    text: &str,
    expected: &'static str,
) -> Result<Zeroizing<[u8; N]>, PortableError> {
    let refused = |found| PortableError::Key { expected, found };
    let Some(digits) = text.strip_prefix(expected).and_then(|rest| rest.strip_prefix('.')) else {
        return Err(refused("a text of another type"));
    };
    let mut bytes = Zeroizing::new([0; N]);
    let length = Base64UrlSafeNoPadding::decode(&mut *bytes, digits, None)
        .map_err(|_| refused("another length or other digits"))?
        .len();
    if length == N { Ok(bytes) } else { Err(refused("another length or other digits")) }
}
