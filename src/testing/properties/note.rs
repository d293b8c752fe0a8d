//! Signed notes: one form for each, and none that was altered verifies.

use std::format;
use std::string::ToString as _;
use std::vec::Vec;

use super::super::{Broken, Held, must};
use crate::ssot::checkpoint::{AddCheckpoint, Checkpoint, LoggedProof, Origin, Policy};
use crate::ssot::merkle::Hash;
use crate::ssot::note::{Algorithm, Note, Signature, Signer, Verifier};
use crate::time::Timestamp;

/// A checkpoint that is signed, and the keys that are known.
#[derive(Debug)]
pub struct NoteProbe {
    keys: Vec<Verifier>,
    policy: Policy,
    signed: Note,
}

impl NoteProbe {
    /// A log and two witnesses, one of which must have cosigned.
    ///
    /// # Errors
    /// [`Broken`] when no note can be signed.
    pub fn new() -> Result<Self, Broken> {
        let failed = |error: &dyn core::fmt::Display| Broken::new("note_probe", error);
        let origin = Origin::of_shard("log.example", 0).map_err(|error| failed(&error))?;
        let key = |name: &str, algorithm, seed: u8| {
            let name = name.parse().map_err(|error| failed(&error))?;
            Signer::from_seed(name, algorithm, &[seed; 32]).map_err(|error| failed(&error))
        };
        let signers = [
            key(origin.as_str(), Algorithm::Ed25519, 1)?,
            key("w1.example", Algorithm::Cosignature, 2)?,
            key("w2.example", Algorithm::Cosignature, 3)?,
        ];
        let mut keys = Vec::new();
        for signer in &signers {
            keys.push(signer.verifier().map_err(|error| failed(&error))?);
        }
        let [log, one, two] = &*keys else { return Err(Broken::new("note_probe", "three keys")) };
        let file = format!(
            "log {log}\nwitness one {one}\nwitness two {two}\ngroup any any one two\nquorum any\n"
        );
        let policy = Policy::parse(file.as_bytes()).map_err(|error| failed(&error))?;
        let checkpoint = Checkpoint::new(origin, 1234, Hash::from_bytes([7; 32]));
        let signed = checkpoint.sign(&signers.each_ref(), Timestamp::from_secs(1_700_000_000));
        Ok(Self { keys, policy, signed: signed.map_err(|error| failed(&error))? })
    }

    /// The bytes of the signed checkpoint.
    pub fn bytes(&self) -> Vec<u8> {
        self.signed.to_string().into_bytes()
    }

    /// A note that verifies is the one that was signed, and its known signatures are those
    /// that were made.
    fn is_the_signed_one(&self, property: &'static str, note: &Note) -> Held {
        let Ok(verified) = note.verify(&self.keys) else {
            let accepted = self.policy.accept_note(note.clone()).is_ok();
            return must(property, !accepted, || format!("{note}is accepted and not verified"));
        };
        let known = |signature: &&Signature| {
            self.keys.iter().any(|key| key.id() == signature.id() && key.name() == signature.name())
        };
        let made = |signature: &Signature| self.signed.signatures().contains(signature);
        let sound = note.text() == self.signed.text()
            && note.signatures().iter().filter(known).all(made)
            && verified.len() <= self.keys.len();
        must(property, sound, || format!("{note}verifies, and was never signed"))
    }
}

/// Bytes are a note, a request, a proof, a policy or a key in one way or not at all; and
/// none of them verifies that was not signed.
///
/// # Errors
/// [`Broken`] with the two forms, or with the note.
pub fn note_bytes(probe: &NoteProbe, bytes: &[u8]) -> Held {
    let property = "note_bytes";
    let same = |written: &str| {
        must(property, written.as_bytes() == bytes, || {
            format!("{} is written as {written}", bytes.escape_ascii())
        })
    };
    if let Ok(note) = Note::parse(bytes) {
        same(&note.to_string())?;
        probe.is_the_signed_one(property, &note)?;
        for line in note.signatures() {
            let again = Signature::parse(&line.to_string());
            must(property, again.as_ref() == Ok(line), || format!("{line}: {again:?}"))?;
        }
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            must(property, checkpoint.to_string() == note.text(), || checkpoint.to_string())?;
        }
    }
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        same(&request.to_string())?;
        probe.is_the_signed_one(property, &request.note)?;
    }
    if let Ok(proof) = LoggedProof::parse(bytes) {
        same(&proof.to_string())?;
        probe.is_the_signed_one(property, &proof.note)?;
    }
    if let Ok(policy) = Policy::parse(bytes) {
        let keys = policy.logs().chain(policy.witnesses());
        for key in keys {
            let again = key.to_string().parse::<Verifier>();
            must(property, again.as_ref() == Ok(key), || format!("{key}: {again:?}"))?;
        }
    }
    let Ok(text) = core::str::from_utf8(bytes) else { return Ok(()) };
    if let Ok(key) = text.parse::<Verifier>() {
        same(&key.to_string())?;
    }
    if let Ok(key) = Signer::parse(text) {
        same(&key.to_text())?;
    }
    Ok(())
}

/// A signed note in which `cut` bytes from `at` on are others does not verify, unless it
/// says the same, signed by the same.
///
/// # Errors
/// [`Broken`] with the note.
pub fn altered_notes_do_not_verify(probe: &NoteProbe, at: usize, cut: usize, with: &[u8]) -> Held {
    let whole = probe.bytes();
    let at = at.checked_rem(whole.len().saturating_add(1)).unwrap_or(0);
    let (before, rest) = whole.split_at_checked(at).unwrap_or((&whole, &[]));
    let after = rest.get(cut.min(rest.len())..).unwrap_or_default();
    note_bytes(probe, &[before, with, after].concat())
}
