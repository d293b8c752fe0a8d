//! What a log of a hundred million records will cost, on paper: the slope between two sizes.
//!
//! ```text
//! cargo run --release --features redb --example hundred_million -- FOLDER 1000000 10000000
//! ```
//!
//! Makes one log in FOLDER (which must not have one), grows it from size to size, and at
//! each size measures, each in a process of its own: memory of appending, the file's size,
//! opening it when it was closed and when its process was killed with full journals, point
//! reads, verifying, a backup. The last table is the extrapolation to a hundred million. Ten
//! million records take some 7 GB with the backup; the folder's files are removed at the end.
//!
//! Records have a body of 256 bytes and no payload. A thousand streams are open at a time,
//! and each ends with a hundred records: a session and its routes.

use std::error::Error;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use prospera::id::Subsystem;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::{Pending, RedbStore};
use prospera::ssot::store::{Batch, Store as _};
use prospera::ssot::verify::verify;
use prospera::time::Timestamp;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Streams that go on in turns, and the records of each.
const OPEN: u64 = 1000;
const LONG: u64 = 100;
const BODY: usize = 256;
/// Point reads in one measurement.
const READS: u64 = 20_000;
const GOAL: u64 = 100_000_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((job, rest)) if job.starts_with("--") => child(job, rest),
        Some((folder, sizes)) if !sizes.is_empty() => {
            let sizes = sizes.iter().map(|size| size.parse());
            measure(Path::new(folder), &sizes.collect::<std::result::Result<Vec<u64>, _>>()?)
        }
        _ => Err("expected a folder and sizes, such as: /tmp/big 1000000 10000000".into()),
    }
}

/// The figures of one job, as it printed them: names and numbers.
type Figures = Vec<(String, u64)>;

fn measure(folder: &Path, sizes: &[u64]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join("hundred_million.redb");
    let mut all: Vec<(u64, Figures)> = Vec::new();
    for &size in sizes {
        let mut figures = Figures::new();
        let jobs = [
            "--grow",
            "--open",
            "--reads",
            "--verify",
            "--backup",
            "--killed",
            "--open-after-kill",
        ];
        for job in jobs {
            let found = run(job, &path, size)?;
            for (name, value) in &found {
                println!("{size:>12} {name:<44} {value:>14}");
            }
            figures.extend(found);
        }
        all.push((size, figures));
    }
    for end in ["", ".journal-0", ".journal-1", ".holder", ".copy"] {
        let _none = std::fs::remove_file(format!("{}{end}", path.display()));
    }
    extrapolate(&all);
    Ok(())
}

/// A line through the two largest sizes.
fn extrapolate(all: &[(u64, Figures)]) {
    let [.., (small, one), (large, two)] = all else { return };
    println!("\nat {GOAL} records, on the line through {small} and {large}:");
    // A sum lies on a line, what one record costs does not.
    let sums = |name: &str| !["per record", "median", "99 in"].iter().any(|of| name.contains(of));
    for ((name, low), (_, high)) in one.iter().zip(two).filter(|((name, _), _)| sums(name)) {
        let (low, high) = (i128::from(*low), i128::from(*high));
        let (small, large, goal) = (i128::from(*small), i128::from(*large), i128::from(GOAL));
        let at = low + (high - low) * (goal - small) / (large - small).max(1);
        println!("{name:<57} {at:>14}");
    }
}

fn run(job: &str, path: &Path, size: u64) -> Result<Figures> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([job.as_ref(), path.as_os_str(), size.to_string().as_ref()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = String::new();
    child.stdout.take().ok_or("no output")?.read_to_string(&mut out)?;
    let ended = child.wait()?;
    if !ended.success() && job != "--killed" {
        return Err(format!("{job} failed: {ended}").into());
    }
    let mut figures = Figures::new();
    for line in out.lines() {
        let (value, name) = line.split_once(' ').ok_or("a line without a name")?;
        figures.push((name.to_owned(), value.parse()?));
    }
    Ok(figures)
}

fn say(name: &str, value: u128) {
    println!("{value} {name}");
}

/// Processor time of this process so far, of all its threads, in ms: on a busy machine that
/// is what stays comparable.
fn processor() -> u128 {
    const MS_PER_TICK: u128 = 10;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u128>().ok());
    ticks.sum::<u128>().saturating_mul(MS_PER_TICK)
}

