//! The policy sets that were in force, by their parts.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::digest::{Digest, Domain};
use crate::encode::{DecodeError, Reader, Writer};
use crate::id::Name;
use crate::routing::audit::memo::Memo;
use crate::routing::pins::{Pins, PolicyPinned};
use crate::routing::router::POLICY;
use crate::ssot::matrix::{Check, Rule, Scene};
use crate::ssot::record::{StreamId, StreamKind};
use crate::ssot::store::{Store, StoreError};

/// What is in force, and what ever was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Policies {
    in_force: Option<Pins>,
    /// Every digest that a part of this name ever had.
    ever: BTreeMap<Name, BTreeSet<Digest>>,
    /// The stream they are pinned in, once it is known.
    stream: Option<StreamId>,
}

impl Policies {
    pub(super) const fn in_force(&self) -> Option<&Pins> {
        self.in_force.as_ref()
    }

    /// A set comes into force.
    pub(super) fn pin(&mut self, stream: &StreamId, pinned: &PolicyPinned) {
        if stream.name().as_str() != POLICY {
            return;
        }
        for (name, digest) in pinned.pins.parts() {
            self.ever.entry(name.clone()).or_default().insert(*digest);
        }
        self.in_force = Some(pinned.pins.clone());
        self.stream = Some(stream.clone());
    }

    /// Whether nothing can be said, which is noted: no set, or one that is doubted.
    fn silent(&self, scene: &mut Scene<'_, Memo>) -> bool {
        let known = Name::new(POLICY).ok().map(|name| StreamId::new(StreamKind::Policy, name));
        let stream = self.stream.as_ref().or(known.as_ref());
        if let Some(doubt) = stream.and_then(|stream| scene.other(stream)?.doubt) {
            scene.end(Check::Policy, doubt);
            return true;
        }
        if self.in_force.is_none() {
            scene.fault(Rule::Unpinned, "a policy set in force", "none");
            return true;
        }
        false
    }

    /// That these are the pins in force.
    pub(super) fn check_pins(&self, pins: &Digest, scene: &mut Scene<'_, Memo>) {
        if self.silent(scene) {
            return;
        }
        if let Some(in_force) = self.in_force().map(Pins::digest).filter(|own| own != pins) {
            scene.fault(Rule::Pins, alloc::format!("pins {in_force}"), pins);
        }
    }

    /// That the part of this name has this digest now. A set without such a part says
    /// nothing of it.
    pub(super) fn check_now(&self, part: &str, digest: &Digest, scene: &mut Scene<'_, Memo>) {
        if self.silent(scene) {
            return;
        }
        let parts = self.in_force.iter().flat_map(Pins::parts);
        let own = parts.filter(|(name, _)| name.as_str() == part).map(|(_, own)| own).next();
        if let Some(own) = own.filter(|own| *own != digest) {
            scene.fault(Rule::Part, alloc::format!("{part} {own}"), digest);
        }
    }

    /// That the part of this name had this digest once.
    pub(super) fn check_ever(&self, part: &str, digest: &Digest, scene: &mut Scene<'_, Memo>) {
        if self.silent(scene) {
            return;
        }
        let known = self.ever.iter().find(|(name, _)| name.as_str() == part).map(|(_, all)| all);
        if known.is_some_and(|all| !all.contains(digest)) {
            scene.fault(Rule::Part, alloc::format!("a {part} that was in force"), digest);
        }
    }

    pub(super) fn save(&self, out: &mut Writer) {
        match (&self.in_force, &self.stream) {
            (Some(pins), Some(stream)) => {
                out.u8(1).value(stream).count(pins.parts().count());
                for (name, digest) in pins.parts() {
                    out.value(name).digest(digest);
                }
            }
            _ => {
                out.u8(0);
            }
        }
        out.count(self.ever.len());
        for (name, digests) in &self.ever {
            out.value(name).count(digests.len());
            for digest in digests {
                out.digest(digest);
            }
        }
    }

    pub(super) fn load(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut policies = Self::default();
        if input.bool()? {
            policies.stream = Some(input.value()?);
            let mut parts: BTreeMap<Name, Digest> = BTreeMap::new();
            for _ in 0..input.count(37)? {
                let name: Name = input.value()?;
                if parts.last_key_value().is_some_and(|(last, _)| *last >= name) {
                    return Err(input.invalid("unique names in ascending order"));
                }
                parts.insert(name, input.digest()?);
            }
            policies.in_force = Some(Pins::new(parts));
        }
        for _ in 0..input.count(9)? {
            let name: Name = input.value()?;
            if policies.ever.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(input.invalid("unique names in ascending order"));
            }
            let mut digests = BTreeSet::new();
            for _ in 0..input.count(32)? {
                let digest = input.digest()?;
                if digests.last().is_some_and(|last| *last >= digest) {
                    return Err(input.invalid("unique digests in ascending order"));
                }
                digests.insert(digest);
            }
            policies.ever.insert(name, digests);
        }
        Ok(policies)
    }
}

/// That the files a pin names are kept, and are those it names.
pub(super) fn content<S: Store + ?Sized>(
    pinned: &PolicyPinned,
    scene: &mut Scene<'_, Memo>,
    store: &S,
) -> Result<(), StoreError> {
    for file in &pinned.files {
        for part in &file.parts {
            let found = store.payload(part)?.map(|bytes| Domain::Payload.hash(&bytes));
            if found != Some(*part) {
                let expected = alloc::format!("`{}` as {part}", file.name);
                let found = found.map_or_else(|| "none".into(), |f| alloc::format!("{f}"));
                scene.fault(Rule::Content, expected, found);
            }
        }
    }
    Ok(())
}
