//! Group commit: one write and one flush of the journal for all batches that wait.
//!
//! While one group is being flushed the next one gathers. A caller that is alone commits
//! by itself, without a change of threads. The committer ends when the store is dropped,
//! after it has answered everybody who waits.

use std::boxed::Box;
use std::cell::RefCell;
use std::string::{String, ToString};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::vec::Vec;

use hashbrown::HashMap;

use super::journal::{Failure, Journal};
use super::tables::Lookup;
use super::writeback::{self, freeze, write_back};
use super::{Shared, Tail, backend, catch, panicked};
use crate::digest::Digest;
use crate::encode::Writer;
use crate::ssot::log::Payloads;
use crate::ssot::plan::{View, plan_in};
use crate::ssot::record::{Head, StreamId};
use crate::ssot::store::{AppendError, Batch, Committed, StoreError};

/// Most batches in one group.
const GROUP_BATCHES: usize = 1024;
/// No batch is added to a group that is this large, in bytes of bodies and payloads.
const GROUP_BYTES: usize = 16 << 20;
/// Most heads that are remembered.
const KNOWN_HEADS: usize = 1 << 16;

pub(super) type Answer = Result<Committed, AppendError>;

#[derive(Debug)]
struct Job {
    batch: Arc<Batch>,
    reply: SyncSender<Answer>,
}

/// A batch on its way to the journal: its answer can be waited for.
///
/// Dropping it changes nothing: the batch is committed or not all the same.
#[derive(Debug)]
#[must_use = "nothing is known before the answer"]
pub struct Pending {
    answer: Result<Receiver<Answer>, AppendError>,
    shared: Arc<Shared>,
}

impl Pending {
    /// Waits for the answer. [`check`](crate::ssot::ledger::check) holds it against the
    /// batch and gives the receipt.
    ///
    /// # Errors
    /// As [`Store::append`](crate::ssot::store::Store::append).
    pub fn wait(self) -> Result<Committed, AppendError> {
        // No answer: the committer died while it had the batch.
        let unanswered = |_| Err(AppendError::Unknown(self.shared.unknown_state()));
        self.answer?.recv().unwrap_or_else(unanswered)
    }

    pub(super) fn refused(shared: &Arc<Shared>, reason: &'static str) -> Self {
        Self { answer: Err(AppendError::Refused { reason }), shared: Arc::clone(shared) }
    }
}

#[derive(Debug)]
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) core: Arc<Mutex<Core>>,
    /// How many callers wait for an answer.
    waiting: AtomicUsize,
    /// `None` only while being dropped.
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// What whoever commits holds: one at a time.
#[derive(Debug)]
pub(super) struct Core {
    /// `None` only while being dropped.
    journal: Option<Journal>,
    /// Heads as they stand after the last group, of streams that were asked for lately.
    known: HashMap<StreamId, Head>,
    scratch: Writer,
}

impl Core {
    /// Begins both segments of the journal anew. The tables have to have all of them.
    pub(super) fn empty_journal(&mut self) -> Result<(), StoreError> {
        self.journal.as_mut().map_or(Ok(()), Journal::empty)
    }
}

impl Committer {
    pub(super) fn start(shared: Arc<Shared>, journal: Journal) -> Result<Self, StoreError> {
        let (sender, receiver) = channel();
        let core = Core { journal: Some(journal), known: HashMap::new(), scratch: Writer::new() };
        let core = Arc::new(Mutex::new(core));
        let mut committer = Self {
            shared: Arc::clone(&shared),
            core: Arc::clone(&core),
            waiting: AtomicUsize::new(0),
            jobs: Some(sender),
            threads: Vec::new(),
        };
        let own = Arc::clone(&shared);
        committer.spawn("prospera-committer", move || run(&own, &core, &receiver))?;
        committer.spawn("prospera-writeback", move || writeback::run(&shared))?;
        Ok(committer)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(run);
        self.threads.push(thread.map_err(|error| backend("starting the committer", error))?);
        Ok(())
    }

