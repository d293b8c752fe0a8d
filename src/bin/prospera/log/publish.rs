//! `prospera log checkpoint`, `export` and `import`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use prospera::routing::payloads::{is_salted, named};
use prospera::ssot::checkpoint::{Origin, Policy};
use prospera::ssot::note::Signer;
use prospera::ssot::redb::RedbStore;
use prospera::ssot::tiles::{Folder, Publish, against, checkpoint_of, import, write};

use super::{TrustArgs, at, caught, recall, remember, signers};
use crate::failure::Failure;
use crate::out::{Out, progress};
use crate::store::reader;

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The log's secret key; more sign as well. The first one's name is the origin.
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// Remembers the last checkpoint here, and refuses to sign what does not continue it.
    #[arg(long, value_name = "FILE")]
    remember: Option<PathBuf>,
    /// Signs at this time: milliseconds since 1970.
    #[arg(long, value_name = "MS")]
    now: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// The store's file.
    store: PathBuf,
    #[command(flatten)]
    sign: SignArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The store's file.
    store: PathBuf,
    /// The folder; one with an earlier part of the log gets what is new.
    #[arg(long, value_name = "DIR")]
    tiles: PathBuf,
    /// Leaves the payloads out: what was published cannot be erased any more.
    #[arg(long)]
    no_payloads: bool,
    #[command(flatten)]
    sign: SignArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The folder with the published log.
    folder: PathBuf,
    /// The new store's file; it must not exist.
    store: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// A checkpoint seen before, which the log must continue.
    #[arg(long, value_name = "FILE")]
    remember: Option<PathBuf>,
}

/// The keys, and the origin that the first of them is named after.
fn keys(args: &SignArgs) -> Result<(Vec<Signer>, Origin, Policy), Failure> {
    let signers = signers(&args.keys)?;
    let first = signers.first().ok_or_else(|| Failure::new("expected `--key FILE`"))?;
    let origin = Origin::new(first.name().as_str()).map_err(Failure::new)?;
    if origin.shard().is_none() {
        return Err(Failure::new(format!(
            "expected the first key to be a log's, named LOG/shard/N, found `{origin}`"
        ))
        .help("`prospera log key FILE --name LOG` makes one"));
    }
    let policy = Policy::of_log(first.verifier().map_err(Failure::new)?);
    Ok((signers, origin, policy))
}

pub(super) fn checkpoint(args: &CheckpointArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let (signers, origin, policy) = keys(&args.sign)?;
    let store = reader(&args.store)?;
    let before = args.sign.remember.as_deref();
    if let Some(last) = recall(before, &policy)?
        && let Err(error) = against(&store, last.last())
    {
        return caught(&args.store, error, out);
    }
    let checkpoint = checkpoint_of(&store, origin).map_err(Failure::new)?;
    let signers: Vec<&Signer> = signers.iter().collect();
    let note = checkpoint.sign(&signers, at(args.sign.now)).map_err(Failure::new)?;
    remember(before, &policy.accept_note(note.clone()).map_err(Failure::new)?)?;
    out.bytes(note.to_string().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn export(args: &ExportArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let (signers, origin, policy) = keys(&args.sign)?;
    let store = reader(&args.store)?;
    let before = args.sign.remember.as_deref();
    if let Some(last) = recall(before, &policy)?
        && let Err(error) = against(&store, last.last())
    {
        return caught(&args.store, error, out);
    }
    let signers: Vec<&Signer> = signers.iter().collect();
    let publish = Publish::new(&origin, &signers, at(args.sign.now));
    let publish = if args.no_payloads { publish } else { publish.payloads(&named) };
    let bar = progress(Some(0), "publishing");
    let written = write(&store, &args.tiles, &publish, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let written = match written {
        Ok(written) => written,
        Err(error) => return caught(&args.store, error, out),
    };
    remember(before, &policy.accept_note(written.note).map_err(Failure::new)?)?;
    out.line(format!(
        "{}: {} records of `{origin}`, {} of them new, {} files written",
        args.tiles.display(),
        written.size,
        written.size - written.before,
        written.files
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn import_to(args: &ImportArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let policy = args.trust.policy()?;
    let remembered = recall(args.remember.as_deref(), &policy)?;
    let folder = Folder::new(&args.folder).salted(is_salted);
    // Before there is a store: a log that is not sound leaves nothing behind.
    let quiet = &mut |_, _| ();
    if let Err(error) = prospera::ssot::tiles::verify(&folder, &policy, remembered.as_ref(), quiet)
    {
        return caught(&args.folder, error, out);
    }
    let store = RedbStore::create(&args.store)?;
    let bar = progress(Some(0), "importing");
    let imported = import(&folder, &store, &policy, remembered.as_ref(), &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let imported = match imported {
        Ok(imported) => imported,
        Err(error) => return caught(&args.folder, error, out),
    };
    let trusted = &imported.audited.trusted;
    remember(args.remember.as_deref(), trusted)?;
    out.line(format!(
        "{}: {} records of `{}` in {} streams, {} payloads",
        args.store.display(),
        trusted.size(),
        trusted.origin(),
        imported.audited.streams,
        imported.audited.payloads
    ))?;
    Ok(ExitCode::SUCCESS)
}
