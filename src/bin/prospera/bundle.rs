//! `prospera bundle`: the evidence of one route as one file.

use std::path::Path;
use std::process::ExitCode;

use prospera::bundle::{Bundle, GatherError, routes_of};
use prospera::digest::Digest;
use prospera::intent::RoutingId;
use prospera::ssot::checkpoint::{Checkpoint, Origin};
use prospera::ssot::note::{Note, Signer};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::Store as _;
use prospera::time::{Clock as _, SystemClock};
use zeroize::Zeroizing;

use crate::args::BundleArgs;
use crate::failure::Failure;
use crate::out::{Out, bytes, note};
use crate::records::find_route;
use crate::store::reader;

pub(crate) mod page;
pub(crate) mod verify;

pub(crate) fn run(args: &BundleArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = reader(&args.store)?;
    let index = index_of(&store, &args.route)?;
    let checkpoint = checkpoint(args, &store)?;
    let mut bundle = Bundle::gather(&store, index, &checkpoint).map_err(failure)?;
    let secrets = if args.with_secrets { 0 } else { bundle.withhold_secrets() };
    if secrets > 0 {
        note(format!("note: {secrets} secret values are withheld; `--with-secrets` shows them"));
    }
    for path in &args.withhold {
        bundle.withhold(path).map_err(|error| {
            Failure::new(error)
                .help("the path of a field is shown by `prospera verify bundle`: `intent/arguments/NAME/value`")
        })?;
    }
    let written = if args.binary {
        bundle.to_bytes()
    } else {
        let mut text = serde_json::to_vec_pretty(&bundle.to_json())
            .map_err(|error| Failure::new(format!("the bundle cannot be written: {error}")))?;
        text.push(b'\n');
        text
    };
    let Some(place) = &args.out else {
        out.bytes(&written)?;
        return Ok(ExitCode::SUCCESS);
    };
    write(place, &written)?;
    out.line(format!(
        "{}: route {}, {} records, {}",
        place.display(),
        bundle.route().short(),
        bundle.records().len(),
        bytes(written.len() as u64)
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn write(place: &Path, written: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| {
        Failure::new(format!("`{}` cannot be written: {error}", place.display()))
    };
    let file = std::fs::File::create_new(place);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::new(format!("`{}` exists, nothing is overwritten", place.display()))
        }
        _ => failed(error),
    })?;
    file.write_all(written).and_then(|()| file.sync_all()).map_err(failed)
}

/// A Routing ID in full, or whatever `show` takes.
fn index_of(store: &RedbStore, wanted: &str) -> Result<u64, Failure> {
    if let Ok(digest) = wanted.parse::<Digest>() {
        let routes = routes_of(store, RoutingId::from_digest(digest)).map_err(failure)?;
        match routes.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            several => {
                let listed: Vec<String> = several.iter().map(ToString::to_string).collect();
                let message = format!(
                    "Routing ID `{wanted}` has {} routes, at index {}",
                    several.len(),
                    listed.join(", ")
                );
                return Err(Failure::new(message).help("name one of them by its index"));
            }
        }
    }
    Ok(find_route(store, wanted)?.record.index())
}

/// The checkpoint that was given, or one of the whole log, signed with the key.
fn checkpoint(args: &BundleArgs, store: &RedbStore) -> Result<Note, Failure> {
    if let Some(file) = &args.checkpoint {
        let text = read(file)?;
        return Note::parse(&text).map_err(|error| {
            Failure::new(format!("`{}` is no checkpoint: {error}", file.display()))
        });
    }
    let Some(file) = &args.key else {
        return Err(Failure::new("expected `--key FILE` or `--checkpoint FILE`")
            .help("a bundle is proven under a signed checkpoint of the log"));
    };
    let text = Zeroizing::new(read(file)?);
    let text = str::from_utf8(&text).unwrap_or_default().trim();
    let signer = Signer::parse(text).map_err(|error| {
        Failure::new(format!("`{}` is no signing key: {error}", file.display()))
    })?;
    let origin = args.origin.as_deref().unwrap_or(signer.name().as_str());
    let origin = Origin::new(origin).map_err(Failure::new)?;
    let head = store.tree_head()?;
    let note = Checkpoint::new(origin, head.size, head.root).sign(&[&signer], SystemClock.now());
    note.map_err(|error| Failure::new(format!("the checkpoint cannot be signed: {error}")))
}

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| {
        Failure::new(format!("`{}` cannot be read: {error}", file.display()))
    };
    let most = prospera::limits::BUNDLE_BYTES as u64;
    let mut out = Vec::new();
    let file = std::fs::File::open(file).map_err(failed)?;
    file.take(most.saturating_add(1)).read_to_end(&mut out).map_err(failed)?;
    Ok(out)
}

fn failure(error: GatherError) -> Failure {
    let help = match &error {
        GatherError::Older { .. } => Some("sign a newer checkpoint: `--key FILE` does"),
        GatherError::Payload(_) => Some("`prospera verify` names the first record affected"),
        _ => None,
    };
    let failure = Failure::new(error);
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}