/// A line of `/proc/self/status`, in KiB.
fn memory(field: &str) -> u128 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn child(job: &str, rest: &[String]) -> Result<()> {
    let [path, size] = rest else { return Err("expected a path and a size".into()) };
    let (path, size) = (PathBuf::from(path), size.parse()?);
    let began = Instant::now();
    match job {
        "--grow" => grow(&path, size)?,
        "--open" => {
            let store = RedbStore::open_read_only(&path)?;
            say("open read-only, us", began.elapsed().as_micros());
            drop(store);
            let began = Instant::now();
            let store = RedbStore::open(&path)?;
            say("open for writing, us", began.elapsed().as_micros());
            say("memory when open, KiB", memory("VmRSS"));
            drop(store);
        }
        "--killed" => {
            // Both turns of the journal full, or nearly, and then gone without a word.
            let store = RedbStore::open(&path)?;
            let records = store.len()?;
            append(&store, records, records.saturating_add(150_000))?;
            std::process::abort();
        }
        "--open-after-kill" => {
            let store = RedbStore::open(&path)?;
            say("open after a kill, us", began.elapsed().as_micros());
            say("open after a kill, ms of processor", processor());
            say("memory of that at most, KiB", memory("VmHWM"));
            drop(store);
        }
        "--reads" => reads(&path)?,
        "--verify" => {
            let report = verify(&RedbStore::open_read_only(&path)?, |_| {})?;
            let (took, busy) = (began.elapsed().as_micros(), processor());
            let count = u128::from(report.records.max(1));
            say("verify, us", took);
            say("verify, ns per record", took.saturating_mul(1000) / count);
            say("verify, ns of processor per record", busy.saturating_mul(1_000_000) / count);
            say("memory of verify at most, KiB", memory("VmHWM"));
        }
        "--backup" => {
            let store = RedbStore::open_read_only(&path)?;
            let copy = PathBuf::from(format!("{}.copy", path.display()));
            let made = store.backup_to(&copy)?;
            say("backup, us", began.elapsed().as_micros());
            say("backup, ms of processor", processor());
            say("backup, bytes", made.bytes.into());
            say("memory of backup at most, KiB", memory("VmHWM"));
            std::fs::remove_file(copy)?;
        }
        other => return Err(format!("no job `{other}`").into()),
    }
    Ok(())
}

fn grow(path: &Path, size: u64) -> Result<()> {
    let store = RedbStore::create(path)?;
    let from = store.len()?;
    let began = Instant::now();
    append(&store, from, size)?;
    let took = began.elapsed().as_nanos();
    let count = u128::from(size.saturating_sub(from).max(1));
    say("append, ns per record", took / count);
    say("append, ns of processor per record", processor().saturating_mul(1_000_000) / count);
    let began = Instant::now();
    drop(store);
    say("close, us", began.elapsed().as_micros());
    say("memory of append at most, KiB", memory("VmHWM"));
    let bytes = std::fs::metadata(path)?.len();
    say("file, bytes", bytes.into());
    say("file, bytes per record", u128::from(bytes / size.max(1)));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let blocks = std::fs::metadata(path)?.blocks().saturating_mul(512);
        say("file, bytes of blocks per record", u128::from(blocks / size.max(1)));
    }
    Ok(())
}

/// The stream of the n-th record.
fn stream(number: u64) -> Result<StreamId> {
    let (era, place) = (number / (OPEN * LONG), number % OPEN);
    Ok(StreamId::new(StreamKind::Routing, format!("session-{era}-{place}").parse()?))
}

fn append(store: &RedbStore, from: u64, to: u64) -> Result<()> {
    const ON_THEIR_WAY: usize = 512;
    let mut heads = vec![Head::EMPTY; usize::try_from(OPEN)?];
    let mut pending: Vec<(u64, Pending)> = Vec::with_capacity(ON_THEIR_WAY);
    for number in from..to {
        let (id, place) = (stream(number)?, usize::try_from(number % OPEN)?);
        let head = heads.get_mut(place).ok_or("no such place")?;
        if number < from.saturating_add(OPEN) || number % (OPEN * LONG) < OPEN {
            *head = store.head(&id)?;
        }
        let mut body = number.to_le_bytes().to_vec();
        body.resize(BODY, 0x5a);
        let draft = Draft::new(id.clone(), RecordKind::Outcome, Subsystem::Execution, body);
        let batch = Batch::new(Timestamp::from_millis(number)).expect(id, *head).append(draft);
        pending.push((number, store.submit(batch)));
        // A stream comes again after a thousand others: its head is known by then.
        if pending.len() == ON_THEIR_WAY || number.saturating_add(1) == to {
            for (number, pending) in pending.drain(..) {
                let committed = pending.wait()?;
                let record = committed.records.first().ok_or("no record")?;
                let place = usize::try_from(number % OPEN)?;
                *heads.get_mut(place).ok_or("no such place")? = record.head();
            }
        }
    }
    Ok(())
}

fn reads(path: &Path) -> Result<()> {
    let store = RedbStore::open_read_only(path)?;
    let records = store.len()?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut times = Vec::new();
    for _ in 0..READS {
        let index = next() % records.max(1);
        let began = Instant::now();
        let found = store.read(index, 1)?;
        times.push(began.elapsed().as_nanos());
        if found.len() != 1 {
            return Err(format!("record {index} is missing").into());
        }
    }
    tell("read by index", &mut times);
    for _ in 0..READS {
        let id = stream(next() % records.max(1))?;
        let began = Instant::now();
        let head = store.head(&id)?;
        let found = store.read_stream(&id, head.length().saturating_sub(1), 1)?;
        times.push(began.elapsed().as_nanos());
        if found.first().map(|stored| stored.digest) != Some(head.digest()) {
            return Err(format!("`{id}` does not end as its head says").into());
        }
    }
    tell("head and last record of a stream", &mut times);
    say("memory of reading at most, KiB", memory("VmHWM"));
    Ok(())
}

fn tell(what: &str, times: &mut Vec<u128>) {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(0);
    say(&format!("{what}, median, ns"), at(50));
    say(&format!("{what}, 99 in 100, ns"), at(99));
    times.clear();
}
