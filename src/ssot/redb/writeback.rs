//! Bringing the tables up to date, in the background.
//!
//! INVARIANT (one of the two): what was flushed is in the journal until the tables have it
//! for certain. A failure here ends the store, and the journal keeps what it has.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::tables::{WriteTables, durable};
use super::{File, Shared, backend};
use crate::ssot::log::Log;
use crate::ssot::store::StoreError;

/// Writes a turn to the tables in one transaction.
pub(super) fn write_back(shared: &Shared, log: &Log) -> Result<(), StoreError> {
    const WHAT: &str = "bringing the tables up to date";
    let File::Writer(database) = &shared.file else { return Ok(()) };
    let mut transaction = database.begin_write().map_err(|error| backend(WHAT, error))?;
    durable(&mut transaction)?;
    // What redb knows of its own pages is kept with each of these commits, so that after a
    // crash it is read back, not found anew in the whole file.
    transaction.set_quick_repair(true);
    WriteTables::open(&transaction)?.write(log)?;
    transaction.commit().map_err(|error| backend(WHAT, error))
}

/// What the thread does: writes each full turn to the tables, until the store is closed.
pub(super) fn run(shared: &Shared) {
    loop {
        let mut closing = shared.closing.lock().unwrap_or_else(PoisonError::into_inner);
        let full = loop {
            let frozen = shared.tail().frozen.clone();
            match frozen {
                Some(full) => break full,
                None if *closing => return,
                None => {
                    closing = shared.changed.wait(closing).unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(closing);
        let failed = shared.guarded(|| write_back(shared, &full)).is_err();
        if failed {
            shared.lost.store(true, Ordering::Release);
        } else {
            shared.tail_mut().frozen = None;
        }
        notify(shared);
        if failed {
            return;
        }
    }
}

/// Waits until the tables have the last full turn, and begins another; false when they
/// never will.
pub(super) fn freeze(shared: &Shared) -> bool {
    let mut closing = shared.closing.lock().unwrap_or_else(PoisonError::into_inner);
    while shared.tail().frozen.is_some() {
        if shared.lost.load(Ordering::Acquire) {
            return false;
        }
        closing = shared.changed.wait(closing).unwrap_or_else(PoisonError::into_inner);
    }
    {
        let mut tail = shared.tail_mut();
        let next = Log::after(tail.active.tree().tree().clone());
        tail.frozen = Some(Arc::new(core::mem::replace(&mut tail.active, next)));
    }
    drop(closing);
    notify(shared);
    true
}

/// Tells the thread to end when it has nothing left to write.
pub(super) fn close(shared: &Shared) {
    *shared.closing.lock().unwrap_or_else(PoisonError::into_inner) = true;
    notify(shared);
}

/// Whoever waits holds `closing` between looking and waiting: taking it first loses no call.
fn notify(shared: &Shared) {
    drop(shared.closing.lock().unwrap_or_else(PoisonError::into_inner));
    shared.changed.notify_all();
}
