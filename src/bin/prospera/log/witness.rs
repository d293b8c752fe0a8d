//! `prospera log witness`: cosigns what continues what was cosigned before.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use prospera::limits::WITNESS_REQUEST_BYTES;
use prospera::ssot::checkpoint::{AddCheckpoint, Origin, Refusal, Seen, Witness, WitnessState};

use super::{at, read, replace, signers, verifier};
use crate::failure::Failure;
use crate::out::Out;

#[derive(Debug, Args)]
pub(crate) struct WitnessArgs {
    /// The request, as `prospera log consistency` prints it; `-` for standard input.
    #[arg(default_value = "-")]
    request: PathBuf,
    /// The witness's secret key.
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// The public key of a log to cosign for.
    #[arg(long = "log", value_name = "VKEY", required = true)]
    logs: Vec<String>,
    /// Where the witness keeps what it cosigned last: SIZE ROOT ORIGIN, a line for each log.
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// Cosigns at this time: milliseconds since 1970.
    #[arg(long, value_name = "MS")]
    now: Option<u64>,
}

pub(super) fn run(args: &WitnessArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let keys = signers(&args.keys)?;
    let logs = args.logs.iter().map(|log| verifier(log)).collect::<Result<_, _>>()?;
    let bytes = if args.request == Path::new("-") {
        let mut bytes = Vec::new();
        let most = WITNESS_REQUEST_BYTES as u64 + 1;
        std::io::stdin()
            .lock()
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
        bytes
    } else {
        read(&args.request, WITNESS_REQUEST_BYTES)?
    };
    let request = AddCheckpoint::parse(&bytes)
        .map_err(|error| Failure::new(format!("the request cannot be read: {error}")))?;
    let mut state = StateFile::lock(&args.state)?;
    match Witness::new(keys, logs).add_checkpoint(&mut state, &request, at(args.now)) {
        Ok(cosignatures) => {
            for cosignature in cosignatures {
                out.line(cosignature)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(Refusal::State(failure)) => Err(failure),
        Err(refusal) => {
            let status = refusal.status();
            out.line(format!("refused ({status}): {refusal}"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What was seen, in a file that nobody else writes meanwhile.
struct StateFile {
    path: PathBuf,
    /// Locked until it is dropped.
    _lock: File,
}

impl StateFile {
    fn lock(path: &Path) -> Result<Self, Failure> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let beside = PathBuf::from(beside);
        let locked = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&beside)
            .and_then(|file| file.lock().map(|()| file));
        let lock = locked.map_err(|error| {
            Failure::new(format!("`{}` cannot be locked: {error}", beside.display()))
        })?;
        Ok(Self { path: path.to_path_buf(), _lock: lock })
    }

    fn all(&self) -> Result<Vec<(Origin, Seen)>, Failure> {
        let Some(bytes) = super::read_if_there(&self.path, 1 << 20)? else { return Ok(Vec::new()) };
        let place = self.path.display();
        let wrong = |line: usize| {
            Failure::new(format!("`{place}`, line {line}: expected `SIZE ROOT ORIGIN`"))
                .help("a witness that forgot what it saw cosigns anything: restore it")
        };
        let text = String::from_utf8(bytes).map_err(|_| wrong(1))?;
        let read = |line: &str| {
            let (size, rest) = line.split_once(' ')?;
            let (root, origin) = rest.split_once(' ')?;
            let seen = Seen { size: size.parse().ok()?, root: root.parse().ok()? };
            Some((origin.parse().ok()?, seen))
        };
        let lines = text.lines().zip(1..);
        lines.map(|(line, number)| read(line).ok_or_else(|| wrong(number))).collect()
    }
}

impl WitnessState for StateFile {
    type Error = Failure;

    fn latest(&self, origin: &Origin) -> Result<Option<Seen>, Failure> {
        Ok(self.all()?.into_iter().find(|(known, _)| known == origin).map(|(_, seen)| seen))
    }

    fn replace(
        &mut self,
        origin: &Origin,
        before: Option<Seen>,
        new: Seen,
    ) -> Result<bool, Failure> {
        let mut all = self.all()?;
        let place = all.iter().position(|(known, _)| known == origin);
        let found = place.and_then(|place| all.get_mut(place));
        if found.as_ref().map(|(_, seen)| *seen) != before {
            return Ok(false);
        }
        match found {
            Some((_, seen)) => *seen = new,
            None => all.push((origin.clone(), new)),
        }
        let line =
            |(origin, seen): &(Origin, Seen)| format!("{} {} {origin}\n", seen.size, seen.root);
        replace(&self.path, all.iter().map(line).collect::<String>().as_bytes())?;
        Ok(true)
    }
}
