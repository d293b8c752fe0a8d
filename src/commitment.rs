//! Salted commitments: a digest that binds a payload field by field, and tells nothing of
//! a field that is withheld.
//!
//! What a plain digest stands for can be guessed where there is little to guess: a name,
//! an amount, a yes or no. A commitment mixes 32 secret bytes into every field, so that a
//! field can be shown with its salt, or withheld as 32 bytes that nobody can try guesses
//! on, and the rest still adds up to the digest that was recorded.
//!
//! # The tree
//! A payload is a [`Value`]. Every value in it that is no list or map, and every empty list
//! or map, is a leaf. All hashes are BLAKE3 in [`Domain::Commitment`]; values are encoded
//! as [`crate::encode`] says.
//!
//! | node | what is hashed |
//! |---|---|
//! | leaf | `0`, its salt (32 bytes), the value |
//! | map | `1`, count, then key and node of each entry in the order of the keys |
//! | list | `2`, count, then the node of each item |
//! | root | `3`, the part (1 intent, 2 objective, 3 output), the node |
//! | what is no payload | `4`, its salt, its digest: a submission that is no intent |
//!
//! A leaf's salt is BLAKE3, keyed with the payload's salt, of `0` and the path: for each
//! map entry on the way `0` and the key, for each list item `1` and its place as `u32`.
//! Whoever knows one leaf's salt can compute no other. The salt of an intent or objective
//! is BLAKE3, keyed with its subject's key, of `1`, the part and the plain digest, so the
//! same content of one subject has the same commitment, and of two subjects it never has.
//! The salt of an output is keyed with the salt of the intent, of `2` and the digest of
//! the route's evidence.
//!
//! # What is kept
//! Beside the chain a salted payload is kept as its salt (32 bytes) and its plain bytes,
//! and the subject's key under a digest of the subject's name. Erasing these leaves digests
//! that nothing can be tried on, see [`Salts`].
//!
//! ```
//! use prospera::commitment::{Fields, Part, Salt};
//! use prospera::value::Value;
//! let value = Value::Map([("to".into(), "bob".into()), ("sum".into(), 7.into())].into());
//! let mut fields = Fields::of(&Salt::from_bytes([9; 32]), &value);
//! let root = fields.root(Part::Output);
//! fields.withhold("to")?;
//! assert_eq!(fields.root(Part::Output), root);
//! assert_eq!(fields.withheld(), ["to"]);
//! # Ok::<(), prospera::commitment::NoField>(())
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::digest::{DIGEST_LEN, Digest, Domain};
use crate::encode::{DecodeError, Reader, Writer};
use crate::id::SubjectId;
use crate::value::Value;

pub use fields::{Fields, NoField};

mod fields;

/// Length of a salt, a key and a seed in bytes.
pub const SALT_LEN: usize = 32;

const LEAF: u8 = 0;
const MAP: u8 = 1;
const LIST: u8 = 2;
const ROOT: u8 = 3;
const OPAQUE: u8 = 4;

const OF_PATH: u8 = 0;
const OF_CONTENT: u8 = 1;
const OF_OUTPUT: u8 = 2;

/// What a payload is to its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The intent's canonical bytes.
    Intent = 1,
    /// The text of the user's objective.
    Objective = 2,
    /// The module's output.
    Output = 3,
}

impl Part {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Objective => "objective",
            Self::Output => "output",
        }
    }

    /// The domain of its plain digest.
    pub const fn domain(self) -> Domain {
        match self {
            Self::Intent => Domain::Intent,
            Self::Objective => Domain::Objective,
            Self::Output => Domain::Output,
        }
    }
}

/// What one payload, or one field of it, is hashed with: as secret as what it stands beside,
/// and shown with it. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt([u8; SALT_LEN]);

impl Salt {
    /// A salt that was kept.
    pub const fn from_bytes(bytes: [u8; SALT_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; SALT_LEN] {
        &self.0
    }

    /// The salt of the output of the route with this evidence, by the salt of its intent.
    #[must_use]
    pub fn of_output(&self, evidence: &Digest) -> Self {
        let mut message = [OF_OUTPUT; 1 + DIGEST_LEN];
        copy(&mut message, 1, evidence.as_bytes());
        self.derive(&message)
    }

    fn derive(&self, message: &[u8]) -> Self {
        derive(&self.0, message)
    }
}

fn derive(from: &[u8; SALT_LEN], message: &[u8]) -> Salt {
    Salt(*blake3::keyed_hash(from, message).as_bytes())
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(hidden)")
    }
}

/// What the salts of one subject's payloads are derived from. `Debug` does not show it.
pub struct SubjectKey(Zeroizing<[u8; SALT_LEN]>);

impl SubjectKey {
    /// The digest under which a subject's key is kept.
    pub fn place(subject: &SubjectId) -> Digest {
        Domain::SubjectKey.hash(subject.as_str().as_bytes())
    }

    /// A key as it is kept: version `1`, then its 32 bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when it is none.
    pub fn from_kept(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let version = input.u8()?;
        if version != 1 {
            return Err(Reader::bad_tag("subject key version 1", version, 0));
        }
        let key = Zeroizing::new(*input.digest()?.as_bytes());
        input.finish()?;
        Ok(Self(key))
    }

    /// The bytes that are kept.
    pub fn to_kept(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Vec::with_capacity(1 + SALT_LEN);
        out.push(1);
        out.extend_from_slice(&*self.0);
        Zeroizing::new(out)
    }

