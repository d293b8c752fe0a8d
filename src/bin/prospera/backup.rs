//! `prospera backup`: a copy of a store, verified.

use std::path::Path;
use std::process::ExitCode;

use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::StoreError;
use prospera::ssot::verify::verify;

use crate::failure::Failure;
use crate::out::{Out, bytes, note, progress};
use crate::store::{exists, in_use, reader, writer};

pub(crate) fn run(path: &Path, to: &Path, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = opened(path)?;
    let bar = progress(Some(0), "copying rows");
    let made = store.backup_with(to, |copied| {
        bar.set_length(copied.total);
        bar.set_position(copied.rows);
    });
    bar.finish_and_clear();
    let made = made?;
    drop(store);
    let place = to.display();
    let bar = progress(Some(made.records), "verifying");
    let report = verify(&reader(to)?, |step| bar.set_position(step.verified));
    bar.finish_and_clear();
    let report = report.map_err(|error| {
        Failure::new(format!("{place}: {error}")).help(format!(
            "`prospera verify {}` says whether the store itself is sound",
            path.display()
        ))
    })?;
    let last = report.last.map_or_else(|| "none".to_owned(), |last| last.to_string());
    out.line(format!(
        "{place}: {} records in {} streams, {}, verified, last record {last}",
        report.records,
        report.streams,
        bytes(made.bytes)
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The store for reading; one that a crash left open is closed before.
fn opened(path: &Path) -> Result<RedbStore, Failure> {
    exists(path)?;
    match RedbStore::open_read_only(path) {
        Ok(store) => Ok(store),
        Err(StoreError::NotClosed { .. }) => {
            drop(writer(path)?);
            note(format!("{}: was not closed, and is now", path.display()));
            reader(path)
        }
        Err(error) => Err(in_use(error)),
    }
}