    pub(super) fn append(&self, batch: &Batch) -> Answer {
        let alone = self.waiting.fetch_add(1, Ordering::AcqRel) == 0;
        let answer = self.answer(batch, alone);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        answer
    }

    fn answer(&self, batch: &Batch, alone: bool) -> Answer {
        if alone && let Ok(mut core) = self.core.try_lock() {
            let answer = commit(&self.shared, &mut core, &[batch]).pop();
            let unanswered = || Err(AppendError::Unknown(self.shared.unknown_state()));
            return answer.unwrap_or_else(unanswered);
        }
        self.submit(Arc::new(batch.clone())).wait()
    }

    /// Hands a batch to the committer.
    pub(super) fn submit(&self, batch: Arc<Batch>) -> Pending {
        let (reply, answer) = sync_channel(1);
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { batch, reply }).is_ok());
        let answer =
            if sent { Ok(answer) } else { Err(AppendError::Failed(self.shared.unknown_state())) };
        Pending { answer, shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        writeback::close(&self.shared);
        for thread in self.threads.drain(..) {
            // They catch their own panics; there is nobody left to tell of another.
            let _ended = thread.join();
        }
        let journal = self.core.lock().unwrap_or_else(PoisonError::into_inner).journal.take();
        let _left_in_the_journal = self.shared.ensure_known().and_then(|()| {
            let active = core::mem::take(&mut self.shared.tail_mut().active);
            if !active.is_empty() {
                self.shared.guarded(|| write_back(&self.shared, &active))?;
            }
            journal.into_iter().for_each(Journal::remove);
            Ok(())
        });
    }
}

fn run(shared: &Shared, core: &Mutex<Core>, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
        let mut size = weight(&first.batch);
        let mut group = std::vec![first];
        while group.len() < GROUP_BATCHES && size < GROUP_BYTES {
            let Ok(job) = jobs.try_recv() else { break };
            size = size.saturating_add(weight(&job.batch));
            group.push(job);
        }
        let batches: Vec<&Batch> = group.iter().map(|job| &*job.batch).collect();
        let answers = commit(shared, &mut core, &batches);
        drop(core);
        for (job, answer) in group.iter().zip(answers) {
            // Whoever asked may be gone; the batch is committed or not all the same.
            let _gone = job.reply.send(answer);
        }
    }
}

fn weight(batch: &Batch) -> usize {
    let bodies = batch.drafts().iter().map(|draft| draft.body().len());
    let payloads = batch.payloads().iter().map(|(_, bytes)| bytes.len());
    bodies.chain(payloads).fold(0, usize::saturating_add)
}

/// Commits a group; one answer for each batch, in order.
pub(super) fn commit(shared: &Shared, core: &mut Core, batches: &[&Batch]) -> Vec<Answer> {
    let all = |answer: &dyn Fn() -> Answer| batches.iter().map(|_| answer()).collect();
    let full = shared.tail().active.bytes() >= shared.journal_bytes;
    if full && freeze(shared) {
        core.journal.iter_mut().for_each(Journal::switch);
    }
    if let Err(error) = shared.ensure_known() {
        let error = Shown::new(&error);
        return all(&|| Err(AppendError::Failed(error.again())));
    }
    catch(|| try_commit(shared, core, batches)).unwrap_or_else(|()| {
        shared.lost.store(true, Ordering::Release);
        all(&|| Err(AppendError::Unknown(panicked(&shared.place))))
    })
}

fn try_commit(shared: &Shared, core: &mut Core, batches: &[&Batch]) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(batches.len());
    let (error, committing) = match apply(shared, core, batches, &mut answers) {
        Ok(()) => return answers,
        Err(Failure::Before(error)) => (error, false),
        Err(Failure::Flushing(error)) => {
            shared.lost.store(true, Ordering::Release);
            (error, true)
        }
    };
    let error = Shown::new(&error);
    let mut answers: Vec<Answer> = answers
        .into_iter()
        .map(|answer| match answer {
            Ok(_) if committing => Err(AppendError::Unknown(error.again())),
            // A conflict may be with a batch that was not written after all.
            Ok(_) | Err(AppendError::Conflict { .. }) => Err(AppendError::Failed(error.again())),
            Err(other) => Err(other),
        })
        .collect();
    answers.resize_with(batches.len(), || Err(AppendError::Failed(error.again())));
    answers
}

