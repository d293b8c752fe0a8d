//! Group commit: one thread, one transaction for all batches that wait.
//!
//! While one group is being flushed the next one gathers. The committer ends when the
//! store is dropped, after it has answered everybody who waits.

use std::boxed::Box;
use std::string::{String, ToString};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::vec::Vec;

use super::tables::{WriteTables, durable};
use super::{File, Shared, backend, catch, panicked};
use crate::ssot::plan::plan;
use crate::ssot::store::{AppendError, Batch, Committed, StoreError};

/// Most batches in one transaction.
const GROUP_BATCHES: usize = 1024;
/// No batch is added to a transaction that is this large, in bytes of bodies and payloads.
const GROUP_BYTES: usize = 16 << 20;

pub(super) type Answer = Result<Committed, AppendError>;

#[derive(Debug)]
struct Job {
    batch: Batch,
    reply: SyncSender<Answer>,
}

#[derive(Debug)]
pub(super) struct Committer {
    shared: Arc<Shared>,
    /// `None` only while being dropped.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let (sender, receiver) = channel();
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("prospera-committer".into())
            .spawn(move || run(&own, &receiver))
            .map_err(|error| backend("starting the committer", error))?;
        Ok(Self { shared, jobs: Some(sender), thread: Some(thread) })
    }

    pub(super) fn append(&self, batch: Batch) -> Answer {
        let (reply, answer) = sync_channel(1);
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { batch, reply }).is_ok());
        if !sent {
            return Err(AppendError::Failed(self.shared.unknown_state()));
        }
        // No answer: the committer died while it had the batch.
        answer.recv().unwrap_or_else(|_| Err(AppendError::Unknown(self.shared.unknown_state())))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It catches its own panics; there is nobody left to tell of another.
            let _ended = thread.join();
        }
    }
}

fn run(shared: &Shared, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut size = weight(&first.batch);
        let (mut batches, mut replies) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(job) = next {
            batches.push(job.batch);
            replies.push(job.reply);
            let full = batches.len() >= GROUP_BATCHES || size >= GROUP_BYTES;
            next = if full { None } else { jobs.try_recv().ok() };
            size = size.saturating_add(next.as_ref().map_or(0, |job| weight(&job.batch)));
        }
        for (reply, answer) in replies.iter().zip(commit(shared, batches)) {
            // Whoever asked may be gone; the batch is committed or not all the same.
            let _gone = reply.send(answer);
        }
    }
}

fn weight(batch: &Batch) -> usize {
    let bodies = batch.drafts().iter().map(|draft| draft.body().len());
    let payloads = batch.payloads().iter().map(|(_, bytes)| bytes.len());
    bodies.chain(payloads).fold(0, usize::saturating_add)
}

/// Commits a group; one answer for each batch, in order.
pub(super) fn commit(shared: &Shared, batches: Vec<Batch>) -> Vec<Answer> {
    let count = batches.len();
    if let Err(error) = shared.ensure_known() {
        let error = Shown::new(&error);
        return (0..count).map(|_| Err(AppendError::Failed(error.again()))).collect();
    }
    catch(|| try_commit(shared, batches)).unwrap_or_else(|()| {
        shared.lost.store(true, Ordering::Release);
        (0..count).map(|_| Err(AppendError::Unknown(panicked(&shared.place)))).collect()
    })
}

fn try_commit(shared: &Shared, batches: Vec<Batch>) -> Vec<Answer> {
    let count = batches.len();
    let mut answers = Vec::with_capacity(count);
    let failure = match apply(shared, batches, &mut answers) {
        Ok(()) => return answers,
        Err(failure) => failure,
    };
    let (error, committing) = match failure {
        Failure::Before(error) => (error, false),
        Failure::Committing(error) => {
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
    answers.resize_with(count, || Err(AppendError::Failed(error.again())));
    answers
}

enum Failure {
    Before(StoreError),
    Committing(StoreError),
}

/// Plans and writes each batch in one transaction and commits it.
fn apply(shared: &Shared, batches: Vec<Batch>, answers: &mut Vec<Answer>) -> Result<(), Failure> {
    let File::Writer(database) = &shared.file else {
        let reason = "the store was opened read-only";
        answers.extend(batches.iter().map(|_| Err(AppendError::Refused { reason })));
        return Ok(());
    };
    let begin = || backend_before("beginning to write", database.begin_write());
    let mut transaction = begin()?;
    durable(&mut transaction).map_err(Failure::Before)?;
    let mut written = false;
    {
        let mut tables = WriteTables::open(&transaction).map_err(Failure::Before)?;
        for batch in &batches {
            answers.push(match plan(batch, &tables) {
                Ok(plan) => {
                    written = true;
                    tables.write(&plan).map_err(Failure::Before)?;
                    Ok(Committed { records: plan.records })
                }
                Err(error) => Err(error),
            });
        }
    }
    if !written {
        return backend_before("ending a transaction", transaction.abort());
    }
    transaction.commit().map_err(|error| Failure::Committing(backend("committing", error)))?;
    shared.commits.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn backend_before<T, E: core::error::Error + Send + Sync + 'static>(
    what: &'static str,
    result: Result<T, E>,
) -> Result<T, Failure> {
    result.map_err(|error| Failure::Before(backend(what, error)))
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
