//! The soak itself: threads that route ([`crate::worker`]), logs that are verified at the
//! end and compared with what the modules did, and memory that must stay flat.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prospera::digest::Digest;
use prospera::intent::Catalogue;
use prospera::routing::{Outcome, OutcomeStatus, Router};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Record, RecordKind};
use prospera::ssot::redb::{Options, RedbStore};
use prospera::ssot::store::Store;
use prospera::ssot::verify::verify;
use prospera::testing::world::{BEGIN, DefaultEngines, SharedClock};

pub(crate) use prospera::testing::world::Failure;

use crate::hostile::Hostile;
use crate::worker::Worker;
use crate::world::{Tally, parts};

/// How much the clock moves with each route.
const STEP_MILLIS: u64 = 5;
/// How many samples of memory are taken; the first three are warm-up.
const SAMPLES: u64 = 10;
const WARM: usize = 3;
/// What memory may grow by after warm-up, in KiB, beside a tenth of it.
const SLACK_KIB: u64 = 16 << 10;
/// How much memory the store may use for pages.
const CACHE: usize = 32 << 20;

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) routes: u64,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    pub(crate) place: Place,
}

/// Where the log is kept.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A durable store, made new in this folder.
    Folder(PathBuf),
    /// In memory; a log is verified and dropped after this many routes.
    Memory { chapter: u64 },
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) routes: u64,
    pub(crate) hostile: u64,
    pub(crate) honest: u64,
    pub(crate) executed: u64,
    pub(crate) at_the_door: u64,
    pub(crate) verdicts: [u64; 5],
    pub(crate) ways: Vec<(Hostile, u64)>,
    pub(crate) sessions: u64,
    pub(crate) records: u64,
    pub(crate) seconds: u64,
    pub(crate) log_bytes: u64,
    /// Peak memory at each sample, in KiB.
    pub(crate) peaks: Vec<u64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [allow, modify, step_up, defer, deny] = self.verdicts;
        writeln!(
            f,
            "{} routes ({} honest, {} hostile) in {} sessions: {allow} allowed, {modify} modified, {step_up} \
             stepped up, {defer} deferred, {deny} denied; {} turned away at the door",
            self.routes, self.honest, self.hostile, self.sessions, self.at_the_door,
        )?;
        let ways: Vec<_> = self.ways.iter().map(|(way, n)| format!("{way:?} {n}")).collect();
        writeln!(f, "hostile: {}", ways.join(", "))?;
        writeln!(f, "{} executed, each with evidence and outcome, none twice", self.executed)?;
        writeln!(f, "{} records verified, {} bytes on disk", self.records, self.log_bytes)?;
        let rate = self.routes / self.seconds.max(1);
        write!(f, "{} s, {rate} routes/s; peak memory in KiB: {:?}", self.seconds, self.peaks)
    }
}

/// What all threads count.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) routes: AtomicU64,
    pub(crate) hostile: AtomicU64,
    pub(crate) honest: AtomicU64,
    pub(crate) executed: AtomicU64,
    pub(crate) at_the_door: AtomicU64,
    pub(crate) sessions: AtomicU64,
    pub(crate) verdicts: [AtomicU64; 5],
    pub(crate) ways: [AtomicU64; Hostile::ALL.len()],
    /// The sum of all keys that were executed, in four lanes.
    pub(crate) keys: [AtomicU64; 4],
}

pub(crate) fn add(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A digest as four numbers: their sums tell two multisets of digests apart.
pub(crate) fn lanes(key: &Digest) -> [u64; 4] {
    let mut out = [0; 4];
    for (lane, bytes) in out.iter_mut().zip(key.as_bytes().as_chunks::<8>().0) {
        *lane = u64::from_le_bytes(*bytes);
    }
    out
}

/// Everything threads share.
pub(crate) struct Ground<'a, S> {
    pub(crate) router: Router<DefaultEngines, S, SharedClock>,
    pub(crate) catalogue: Catalogue,
    pub(crate) tally: Arc<Tally>,
    pub(crate) clock: SharedClock,
    pub(crate) totals: &'a Totals,
    /// How many routes are left.
    pub(crate) left: AtomicU64,
    pub(crate) over: AtomicBool,
    /// What tells this log's sessions from another's.
    pub(crate) chapter: u64,
}

impl<S> Ground<'_, S> {
    /// Takes one route from those that are left.
    pub(crate) fn may_route(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        if taken {
            self.totals.routes.fetch_add(1, Ordering::Relaxed);
            self.clock.advance_millis(STEP_MILLIS);
        }
        taken && !self.over.load(Ordering::Relaxed)
    }
}

