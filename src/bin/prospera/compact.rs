//! `prospera compact`: a store's file as small as it can be made in place.

use std::path::Path;
use std::process::ExitCode;

use prospera::ssot::redb::RedbStore;

use crate::failure::Failure;
use crate::out::{Out, bytes};
use crate::store::{exists, in_use};

pub(crate) fn run(path: &Path, out: &mut Out) -> Result<ExitCode, Failure> {
    exists(path)?;
    let compacted = RedbStore::compact(path).map_err(in_use)?;
    let (before, after) = (bytes(compacted.before), bytes(compacted.after));
    out.line(format!("{}: {before} before, {after} now", path.display()))?;
    Ok(ExitCode::SUCCESS)
}
