//! Replay: every past verdict derived again, and held against the log.
//!
//! The records of a log say what was decided; its payloads say what was asked for, and its
//! policy stream under which tables and policies. A [`Replay`] routes each intent again, by
//! the shipped engines and the router's own code, on what the records before it make of its
//! session and its audience, and compares what it would write with what the log has: the
//! bodies of the records, byte for byte. The first difference is named: the record, the
//! field, the layer, what was derived and what was found.
//!
//! ```
//! use prospera::routing::replay::{Replay, Version};
//! use prospera::testing::world::Setup;
//!
//! let world = Setup::sample()?.build()?;
//! let mut desk = world.open("alice", "s-1")?;
//! let intent = world.intent("note.read", "Read my notes.", &[("name", "today".into())])?;
//! let _routed = world.router.route(&mut desk, intent)?;
//!
//! // This world was composed in code, so whoever replays it supplies its engines. A log that
//! // was written under a policy folder keeps the files itself:
//! // `prospera::policy::kept_version`.
//! let replay = Replay::new(world.router.store(), |_| Ok(Setup::sample().unwrap().version().unwrap()));
//! let report = replay.run(|_| {})?;
//! assert!(report.is_same(), "{report:?}");
//! assert_eq!(report.routes().same, 1);
//! # Ok::<(), prospera::testing::world::Failure>(())
//! ```
//!
//! # What is taken as given
//! Inputs from outside are read from the records that hold them: times, verified claims,
//! facts, a person's yes or no, what a module answered, and why something was no intent at
//! all (its bytes are not kept). That a decider held the role is not derived again: their
//! session may stand in no log. The tag of a Routing Approval Token needs the mint's key
//! ([`Replay::with_secret`]); without it the tag is taken from the evidence, its id is not.
//! What cannot be derived is counted with its reason, [`NotReplayable`].
//!
//! Two facts of a session are not in the log, and every value they can have is tried before
//! something is said to differ: whether somebody took the session up again (its scopes are
//! then those of the identity policy in force), and which of a subject's sessions an
//! audience advanced for. A desk that is kept while a policy with another modeling
//! configuration is adopted goes on with what it had counted; a replay reads it again, as a
//! new process would, and may then find another surprise.
//!
//! # What it cannot find
//! A log that ends sooner, or in which a whole route was left out and everything behind it
//! made anew, is another history and may replay: that is for checkpoints to notice.
//!
//! # How it is read
//! Nothing that a route rests on crosses from one subject to another, so subjects are
//! replayed independently of each other, on as many threads as there are. A subject's
//! records are read in the order of the log, from its own streams and those of its sessions.
//! What is held is the state of the subjects at work (their facts, what Governance decided on
//! them) and of their sessions that have routes to come, and a piece of each of their
//! streams: it does not grow with the log, but with what is open in one subject.
//!
//! INVARIANT (nothing is written): the routers of a replay write to a tape that compares
//! and forgets; nothing here can append to the log's store.
//!
//! Requirements: D-24, D-41.

use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use core::ops::Range;
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread;

use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::encode::DecodeError;
use crate::governance::{GovernanceEngine as _, TokenMint};
use crate::id::{Name, SubjectId};
use crate::identity::IdentityPolicy;
use crate::intent::Catalogue;
use crate::limits::NAME_BYTES;
use crate::routing::engines::Engines;
use crate::routing::router::{Router, RouterError};
use crate::ssot::record::{RecordKind, StreamId, StreamKind};
use crate::ssot::store::{Store, StoreError};
use crate::ssot::verify::VerifyError;

pub use report::{Difference, NotReplayable, Report, Tally};
pub use versions::{Pinned, Version, VersionError, kept_files, versions};
pub use what_if::{CHANGES_TOLD, Change, Changes, Fared, Ruling, Turn, WhatIf};

use derive::Worker;
use past::Kept;
use tape::{Dial, Tape};

mod asked;
mod derive;
mod feed;
mod laid;
mod past;
mod report;
mod tape;
mod versions;
mod what_if;

/// Why a log could not be replayed at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A stream does not verify: its records are not those that were written.
    #[error("the log does not verify: {0}")]
    Verify(#[from] VerifyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record's body cannot be read.
    #[error("record {index} cannot be read: {source}")]
    Body {
        /// Its place in the global log.
        index: u64,
        /// Why not.
        source: DecodeError,
    },
    /// Two streams claim one place of the log.
    #[error("two streams have a record at place {index} of the log")]
    TwoStreams {
        /// The place.
        index: u64,
    },
    /// The router's own rules refuse it.
    #[error(transparent)]
    Router(#[from] RouterError),
    /// The candidate of a what-if cannot be used.
    #[error("the candidate cannot be used: {why}")]
    Candidate {
        /// Why not.
        why: alloc::string::String,
    },
    /// A worker ended before its time.
    #[error("a thread of the replay ended before its time")]
    Thread,
}

/// How far a replay has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Records come by.
    pub done: u64,
    /// Records there are.
    pub total: u64,
}

