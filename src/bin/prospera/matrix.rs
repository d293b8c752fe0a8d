//! `prospera matrix`: every stream by every check.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use prospera::limits::MATRIX_STATE_BYTES;
use prospera::policy::kept_version;
use prospera::routing::audit::Auditor;
use prospera::routing::replay::{Pinned, Replay, Tally};
use prospera::ssot::matrix::{
    Checkpoint, Inspector, Made, Options, PageOptions, State, TableOptions,
};
use prospera::time::Clock as _;

use crate::failure::Failure;
use crate::out::{Out, progress};
use crate::store::{CliClock, reader};

/// The program that makes the matrix.
const MADE_BY: &str = concat!("prospera ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, Args)]
#[command(after_help = "Example: prospera matrix out/prospera.redb --state out/matrix.state \
                        --html out/matrix.html")]
pub(crate) struct MatrixArgs {
    /// The store's file.
    store: PathBuf,
    /// What an earlier check remembered: then only what is new is read. Written again
    /// afterwards. A file that does not exist is begun.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Also writes the whole matrix as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also writes it as one HTML page, with a heat map.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Also writes its canonical bytes: what can be recorded or signed.
    #[arg(long, value_name = "FILE")]
    canonical: Option<PathBuf>,
    /// Also derives every record again, as `prospera replay` does, from the policies that the
    /// log keeps. Always reads the whole log.
    #[arg(long)]
    replay: bool,
    /// Holds the log against a tree head that was remembered elsewhere.
    #[arg(long, value_name = "SIZE:ROOT", value_parser = checkpoint)]
    checkpoint: Option<Checkpoint>,
    /// Checks at most so many new records; 0 shows what is remembered.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Lists so many streams of each kind; those that are not sound come first.
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Says that it was made at this time: milliseconds since 1970.
    #[arg(long, value_name = "MS")]
    now: Option<u64>,
}

fn checkpoint(text: &str) -> Result<Checkpoint, String> {
    let (size, root) = text.split_once(':').ok_or("expected a size, a colon and a root")?;
    let size = size.parse().map_err(|error| format!("the size: {error}"))?;
    let root = root.parse().map_err(|error| format!("the root: {error}"))?;
    Ok(Checkpoint { size, root })
}

pub(crate) fn run(args: &MatrixArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = reader(&args.store)?;
    let mut inspector = match &args.state {
        Some(path) => remembered(path)?,
        None => Inspector::new(Auditor::new()),
    };
    let options = Options { limit: args.limit, checkpoint: args.checkpoint };
    let bar = progress(Some(0), "checking");
    let run = inspector.run(&store, &options, |step| {
        bar.set_length(step.total);
        bar.set_position(step.verified);
    });
    bar.finish_and_clear();
    let run = run?;
    let made = Made { at: CliClock::at(args.now).now(), by: MADE_BY.into() };
    let mut matrix = inspector.matrix(&store, made)?;
    let derived = if args.replay {
        let replay = Replay::new(&store, |pinned: &Pinned| kept_version(&store, pinned));
        let report = replay.run(|_| {})?;
        report.lay_over(&store, &mut matrix)?;
        Some(report)
    } else {
        None
    };
    if let Some(path) = &args.state {
        write(path, &inspector.save())?;
    }
    if let Some(path) = &args.json {
        let mut text = serde_json::to_vec_pretty(&matrix).map_err(Failure::new)?;
        text.push(b'\n');
        write(path, &text)?;
    }
    let name = args.store.file_name().unwrap_or(args.store.as_os_str()).to_string_lossy();
    if let Some(path) = &args.html {
        let mut page = PageOptions { title: &name, ..PageOptions::default() };
        page.rows = args.rows.unwrap_or(page.rows);
        write(path, matrix.html(&page).as_bytes())?;
    }
    if let Some(path) = &args.canonical {
        write(path, &prospera::encode::Encode::to_canonical(&matrix))?;
    }
    let mut table = TableOptions { colour: colour(), ..TableOptions::default() };
    table.rows = args.rows.unwrap_or(table.rows);
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    table.width = columns.unwrap_or(table.width);
    out.bytes(matrix.table(&table).as_bytes())?;
    if args.state.is_some() {
        let (new, before) = (run.to.saturating_sub(run.from), run.from);
        let how = if run.continued {
            format!("{new} new records checked, {before} were before; {} read", run.read)
        } else {
            format!("not the log that was checked before: all {} records checked again", run.to)
        };
        out.line(how)?;
    }
    if let Some(report) = derived {
        let Tally { same, differ, not_replayable: not } = report.all();
        let total = report.all().total();
        let said = format!("{same} the same, {differ} differ, {not} not replayable");
        out.line(format!("{total} records derived again: {said}"))?;
    }
    let unsound = matrix.verdict() == State::Unsound;
    Ok(if unsound { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Colours on a terminal, where nobody has asked for none (no-color.org).
fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

fn remembered(path: &Path) -> Result<Inspector<Auditor>, Failure> {
    let place = path.display();
    let length = match std::fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Inspector::new(Auditor::new()));
        }
        Err(error) => return Err(Failure::new(format!("`{place}` cannot be read: {error}"))),
    };
    let anew = "remove the file to check from the start, or name another";
    if length > MATRIX_STATE_BYTES as u64 {
        let found =
            format!("`{place}`: expected at most {MATRIX_STATE_BYTES} bytes, found {length}");
        return Err(Failure::new(found).help(anew));
    }
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::new(format!("`{place}` cannot be read: {error}")))?;
    Inspector::restore(Auditor::new(), &bytes)
        .map_err(|error| Failure::new(format!("`{place}`: {error}")).help(anew))
}

/// Writes a file whole: beside it first, so that a reader never sees half of it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| Failure::new(format!("`{}` cannot be written: {error}", path.display())))
}