/// Runs the plan.
///
/// # Errors
/// The first thing that is not as it must be.
pub(crate) fn soak(plan: &Plan, say: impl Fn(String) + Sync) -> Result<Report, Failure> {
    let (totals, begun) = (Totals::default(), Instant::now());
    let mut report = Report::default();
    match &plan.place {
        Place::Folder(folder) => {
            std::fs::create_dir_all(folder)?;
            let path = folder.join("soak.redb");
            if path.exists() {
                std::fs::remove_file(&path)?;
            }
            let options = Options::new().cache_bytes(CACHE);
            let store = RedbStore::create_with(&path, &options)?;
            chapter(plan, &totals, store, 0, plan.routes, &mut report, (&begun, &say))?;
            report.log_bytes = std::fs::metadata(&path)?.len();
        }
        Place::Memory { chapter: length } => {
            let (mut left, mut number) = (plan.routes, 0);
            while left > 0 {
                let routes = left.min(*length);
                let store = MemoryStore::new();
                chapter(plan, &totals, store, number, routes, &mut report, (&begun, &say))?;
                (left, number) = (left - routes, number + 1);
            }
        }
    }
    let seconds = begun.elapsed().as_secs();
    let ways = Hostile::ALL.into_iter().zip(totals.ways.iter().map(get)).collect();
    let report = Report {
        routes: get(&totals.routes),
        hostile: get(&totals.hostile),
        honest: get(&totals.honest),
        executed: get(&totals.executed),
        at_the_door: get(&totals.at_the_door),
        verdicts: totals.verdicts.each_ref().map(get),
        ways,
        sessions: get(&totals.sessions),
        seconds,
        ..report
    };
    flat(&report.peaks)?;
    Ok(report)
}

/// Memory does not grow after warm-up.
fn flat(peaks: &[u64]) -> Result<(), Failure> {
    let (Some(warm), Some(last)) = (peaks.get(WARM - 1), peaks.last()) else { return Ok(()) };
    let bound = warm + warm / 10 + SLACK_KIB;
    if *last > bound {
        return Err(format!("memory grew from {warm} KiB to {last} KiB: {peaks:?}").into());
    }
    Ok(())
}

/// One log: routed by all threads, then compared and verified.
fn chapter<S: Store + Sync>(
    plan: &Plan,
    totals: &Totals,
    store: S,
    number: u64,
    routes: u64,
    report: &mut Report,
    (begun, say): (&Instant, &(impl Fn(String) + Sync)),
) -> Result<(), Failure> {
    let (engines, rules, catalogue, tally) = parts()?;
    let clock = SharedClock::new(BEGIN);
    let ground = Ground {
        router: Router::new(engines, rules, store, clock.clone(), "operator".parse()?)?,
        catalogue,
        tally,
        clock,
        totals,
        left: AtomicU64::new(routes),
        over: AtomicBool::new(false),
        chapter: number,
    };
    let before = (get(&totals.executed), totals.keys.each_ref().map(get));
    let mut failed = None;
    std::thread::scope(|scope| {
        let ground = &ground;
        let working: Vec<_> = (0..plan.threads)
            .map(|worker| {
                let seed = plan.seed.wrapping_add((worker as u64) << 32).wrapping_add(number);
                scope.spawn(move || {
                    let done = Worker::new(ground, worker, seed).work();
                    if done.is_err() {
                        ground.over.store(true, Ordering::Relaxed);
                    }
                    done
                })
            })
            .collect();
        let step = (plan.routes / SAMPLES).max(1);
        while !working.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(20));
            sample(get(&totals.routes) / step, begun, report, say);
        }
        for thread in working {
            if let Err(error) = thread.join().unwrap_or(Err("a thread panicked".into())) {
                failed.get_or_insert(error);
            }
        }
        sample(get(&totals.routes) / step, begun, report, say);
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let keys = totals.keys.each_ref().map(get);
    report.records += whole(ground.router.store(), |executed, sums| {
        let counted = get(&totals.executed) - before.0;
        let lanes = before.1.iter().zip(keys).map(|(b, now)| now.wrapping_sub(*b));
        executed == counted && lanes.eq(sums)
    })?;
    Ok(())
}

/// Notes memory where a tenth of the routes is done.
fn sample(due: u64, begun: &Instant, report: &mut Report, say: &impl Fn(String)) {
    if (report.peaks.len() as u64) < due.min(SAMPLES)
        && let (Some(peak), Some(now)) = (memory("VmHWM:"), memory("VmRSS:"))
    {
        report.peaks.push(peak);
        let (tenth, seconds) = (report.peaks.len(), begun.elapsed().as_secs());
        say(format!("{tenth}/{SAMPLES} after {seconds} s: {now} KiB resident, peak {peak} KiB"));
    }
}

/// A number of KiB from what Linux says of this process.
fn memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Verifies a whole log and adds up what it says was executed.
fn whole<S: Store>(store: &S, agrees: impl FnOnce(u64, [u64; 4]) -> bool) -> Result<u64, Failure> {
    let report = verify(store, |_| {})?;
    let (mut index, mut executed, mut sums) = (0, 0, [0_u64; 4]);
    loop {
        let piece = store.read(index, 4096)?;
        if piece.is_empty() {
            break;
        }
        index += piece.len() as u64;
        for stored in &piece {
            let record = Record::decode_sealed(&stored.bytes)?;
            if record.kind() == RecordKind::Outcome {
                let outcome: Outcome = record.read()?;
                if outcome.status == OutcomeStatus::Done {
                    executed += 1;
                    for (sum, lane) in sums.iter_mut().zip(lanes(&outcome.evidence)) {
                        *sum = sum.wrapping_add(lane);
                    }
                }
            }
        }
    }
    if !agrees(executed, sums) {
        return Err("the log and the modules do not agree on what was executed".into());
    }
    Ok(report.records)
}
