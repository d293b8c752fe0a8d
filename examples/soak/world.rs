//! What the soak runs on: a catalogue, rules, and one module per kind that counts.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use prospera::audience::state::State;
use prospera::digest::Digest;
use prospera::execution::{
    Call, Contract, ContractError, ContractParts, DynModule, Execution, IdempotencyKey, Output,
    Reconciled, Registry, Version,
};
use prospera::governance::Policy;
use prospera::id::{LayerId, SessionId};
use prospera::intent::Catalogue;
use prospera::provenance::Label;
use prospera::routing::Rules;
use prospera::safety::Envelope;
use prospera::testing::world::{Calls, DefaultEngines, Failure, Setup, row};
use prospera::verdict::CapabilityTier;

const CATALOGUE: &str = r#"
version = "soak-1"
[[kind]]
kind = "note.read"
description = "Reads a note."
tier = "observe"
flags = []
scope = "work"
schema = '{"type": "object", "properties": {"name": {"type": "string", "maxLength": 80}}, "required": ["name"], "additionalProperties": false}'
[[kind]]
kind = "note.write"
description = "Writes a note."
tier = "act"
flags = ["effect"]
scope = "work"
schema = '{"type": "object", "properties": {"name": {"type": "string", "maxLength": 80}, "text": {"type": "string"}}, "required": ["name"], "additionalProperties": false}'
[[kind]]
kind = "web.read"
description = "Reads a page."
tier = "observe"
flags = []
scope = "work"
reads_outside = "web"
schema = '{"type": "object", "properties": {"address": {"type": "string"}}, "required": ["address"], "additionalProperties": false}'
[[kind]]
kind = "mail.send"
description = "Sends a mail."
tier = "act"
flags = ["effect", "external"]
scope = "work"
schema = '{"type": "object", "properties": {"to": {"type": "string"}, "text": {"type": "string"}}, "required": ["to"], "additionalProperties": false}'
[[kind]]
kind = "payment.send"
description = "Pays."
tier = "commit"
flags = ["effect", "financial"]
scope = "work"
schema = '{"type": "object", "properties": {"to": {"type": "string"}, "amount": {"type": "number", "exclusiveMinimum": 0}}, "required": ["to", "amount"], "additionalProperties": false}'
[[kind]]
kind = "leak.all"
description = "Sends everything out."
tier = "act"
flags = ["effect", "bulk", "external"]
scope = "work"
schema = '{"type": "object"}'
[[kind]]
kind = "key.rotate"
description = "Changes the keys."
tier = "privileged"
flags = ["effect", "privileged"]
scope = "work"
schema = '{"type": "object"}'
"#;

const GOVERNANCE: &str = r#"
version = "soak-1"
approvers = ["governor"]
reviewer = "governor"
timeout_seconds = 3600
[[rule]]
id = "notes"
effect = "allow"
kinds = ["note.read", "note.write", "web.read", "leak.all", "key.rotate"]
rules_on_drift = true
[[rule]]
id = "mail-to-whom-the-user-named"
effect = "allow"
kinds = ["mail.send"]
rules_on_drift = true
arguments.to = { sources = ["user", "memory"] }
[[rule]]
id = "no-mail-where-a-page-said"
effect = "deny"
kinds = ["mail.send"]
arguments.to = { sources_any = ["outside"] }
[[rule]]
id = "payments"
effect = "step-up"
kinds = ["payment.send"]
approver = "governor"
timeout_seconds = 3600
rules_on_drift = true
"#;

const ENVELOPE: &str = r#"
version = "2.0"
[weights]
snapshot = 300000
[[forbidden]]
id = "no-leaks"
kinds = ["leak.all"]
flags_all = ["bulk"]
escalates = true
reason = "everything at once never leaves"
"#;

/// Kinds, their module, its tier and the state it needs.
const KINDS: [(&str, &str, CapabilityTier, State); 7] = [
    ("note.read", "notes", CapabilityTier::Observe, State::Base),
    ("note.write", "notebook", CapabilityTier::Act, State::Base),
    ("web.read", "browser", CapabilityTier::Observe, State::Base),
    ("mail.send", "post", CapabilityTier::Act, State::Base),
    ("payment.send", "bank", CapabilityTier::Commit, State::Verified),
    ("leak.all", "pipe", CapabilityTier::Act, State::Base),
    ("key.rotate", "vault", CapabilityTier::Privileged, State::Privileged),
];

const SHARDS: usize = 64;

/// One run of a module: the effect's key and the intent it was run for.
pub(crate) type Run = (Digest, Digest);

/// What the modules did, by session, until somebody takes it.
#[derive(Debug)]
pub(crate) struct Tally {
    shards: Vec<Mutex<HashMap<SessionId, Vec<Run>>>>,
    hash: RandomState,
}

impl Default for Tally {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hash: RandomState::new() }
    }
}

impl Tally {
    fn with<T>(
        &self,
        session: &SessionId,
        with: impl FnOnce(&mut HashMap<SessionId, Vec<Run>>) -> T,
    ) -> Option<T> {
        let place = usize::try_from(self.hash.hash_one(session) % SHARDS as u64).ok()?;
        let shard = self.shards.get(place)?;
        Some(with(&mut shard.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// How often a module was run for this session.
    pub(crate) fn count(&self, session: &SessionId) -> usize {
        self.with(session, |shard| shard.get(session).map_or(0, Vec::len)).unwrap_or(0)
    }

    /// What was run for this session; it is forgotten here.
    pub(crate) fn take(&self, session: &SessionId) -> Vec<Run> {
        self.with(session, |shard| shard.remove(session)).flatten().unwrap_or_default()
    }
}

/// A module that notes each run and does nothing else.
struct Counting {
    contract: Contract,
    tally: Arc<Tally>,
}

impl DynModule for Counting {
    fn contract(&self) -> Result<Contract, ContractError> {
        Ok(self.contract.clone())
    }

    fn run(&self, call: &Call<'_>) -> Execution {
        let session = call.session();
        let run = (call.key().digest(), call.intent_hash());
        self.tally.with(session, |shard| shard.entry(session.clone()).or_default().push(run));
        Execution::Done(Output { value: call.arguments().to_value(), label: Label::empty() })
    }

    fn reconcile(&self, _: IdempotencyKey) -> Reconciled {
        Reconciled::Unknown
    }
}

/// Engines and rules, and what their modules note.
pub(crate) fn parts() -> Result<(DefaultEngines, Rules, Catalogue, Arc<Tally>), Failure> {
    let tally = Arc::new(Tally::default());
    let mut registry = Registry::new();
    let mut rows = Vec::new();
    for (kind, module, tier, required_state) in KINDS {
        let contract = Contract::new(ContractParts {
            id: module.parse()?,
            version: Version { major: 1, minor: 0 },
            required_state,
            tier,
            layers: vec![LayerId::Memory, LayerId::Safety, LayerId::Governance],
            intents: vec![kind.parse()?],
        })?;
        registry.register(Counting { contract, tally: Arc::clone(&tally) })?;
        rows.push(row(kind, module)?);
    }
    let catalogue = Catalogue::from_toml("catalogue.toml", CATALOGUE, |path| {
        Err(format!("expected no file, found `{path}`"))
    })?;
    let mut setup = Setup::of(catalogue, Vec::new(), rows, registry, Calls::default())?;
    setup.policy = Policy::from_toml("governance.toml", GOVERNANCE)?;
    setup.envelope = Envelope::from_toml("envelope.toml", ENVELOPE)?;
    let (engines, rules, catalogue) = setup.into_parts()?;
    Ok((engines, rules, catalogue, tally))
}
