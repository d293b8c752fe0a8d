//! Logs that replay.

use std::string::ToString as _;

use super::super::{Held, must};
use super::Broken;
use crate::routing::replay::{Pinned, Replay, Version, VersionError};
use crate::ssot::store::Store;
use crate::testing::world::DefaultEngines;

const PROPERTY: &str = "log_replays";

/// Every record of a log is derived again from those before it, byte for byte, by the
/// engines that `version` gives; and what is found is the same on one thread and on three.
///
/// # Errors
/// [`Broken`] with the first difference, or with what could not be derived.
pub fn log_replays<S: Store + Sync + ?Sized>(
    store: &S,
    version: impl Fn(&Pinned) -> Result<Version<DefaultEngines>, VersionError> + Sync,
) -> Held {
    let broken = |what: &dyn core::fmt::Display| Broken::new(PROPERTY, what);
    let on = |threads: usize| {
        let threads = core::num::NonZeroUsize::new(threads).unwrap_or(core::num::NonZeroUsize::MIN);
        Replay::new(store, &version).threads(threads).run(|_| {}).map_err(|error| broken(&error))
    };
    let (one, three) = (on(1)?, on(3)?);
    must(PROPERTY, one == three, || "three threads find something else than one".to_string())?;
    must(PROPERTY, one.is_same(), || match &one.first {
        Some(first) => first.to_string(),
        None => std::format!("not derived: {:?}, astray: {}", one.not_replayable, one.astray),
    })?;
    let length = store.len().map_err(|error| broken(&error))?;
    must(PROPERTY, one.all().total() == length, || "records that nobody looked at".to_string())
}
