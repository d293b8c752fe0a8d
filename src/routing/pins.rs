//! Pins: the digests of everything a route is decided under.
//!
//! A router pins its policy set when it opens; each evidence block names the digest
//! of the pins. Another set is another version: it takes a governed, recorded act to
//! adopt one, and a route that was decided under the old one halts and is
//! re-evaluated (D-24).
//!
//! Requirements: IRM-3.2.7.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::Serialize;

use crate::digest::{Digest, Domain};
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::{Name, PrincipalId};
use crate::limits::RECORD_BYTES;

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

/// The files that a policy set was read from, as they were read: what a pin keeps in the
/// log, so that a replay needs no file that happens to lie around.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyFiles(BTreeMap<Box<str>, Arc<[u8]>>);

impl PolicyFiles {
    /// Adds a file, or replaces the one of this name.
    pub fn keep(&mut self, name: &str, bytes: &[u8]) {
        self.0.insert(name.into(), bytes.into());
    }

    /// A file's bytes.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|bytes| &**bytes)
    }

    /// The files in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (&**name, &**bytes))
    }

    /// Whether there is none: the set was composed in code.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How the files are named in a pin.
    pub(crate) fn named(&self) -> Vec<KeptFile> {
        let parts = |bytes: &[u8]| bytes.chunks(PART).map(digest_of).collect();
        self.0
            .iter()
            .map(|(name, bytes)| KeptFile { name: name.clone(), parts: parts(bytes) })
            .collect()
    }

    /// The payloads under which their parts are kept.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = (Digest, Arc<[u8]>)> + '_ {
        self.0
            .values()
            .flat_map(|bytes| bytes.chunks(PART).map(|part| (digest_of(part), part.into())))
    }
}

/// A file longer than a payload may be is kept in parts.
const PART: usize = RECORD_BYTES;

/// What a part is kept under: its digest in [`Domain::Payload`].
pub(crate) fn digest_of(part: &[u8]) -> Digest {
    Domain::Payload.hash(part)
}

/// A file of a policy set, as its pin names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptFile {
    /// Its name in the policy folder.
    pub name: Box<str>,
    /// The digests in [`Domain::Payload`] of its parts, in order: of the whole file where
    /// it is no longer than a payload may be.
    pub parts: Vec<Digest>,
}

impl Encode for KeptFile {
    fn encode(&self, out: &mut Writer) {
        out.text(&self.name).count(self.parts.len());
        for part in &self.parts {
            out.digest(part);
        }
    }
}

impl Decode for KeptFile {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = input.text()?.into();
        let count = input.count(32)?;
        let parts = (0..count).map(|_| input.digest()).collect::<Result<_, _>>()?;
        Ok(Self { name, parts })
    }
}

/// The body of a record of kind `policy-pinned`: version `u8`, who adopted it (name), parts
/// as count, then name and digest each. Version 2 goes on with the files it was read from:
/// count, then per file in the order of their names its name (text), and the digests of its
/// parts (count, digests), which are kept as payloads of the same commit. A set that was
/// read from no file is written as version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyPinned {
    /// Who adopted it.
    pub by: PrincipalId,
    /// What is in force from here on.
    pub pins: Pins,
    /// The files it was read from, which the log keeps.
    pub files: Vec<KeptFile>,
}

impl Encode for PolicyPinned {
    fn encode(&self, out: &mut Writer) {
        out.u8(if self.files.is_empty() { 1 } else { 2 }).value(&self.by);
        write_parts(&self.pins.parts, out);
        if !self.files.is_empty() {
            out.list(&self.files);
        }
    }
}

impl Decode for PolicyPinned {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let version = input.u8()?;
        if !matches!(version, 1 | 2) {
            return Err(Reader::bad_tag("pins version 1 or 2", version, offset));
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
        let files: Vec<KeptFile> = if version == 1 { Vec::new() } else { input.list()? };
        let ordered = files.iter().zip(files.iter().skip(1)).all(|(a, b)| a.name < b.name);
        if !ordered || (version == 2 && files.is_empty()) {
            return Err(input.invalid("files in the order of their names"));
        }
        Ok(Self { by, pins: Pins::new(parts), files })
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
        let mut body =
            PolicyPinned { by: PrincipalId::new("op").unwrap(), pins: one, files: Vec::new() };
        assert_eq!(body.to_canonical().first(), Some(&1), "without files nothing is new");
        assert_eq!(PolicyPinned::from_canonical(&body.to_canonical()), Ok(body.clone()));
        let mut files = PolicyFiles::default();
        files.keep("table.toml", b"rows");
        files.keep("matrix.toml", b"");
        body.files = files.named();
        assert_eq!(body.to_canonical().first(), Some(&2));
        assert_eq!(PolicyPinned::from_canonical(&body.to_canonical()), Ok(body.clone()));
        body.files.reverse();
        assert!(PolicyPinned::from_canonical(&body.to_canonical()).is_err(), "one order");
        assert_eq!(
            three.digest().to_string(),
            "3349548e9f72006ac87d8217a10832393f90989630bc2796224fea1706cabcb4"
        );
    }
}
