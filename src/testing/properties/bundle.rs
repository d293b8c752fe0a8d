//! Evidence bundles.

use std::format;
use std::string::ToString as _;
use std::vec::Vec;

use super::super::world::{Failure, Setup, World};
use super::super::{Broken, Held, must};
use crate::bundle::{Bundle, Verified};
use crate::commitment::Salts;
use crate::ssot::checkpoint::{Checkpoint, Origin, Policy};
use crate::ssot::note::{Algorithm, Signer};
use crate::ssot::store::Store as _;
use crate::time::Timestamp;

/// A sound bundle, its key, and what it says.
#[derive(Debug)]
pub struct BundleProbe {
    sound: Vec<u8>,
    trust: Policy,
    says: Verified,
}

impl BundleProbe {
    /// The bundle of an approved payment, salted, with a field withheld.
    ///
    /// # Errors
    /// [`Broken`] when a sound bundle does not verify.
    pub fn new() -> Result<Self, Broken> {
        Self::made().map_err(|error| Broken::new("bundles_stand", error))
    }

    /// The binary form of the bundle.
    pub fn sound(&self) -> &[u8] {
        &self.sound
    }

    fn made() -> Result<Self, Failure> {
        let World { router, catalogue, clock, calls } = Setup::sample()?.build()?;
        let router = router.salted(Salts::new([3; 32]));
        let world = World { router, catalogue, clock, calls };
        let mut desk = world.open("alice", "s-1")?;
        let pay = [("to", "bob".into()), ("amount", 70.into())];
        let asked = world.router.route(&mut desk, world.intent("payment.send", "Pay.", &pay)?)?;
        let boss = world.governor("boss", "g-1")?;
        world.router.approve(&boss, &"s-1".parse()?, asked.record, true, "")?;
        world.clock.advance_millis(1000);
        let paid = world.router.route(&mut desk, world.intent("payment.send", "Pay.", &pay)?)?;
        let origin = "example.com/log/shard/0";
        let signer = Signer::from_seed(origin.parse()?, Algorithm::Ed25519, &[7; 32])?;
        let store = world.router.store();
        let head = store.tree_head()?;
        let checkpoint = Checkpoint::new(Origin::new(origin)?, head.size, head.root);
        let note = checkpoint.sign(&[&signer], Timestamp::from_secs(1))?;
        let mut bundle = Bundle::gather(store, paid.index, &note)?;
        bundle.withhold("intent/arguments/to/value")?;
        let trust = Policy::of_log(signer.verifier()?);
        let says = bundle.verify(&trust)?;
        Ok(Self { sound: bundle.to_bytes(), trust, says })
    }
}

/// Bytes are no bundle, or one that is written as it was read. One that verifies says of the
/// route what the sound bundle says, or less: nothing else.
///
/// # Errors
/// [`Broken`] with what it says.
pub fn bundles_stand(probe: &BundleProbe, bytes: &[u8]) -> Held {
    let property = "bundles_stand";
    let Ok(bundle) = Bundle::from_bytes(bytes) else { return Ok(()) };
    must(property, bundle.to_bytes() == bytes, || "a bundle has two encodings".to_string())?;
    #[cfg(feature = "files")]
    {
        let json = bundle.to_json().to_string();
        let read = Bundle::from_json(&json);
        let same = read.as_ref().is_ok_and(|read| read == &bundle);
        must(property, same, || format!("its JSON is another bundle: {read:?}"))?;
    }
    let Ok(seen) = bundle.verify(&probe.trust) else { return Ok(()) };
    let says = &probe.says;
    let same = seen.route == says.route
        && seen.evidence == says.evidence
        && seen.packaged == says.packaged
        && seen.identity == says.identity
        && seen.policy == says.policy
        && seen.approval == says.approval
        && seen.checkpoint == says.checkpoint
        && (seen.outcome.is_none() || seen.outcome == says.outcome);
    must(property, same, || format!("it verifies as {seen:?}"))?;
    for payload in &seen.payloads {
        let own = says.payload(payload.part).map(|own| &own.fields);
        let known = payload.fields.iter().all(|field| own.is_some_and(|own| own.contains(field)));
        must(property, known, || format!("it shows {:?}", payload.fields))?;
    }
    Ok(())
}
