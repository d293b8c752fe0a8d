//! Requirements that no other test shows by itself.
#![cfg(feature = "files")]

#[path = "support/world.rs"]
mod world;

use prospera::intent::{RoutingComponents, RoutingPackage};
use prospera::provenance::Source;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::RecordKind;
use prospera::verdict::Verdict;
use world::{World, records};

/// IRM-4.8.5..IRM-4.8.7: short-term memory knows what was read, the Pipeline has advanced,
/// and the log holds the outcome.
#[test]
fn irm_4_8_the_outcome_goes_to_memory_pipeline_and_ssot() {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let module = Source::Module("act".parse().unwrap());
    assert!(desk.context().unwrap().sources().all(|source| *source != module));
    assert_eq!(desk.progress().unwrap().position(), 0);
    let done = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(done.verdict, Verdict::Allow);
    assert!(desk.context().unwrap().sources().any(|source| *source == module), "memory");
    let progress = desk.progress().unwrap();
    assert_eq!(progress.position(), 1);
    assert_eq!(progress.last().unwrap().evidence, done.record, "pipeline");
    let last = records(router.store()).pop().unwrap();
    assert_eq!((last.kind(), last.previous()), (RecordKind::Outcome, done.record), "SSOT");
}

/// IRM-4.2.3, IRM-4.2.4: what Step 2 works out is all that resolving needs: the table gives
/// the row for the package, and the same row on a second look.
#[test]
fn irm_4_2_3_the_package_is_all_that_resolving_needs() {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let submission = world.intent("s-1", "note.add");
    let intent = submission.intent().unwrap();
    let components = RoutingComponents {
        intent: intent.hash(),
        objective: intent.objective().hash(),
        snapshot: desk.snapshot().unwrap(),
        flags: intent.kind().flags,
        consensus: prospera::verdict::Consensus::NONE
            .with(prospera::id::LayerId::Identity, prospera::verdict::Vote::Agree)
            .with(prospera::id::LayerId::Intent, prospera::verdict::Vote::Agree),
    };
    let package = RoutingPackage::new(components);
    let kind = intent.kind().id.clone();
    let table = &router.rules().table;
    let row = table.resolve(&kind, package.components(), package.id()).unwrap();
    let done = router.route(&mut desk, submission).unwrap();
    assert_eq!(done.evidence.routing_id, Some(package.id()), "known in advance");
    assert_eq!(done.evidence.template.as_ref(), Some(&row.template.id));
}
