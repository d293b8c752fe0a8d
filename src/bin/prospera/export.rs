//! `prospera export`: the log's streams as files.

use std::path::Path;
use std::process::ExitCode;

use prospera::ssot::export::export;

use crate::failure::Failure;
use crate::out::Out;
use crate::store::reader;

pub(crate) fn run(store: &Path, folder: &Path, out: &mut Out) -> Result<ExitCode, Failure> {
    let done = export(&reader(store)?, folder).map_err(|error| Failure::new(error.to_string()))?;
    let place = folder.display();
    out.line(format!("{place}: {} records in {} files", done.records, done.streams))?;
    Ok(ExitCode::SUCCESS)
}