/// Plans each batch on those before it, and makes them durable.
fn apply(
    shared: &Shared,
    core: &mut Core,
    batches: &[&Batch],
    answers: &mut Vec<Answer>,
) -> Result<(), Failure> {
    let Core { journal, known, scratch } = core;
    let closed = || Failure::Before(shared.unknown_state());
    let journal = journal.as_mut().ok_or_else(closed)?;
    let mut staged = Staged::default();
    {
        let tail = shared.tail();
        let tables = shared.begin_read().and_then(|transaction| Lookup::new(&transaction));
        let tables = tables.map_err(Failure::Before)?;
        let first = tail.active.next_index();
        journal.begin(first);
        let known = RefCell::new(&mut *known);
        for batch in batches {
            let next = first.saturating_add(staged.records);
            let ends = Ends { next, staged: &staged, known: &known, tail: &tail, tables: &tables };
            answers.push(match plan_in(scratch, batch, &ends) {
                Ok(plan) => {
                    journal.add(&plan);
                    for (stream, head) in plan.heads() {
                        staged.heads.insert(stream, head);
                    }
                    for (digest, bytes) in plan.payloads() {
                        staged.payloads.insert(*digest, Arc::clone(bytes));
                    }
                    staged.records = staged.records.saturating_add(plan.records.len() as u64);
                    Ok(Committed { records: plan.records })
                }
                Err(error) => Err(error),
            });
        }
    }
    if staged.records == 0 {
        return Ok(());
    }
    journal.end()?;
    let mut tail = shared.tail_mut();
    for record in answers.iter().flatten().flat_map(|committed| &committed.records) {
        tail.active.push(record);
    }
    for (digest, bytes) in &staged.payloads {
        tail.active.keep(*digest, bytes);
    }
    drop(tail);
    for (stream, head) in staged.heads {
        remember(known, stream, head);
    }
    shared.commits.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// What the group has changed so far.
#[derive(Default)]
struct Staged<'b> {
    records: u64,
    heads: HashMap<&'b StreamId, Head>,
    payloads: Payloads,
}

/// The log's end for the next batch of a group.
struct Ends<'a, 'k> {
    next: u64,
    staged: &'a Staged<'a>,
    known: &'a RefCell<&'k mut HashMap<StreamId, Head>>,
    tail: &'a Tail,
    tables: &'a Lookup,
}

impl View for Ends<'_, '_> {
    fn next_index(&self) -> Result<u64, StoreError> {
        Ok(self.next)
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        if let Some(head) = self.staged.heads.get(stream) {
            return Ok(*head);
        }
        if let Some(head) = self.known.borrow().get(stream) {
            return Ok(*head);
        }
        let head = self.tail.head(stream).map_or_else(|| self.tables.head(stream), Ok)?;
        remember(&mut self.known.borrow_mut(), stream, head);
        Ok(head)
    }

    fn keeps_other(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, StoreError> {
        let kept = self.staged.payloads.get(digest).or_else(|| self.tail.payload(digest));
        match kept {
            Some(kept) => Ok(**kept != *bytes),
            None => self.tables.keeps_other(digest, bytes),
        }
    }
}

fn remember(known: &mut HashMap<StreamId, Head>, stream: &StreamId, head: Head) {
    if let Some(place) = known.get_mut(stream) {
        *place = head;
        return;
    }
    if known.len() >= KNOWN_HEADS {
        known.clear();
    }
    known.insert(stream.clone(), head);
}

/// An error that several callers are told.
struct Shown(Arc<str>);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(Arc<str>);

impl Shown {
    fn new(error: &StoreError) -> Self {
        let text: String = error.to_string();
        Self(text.into())
    }

    fn again(&self) -> StoreError {
        let source = Box::new(Told(Arc::clone(&self.0)));
        StoreError::Backend { what: "committing a group", source }
    }
}
