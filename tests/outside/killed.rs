//! Processes killed at one exact point: they stop there by themselves and are sent
//! SIGKILL, so nothing of them runs after it. Their effect is a line in a file.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use prospera::digest::Digest;
use prospera::execution::{
    Call, Contract, ContractError, ContractParts, DynModule, Execution, IdempotencyKey, Output,
    Reconciled, Registry, Version,
};
use prospera::id::LayerId;
use prospera::provenance::Label;
use prospera::routing::{EngineSet, EvidenceBlock, OutcomeStatus, Router, RouterError};
use prospera::ssot::record::{Head, RecordKind, StreamId};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};
use prospera::ssot::verify::verify;
use prospera::verdict::{CapabilityTier, Verdict};

use crate::script::{blocks, outcomes};
use crate::world::{TestEngines, TestRouter, World, operator};

/// Where a process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    BeforeEvidence,
    AfterEvidence,
    BeforeEffect,
    AfterEffect,
    BeforeOutcome,
    AfterOutcome,
}

use Point::{
    AfterEffect, AfterEvidence, AfterOutcome, BeforeEffect, BeforeEvidence, BeforeOutcome,
};

impl Point {
    const ALL: [Self; 6] =
        [BeforeEvidence, AfterEvidence, BeforeEffect, AfterEffect, BeforeOutcome, AfterOutcome];

    fn of(text: &str) -> Self {
        Self::ALL.into_iter().find(|point| format!("{point:?}") == text).unwrap()
    }
}

/// Says so and stands still until it is killed.
fn stop() -> ! {
    let mut out = std::io::stdout().lock();
    // The parent may have gone already.
    let _gone = writeln!(out, "\n@stopped").and_then(|()| out.flush());
    loop {
        std::thread::park();
    }
}

/// Writes a line for each effect.
pub(crate) struct Marker {
    marks: PathBuf,
    /// Whether it can tell later what it did.
    forgetful: bool,
    stop: Option<Point>,
}

pub(crate) fn marks(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

impl DynModule for Marker {
    fn contract(&self) -> Result<Contract, ContractError> {
        Contract::new(ContractParts {
            id: "act".parse()?,
            version: Version { major: 1, minor: 0 },
            required_state: prospera::audience::state::State::Base,
            tier: CapabilityTier::Act,
            layers: vec![LayerId::Safety, LayerId::Governance],
            intents: vec!["note.add".parse()?],
        })
    }

    fn run(&self, call: &Call<'_>) -> Execution {
        if self.stop == Some(BeforeEffect) {
            stop();
        }
        let mut file = OpenOptions::new().append(true).create(true).open(&self.marks).unwrap();
        file.write_all(format!("{}\n", call.key()).as_bytes()).unwrap();
        file.sync_all().unwrap();
        if self.stop == Some(AfterEffect) {
            stop();
        }
        Execution::Done(Output { value: "marked".into(), label: Label::empty() })
    }

    fn reconcile(&self, key: IdempotencyKey) -> Reconciled {
        if self.forgetful {
            Reconciled::Unknown
        } else if marks(&self.marks).contains(&key.to_string()) {
            Reconciled::Happened(None)
        } else {
            Reconciled::NotHappened
        }
    }
}

/// A store that stops before or after the commit of a kind of record.
pub(crate) struct Stopping<S> {
    pub(crate) store: S,
    stop: Option<Point>,
}

impl<S> Stopping<S> {
    fn meet(&self, batch: &Batch, evidence: Point, outcome: Point) -> bool {
        batch.drafts().iter().any(|draft| match draft.kind() {
            RecordKind::Outcome => self.stop == Some(outcome),
            RecordKind::EvidenceBlock => self.stop == Some(evidence),
            _ => false,
        })
    }
}

impl<S: Store> Store for Stopping<S> {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        if self.meet(batch, BeforeEvidence, BeforeOutcome) {
            stop();
        }
        let after = self.meet(batch, AfterEvidence, AfterOutcome);
        let committed = self.store.append(batch)?;
        if after {
            stop();
        }
        Ok(committed)
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.store.head(stream)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.store.len()
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.store.read(from, limit)
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.store.read_stream(stream, from, limit)
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        self.store.streams(after, limit)
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.store.payload(digest)
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }
}

/// A router whose one module leaves marks in `folder`.
pub(crate) fn router<S: Store>(
    world: &World,
    folder: &Path,
    store: S,
    forgetful: bool,
    stop: Option<Point>,
) -> TestRouter<Stopping<S>> {
    let TestEngines { identity, intent, modeling, memory, safety, governance, pipeline, .. } =
        world.engines();
    let mut execution = Registry::new();
    execution.register(Marker { marks: folder.join("marks"), forgetful, stop }).unwrap();
    let engines =
        EngineSet { identity, intent, modeling, memory, safety, governance, pipeline, execution };
    let store = Stopping { store, stop };
    Router::new(engines, world.rules(), store, world.clock, operator()).unwrap()
}

const FOLDER: &str = "PROSPERA_TEST_KILLED_FOLDER";
const POINT: &str = "PROSPERA_TEST_KILLED_POINT";

