//! `prospera log prove` and `consistency`: proofs as files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use prospera::limits::NOTE_BYTES;
use prospera::ssot::checkpoint::{AddCheckpoint, Checkpoint, LoggedProof};
use prospera::ssot::merkle::{self, Hash, Sha256, prove_consistency, prove_inclusion};
use prospera::ssot::note::Note;
use prospera::ssot::tiles::Folder;

use super::read;
use crate::failure::Failure;
use crate::out::Out;
use crate::store::reader;

#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    /// The folder with a published log, or a store's file.
    log: PathBuf,
    /// The record's place in the log, from 0.
    index: u64,
    /// The checkpoint, which goes into the proof; a published log has its own.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConsistencyArgs {
    /// The folder with a published log, or a store's file.
    log: PathBuf,
    /// The earlier size.
    old: u64,
    /// The checkpoint of the later size; a published log has its own.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// The note to prove against, and its size. It is verified by who gets the proof.
fn note(log: &Path, checkpoint: Option<&Path>) -> Result<(Note, u64), Failure> {
    let own = log.join("checkpoint");
    let file = checkpoint.unwrap_or(&own);
    if checkpoint.is_none() && log.is_file() {
        return Err(Failure::new("expected a checkpoint to prove against, found none")
            .help("`prospera log checkpoint STORE --key FILE` signs one for `--checkpoint FILE`"));
    }
    let place = file.display();
    let wrong = |error: &dyn std::fmt::Display| Failure::new(format!("`{place}`: {error}"));
    let note = Note::parse(&read(file, NOTE_BYTES)?).map_err(|error| wrong(&error))?;
    let size = Checkpoint::parse(note.text()).map_err(|error| wrong(&error))?.size();
    Ok((note, size))
}

pub(super) fn prove(args: &ProveArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let (note, size) = note(&args.log, args.checkpoint.as_deref())?;
    let index = args.index;
    let proof = if args.log.is_file() {
        merkle::inclusion(&reader(&args.log)?, index, size).map_err(Failure::new)?
    } else {
        let folder = Folder::new(&args.log);
        prove_inclusion::<Sha256, _>(&folder.tree(size), index, size).map_err(Failure::new)?
    };
    let logged = LoggedProof { extra: None, index, path: proof.path, note };
    out.bytes(logged.to_string().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn consistency(args: &ConsistencyArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let (note, new) = note(&args.log, args.checkpoint.as_deref())?;
    let old = args.old;
    let path: Vec<Hash> = if args.log.is_file() {
        merkle::consistency(&reader(&args.log)?, old, new).map_err(Failure::new)?.path
    } else {
        let folder = Folder::new(&args.log);
        prove_consistency::<Sha256, _>(&folder.tree(new), old, new).map_err(Failure::new)?.path
    };
    out.bytes(AddCheckpoint { old, path, note }.to_string().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
