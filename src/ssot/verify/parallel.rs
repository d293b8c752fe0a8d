//! The swift walk on several threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use super::swift::{Bounds, Stop, Walk, join};
use super::{CHUNK, Progress, Report, VerifyError, conclude, onward};
use crate::ssot::store::Store;

/// No thread is given fewer records than this.
const LEAST: u64 = 16 * CHUNK as u64;

/// [`verify`](super::verify()) on so many threads, the caller's included. The answer is the
/// same, the first fault in the order of the log; the memory is, too: what one walk may
/// remember is divided among them.
///
/// ```
/// use prospera::ssot::memory::MemoryStore;
/// use prospera::ssot::verify::{verify, verify_on};
/// let store = MemoryStore::new();
/// assert_eq!(verify_on(&store, 2, |_| ())?, verify(&store, |_| ())?);
/// # Ok::<(), prospera::ssot::verify::VerifyError>(())
/// ```
///
/// # Errors
/// As [`verify`](super::verify()).
pub fn verify_on<S: Store + Sync + ?Sized>(
    store: &S,
    threads: usize,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Report, VerifyError> {
    let total = store.len()?;
    let mut tell = onward(&mut progress);
    let swift = shared(store, total, threads, LEAST, Bounds::USUAL, &mut tell);
    conclude(store, total, swift, &mut tell)
}

/// The swift walk over equal stretches of at least so many records.
pub(super) fn shared<S: Store + Sync + ?Sized>(
    store: &S,
    total: u64,
    threads: usize,
    least: u64,
    bounds: Bounds,
    progress: &mut (impl FnMut(Progress) + Send),
) -> Result<Report, Stop> {
    let stretches = (threads as u64).min(total / least.max(1)).max(1);
    // Whole pieces, so that most nodes of the tree are complete within one stretch.
    let width = total.div_ceil(stretches).next_multiple_of(bounds.piece as u64);
    let share = usize::try_from(stretches).unwrap_or(1);
    let bounds = Bounds {
        streams: bounds.streams / share,
        widest: (bounds.widest / share).max(bounds.window),
        ..bounds
    };
    let (verified, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
    let telling = Mutex::new(progress);
    let walk = |number: u64| {
        let begin = number.saturating_mul(width).min(total);
        // Whatever stands behind the last record is the last one's to find.
        let is_last = number.saturating_add(1) == stretches;
        let end = if is_last { u64::MAX } else { begin.saturating_add(width).min(total) };
        let (mut walk, mut at) = (Walk::from(begin), begin);
        let result = walk.run(store, end, bounds, &mut |next| {
            let step = next.saturating_sub(core::mem::replace(&mut at, next));
            let mut tell = telling.lock().unwrap_or_else(PoisonError::into_inner);
            let sum = verified.fetch_add(step, Ordering::Relaxed).saturating_add(step);
            tell(Progress { verified: sum, total });
            !stopped.load(Ordering::Relaxed)
        });
        if result.is_err() {
            stopped.store(true, Ordering::Relaxed);
        }
        result.map(|()| walk)
    };
    let walks: Vec<Result<Walk, Stop>> = std::thread::scope(|scope| {
        let walk = &walk;
        let others: Vec<_> =
            (1..stretches).map(|number| scope.spawn(move || walk(number))).collect();
        let first = walk(0);
        // A store that panics does so again where the exact walk asks it.
        let others = others.into_iter().map(|other| other.join().unwrap_or(Err(Stop::Odd)));
        core::iter::once(first).chain(others).collect()
    });
    // A store that cannot be read is that, whatever else was found.
    let (mut sound, mut odd) = (Vec::with_capacity(walks.len()), false);
    for walk in walks {
        match walk {
            Ok(walk) => sound.push(walk),
            Err(Stop::Odd) => odd = true,
            Err(error) => return Err(error),
        }
    }
    if odd { Err(Stop::Odd) } else { join(store, total, &sound) }
}
