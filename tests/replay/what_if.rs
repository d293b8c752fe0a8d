//! The same log under other policies: what would change is told, nothing is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prospera::digest::Digest;
use prospera::governance::{Policy, PolicyParts};
use prospera::id::LayerId;
use prospera::routing::replay::{Changes, ReplayError, Turn, Version, WhatIf};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Head, StreamId};
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};
use prospera::testing::world::{DefaultEngines, GOVERNOR, Setup, World, rule};
use prospera::verdict::{ReasonCode, Verdict};

use super::same;

/// A store that nobody may write to, and that says whether somebody tried.
struct Closed<'a>(&'a MemoryStore, AtomicU64);

impl Store for Closed<'_> {
    fn append(&self, _: &Batch) -> Result<Committed, AppendError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Err(AppendError::Refused { reason: "nothing may be written" })
    }
    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.0.head(stream)
    }
    fn len(&self) -> Result<u64, StoreError> {
        self.0.len()
    }
    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.0.read(from, limit)
    }
    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.0.read_stream(stream, from, limit)
    }
    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        self.0.streams(after, limit)
    }
    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.0.payload(digest)
    }
    fn durability(&self) -> Durability {
        self.0.durability()
    }
}

fn log() -> World {
    let world = Setup::sample().unwrap().build().unwrap();
    for (subject, session) in [("alice", "s-1"), ("bob", "s-2")] {
        let mut desk = world.open(subject, session).unwrap();
        for (kind, name) in [("note.read", "name"), ("web.read", "address"), ("payment.send", "to")]
        {
            let mut request =
                prospera::testing::world::request(kind, &[(name, "x".into())]).unwrap();
            request.subject = subject.parse().unwrap();
            request.session = session.parse().unwrap();
            let intent = world.catalogue.intent(request).unwrap();
            let _routed = world.router.route(&mut desk, intent.into()).unwrap();
        }
    }
    same(&world);
    world
}

type Candidate = Result<Version<DefaultEngines>, ReplayError>;

fn asked(world: &World, candidate: impl Fn() -> Candidate + Sync) -> Changes {
    let closed = Closed(world.router.store(), AtomicU64::new(0));
    let before = closed.len().unwrap();
    let changes = WhatIf::new(&closed, &candidate).run(|_| {}).unwrap();
    let one = std::num::NonZeroUsize::MIN;
    let again = WhatIf::new(&closed, &candidate).threads(one).run(|_| {}).unwrap();
    assert_eq!(changes, again, "the same on every number of threads");
    assert_eq!(closed.1.load(Ordering::SeqCst), 0, "nothing was written, nor tried to be");
    assert_eq!(closed.len().unwrap(), before);
    changes
}

#[test]
fn under_the_same_policy_nothing_would_change() {
    let world = log();
    let changes = asked(&world, || Ok(Setup::sample().unwrap().version().unwrap()));
    assert_eq!((changes.all.routes, changes.all.changed), (6, 0), "{changes:#?}");
    assert!(changes.first.is_empty() && changes.not_replayable.is_empty());
}

#[test]
fn under_another_policy_each_change_is_told_with_its_layer_and_reasons() {
    let world = log();
    let changes = asked(&world, || {
        let mut setup = Setup::sample().unwrap();
        let rules = [
            rule("read-notes", Verdict::StepUp, "note.read").unwrap(),
            rule("read-web", Verdict::Allow, "web.read").unwrap(),
            rule("pay", Verdict::Allow, "payment.send").unwrap(),
        ];
        setup.policy = Policy::new(PolicyParts {
            version: "other".into(),
            approvers: [GOVERNOR.parse().unwrap()].into(),
            rules: rules.into(),
            ..PolicyParts::default()
        })
        .unwrap();
        Ok(setup.version().unwrap())
    });
    assert_eq!((changes.all.routes, changes.all.changed), (6, 4), "{changes:#?}");
    assert_eq!(changes.all.turns[&Turn(Verdict::Allow, Verdict::StepUp)], 2);
    // The matrix asks a person about payments, whatever the rules allow.
    assert_eq!(changes.all.turns.len(), 1);
    assert_eq!(changes.kinds["payment.send"].changed, 2);
    assert!(changes.kinds["payment.send"].turns.is_empty());
    assert_eq!(changes.kinds["web.read"].changed, 0);
    let first = changes.first.values().next().unwrap();
    assert_eq!(first.kind.as_deref(), Some("note.read"));
    assert_eq!((first.old.layer, first.new.layer), (LayerId::Governance, LayerId::Governance));
    assert_eq!(first.new.reasons[0].code, ReasonCode::RuleStepUp);
    assert_eq!(first.new.reasons[0].rule.as_ref().unwrap().as_str(), "read-notes");
}

/// Another catalogue gives every intent another hash; what was approved stays approved.
#[test]
fn under_another_catalogue_intents_are_made_anew_and_answers_still_count() {
    let world = Setup::sample().unwrap().build().unwrap();
    let governor = world.governor("grace", "g-1").unwrap();
    let mut desk = world.open("alice", "s-1").unwrap();
    let pay = || world.intent("payment.send", "Pay.", &[("to", "x".into())]).unwrap();
    let asked_for = world.router.route(&mut desk, pay()).unwrap();
    let session = desk.session().id().clone();
    world.router.approve(&governor, &session, asked_for.record, true, "").unwrap();
    let paid = world.router.route(&mut desk, pay()).unwrap();
    same(&world);
    let candidate = |kinds: &'static [&'static str]| {
        let mut setup = Setup::sample().unwrap();
        let mut catalogue = prospera::intent::Catalogue::builder("sample-2".parse().unwrap());
        for kind in setup.catalogue.kinds().filter(|kind| kinds.contains(&kind.id.as_str())) {
            let shapes = prospera::intent::schema::Shapes::new()
                .required("to", prospera::intent::schema::Shape::Text);
            let spec = prospera::intent::KindSpec::new(kind.id.clone(), kind.scope.clone())
                .tier(kind.tier)
                .flags(kind.flags)
                .check(shapes);
            catalogue = catalogue.kind(spec);
        }
        setup.catalogue = catalogue.build().unwrap();
        Ok(setup.version().unwrap())
    };
    let changes = asked(&world, || candidate(&["payment.send"]));
    assert_eq!((changes.all.routes, changes.all.changed), (2, 0), "{changes:#?}");
    let changes = asked(&world, || candidate(&["note.read"]));
    let found = &changes.first[&paid.index];
    assert_eq!((found.new.verdict, found.new.layer), (Verdict::Deny, LayerId::Intent));
    assert_eq!(found.new.reasons[0].code, ReasonCode::IntentUnknownKind);
}

#[test]
fn what_is_told_is_bounded_and_what_is_counted_is_not() {
    let world = log();
    let nothing = || {
        let mut setup = Setup::sample().unwrap();
        setup.policy = Policy::new(PolicyParts::default()).unwrap();
        Ok(setup.version().unwrap())
    };
    let changes = WhatIf::new(world.router.store(), nothing).at_most(2).run(|_| {}).unwrap();
    assert_eq!((changes.all.changed, changes.first.len()), (6, 2));
    let all = asked(&world, nothing);
    assert!(all.first.keys().take(2).eq(changes.first.keys()), "the first in the log's order");
}
