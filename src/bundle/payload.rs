//! Payloads of a bundle: held against what the records name, withheld, shown.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::error::{BundleError, WithholdError};
use super::seen::{PayloadSeen, PayloadState};
use super::{Bundle, Content};
use crate::commitment::{Fields, Part, Salt};
use crate::encode::{Decode, Encode as _};
use crate::governance::{GovernanceDecision, Matter};
use crate::routing::payloads::{Named, value_of};
use crate::routing::{EvidenceBlock, Outcome};
use crate::ssot::record::{Record, RecordKind};
use crate::value::Value;

impl Bundle {
    /// Withholds a field of a payload: `intent`, `objective` or `output`, and a path in it,
    /// such as `intent/arguments/to/value`. The part alone withholds all of it. The bundle
    /// verifies as before, and says what is withheld.
    ///
    /// # Errors
    /// [`WithholdError`]: no such part or field is shown; or the part's digest is a plain
    /// one, which has no fields.
    pub fn withhold(&mut self, path: &str) -> Result<(), WithholdError> {
        let (head, rest) = path.split_once('/').unwrap_or((path, ""));
        let named = self.named();
        let found = named.iter().find(|named| named.part.name() == head).and_then(|named| {
            let place = self.payloads.iter().position(|own| own.digest == named.digest)?;
            Some((*named, place))
        });
        let Some((named, place)) = found else {
            let shown = |named: &&Named| self.payloads.iter().any(|p| p.digest == named.digest);
            let known = named.iter().filter(shown).map(|named| named.part.name()).collect();
            return Err(WithholdError::Part { path: path.into(), known });
        };
        if rest.trim_matches('/').is_empty() {
            self.payloads.remove(place);
            return Ok(());
        }
        match self.payloads.get_mut(place).map(|payload| &mut payload.content) {
            Some(Content::Salted(fields)) => Ok(fields.withhold(rest)?),
            _ => Err(WithholdError::Plain { part: named.part.name() }),
        }
    }

    /// Withholds the values of all arguments that are labelled secret: each value alone
    /// where the intent is salted, otherwise the intent as a whole. Says how many there
    /// were.
    pub fn withhold_secrets(&mut self) -> usize {
        let Some(named) = self.named().into_iter().find(|named| named.part == Part::Intent) else {
            return 0;
        };
        let Some(place) = self.payloads.iter().position(|own| own.digest == named.digest) else {
            return 0;
        };
        let Some(payload) = self.payloads.get_mut(place) else { return 0 };
        match &mut payload.content {
            Content::Plain(bytes) => {
                let value = value_of(Part::Intent, bytes);
                let secrets = value.map_or(0, |value| {
                    // The salt does not matter: only the labels are looked at.
                    secret_arguments(&Fields::of(&Salt::from_bytes([0; 32]), &value)).len()
                });
                if secrets > 0 {
                    self.payloads.remove(place);
                }
                secrets
            }
            Content::Salted(fields) => {
                let secrets = secret_arguments(fields);
                let withheld = secrets.iter().filter(|name| {
                    let name = crate::commitment::pointer(&[(*name).as_str().into()]);
                    fields.withhold(&alloc::format!("arguments/{name}/value")).is_ok()
                });
                withheld.count()
            }
        }
    }

    /// What the evidence and the outcome of this bundle name, as far as they can be read.
    pub(super) fn named(&self) -> Vec<Named> {
        let records = || self.records.iter().map(|proven| &proven.record);
        let evidence = records().find(|record| record.digest() == self.route);
        let block = evidence.and_then(|record| record.read::<EvidenceBlock>().ok());
        let mut named: Vec<Named> = block.iter().flat_map(Named::by).collect();
        let outcomes = records().filter(|record| record.kind() == RecordKind::Outcome);
        for outcome in outcomes.filter_map(|record| Outcome::from_canonical(record.body()).ok()) {
            if outcome.evidence == self.route {
                named.extend(Named::by_outcome(&outcome));
            }
        }
        named
    }
}

