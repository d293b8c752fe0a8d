//! Pins: the digests of everything a route is decided under.
//!
//! A router pins its policy set when it opens; each evidence block names the digest
//! of the pins. Another set is another version: it takes a governed, recorded act to
//! adopt one, and a route that was decided under the old one halts and is
//! re-evaluated (D-24).
//!
//! Requirements: IRM-3.2.7.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::Serialize;

use crate::digest::{Digest, Domain};
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::{Name, PrincipalId};

/// Named digests in the order of their names, and the digest of them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pins {
    parts: BTreeMap<Name, Digest>,
    #[serde(skip)]
    digest: Digest,
}

impl Pins {
    /// Pins these parts. A name given twice keeps its last digest.
    pub fn new(parts: impl IntoIterator<Item = (Name, Digest)>) -> Self {
        let parts: BTreeMap<Name, Digest> = parts.into_iter().collect();
        let mut out = Writer::with_capacity(parts.len() * 48);
        write_parts(&parts, &mut out);
        Self { digest: Domain::Pins.hash(out.as_bytes()), parts }
    }

    /// The digest of all parts: BLAKE3 of (count, then name and digest each) in
    /// [`Domain::Pins`].
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The parts in the order of their names.
    pub fn parts(&self) -> impl Iterator<Item = (&Name, &Digest)> {
        self.parts.iter()
    }

    /// The names of parts that differ between two sets, in order.
    pub fn changed(&self, other: &Self) -> Vec<Name> {
        let mut names: Vec<Name> = (self.parts.keys().chain(other.parts.keys()))
            .filter(|name| self.parts.get(*name) != other.parts.get(*name))
            .cloned()
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn write_parts(parts: &BTreeMap<Name, Digest>, out: &mut Writer) {
    out.count(parts.len());
    for (name, digest) in parts {
        out.value(name).digest(digest);
    }
}

/// The body of a record of kind `policy-pinned`: version `u8` 1, who adopted it
/// (name), parts as count, then name and digest each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyPinned {
    /// Who adopted it.
    pub by: PrincipalId,
    /// What is in force from here on.
    pub pins: Pins,
}

impl Encode for PolicyPinned {
    fn encode(&self, out: &mut Writer) {
        out.u8(1).value(&self.by);
        write_parts(&self.pins.parts, out);
    }
}

impl Decode for PolicyPinned {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let version = input.u8()?;
        if version != 1 {
            return Err(Reader::bad_tag("pins version 1", version, offset));
        }
        let by = input.value()?;
        let mut parts: BTreeMap<Name, Digest> = BTreeMap::new();
        for _ in 0..input.count(36)? {
            let name: Name = input.value()?;
            if parts.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(input.invalid("unique names in ascending order"));
            }
            parts.insert(name, input.digest()?);
        }
        Ok(Self { by, pins: Pins::new(parts) })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn pins_are_named_digests_with_one_digest() {
        let name = |text| Name::new(text).unwrap();
        let one =
            Pins::new([(name("table"), Digest::ZERO), (name("matrix"), Domain::Other.hash(b"m"))]);
        let two =
            Pins::new([(name("matrix"), Domain::Other.hash(b"m")), (name("table"), Digest::ZERO)]);
        assert_eq!(one, two, "the order in which they are named does not matter");
        let three =
            Pins::new([(name("table"), Domain::Other.hash(b"t")), (name("x"), Digest::ZERO)]);
        assert_ne!(one.digest(), three.digest());
        assert_eq!(one.changed(&three), [name("matrix"), name("table"), name("x")]);
        let body = PolicyPinned { by: PrincipalId::new("op").unwrap(), pins: one };
        assert_eq!(PolicyPinned::from_canonical(&body.to_canonical()), Ok(body));
        assert_eq!(
            three.digest().to_string(),
            "3349548e9f72006ac87d8217a10832393f90989630bc2796224fea1706cabcb4"
        );
    }
}