/// A replay of a log, or of a range of it.
#[must_use = "`run` replays"]
pub struct Replay<'a, S: ?Sized, R> {
    store: &'a S,
    resolve: R,
    range: Range<u64>,
    threads: Option<NonZeroUsize>,
    secret: Option<Zeroizing<[u8; 32]>>,
}

impl<S: ?Sized, R> core::fmt::Debug for Replay<'_, S, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Replay").field("range", &self.range).finish_non_exhaustive()
    }
}

impl<'a, S, R, E> Replay<'a, S, R>
where
    S: Store + Sync + ?Sized,
    R: Fn(&Pinned) -> Result<Version<E>, VersionError> + Sync,
    E: Engines,
    Kept<E>: Clone,
{
    /// A replay of the whole log. `resolve` gives the engines of a policy version; it is
    /// asked once by each thread for each version that is needed. What it gives must have
    /// the pins of the log.
    pub const fn new(store: &'a S, resolve: R) -> Self {
        Self { store, resolve, range: 0..u64::MAX, threads: None, secret: None }
    }

    /// Derives the records from one place of the log up to another, that one not included.
    /// The records before them are read for what they left.
    pub const fn range(mut self, range: Range<u64>) -> Self {
        self.range = range;
        self
    }

    /// On so many threads; as many as the machine has, where it is not said.
    pub const fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// With the secret of the mint that the log's tokens came from: their tags are derived,
    /// too.
    pub fn with_secret(mut self, secret: impl Into<Zeroizing<[u8; 32]>>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// Replays. `progress` is called now and then, from the calling thread.
    ///
    /// # Errors
    /// [`ReplayError`] when the log cannot be read or does not verify. That something
    /// differs is no error: the [`Report`] says so.
    pub fn run(self, mut progress: impl FnMut(Progress)) -> Result<Report, ReplayError> {
        let total = self.store.len()?;
        let to = self.range.end.min(total);
        let versions = versions(self.store, to)?;
        let plan = Plan {
            store: self.store,
            versions,
            from: self.range.start.min(to),
            to,
            secret: self.secret.as_ref(),
        };
        let mut report = Report::default();
        self.pins(&plan, &mut report);
        let threads = self.threads.or_else(|| thread::available_parallelism().ok());
        let threads = threads.map_or(1, NonZeroUsize::get);
        let found = over_subjects(self.store, threads, to, &mut progress, |next, told| {
            let (tape, dial) = (Tape::of(plan.store), Dial::default());
            let mut worker = Worker::new(&plan, &tape, &dial, &self.resolve);
            while let Some(subject) = next()? {
                worker.subject(&subject, &mut *told)?;
            }
            let missing = worker.missing();
            Ok((worker.report, missing))
        })?;
        for (part, missing) in found {
            report.absorb(part);
            report.versions.extend(missing.iter().map(ToString::to_string));
        }
        report.versions.sort_unstable();
        report.versions.dedup();
        let counted = report.all().total().saturating_add(report.before);
        report.astray = to.saturating_sub(counted);
        Ok(report)
    }

    /// The pins themselves: a version whose files make its pins is the same.
    fn pins(&self, plan: &Plan<'_, S>, report: &mut Report) {
        for pinned in &plan.versions {
            if pinned.index < plan.from {
                report.before = report.before.saturating_add(1);
                continue;
            }
            let kind = RecordKind::PolicyPinned;
            match (self.resolve)(pinned).and_then(|version| matching(pinned, version)) {
                Ok(_) => report.same(kind),
                Err(error @ (VersionError::Changed { .. } | VersionError::Other { .. })) => {
                    report.versions.push(error.to_string());
                    report.differ(Difference {
                        index: pinned.index,
                        record: pinned.record,
                        kind,
                        stream: StreamKind::Policy.path().into(),
                        field: "pins".into(),
                        layer: None,
                        expected: "the version that its files make".into(),
                        found: error.to_string().into(),
                    });
                }
                Err(error) => {
                    report.versions.push(error.to_string());
                    report.skip(kind, NotReplayable::Policy);
                }
            }
        }
    }
}

/// A version whose pins are those of the log.
fn matching<E>(pinned: &Pinned, version: Version<E>) -> Result<Version<E>, VersionError> {
    let (expected, found) = (pinned.pinned.pins.digest(), version.rules.pins.digest());
    if expected == found { Ok(version) } else { Err(VersionError::Other { expected, found }) }
}

/// What all workers share.
struct Plan<'p, S: ?Sized> {
    store: &'p S,
    versions: Vec<Pinned>,
    from: u64,
    to: u64,
    secret: Option<&'p Zeroizing<[u8; 32]>>,
}

impl<S: ?Sized> Plan<'_, S> {
    /// The version in force where a record stands.
    fn version_at(&self, index: u64) -> Option<usize> {
        self.versions.partition_point(|pinned| pinned.index < index).checked_sub(1)
    }

    /// All versions, from this one back and then from it on.
    fn nearest(&self, version: usize) -> impl Iterator<Item = usize> + use<S> {
        (0..=version).rev().chain(version.saturating_add(1)..self.versions.len())
    }

    /// Whether two versions remember audiences alike.
    fn same_modeling(&self, a: usize, b: usize) -> bool {
        let modeling = |version: usize| {
            let parts = self.versions.get(version)?.pinned.pins.parts();
            parts.filter(|(name, _)| name.as_str() == "modeling").map(|(_, digest)| *digest).next()
        };
        a == b || modeling(a).is_some_and(|digest| modeling(b) == Some(digest))
    }
}

