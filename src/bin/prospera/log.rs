//! `prospera log`: keys, checkpoints, tiles, witnesses, proofs.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use prospera::limits::{KEY_BYTES, NOTE_BYTES, POLICY_BYTES};
use prospera::ssot::checkpoint::{Policy, Remembered, Trusted};
use prospera::ssot::note::{Signer, Verifier};
use prospera::ssot::tiles::TilesError;
use prospera::time::{Clock as _, SystemClock, Timestamp};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::out::Out;

mod key;
mod prove;
mod publish;
mod verify;
mod witness;

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Makes a pair of keys: `prospera log key office.key --name example.com/office`.
    ///
    /// FILE is the secret one, readable by its owner alone; FILE.pub the public one.
    Key(key::KeyArgs),
    /// Signs what the log has now, and prints the checkpoint:
    /// `prospera log checkpoint STORE --key office.key`.
    Checkpoint(publish::CheckpointArgs),
    /// Publishes the log as files that any web server can serve, or what it grew by:
    /// `prospera log export STORE --tiles DIR --key office.key`.
    Export(publish::ExportArgs),
    /// Verifies a published log and makes a store of it:
    /// `prospera log import DIR STORE --key office.key.pub`.
    Import(publish::ImportArgs),
    /// Verifies a published log, or a store against a checkpoint:
    /// `prospera log verify DIR --key office.key.pub --remember seen`.
    ///
    /// Exits with 1 and says what the log was caught at.
    Verify(verify::VerifyArgs),
    /// Cosigns a checkpoint that continues what was cosigned before:
    /// `prospera log witness request --key w.key --log office.key.pub --state seen`.
    Witness(witness::WitnessArgs),
    /// Prints the proof that a record is in the log:
    /// `prospera log prove DIR 17`.
    Prove(prove::ProveArgs),
    /// Prints the proof that the log continues an earlier size of it, as a request to a
    /// witness: `prospera log consistency DIR 12`.
    Consistency(prove::ConsistencyArgs),
}

/// Whose word is taken for a checkpoint.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The log's public key: its text, or a file with it.
    #[arg(long, value_name = "VKEY", required_unless_present = "witnesses")]
    key: Option<String>,
    /// A file that says which witnesses must have cosigned (C2SP tlog-policy).
    #[arg(long, value_name = "POLICY")]
    witnesses: Option<PathBuf>,
}

impl TrustArgs {
    fn policy(&self) -> Result<Policy, Failure> {
        let key = self.key.as_deref().map(verifier).transpose()?;
        let Some(file) = &self.witnesses else {
            return key.map(Policy::of_log).ok_or_else(|| Failure::new("expected `--key VKEY`"));
        };
        let bytes = read(file, POLICY_BYTES)?;
        let parse = |bytes: &[u8]| {
            let place = file.display();
            Policy::parse(bytes).map_err(|error| Failure::new(format!("{place}: {error}")))
        };
        let policy = parse(&bytes)?;
        match key {
            // Behind the rest, so that lines keep their numbers.
            Some(key) if policy.logs().all(|log| *log != key) => {
                parse(&[&bytes, format!("\nlog {key}\n").as_bytes()].concat())
            }
            _ => Ok(policy),
        }
    }
}

impl LogCommand {
    pub(crate) fn run(&self, out: &mut Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Key(args) => key::run(args, out),
            Self::Checkpoint(args) => publish::checkpoint(args, out),
            Self::Export(args) => publish::export(args, out),
            Self::Import(args) => publish::import_to(args, out),
            Self::Verify(args) => verify::run(args, out),
            Self::Witness(args) => witness::run(args, out),
            Self::Prove(args) => prove::prove(args, out),
            Self::Consistency(args) => prove::consistency(args, out),
        }
    }
}

/// The time to sign with.
fn at(now: Option<u64>) -> Timestamp {
    now.map_or_else(|| SystemClock.now(), Timestamp::from_millis)
}

/// A whole file of at most so many bytes.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    read_if_there(path, most)?
        .ok_or_else(|| Failure::new(format!("expected a file at `{}`, found none", path.display())))
}

fn read_if_there(path: &Path, most: usize) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |error| Failure::new(format!("`{}` cannot be read: {error}", path.display()));
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > most {
        let place = path.display();
        return Err(Failure::new(format!("`{place}`: expected at most {most} bytes, found more")));
    }
    Ok(Some(bytes))
}

/// Replaces a file in one step.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    written
        .map_err(|error| Failure::new(format!("`{}` cannot be written: {error}", path.display())))
}

/// A public key from its text, or from a file.
fn verifier(text: &str) -> Result<Verifier, Failure> {
    let from_file;
    let text = if text.contains('+') {
        text
    } else {
        let bytes = read(Path::new(text), KEY_BYTES)?;
        from_file = String::from_utf8(bytes)
            .map_err(|_| Failure::new(format!("`{text}`: expected a public key, found no text")))?;
        from_file.trim()
    };
    text.parse().map_err(|error| Failure::new(format!("the public key cannot be used: {error}")))
}

/// A secret key from its file. What was read is wiped.
fn signer(path: &Path) -> Result<Signer, Failure> {
    let place = path.display();
    let refused = |why: String| {
        Failure::new(format!("the key `{place}` cannot be used: {why}"))
            .help("`prospera log key FILE --name NAME` makes one")
    };
    let mut buffer = Zeroizing::new([0; KEY_BYTES]);
    let mut file = fs::File::open(path).map_err(|error| refused(error.to_string()))?;
    let mut length = 0;
    while let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room).map_err(|error| refused(error.to_string()))? {
            0 => break,
            more => length += more,
        }
    }
    let text = buffer.get(..length).and_then(|bytes| str::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| refused("expected the text of a key".to_owned()))?;
    Signer::parse(text.trim()).map_err(|error| refused(error.to_string()))
}

fn signers(paths: &[PathBuf]) -> Result<Vec<Signer>, Failure> {
    paths.iter().map(|path| signer(path)).collect()
}

/// Writes a new file; one that is there is not overwritten.
fn create(path: &Path, text: &str, secret: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    written
        .map_err(|error| Failure::new(format!("`{}` cannot be written: {error}", path.display())))
}

/// What was remembered in a file; nothing when there is none yet.
fn recall(path: Option<&Path>, policy: &Policy) -> Result<Option<Remembered>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let Some(bytes) = read_if_there(path, NOTE_BYTES)? else { return Ok(None) };
    let loaded = Remembered::load(&bytes, policy);
    let place = path.display();
    loaded.map(Some).map_err(|error| {
        Failure::new(format!("what `{place}` remembers is not believed: {error}"))
            .help("it must be a checkpoint that the same keys signed")
    })
}

/// Remembers a checkpoint that continues what was remembered.
fn remember(path: Option<&Path>, trusted: &Trusted) -> Result<(), Failure> {
    match path {
        Some(path) => replace(path, trusted.note().to_string().as_bytes()),
        None => Ok(()),
    }
}

/// Says what a log was caught at; any other error is a failure.
fn caught(place: &Path, error: TilesError, out: &mut Out) -> Result<ExitCode, Failure> {
    match error {
        TilesError::Finding(finding) => {
            out.line(format!("{}: NOT sound", place.display()))?;
            out.line(format!("{}: {finding}", finding.kind()))?;
            Ok(ExitCode::FAILURE)
        }
        other => Err(Failure::new(other)),
    }
}