    /// The salt of a payload with this plain digest.
    pub fn salt(&self, part: Part, plain: &Digest) -> Salt {
        let mut message = [OF_CONTENT; 2 + DIGEST_LEN];
        copy(&mut message, 1, &[part as u8]);
        copy(&mut message, 2, plain.as_bytes());
        derive(&self.0, &message)
    }

    /// The commitment to a submission that is no intent, by its plain digest.
    #[must_use]
    pub fn opaque(&self, plain: &Digest) -> Digest {
        let mut message = [OF_CONTENT; 2 + DIGEST_LEN];
        copy(&mut message, 1, &[0]);
        copy(&mut message, 2, plain.as_bytes());
        let mut hasher = Domain::Commitment.hasher();
        hasher.update(&[OPAQUE]).update(derive(&self.0, &message).as_bytes());
        hasher.update(plain.as_bytes());
        hasher.finalize()
    }
}

impl PartialEq for SubjectKey {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for SubjectKey {}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(hidden)")
    }
}

/// Where new subject keys come from: a seed that the caller took from a good source of
/// randomness (D-41).
///
/// A key is drawn once, kept in the store, and read from there ever after, by every
/// process. Erasing it forgets it for good only when the seed is gone, too: draw a fresh
/// seed for each process and keep it nowhere.
pub struct Salts(Zeroizing<[u8; SALT_LEN]>);

impl Salts {
    /// Keys from this seed. One that is handed over in [`Zeroizing`] is not copied on the
    /// way.
    pub fn new(seed: impl Into<Zeroizing<[u8; SALT_LEN]>>) -> Self {
        Self(seed.into())
    }

    /// The key of a subject of whom nothing was erased, or for the last time under the
    /// record of this digest.
    pub fn key(&self, subject: &SubjectId, erased: &Digest) -> SubjectKey {
        let mut message = Writer::with_capacity(96);
        message.digest(erased).value(subject);
        SubjectKey(Zeroizing::new(derive(&self.0, message.as_bytes()).0))
    }
}

impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salts(seed hidden)")
    }
}

/// The commitment to a payload: what [`Fields::of`] has for its root, computed at once.
pub fn commit(part: Part, salt: &Salt, value: &Value) -> Digest {
    let mut walk = Walk { salt, path: Writer::with_capacity(64), pad: Writer::with_capacity(128) };
    walk.path.u8(OF_PATH);
    let node = walk.node(value);
    root(part, &node)
}

fn root(part: Part, node: &Digest) -> Digest {
    let mut hasher = Domain::Commitment.hasher();
    hasher.update(&[ROOT, part as u8]).update(node.as_bytes());
    hasher.finalize()
}

/// A salted payload as it is kept: salt, then plain bytes.
pub fn to_kept(salt: &Salt, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(SALT_LEN + plain.len());
    out.extend_from_slice(salt.as_bytes());
    out.extend_from_slice(plain);
    out
}

/// The salt and the plain bytes of a payload that is kept salted.
pub fn from_kept(kept: &[u8]) -> Option<(Salt, &[u8])> {
    let (salt, plain) = kept.split_first_chunk::<SALT_LEN>()?;
    Some((Salt::from_bytes(*salt), plain))
}

/// A walk through a value, by paths.
struct Walk<'a> {
    salt: &'a Salt,
    path: Writer,
    pad: Writer,
}

impl Walk<'_> {
    fn leaf_salt(&self) -> Salt {
        self.salt.derive(self.path.as_bytes())
    }

    /// Goes down by a step, and up again.
    fn below<T>(&mut self, step: impl FnOnce(&mut Writer), then: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.as_bytes().len();
        step(&mut self.path);
        let done = then(self);
        self.path.truncate(length);
        done
    }

    fn node(&mut self, value: &Value) -> Digest {
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                let mut out = Domain::Commitment.hasher();
                out.update(&[MAP]).update(&count(entries.len()));
                for (key, value) in entries {
                    let node = self.below(|path| entry(path, key), |walk| walk.node(value));
                    out.update(&count(key.len())).update(key.as_bytes()).update(node.as_bytes());
                }
                out.finalize()
            }
            Value::List(items) if !items.is_empty() => {
                let mut out = Domain::Commitment.hasher();
                out.update(&[LIST]).update(&count(items.len()));
                for (place, value) in items.iter().enumerate() {
                    let node = self.below(|path| item(path, place), |walk| walk.node(value));
                    out.update(node.as_bytes());
                }
                out.finalize()
            }
            leaf_value => {
                let salt = self.leaf_salt();
                leaf(&mut self.pad, &salt, leaf_value)
            }
        }
    }
}

fn leaf(pad: &mut Writer, salt: &Salt, value: &Value) -> Digest {
    pad.clear();
    pad.u8(LEAF).raw(salt.as_bytes()).value(value);
    Domain::Commitment.hash(pad.as_bytes())
}

fn entry(path: &mut Writer, key: &str) {
    path.u8(0).text(key);
}

fn item(path: &mut Writer, place: usize) {
    path.u8(1).count(place);
}

fn count(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// Copies bytes to a place that has room for them.
fn copy(to: &mut [u8], at: usize, from: &[u8]) {
    for (to, from) in to.iter_mut().skip(at).zip(from) {
        *to = *from;
    }
}

/// A list of fields as people name them: keys and places, `/` between them; in a key `~` is
/// written `~0` and `/` is written `~1` (RFC 6901).
pub(crate) fn pointer(path: &[Box<str>]) -> alloc::string::String {
    let mut out = alloc::string::String::new();
    for (number, step) in path.iter().enumerate() {
        if number > 0 {
            out.push('/');
        }
        for c in step.chars() {
            match c {
                '~' => out.push_str("~0"),
                '/' => out.push_str("~1"),
                c => out.push(c),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