/// One policy version at work.
struct Room<'w, S: ?Sized, E> {
    router: Router<E, &'w Tape<'w, S>, &'w Dial>,
    catalogue: Arc<Catalogue>,
    identity: Arc<IdentityPolicy>,
}

impl<'w, S: Store + ?Sized, E: Engines> Room<'w, S, E> {
    fn open(
        pinned: &Pinned,
        version: Version<E>,
        tape: &'w Tape<'w, S>,
        dial: &'w Dial,
        secret: Option<&Zeroizing<[u8; 32]>>,
    ) -> Result<Self, VersionError> {
        let version = matching(pinned, version)?;
        let pins = pinned.pinned.pins.digest();
        let mut room = Self::of(version, tape, dial)
            .map_err(|error| VersionError::Unusable { pins, why: error.to_string() })?;
        room.router.under(pinned.head);
        if let Some(secret) = secret {
            room.router.minting(TokenMint::new(secret.clone()));
        }
        Ok(room)
    }

    fn of(version: Version<E>, tape: &'w Tape<'w, S>, dial: &'w Dial) -> Result<Self, RouterError> {
        let Version { engines, rules, catalogue, identity } = version;
        let router = Router::again(engines, rules, tape, dial)?;
        Ok(Self { router, catalogue, identity })
    }

    fn governs_by(&self, policy: Digest) -> bool {
        self.router.engines().governance().policy() == policy
    }
}

/// The subjects of a log, one after another.
struct Subjects<'a, S: ?Sized> {
    store: &'a S,
    page: alloc::vec::IntoIter<StreamId>,
    after: Option<StreamId>,
    over: bool,
}

impl<'a, S: Store + ?Sized> Subjects<'a, S> {
    fn of(store: &'a S) -> Self {
        // The kinds of streams before that of subjects are passed over: no name sorts
        // behind this one.
        let last = "\u{10ffff}".repeat(NAME_BYTES / 4);
        let after = Name::new(&last).ok().map(|name| StreamId::new(StreamKind::Governance, name));
        Self { store, page: Vec::new().into_iter(), after, over: false }
    }

    fn next(&mut self) -> Result<Option<SubjectId>, StoreError> {
        const PAGE: usize = 64;
        loop {
            if let Some(stream) = self.page.next() {
                if stream.kind() == StreamKind::Subject {
                    return Ok(Some(SubjectId::from(stream.name().clone())));
                }
                continue;
            }
            if self.over {
                return Ok(None);
            }
            let page = self.store.streams(self.after.as_ref(), PAGE)?;
            self.over =
                page.len() < PAGE || page.iter().any(|(s, _)| s.kind() > StreamKind::Subject);
            self.after = page.last().map(|(stream, _)| stream.clone());
            self.page = page.into_iter().map(|(s, _)| s).collect::<Vec<_>>().into_iter();
        }
    }
}

/// Gives the next subject.
type Next<'n> = &'n dyn Fn() -> Result<Option<SubjectId>, ReplayError>;

/// Puts workers to the subjects of a log, and gathers what each of them found.
fn over_subjects<S: Store + Sync + ?Sized, F: Send>(
    store: &S,
    threads: usize,
    total: u64,
    progress: &mut dyn FnMut(Progress),
    work: impl Fn(Next<'_>, &mut dyn FnMut(u64)) -> Result<F, ReplayError> + Sync,
) -> Result<Vec<F>, ReplayError> {
    const STEP: u64 = 512;
    let subjects = Mutex::new(Subjects::of(store));
    let next = || -> Result<Option<SubjectId>, ReplayError> {
        Ok(subjects.lock().unwrap_or_else(PoisonError::into_inner).next()?)
    };
    let (work, next) = (&work, &next);
    thread::scope(|scope| {
        let (steps, taken) = mpsc::channel();
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| {
                let steps = steps.clone();
                scope.spawn(move || {
                    let mut since = 0_u64;
                    let mut told = |more: u64| {
                        since = since.saturating_add(more);
                        if since >= STEP {
                            // Whoever does not listen any more does not want to know.
                            let _unheard = steps.send(core::mem::take(&mut since));
                        }
                    };
                    work(next, &mut told)
                })
            })
            .collect();
        drop(steps);
        let mut done = 0_u64;
        while let Ok(more) = taken.recv() {
            done = done.saturating_add(more);
            progress(Progress { done, total });
        }
        // All of them are waited for, also where one failed.
        let joined: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        joined.into_iter().map(|found| found.map_err(|_| ReplayError::Thread)?).collect()
    })
}

fn rooms_for<T>(versions: usize) -> Vec<Option<T>> {
    (0..versions).map(|_| None).collect()
}
