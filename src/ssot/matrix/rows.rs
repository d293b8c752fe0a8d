//! The rows: what was looked at, held against the streams' heads as they are now.

use alloc::vec::Vec;

use crate::ssot::matrix::cell::{Cell, Fault};
use crate::ssot::matrix::check::{CHECKS, Check, Rule};
use crate::ssot::matrix::data::{LogFault, LogRule, LogState, Made, Matrix, Row};
use crate::ssot::matrix::examiner::{Examiner, Track};
use crate::ssot::matrix::walk::{Inspector, said_of_the_log};
use crate::ssot::record::{Head, StreamId};
use crate::ssot::store::{Store, StoreError};

/// How many streams are asked for at a time.
const PAGE: usize = 1024;

impl<X: Examiner> Inspector<X> {
    /// The matrix of what was looked at, held against the streams' heads as they are now.
    ///
    /// Reads no record. A stream that has grown since is stale; [`Inspector::run`] is what
    /// looks at more.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read at all.
    pub fn matrix<S: Store + ?Sized>(&self, store: &S, made: Made) -> Result<Matrix, StoreError> {
        let mut rows = Vec::with_capacity(self.tracks.list.len());
        let mut listed = alloc::vec![false; self.tracks.list.len()];
        let mut faults = self.faults.clone();
        let records = store.len()?;
        let mut after: Option<StreamId> = None;
        loop {
            let page = match store.streams(after.as_ref(), PAGE) {
                Ok(page) => page,
                Err(error) if said_of_the_log(&error) => {
                    faults.push(LogFault::new(LogRule::Index, 0, "the streams' heads", error));
                    break;
                }
                Err(error) => return Err(error),
            };
            let Some((last, _)) = page.last() else { break };
            if after.as_ref().is_some_and(|after| after >= last) {
                let what = "a stream that is listed out of order";
                faults.push(LogFault::new(LogRule::Index, 0, "streams in order", what));
                break;
            }
            after = Some(last.clone());
            for (stream, head) in page {
                match self.tracks.place(&stream) {
                    Some(own) => {
                        if let Some(listed) = listed.get_mut(own) {
                            *listed = true;
                        }
                        rows.extend(self.tracks.list.get(own).map(|track| self.row(track, head)));
                    }
                    None => rows.push(self.unseen(stream, head)),
                }
            }
        }
        // Records were appended while the heads were read: then more is expected of them.
        let whole = store.len()? <= self.next;
        if whole {
            let other = |stream: &StreamId| self.tracks.get(stream).map(|track| &track.memo);
            for row in &mut rows {
                ends_here(row);
                let memo = other(&row.stream);
                if let Some(fault) =
                    memo.and_then(|memo| self.examiner.closing(&row.stream, memo, &other))
                {
                    row.fail(&fault);
                }
            }
        }
        for (track, listed) in self.tracks.list.iter().zip(listed) {
            if !listed {
                rows.push(self.row(track, Head::EMPTY));
            }
        }
        if whole && let Some((stream, fault)) = self.examiner.pending() {
            for row in rows.iter_mut().filter(|row| row.stream == stream) {
                row.fail(&fault);
            }
        }
        self.trunk.hold(store, &mut rows, &mut faults)?;
        let log = LogState {
            records: records.max(self.next),
            checked: self.next,
            last: self.last,
            root: self.trunk.root(),
            policy: self.examiner.policy(),
            faults,
            further: self.further,
        };
        Ok(Matrix::new(made, log, rows))
    }

    fn row(&self, track: &Track<X::Memo>, head: Head) -> Row {
        let (open, erased) = self.examiner.remarks(&track.memo);
        let checked = track.head.length();
        let (stream, cells) = (track.stream.clone(), track.cells.clone());
        let mut row = Row { stream, head, checked, cells, open, erased };
        if head.length() > checked {
            row.cells.iter_mut().for_each(|cell| cell.grown(head.length() - checked));
        } else if head != track.head {
            let at = (self.next.saturating_sub(1), checked);
            row.fail(&Fault::new(Rule::Head, at, track.head, head));
        }
        row
    }

    /// A stream that begins beyond what was looked at.
    fn unseen(&self, stream: StreamId, head: Head) -> Row {
        let track = started(&self.examiner, &stream);
        let mut row = Row { stream, head, checked: 0, cells: track.cells, open: None, erased: 0 };
        row.cells.iter_mut().for_each(|cell| cell.grown(head.length()));
        row
    }
}

/// The log was looked at to its end, so a head beyond that is wrong.
fn ends_here(row: &mut Row) {
    if row.head.length() <= row.checked {
        return;
    }
    for cell in &mut row.cells {
        if let Cell::Stale { records, .. } = *cell {
            *cell = Cell::Sound { records };
        }
    }
    let expected = alloc::format!("a head of {} records", row.checked);
    let at = (0, row.checked);
    row.fail(&Fault::new(Rule::Head, at, expected, row.head));
}

pub(super) fn started<X: Examiner>(examiner: &X, stream: &StreamId) -> Track<X::Memo> {
    let mut cells = [const { Cell::NEW }; CHECKS];
    for (check, cell) in Check::ALL.into_iter().zip(&mut cells) {
        *cell = examiner.starts(check, stream.kind());
    }
    let (stream, memo) = (stream.clone(), X::Memo::default());
    Track { stream, head: Head::EMPTY, cells, broken: None, halted: None, memo }
}
