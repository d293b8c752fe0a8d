//! What a replay says, laid over an Integrity Matrix.

use alloc::format;
use alloc::vec::Vec;

use super::Report;
use crate::ssot::matrix::{Cell, Check, Fault, Matrix, Rule, Why};
use crate::ssot::record::Record;
use crate::ssot::store::{Store, StoreError};

impl Report {
    /// Lays over a matrix of the same log what this replay of all of it found: the first
    /// difference as a fault of its stream. Where nothing differs and everything was derived,
    /// what a walk must leave open for want of the rules in force is sound. Says whether
    /// anything was changed.
    ///
    /// # Errors
    /// [`StoreError`] when the record that differs cannot be read.
    pub fn lay_over<S: Store + ?Sized>(
        &self,
        store: &S,
        matrix: &mut Matrix,
    ) -> Result<bool, StoreError> {
        if let Some(first) = &self.first {
            let stored = store.read(first.index, 1)?;
            let record = stored.first().map(|stored| Record::decode_sealed(&stored.bytes));
            let record = match record {
                Some(Ok(record)) => record,
                Some(Err(source)) => return Err(StoreError::Record { index: first.index, source }),
                None => return Ok(false),
            };
            let place = (first.index, record.sequence());
            let expected = format!("{} {}", first.field, first.expected);
            let fault = Fault::new(Rule::Rederived, place, expected, &first.found);
            return Ok(matrix.lay_over(record.stream(), Check::Replay, Err(fault)));
        }
        if !self.is_same() || self.before > 0 {
            return Ok(false);
        }
        let open = |cell: &Cell| match cell {
            Cell::NotChecked { why, .. } => matches!(**why, Why::NeedsRules | Why::NotAsked),
            _ => false,
        };
        let mut due = Vec::new();
        for row in matrix.rows() {
            for (check, cell) in Check::ALL.into_iter().zip(&row.cells) {
                if matches!(check, Check::Replay | Check::Snapshot) && open(cell) {
                    due.push((row.stream.clone(), check, row.checked));
                }
            }
        }
        Ok(due.into_iter().fold(false, |changed, (stream, check, records)| {
            matrix.lay_over(&stream, check, Ok(records)) || changed
        }))
    }
}
