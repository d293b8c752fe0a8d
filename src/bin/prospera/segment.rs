//! `prospera segment`: closed parts of a log packed into a folder, and back.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use prospera::routing::shape::Bodies;
use prospera::ssot::class::ClassRules;
use prospera::ssot::redb::RedbStore;
use prospera::ssot::segment::{Dictionaries, Options, Segments, pack, train, unpack};
use prospera::ssot::store::Store as _;
use prospera::time::Timestamp;

use crate::failure::Failure;
use crate::out::{Out, bytes};
use crate::store::reader;

/// What can be done with segments.
#[derive(Debug, Subcommand)]
pub(crate) enum SegmentCommand {
    /// Packs what the log has and the folder does not.
    ///
    /// Example: `prospera segment pack out/prospera.redb cold --all`
    Pack(PackArgs),
    /// Writes a packed log into a new store: the same records, byte for byte.
    ///
    /// Example: `prospera segment unpack cold again.redb`
    Unpack {
        /// The folder.
        folder: PathBuf,
        /// The store's file; it must not exist.
        store: PathBuf,
    },
    /// Verifies a packed log as if it were a store: exits with 1 where it is not sound.
    ///
    /// Example: `prospera segment verify cold`
    Verify {
        /// The folder.
        folder: PathBuf,
    },
}

/// How a log is packed.
#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    /// The store's file.
    store: PathBuf,
    /// The folder; what it has is continued.
    folder: PathBuf,
    /// Also packs a last segment that is not full.
    #[arg(long)]
    all: bool,
    /// Records of a segment.
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    records: usize,
    /// Records of a block, which is unpacked to read any of them.
    #[arg(long, value_name = "N", default_value_t = 64)]
    block: usize,
    /// Leaves payloads out: records then keep their hashes. Salted ones (`route --salted`)
    /// are always left out, and stay with the store.
    #[arg(long)]
    no_payloads: bool,
    /// Packs only records that are old enough at this time to leave the store:
    /// milliseconds since 1970.
    #[arg(long, value_name = "MS")]
    cold_at: Option<u64>,
}

pub(crate) fn run(command: &SegmentCommand, out: &mut Out) -> Result<ExitCode, Failure> {
    match command {
        SegmentCommand::Pack(args) => pack_log(args, out),
        SegmentCommand::Unpack { folder, store } => {
            let segments = open(folder)?;
            let place = store.display();
            let store = RedbStore::create(store)?;
            let records = unpack(&segments, &store).map_err(Failure::new)?;
            out.line(format!("{place}: {records} records"))?;
            Ok(ExitCode::SUCCESS)
        }
        SegmentCommand::Verify { folder } => {
            let place = folder.display();
            match open(folder)?.verify() {
                Ok(found) => {
                    let last = found.report.last.map_or_else(|| "none".into(), |d| d.to_string());
                    let root = found.root.map_or_else(|| "none".into(), |root| root.to_string());
                    out.line(format!(
                        "{place}: sound, {} records in {} streams in {} segments, last record {last}",
                        found.report.records, found.report.streams, found.segments
                    ))?;
                    out.line(format!("tree root {root}"))?;
                    Ok(ExitCode::SUCCESS)
                }
                Err(error) => {
                    out.line(format!("{place}: NOT sound"))?;
                    out.line(format!("first fault: {error}"))?;
                    Ok(ExitCode::FAILURE)
                }
            }
        }
    }
}

fn open(folder: &std::path::Path) -> Result<Segments, Failure> {
    Segments::open(folder, Bodies::default()).map_err(Failure::new)
}

fn pack_log(args: &PackArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = reader(&args.store)?;
    let rules = ClassRules::DEFAULT;
    let options = Options {
        block_records: args.block,
        segment_records: args.records,
        partial: args.all,
        payloads: !args.no_payloads,
        cold_at: args.cold_at.map(Timestamp::from_millis),
    };
    let packed_before = if args.folder.is_dir() { open(&args.folder)?.len()? } else { 0 };
    let shape = Bodies::default();
    let dictionaries = if packed_before == store.len()? {
        Dictionaries::none()
    } else {
        train(&store, packed_before, args.records, &shape, &rules, &options)
            .map_err(Failure::new)?
    };
    let done = pack(&store, &args.folder, &shape, &rules, &dictionaries, &options)
        .map_err(Failure::new)?;
    let place = args.folder.display();
    out.line(format!("{place}: {} records in {} new segments", done.records, done.segments))?;
    if done.segments > 0 {
        out.line(format!(
            "{} of records and {} of payloads became {}, and {} of dictionaries",
            bytes(done.record_bytes),
            bytes(done.payload_bytes),
            bytes(done.packed_bytes),
            bytes(dictionaries.bytes() as u64),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
