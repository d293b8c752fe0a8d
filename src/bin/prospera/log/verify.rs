//! `prospera log verify`: a published log, or a store against a checkpoint.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use prospera::limits::NOTE_BYTES;
use prospera::routing::payloads::is_salted;
use prospera::ssot::checkpoint::{Advance, Policy, Trusted};
use prospera::ssot::merkle::head_at;
use prospera::ssot::tiles::{Folder, against, verify};

use super::{TrustArgs, caught, read, recall, remember};
use crate::failure::Failure;
use crate::out::{Out, progress};
use crate::store::reader;

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The folder with a published log, or a store's file.
    log: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// Remembers the last checkpoint here: what shows that a log was cut, replaced or
    /// written again. Keep it elsewhere than the log.
    #[arg(long, value_name = "FILE")]
    remember: Option<PathBuf>,
    /// The checkpoint to hold a store against; without it, the one remembered.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

pub(super) fn run(args: &VerifyArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let policy = args.trust.policy()?;
    if args.log.is_file() {
        return store(args, &policy, out);
    }
    let remembered = recall(args.remember.as_deref(), &policy)?;
    let folder = Folder::new(&args.log).salted(is_salted);
    let bar = progress(Some(0), "verifying");
    let audited = verify(&folder, &policy, remembered.as_ref(), &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let audited = match audited {
        Ok(audited) => audited,
        Err(error) => return caught(&args.log, error, out),
    };
    remember(args.remember.as_deref(), &audited.trusted)?;
    let place = args.log.display();
    out.line(format!(
        "{place}: sound, {} records of `{}` in {} streams",
        audited.trusted.size(),
        audited.trusted.origin(),
        audited.streams
    ))?;
    let missing = match audited.not_kept {
        0 => String::new(),
        missing => format!(", {missing} not kept"),
    };
    out.line(format!("{} payloads are those of their digests{missing}", audited.payloads))?;
    signed(&audited.trusted, audited.advance, out)
}

/// Who signed, and how it stands to what is remembered.
fn signed(trusted: &Trusted, advance: Option<Advance>, out: &mut Out) -> Result<ExitCode, Failure> {
    for name in trusted.signed() {
        out.line(format!("signed by {name}"))?;
    }
    for cosigned in trusted.cosigned() {
        out.line(format!("cosigned by {cosigned}"))?;
    }
    match advance {
        Some(Advance::Same) => out.line("it is what was remembered")?,
        Some(Advance::Grown { from, .. }) => {
            out.line(format!("it continues the {from} records remembered"))?;
        }
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Holds a store against a checkpoint, after it was verified in itself.
fn store(args: &VerifyArgs, policy: &Policy, out: &mut Out) -> Result<ExitCode, Failure> {
    let remembered = recall(args.remember.as_deref(), policy)?;
    let given = match &args.checkpoint {
        Some(file) => Some(policy.accept(&read(file, NOTE_BYTES)?).map_err(Failure::new)?),
        None => None,
    };
    let trusted = given
        .clone()
        .or_else(|| remembered.as_ref().map(|last| last.last().clone()))
        .ok_or_else(|| {
            Failure::new("expected a checkpoint to hold the store against, found none")
                .help("`--checkpoint FILE`, or `--remember FILE` with one that was seen before")
        })?;
    let store = reader(&args.log)?;
    let sound = crate::verify::sound(&args.log, &store, out)?;
    if sound != ExitCode::SUCCESS {
        return Ok(sound);
    }
    let head = match against(&store, &trusted) {
        Ok(head) => head,
        Err(error) => return caught(&args.log, error, out),
    };
    let mut advance = None;
    if let Some(mut last) = remembered {
        let prefix = head_at(&store, last.size()).ok().map(|head| head.root);
        match last.advance_over(trusted.clone(), prefix.as_ref()) {
            Ok(step) => advance = Some(step),
            Err(finding) => return caught(&args.log, finding.into(), out),
        }
    }
    remember(args.remember.as_deref(), &trusted)?;
    let since = head.size - trusted.size();
    out.line(format!(
        "it has the {} records of `{}` that were signed for, and {since} more",
        trusted.size(),
        trusted.origin()
    ))?;
    signed(&trusted, advance, out)
}
