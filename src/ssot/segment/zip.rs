//! zstd with the dictionary of a class.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::vec::Vec;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use super::{Bad, SegmentError, bad};
use crate::digest::{Digest, Domain};
use crate::limits::SEGMENT_FRAME_BYTES;
use crate::ssot::class::{Compression, StateClass};

/// Dictionaries by class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionaries {
    pub(super) by_class: BTreeMap<StateClass, Vec<u8>>,
}

impl Dictionaries {
    /// None for any class.
    pub fn none() -> Self {
        Self::default()
    }

    /// How many bytes they have in all.
    pub fn bytes(&self) -> usize {
        self.by_class.values().map(Vec::len).sum()
    }

    /// Each class's dictionary.
    pub fn iter(&self) -> impl Iterator<Item = (StateClass, &[u8])> {
        self.by_class.iter().map(|(class, bytes)| (*class, bytes.as_slice()))
    }

    /// What a dictionary goes by.
    pub(super) fn digest(bytes: &[u8]) -> Digest {
        Domain::Payload.hash(bytes)
    }

    /// Trains one for each class that has samples enough.
    pub(super) fn train(
        samples: &BTreeMap<StateClass, Vec<Vec<u8>>>,
        rule: impl Fn(StateClass) -> Compression,
    ) -> Self {
        let mut by_class = BTreeMap::new();
        for (class, samples) in samples {
            let most = rule(*class).dictionary_bytes as usize;
            let total: usize = samples.iter().map(Vec::len).sum();
            // What zstd asks for: samples in number, and a hundredth of them at most.
            let most = most.min(total / 4);
            if samples.len() < 8 || most < 256 {
                continue;
            }
            // Too little to learn from is no error: the class is packed without one.
            if let Ok(dictionary) = zstd::dict::from_samples(samples, most) {
                by_class.insert(*class, dictionary);
            }
        }
        Self { by_class }
    }
}

/// Packs rows of each class.
pub(super) struct Zipper<'a> {
    by_class: BTreeMap<StateClass, Option<Compressor<'a>>>,
}

impl Zipper<'_> {
    pub(super) fn new(
        dictionaries: &Dictionaries,
        rule: impl Fn(StateClass) -> Compression,
    ) -> Result<Self, SegmentError> {
        let mut by_class = BTreeMap::new();
        for class in StateClass::ALL {
            let level = rule(class).level;
            let dictionary = dictionaries.by_class.get(&class).map_or(&[][..], Vec::as_slice);
            let zipper = if level == 0 {
                None
            } else {
                let mut zipper = Compressor::with_dictionary(level.into(), dictionary)
                    .map_err(SegmentError::Zstd)?;
                // The segment says which; four bytes a frame say it again.
                zipper.set_parameter(CParameter::DictIdFlag(false)).map_err(SegmentError::Zstd)?;
                Some(zipper)
            };
            by_class.insert(class, zipper);
        }
        Ok(Self { by_class })
    }

    /// The frame's bytes: as many as there were where packing does not pay.
    pub(super) fn zip(&mut self, class: StateClass, bytes: &[u8]) -> Result<Vec<u8>, SegmentError> {
        if let Some(Some(zipper)) = self.by_class.get_mut(&class) {
            let packed = zipper.compress(bytes).map_err(SegmentError::Zstd)?;
            if packed.len() < bytes.len() {
                return Ok(packed);
            }
        }
        Ok(bytes.to_vec())
    }
}

/// Unpacks them again.
pub(super) struct Unzipper {
    by_class: BTreeMap<StateClass, Mutex<Decompressor<'static>>>,
    plain: Mutex<Decompressor<'static>>,
}

impl Unzipper {
    pub(super) fn new(dictionaries: &Dictionaries) -> Result<Self, SegmentError> {
        let mut by_class = BTreeMap::new();
        for (class, dictionary) in dictionaries.iter() {
            let unzip = Decompressor::with_dictionary(dictionary).map_err(SegmentError::Zstd)?;
            by_class.insert(class, Mutex::new(unzip));
        }
        let plain = Mutex::new(Decompressor::new().map_err(SegmentError::Zstd)?);
        Ok(Self { by_class, plain })
    }

    /// A frame's bytes again. No more than it declares, and that is no more than the limit.
    pub(super) fn unzip(
        &self,
        class: Option<StateClass>,
        bytes: &[u8],
        size: usize,
    ) -> Result<Vec<u8>, Bad> {
        if size > SEGMENT_FRAME_BYTES {
            return bad("a frame declares more bytes than the limit");
        }
        if bytes.len() == size {
            return Ok(bytes.to_vec());
        }
        let unzip = class.and_then(|class| self.by_class.get(&class)).unwrap_or(&self.plain);
        let mut unzip = unzip.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match unzip.decompress(bytes, size) {
            Ok(out) if out.len() == size => Ok(out),
            Ok(_) => bad("a frame has another size than it declares"),
            Err(_) => bad("a frame cannot be unpacked"),
        }
    }
}

impl core::fmt::Debug for Unzipper {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Unzipper").field("classes", &self.by_class.len()).finish_non_exhaustive()
    }
}
