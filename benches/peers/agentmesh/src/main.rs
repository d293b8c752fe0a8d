//! agentmesh beside prospera: an audit append in memory, and a policy check with one.
//!
//! A crate of its own because agentmesh pins the Cedar it was built with. Its `AuditLogger`
//! hashes one text per entry with SHA-256, takes the time of day, and hands back a copy; its
//! `PolicyEngine` walks capability rules by the action's name. Ours seals a record (BLAKE3,
//! its link, its place in stream and log) by compare-and-append; the whole route does that
//! twice, around eight layers and the effect.

use std::hint::black_box;

use agentmesh::{AuditLogger, PolicyDecision, PolicyEngine};
use prospera::encode::Writer;
use prospera::id::Subsystem;
use prospera::ssot::ledger::Ledger;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{Batch, Store};
use prospera::ssot::verify::verify;
use prospera::testing::world::BEGIN;

use common::report::{Report, batch, rivals};
use common::routes::Routes;

#[path = "../../../common/mod.rs"]
mod common;
#[path = "../../src/version.rs"]
mod version;

/// What a log is filled with before a fresh one is taken, for both.
const ENTRIES: u32 = 1000;

const PROFILE: &str = r#"
version: "1.0"
agent: "desk-agent"
policies:
  - name: "look"
    type: "capability"
    allowed_actions: ["calendar.read", "mail.read", "calendar.add", "note.write"]
  - name: "no-passwords"
    type: "capability"
    denied_actions: ["password.set", "records.erase"]
  - name: "payments"
    type: "approval"
    actions: ["payment.send"]
    min_approvals: 1
"#;

fn main() {
    version::print("agentmesh", include_str!("../Cargo.lock"));
    same_work();
    let engine = engine();
    let mut report = Report::begin("beside agentmesh");
    let mut routes = Routes::new();
    let times = rivals(
        40,
        &mut [
            &mut || {
                let mut ours = Ours::new();
                batch(ENTRIES, || ours.append("desk-agent", "note.write", "allow"))
            },
            &mut || {
                let log = AuditLogger::new();
                batch(ENTRIES, || drop(black_box(log.log("desk-agent", "note.write", "allow"))))
            },
            &mut || {
                let log = AuditLogger::new();
                batch(ENTRIES, || {
                    let decision = engine.evaluate(black_box("note.write"), None);
                    let word = if decision == PolicyDecision::Allow { "allow" } else { "deny" };
                    black_box(log.log("desk-agent", "note.write", word));
                })
            },
            &mut || {
                let mut intents = routes.intents(200).into_iter();
                batch(200, || intents.next().map_or((), |intent| routes.route(intent)))
            },
        ],
    );
    let [append, theirs, checked, route] = times[..] else { return };
    report.time("prospera-append", "prospera, a record appended", append);
    report.beside(
        "agentmesh-append",
        "agentmesh, an entry appended",
        theirs,
        "prospera-append",
        append,
    );
    report.time("agentmesh-check-append", "  with a policy check before it", checked);
    let against = ("agentmesh-check-append", checked);
    report.beside(
        "prospera-route-agentmesh",
        "prospera, a whole route",
        route,
        against.0,
        against.1,
    );
    report.end();
}

/// A log in memory that is appended to, one record a batch.
struct Ours {
    ledger: Ledger<MemoryStore>,
    stream: StreamId,
    head: Head,
}

impl Ours {
    fn new() -> Self {
        let stream = StreamId::new(StreamKind::Routing, "s-1".parse().unwrap());
        Self { ledger: Ledger::new(MemoryStore::new()), stream, head: Head::EMPTY }
    }

    fn append(&mut self, agent: &str, action: &str, decision: &str) {
        let mut body = Writer::with_capacity(64);
        body.text(agent).text(action).text(decision);
        let kind = RecordKind::Outcome;
        let draft = Draft::new(self.stream.clone(), kind, Subsystem::Routing, body.into_bytes());
        let batch = Batch::new(BEGIN).expect(self.stream.clone(), self.head).append(draft);
        let receipt = self.ledger.commit(batch).unwrap();
        self.head = receipt.head(&self.stream).unwrap();
    }
}

fn engine() -> PolicyEngine {
    let engine = PolicyEngine::new();
    engine.load_from_yaml(PROFILE).unwrap();
    engine
}

/// Both keep every entry in order and verify what they keep.
fn same_work() {
    let (mut ours, theirs) = (Ours::new(), AuditLogger::new());
    for _ in 0..ENTRIES {
        ours.append("desk-agent", "note.write", "allow");
        theirs.log("desk-agent", "note.write", "allow");
    }
    assert_eq!(ours.ledger.store().len().unwrap(), u64::from(ENTRIES));
    assert_eq!(verify(ours.ledger.store(), |_| {}).unwrap().records, u64::from(ENTRIES));
    assert_eq!(theirs.entries().len(), ENTRIES as usize);
    assert!(theirs.verify());
    let engine = engine();
    assert_eq!(engine.evaluate("note.write", None), PolicyDecision::Allow);
    assert!(matches!(engine.evaluate("password.set", None), PolicyDecision::Deny(_)));
    assert!(matches!(engine.evaluate("payment.send", None), PolicyDecision::RequiresApproval(_)));
}

#[test]
fn both_keep_and_verify_the_same_entries() {
    same_work();
}