/// Not a test by itself: the process that is killed. It takes up the session and routes
/// one intent, or settles what another left open.
#[test]
fn one_life() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let point = Point::of(&std::env::var(POINT).unwrap());
    let world = World::new();
    let store = RedbStore::open(folder.join("log.redb")).unwrap();
    let router = router(&world, folder, store, false, Some(point));
    let mut desk = router.resume(world.alice("s-1")).unwrap();
    if desk.open_route().is_some() {
        let _settled = router.settle(&mut desk);
    } else {
        let _routed = router.route(&mut desk, world.intent("s-1", "note.add"));
    }
    println!("\n@ended");
}

/// A process that has reached its point.
pub(crate) fn stopped_at(point: Point, folder: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::one_life", "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder)
        .env(POINT, format!("{point:?}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with('@') {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "{point:?}: it ended by itself");
    }
    assert_eq!(line.trim(), "@stopped", "{point:?}");
    child
}

fn kill(mut child: Child) {
    use std::os::unix::process::ExitStatusExt as _;
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

/// A log with an open session, and nobody who holds it.
pub(crate) fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let store = RedbStore::create(folder.path().join("log.redb")).unwrap();
    let router = router(&world, folder.path(), store, false, None);
    let _ = router.open(world.alice("s-1")).unwrap();
    folder
}

/// Everything that is known after a process was killed at a point, before and after the
/// route is settled.
fn after(point: Point, folder: &Path, forgetful: bool) {
    let world = World::new();
    let at = format!("{point:?}, forgetful {forgetful}");
    let store = RedbStore::open(folder.join("log.redb")).unwrap();
    let router = router(&world, folder, store, forgetful, None);
    let marked = usize::from(matches!(point, AfterEffect | BeforeOutcome | AfterOutcome));
    let count = || marks(&folder.join("marks")).len();
    assert_eq!(count(), marked, "{at}");
    verify(router.store(), |_| {}).unwrap();
    let mut desk = router.resume(world.alice("s-1")).unwrap();
    let open = matches!(point, AfterEvidence | BeforeEffect | AfterEffect | BeforeOutcome);
    assert_eq!(desk.open_route().is_some(), open, "{at}");
    if !open {
        assert!(router.settle(&mut desk).unwrap().is_none());
        assert_eq!(count(), marked, "{at}: settling nothing does nothing");
        if point == BeforeEvidence {
            // Nobody has heard of it: it is routed now.
            let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
            assert_eq!((routed.verdict, count()), (Verdict::Allow, 1));
        }
        return;
    }
    // Unknown: there is evidence that let it pass, and no outcome.
    let known = blocks(router.store()).unwrap();
    let (record, block): &(Digest, EvidenceBlock) = known.last().unwrap();
    assert!(block.opens_route() && outcomes(router.store()).is_empty(), "{at}");
    // Nor may it be sent again meanwhile.
    let again = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
    assert!(matches!(again, RouterError::Parallel { same_intent: true, .. }), "{at}: {again}");
    assert_eq!(count(), marked, "{at}");
    let outcome = router.settle(&mut desk).unwrap().unwrap();
    let expected = match (forgetful, marked) {
        (true, _) => OutcomeStatus::Unknown,
        (false, 1) => OutcomeStatus::Done,
        (false, _) => OutcomeStatus::Failed,
    };
    assert_eq!((outcome.status, outcome.evidence), (expected, *record), "{at}");
    assert_eq!(count(), marked, "{at}: settling executes nothing");
    assert!(router.settle(&mut desk).unwrap().is_none(), "settled once");
    if expected == OutcomeStatus::Failed {
        // It did not happen, for sure: sent again it happens, once.
        let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
        assert_eq!((routed.verdict, count()), (Verdict::Allow, 1), "{at}");
    }
    verify(router.store(), |_| {}).unwrap();
}

fn killed_at(point: Point, forgetful: bool) {
    let folder = prepared();
    kill(stopped_at(point, folder.path()));
    after(point, folder.path(), forgetful);
}

#[test]
fn a_process_is_killed_before_its_evidence_or_after_its_outcome() {
    killed_at(BeforeEvidence, false);
    killed_at(AfterOutcome, false);
}

#[test]
fn a_process_is_killed_between_evidence_and_effect() {
    for forgetful in [false, true] {
        killed_at(AfterEvidence, forgetful);
        killed_at(BeforeEffect, forgetful);
    }
}

#[test]
fn a_process_is_killed_between_effect_and_outcome() {
    for forgetful in [false, true] {
        killed_at(AfterEffect, forgetful);
        killed_at(BeforeOutcome, forgetful);
    }
}

/// Who settles is killed as well, before and after the outcome is there.
#[test]
fn a_process_is_killed_while_it_settles_what_another_left() {
    for left in [BeforeEffect, AfterEffect] {
        let folder = prepared();
        kill(stopped_at(left, folder.path()));
        kill(stopped_at(BeforeOutcome, folder.path()));
        after(left, folder.path(), false);
    }
    let folder = prepared();
    kill(stopped_at(AfterEffect, folder.path()));
    kill(stopped_at(AfterOutcome, folder.path()));
    after(AfterOutcome, folder.path(), false);
}
