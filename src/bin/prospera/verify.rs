//! `prospera verify`: the whole log, in constant memory.

use std::path::Path;
use std::process::ExitCode;

use prospera::routing::payloads::verify_payloads;
use prospera::ssot::redb::RedbStore;
use prospera::ssot::verify::{VerifyError, verify};

use crate::failure::Failure;
use crate::out::{Out, progress};
use crate::store::reader;

pub(crate) fn run(path: &Path, out: &mut Out) -> Result<ExitCode, Failure> {
    sound(path, &reader(path)?, out)
}

/// Verifies a store that is open, and says what it found.
pub(crate) fn sound(path: &Path, store: &RedbStore, out: &mut Out) -> Result<ExitCode, Failure> {
    let place = path.display();
    let bar = progress(Some(0), "verifying");
    let result = verify(store, |step| {
        bar.set_length(step.total);
        bar.set_position(step.verified);
    });
    bar.finish_and_clear();
    match result {
        Ok(report) => {
            let payloads = match verify_payloads(store) {
                Ok(payloads) => payloads,
                Err((index, fault)) => {
                    out.line(format!("{place}: NOT sound"))?;
                    out.line(format!("first fault: record {index}: {fault}"))?;
                    return Ok(ExitCode::FAILURE);
                }
            };
            let last = report.last.map_or_else(|| "none".to_owned(), |last| last.to_string());
            out.line(format!(
                "{place}: sound, {} records in {} streams, last record {last}",
                report.records, report.streams
            ))?;
            let erased = match payloads.erased {
                0 => String::new(),
                erased => format!(", {erased} erased"),
            };
            out.line(format!("{} payloads are those the evidence names{erased}", payloads.sound))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(VerifyError::Fault(fault)) => {
            out.line(format!("{place}: NOT sound"))?;
            out.line(format!("first fault: {fault}"))?;
            Ok(ExitCode::FAILURE)
        }
        Err(VerifyError::Store(error)) => {
            out.line(format!("{place}: NOT sound"))?;
            out.line(format!("the store cannot be read: {error}"))?;
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}
