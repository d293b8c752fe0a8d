//! `prospera replay`: every past verdict derived again, and held against the log.

use std::process::ExitCode;

use prospera::policy::{DefaultEngines, PolicyFolder, kept_version};
use prospera::routing::replay::{Pinned, Replay, Report, Version, VersionError};
use prospera::ssot::store::Store;

use crate::args::{Format, ReplayArgs};
use crate::failure::Failure;
use crate::out::{Out, progress};
use crate::store::{reader, secret};

pub(crate) fn run(args: &ReplayArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = reader(&args.store)?;
    let version = |pinned: &Pinned| version(&store, pinned, args);
    let mut replay =
        Replay::new(&store, version).range(args.from.unwrap_or(0)..args.to.unwrap_or(u64::MAX));
    if let Some(threads) = args.threads {
        replay = replay.threads(threads);
    }
    if let Some(seed) = &args.seed {
        replay = replay.with_secret(secret(Some(seed))?);
    }
    let bar = progress(Some(0), "replaying");
    let report = replay.run(|step| {
        bar.set_length(step.total);
        bar.set_position(step.done);
    });
    bar.finish_and_clear();
    let report = report?;
    match args.format {
        Format::Json => out.line(serde_json::to_string(&report).map_err(Failure::new)?)?,
        Format::Text => text(args, &report, out)?,
    }
    let fails = !report.nothing_differs() || (args.strict && !report.is_same());
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A version from the log's own files; from the folder, where the log has none of it.
fn version<S: Store>(
    store: &S,
    pinned: &Pinned,
    args: &ReplayArgs,
) -> Result<Version<DefaultEngines>, VersionError> {
    let kept = kept_version(store, pinned);
    match (&args.policy, kept) {
        (Some(folder), Err(VersionError::NotKept { pins })) => {
            let loaded = PolicyFolder::load(folder).and_then(PolicyFolder::for_replay);
            loaded.map_err(|error| VersionError::Unusable { pins, why: error.to_string() })
        }
        (_, kept) => kept,
    }
}

fn text(args: &ReplayArgs, report: &Report, out: &mut Out) -> Result<(), Failure> {
    let (all, routes) = (report.all(), report.routes());
    let verdict = if report.is_same() {
        "the same, byte for byte"
    } else if report.nothing_differs() {
        "nothing differs, not everything could be derived"
    } else {
        "NOT what was decided"
    };
    out.line(format!("{}: {verdict}", args.store.display()))?;
    out.line(format!(
        "routes: {} replayed, {} the same, {} differ, {} not replayable",
        routes.total(),
        routes.same,
        routes.differ,
        routes.not_replayable
    ))?;
    if let Some(first) = &report.first {
        out.line(format!("first difference: {first}"))?;
    }
    out.line("")?;
    out.line(format!("{:<22}{:>10}{:>10}{:>16}", "records", "same", "differ", "not replayable"))?;
    for (kind, tally) in &report.kinds {
        out.line(row(kind.name(), tally.same, tally.differ, tally.not_replayable))?;
    }
    out.line(row("all", all.same, all.differ, all.not_replayable))?;
    for (why, count) in &report.not_replayable {
        out.line(format!("not replayable: {count} because {}", why.words()))?;
    }
    for version in &report.versions {
        out.line(format!("not to be had: {version}"))?;
    }
    if report.before > 0 {
        out.line(format!("{} records before the range were read, not derived", report.before))?;
    }
    if report.astray > 0 {
        out.line(format!("{} records belong to no subject's sessions", report.astray))?;
    }
    if report.tags_taken > 0 {
        out.line(format!(
            "{} token tags were taken from the log: their key is not in it",
            report.tags_taken
        ))?;
    }
    Ok(())
}

fn row(name: &str, same: u64, differ: u64, not: u64) -> String {
    format!("{name:<22}{same:>10}{differ:>10}{not:>16}")
}
