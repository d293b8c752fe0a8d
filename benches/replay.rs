//! What replaying a log costs beside routing it: `cargo bench --bench replay` (add
//! `--features redb` for the memory it takes, on logs of two lengths in files).
//!
//! In each round the same requests are made into intents and routed in memory, and the log
//! they leave is replayed on one thread and on all; the least time of each over all rounds
//! is printed, for each route, and the speed as a multiple of routing. Where the machine
//! has other work, the time on the processor says more than the clock: it is summed over
//! all rounds. Nothing here asserts a time.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use prospera::routing::replay::{Pinned, Replay, Version, VersionError};
use prospera::ssot::memory::MemoryStore;
use prospera::testing::world::{DefaultEngines, World};

use common::routes::{Routes, request_of};

mod common;

const SUBJECTS: u64 = 8;
const ROUNDS: u32 = 7;

#[expect(clippy::unnecessary_wraps, reason = "what a replay asks for")]
fn version(_: &Pinned) -> Result<Version<DefaultEngines>, VersionError> {
    Ok(Routes::setup().version().unwrap())
}

/// Routes so many requests of each subject, in turns. What is timed is from the request on;
/// and, beside it, from the finished intent on.
fn route(each: u64) -> (World, Duration, Duration, u64) {
    let world = Routes::setup().build().unwrap();
    let names: Vec<_> = (0..SUBJECTS).map(|n| (format!("person-{n}"), format!("s-{n}"))).collect();
    let mut desks: Vec<_> =
        names.iter().map(|(subject, session)| world.open(subject, session).unwrap()).collect();
    let mut requests: Vec<_> = (0..each)
        .rev()
        .flat_map(|number| names.iter().rev().map(move |(a, b)| request_of(a, b, number)))
        .collect();
    let (mut whole, mut ready) = (Duration::ZERO, Duration::ZERO);
    let before = on_processor();
    for _ in 0..each {
        for desk in &mut desks {
            let request = requests.pop().unwrap();
            let begin = Instant::now();
            let intent = world.catalogue.intent(request).unwrap();
            let made = Instant::now();
            let routed = world.router.route(desk, intent.into()).unwrap();
            let end = Instant::now();
            assert!(routed.evidence.opens_route());
            whole += end - begin;
            ready += end - made;
        }
    }
    let spent = on_processor() - before;
    (world, whole, ready, spent)
}

/// Hundredths of a second that this process was on a processor, all of its threads, those
/// that ended too; 0 where the system does not say.
fn on_processor() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn replay(store: &MemoryStore, threads: usize) -> Duration {
    let threads = NonZeroUsize::new(threads).unwrap();
    let begin = Instant::now();
    let report = Replay::new(store, version).threads(threads).run(|_| {}).unwrap();
    let took = begin.elapsed();
    assert!(report.is_same(), "{report:?}");
    took
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    #[cfg(feature = "redb")]
    if let [_, what, path] = args.as_slice()
        && what == "replay-file"
    {
        return memory::replay(path);
    }
    let tried = args.iter().any(|arg| arg == "--test");
    let (each, rounds) = if tried { (20, 1) } else { (2500, ROUNDS) };
    let all = std::thread::available_parallelism().unwrap().get();
    let mut least = [Duration::MAX; 4];
    let (mut routing, mut replaying) = (0, 0);
    for _ in 0..rounds {
        let (world, whole, ready, spent) = route(each);
        routing += spent;
        let store = world.router.store();
        let before = on_processor();
        let one = replay(store, 1);
        replaying += on_processor() - before;
        let times = [whole, ready, one, replay(store, all)];
        for (least, time) in least.iter_mut().zip(times) {
            *least = time.min(*least);
        }
    }
    let routes = u128::from(each * SUBJECTS);
    println!("\nreplay of {routes} routes of {SUBJECTS} subjects, least of {rounds} rounds\n");
    let rows = ["routed, from the request", "routed, from the intent", "replayed, one thread"];
    let many = format!("replayed, {all} threads");
    let [whole, ..] = least;
    for (name, time) in rows.iter().map(|row| (*row).to_owned()).chain([many]).zip(least) {
        let each = time.as_nanos() / routes;
        let percent = whole.as_nanos() * 100 / time.as_nanos().max(1);
        println!("{name:<28} {each:>8} ns a route   {percent:>4} % of the speed of routing");
    }
    println!(
        "on the processor: routed {routing} hundredths of a second from the requests, replayed {replaying} \
         on one thread: {} % of the speed of routing",
        routing * 100 / replaying.max(1)
    );
    #[cfg(feature = "redb")]
    memory::table(if tried { &[50, 100] } else { &[5_000, 50_000] });
}

/// How much memory a replay of a log in a file takes, in a process of its own.
#[cfg(feature = "redb")]
mod memory {
    use std::process::Command;

    use prospera::routing::Router;
    use prospera::routing::replay::Replay;
    use prospera::ssot::redb::RedbStore;
    use prospera::ssot::store::Store as _;
    use prospera::testing::world::{self, BEGIN, SharedClock};

    use super::common::routes::{Routes, request_of};

    /// Sessions of so many routes: a longer log has more of them.
    const EACH: u64 = 500;

    pub(crate) fn table(lengths: &[u64]) {
        println!();
        for &routes in lengths {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("log.redb");
            let records = write(&path, routes);
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["replay-file", path.to_str().unwrap()])
                .output()
                .unwrap();
            assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
            println!(
                "{records:>9} records in a file: {}",
                String::from_utf8_lossy(&child.stdout).trim()
            );
        }
    }

    fn write(path: &std::path::Path, routes: u64) -> u64 {
        let setup = Routes::setup();
        let identity = setup.identity.clone();
        let (engines, rules, catalogue) = setup.into_parts().unwrap();
        let store = RedbStore::create(path).unwrap();
        let clock = SharedClock::new(BEGIN);
        let operator = "operator".parse().unwrap();
        let desks = Router::new(engines, rules, &store, clock, operator).unwrap();
        for number in 0..routes.div_ceil(EACH) {
            let (subject, name) = (format!("person-{}", number % 16), format!("s-{number}"));
            let session = world::session(&identity, &subject, &name, None, BEGIN).unwrap();
            let mut desk = desks.open(session).unwrap();
            for route in 0..EACH.min(routes) {
                let intent = catalogue.intent(request_of(&subject, &name, route)).unwrap();
                let _routed = desks.route(&mut desk, intent.into()).unwrap();
            }
        }
        store.len().unwrap()
    }

    pub(crate) fn replay(path: &str) {
        let store = RedbStore::open_read_only(path).unwrap();
        let begin = std::time::Instant::now();
        let report = Replay::new(&store, super::version).run(|_| {}).unwrap();
        let took = begin.elapsed();
        assert!(report.is_same(), "{report:?}");
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: ?");
        let each = took.as_nanos() / u128::from(report.routes().same.max(1));
        println!("{}, {each} ns a route", peak.split_whitespace().collect::<Vec<_>>().join(" "));
    }
}