fn secret_arguments(fields: &Fields) -> Vec<String> {
    let Some(Fields::Map(arguments)) = fields.get(&["arguments"]) else { return Vec::new() };
    let secret = Value::from("secret");
    let secret = |argument: &Fields| {
        argument.get(&["label", "sensitivity"]).and_then(Fields::value) == Some(&secret)
    };
    let found = arguments.iter().filter(|(_, argument)| secret(argument));
    found.map(|(name, _)| name.to_string()).collect()
}

/// Holds a payload against the record that names it.
pub(super) fn check(bundle: &Bundle, named: Named) -> Result<PayloadSeen, BundleError> {
    let part = named.part.name();
    let shown = bundle.payloads.iter().find(|payload| payload.digest == named.digest);
    let mut seen = PayloadSeen {
        part,
        digest: named.digest,
        salted: named.salted,
        state: PayloadState::Withheld,
        fields: Vec::new(),
        withheld: Vec::new(),
    };
    let Some(payload) = shown else { return Ok(seen) };
    let expected = named.digest;
    match (&payload.content, named.salted) {
        (Content::Plain(bytes), false) => {
            let found = named.part.domain().hash(bytes);
            if found != expected {
                return Err(BundleError::Payload { part, expected, found });
            }
            let value = value_of(named.part, bytes)
                .map_err(|source| BundleError::PayloadBody { part, source })?;
            leaves(&value, &mut Vec::new(), &mut seen.fields);
            seen.state = PayloadState::Shown;
        }
        (Content::Salted(fields), true) => {
            let found = fields.root(named.part);
            if found != expected {
                return Err(BundleError::Payload { part, expected, found });
            }
            fields.visit(&mut |path, field| {
                if let Some(value) = field.value() {
                    seen.fields.push((path.to_string(), value.clone()));
                }
            });
            seen.withheld = fields.withheld();
            seen.state = match seen.withheld.first() {
                None => PayloadState::Shown,
                Some(all) if all.is_empty() => PayloadState::Withheld,
                Some(_) => PayloadState::Partly,
            };
        }
        (Content::Plain(_), true) => {
            let (expected, found) = ("field by field", "as plain bytes");
            return Err(BundleError::PayloadForm { part, expected, found });
        }
        (Content::Salted(_), false) => {
            let (expected, found) = ("as plain bytes", "field by field");
            return Err(BundleError::PayloadForm { part, expected, found });
        }
    }
    Ok(seen)
}

/// The fields of the intent that the evidence repeats are the same there.
pub(super) fn agrees(
    seen: &PayloadSeen,
    block: &EvidenceBlock,
    evidence: &Record,
) -> Result<(), BundleError> {
    let shown = |what: &str| {
        let found = seen.fields.iter().find(|(path, _)| path == what);
        found.and_then(|(_, value)| value.as_text())
    };
    let subject = (block.routing_id.is_some()).then(|| block.subject.as_str());
    let session = (block.routing_id.is_some()).then(|| evidence.stream().name().as_str());
    let repeated = [
        ("kind", block.kind.as_ref().map(crate::id::KindId::as_str)),
        // An intent of another subject or session is blocked before it has a Routing ID.
        ("subject", subject),
        ("session", session),
    ];
    for (what, expected) in repeated {
        if let (Some(expected), Some(found)) = (expected, shown(what))
            && expected != found
        {
            let (expected, found) = (expected.into(), found.into());
            return Err(BundleError::Field { what, expected, found });
        }
    }
    Ok(())
}

/// Every leaf of a value with its path.
fn leaves(value: &Value, path: &mut Vec<alloc::boxed::Box<str>>, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            for (key, below) in entries {
                path.push(key.clone());
                leaves(below, path, out);
                path.pop();
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (place, below) in items.iter().enumerate() {
                path.push(place.to_string().into());
                leaves(below, path, out);
                path.pop();
            }
        }
        leaf => out.push((crate::commitment::pointer(path), leaf.clone())),
    }
}

/// Whether a decision erased what the record at `index` of this subject names.
pub(super) fn erases(decision: &GovernanceDecision, block: &EvidenceBlock, index: u64) -> bool {
    match decision.matter() {
        Matter::Erasure { subject, before, .. } => {
            decision.granted() && *subject == block.subject && index < *before
        }
        _ => false,
    }
}

impl Bundle {
    /// The size of the binary form.
    pub fn size(&self) -> usize {
        self.to_canonical().len()
    }
}
