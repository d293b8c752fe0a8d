//! What the parts cost, and what that is in hashes: `cargo bench --bench baseline`.
//!
//! Divan prints times; the table behind it prints each as a multiple of hashing 256 bytes
//! with BLAKE3 in the same run, because that is what stays comparable from one machine
//! to the next. Nothing here asserts a time. See `benches/README.md`.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Instant;

use divan::Bencher;
use prospera::audience::any::AnyAudience;
use prospera::audience::causes::EscalationTrigger;
use prospera::audience::state::State;
use prospera::audience::states::Base;
use prospera::audience::table::{self, Way};
use prospera::audience::typed::Audience;
use prospera::digest::{Digest, Domain};
use prospera::id::{KindId, SnapshotId, Subsystem};
use prospera::intent::{Intent, Request, RoutingComponents, RoutingId};
use prospera::routing::table::Row;
use prospera::routing::{Desk, RoutingTable};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{Batch, Store};
use prospera::ssot::verify::verify;
use prospera::testing::world::{self, BEGIN, Setup, World, WorldDesk};
use prospera::verdict::{Consensus, SafetyFlags};

const BLOCK: [u8; 256] = [0x5a; 256];
const SIZES: [usize; 3] = [10, 1_000, 100_000];
const RECORDS: u64 = 10_000;

fn main() {
    divan::main();
    if !std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        ratios();
    }
}

fn hash() -> blake3::Hash {
    blake3::hash(black_box(&BLOCK))
}

/// An audience in BASE that was restored; its handle is spent by each transition.
fn base() -> Audience<Base> {
    let records = vec![sealed_admission()];
    let audience = AnyAudience::replay("alice".parse().unwrap(), &records).unwrap();
    audience.try_into().unwrap()
}

/// The record of INIT → BASE, from a world whose desk was opened.
fn sealed_admission() -> prospera::ssot::record::Record {
    use std::sync::OnceLock;
    static RECORD: OnceLock<prospera::ssot::record::Record> = OnceLock::new();
    RECORD
        .get_or_init(|| {
            let world = Setup::sample().unwrap().build().unwrap();
            let _desk = world.open("alice", "s-1").unwrap();
            let stream = StreamId::new(StreamKind::Audience, "alice".parse().unwrap());
            let first = world.router.store().read_stream(&stream, 0, 1).unwrap().remove(0);
            prospera::ssot::record::Record::decode_sealed(&first.bytes).unwrap()
        })
        .clone()
}

/// The fifteen edges as somebody would write them by hand.
#[inline(never)]
fn by_hand(from: State, to: State) -> bool {
    use State::{Base, Escalated, Hold, Init, Privileged, Restricted, Verified};
    matches!(
        (from, to),
        (Init, Base | Escalated)
            | (Base, Verified | Restricted | Escalated)
            | (Verified, Privileged | Base | Escalated)
            | (Privileged, Verified | Escalated)
            | (Restricted, Hold | Escalated)
            | (Hold, Base | Restricted)
            | (Escalated, Hold)
    )
}

#[inline(never)]
fn by_table(from: State, to: State) -> bool {
    table::edge(from, to).is_some()
}

/// A table of `count` rows, and one intent's components that its last row matches.
struct Lookup {
    table: RoutingTable,
    kind: KindId,
    components: RoutingComponents,
    id: RoutingId,
}

impl Lookup {
    fn new(count: usize) -> Self {
        let plain = world::row("kind-0", "bank").unwrap();
        let rows = (0..count).map(|number| {
            let name = format!("kind-{number}");
            let mut row: Row = plain.clone();
            row.id = name.parse().unwrap();
            row.pattern.kind = Some(name.parse().unwrap());
            row
        });
        let table = RoutingTable::build("1".parse().unwrap(), rows.collect()).unwrap();
        let components = RoutingComponents {
            intent: Domain::Other.hash(b"intent"),
            objective: Domain::Other.hash(b"objective"),
            snapshot: SnapshotId::new(Digest::ZERO),
            flags: SafetyFlags::EFFECT,
            consensus: Consensus::NONE,
        };
        let kind = format!("kind-{}", count - 1).parse().unwrap();
        Self { table, kind, id: components.id(), components }
    }

    fn find(&self) -> bool {
        self.table.find(black_box(&self.kind), black_box(&self.components)).is_some()
    }

    /// With the check that the Routing ID is that of the components: one hash.
    fn resolve(&self) -> bool {
        self.table.resolve(black_box(&self.kind), black_box(&self.components), self.id).is_ok()
    }
}

/// A desk that routes the same kind of intent again and again. A fresh world is taken
/// every thousand routes, so that the log does not grow without bound.
struct Routes {
    world: World,
    desk: WorldDesk,
    left: u32,
}

impl Routes {
    fn new() -> Self {
        let world = Setup::sample().unwrap().build().unwrap();
        let desk = world.open("alice", "s-1").unwrap();
        Self { world, desk, left: 1000 }
    }

    fn intent(&mut self) -> Intent {
        if self.left == 0 {
            *self = Self::new();
        }
        self.left -= 1;
        self.world.catalogue.intent(request()).unwrap()
    }

    fn route(&mut self, intent: Intent) {
        let routed = self.world.router.route(&mut self.desk, intent.into()).unwrap();
        assert!(routed.evidence.opens_route());
    }

    fn desk(&self) -> &Desk<prospera::modeling::Profile> {
        &self.desk
    }
}

fn request() -> Request {
    world::request("note.write", &[("name", "today".into()), ("text", "Buy bread.".into())])
        .unwrap()
}

fn log() -> MemoryStore {
    let store = MemoryStore::new();
    let stream = StreamId::new(StreamKind::Routing, "s-1".parse().unwrap());
    for _ in 0..RECORDS {
        let body = BLOCK[..180].to_vec();
        let draft = Draft::new(stream.clone(), RecordKind::Outcome, Subsystem::Routing, body);
        let head = store.head(&stream).unwrap();
        store.append(&Batch::new(BEGIN).expect(stream.clone(), head).append(draft)).unwrap();
    }
    store
}

#[divan::bench]
fn blake3_256_bytes() -> blake3::Hash {
    hash()
}

#[divan::bench]
fn transition_typed(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(base)
        .bench_values(|audience| audience.escalate(EscalationTrigger::RiskScore));
}

#[divan::bench]
fn transition_at_run_time(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(|| AnyAudience::from(base())).bench_values(|audience| {
        audience.request(black_box(State::Escalated), Way::Escalate).is_ok()
    });
}

#[divan::bench]
fn edge_by_table() -> bool {
    by_table(black_box(State::Verified), black_box(State::Privileged))
}

#[divan::bench]
fn edge_by_hand() -> bool {
    by_hand(black_box(State::Verified), black_box(State::Privileged))
}

#[divan::bench(args = SIZES)]
fn table_find(bencher: Bencher<'_, '_>, rows: usize) {
    let lookup = Lookup::new(rows);
    bencher.bench(|| assert!(lookup.find()));
}

#[divan::bench(args = SIZES)]
fn table_resolve(bencher: Bencher<'_, '_>, rows: usize) {
    let lookup = Lookup::new(rows);
    bencher.bench(|| assert!(lookup.resolve()));
}

#[divan::bench]
fn intent_from_request(bencher: Bencher<'_, '_>) {
    let catalogue = Setup::sample().unwrap().catalogue;
    bencher.with_inputs(request).bench_values(|request| catalogue.intent(request).unwrap());
}

#[cfg(feature = "files")]
const TEXT: &str = r#"{"kind":"note.write","subject":"alice","session":"s-1","objective":"Write down: Buy bread.","arguments":{"name":"today","text":"Buy bread."}}"#;

/// JSON, strict; the catalogue's check; labels from the user's own words.
#[cfg(feature = "files")]
fn intent_from_text(catalogue: &prospera::intent::Catalogue) -> prospera::intent::Submission {
    use prospera::intent::intake::{Channel, native};
    use prospera::provenance::{Label, Source};
    let (channel, limits) = (Channel::new(Source::User), prospera::limits::Limits::DEFAULT);
    let expanded = native::read(black_box(TEXT.as_bytes()), &channel, &limits).unwrap();
    expanded.submit(catalogue, &Label::empty(), None)
}

#[cfg(feature = "files")]
#[divan::bench]
fn intent_from_json(bencher: Bencher<'_, '_>) {
    let catalogue = Setup::sample().unwrap().catalogue;
    bencher.bench(|| intent_from_text(&catalogue));
}

#[divan::bench]
fn route_in_memory(bencher: Bencher<'_, '_>) {
    let routes = RefCell::new(Routes::new());
    bencher
        .with_inputs(|| routes.borrow_mut().intent())
        .bench_local_values(|intent| routes.borrow_mut().route(intent));
    assert!(routes.borrow().desk().state().is_some());
}

#[divan::bench(sample_count = 10)]
fn verify_10_000_records(bencher: Bencher<'_, '_>) {
    let store = log();
    bencher.bench(|| assert_eq!(verify(&store, |_| {}).unwrap().records, RECORDS));
}

/// The least time of one call in nanoseconds, over batches of `each` calls.
fn least(batches: u32, each: u32, mut call: impl FnMut()) -> u128 {
    let times = (0..batches).map(|_| {
        let start = Instant::now();
        for _ in 0..each {
            call();
        }
        // Picoseconds, so that what costs less than a nanosecond is seen.
        start.elapsed().as_nanos() * 1000 / u128::from(each)
    });
    times.min().unwrap_or(0)
}

/// Prints each cost as a multiple of one hash of 256 bytes, in thousandths.
fn ratios() {
    let unit = least(200, 1000, || {
        black_box(hash());
    });
    println!("\n{:<32} {:>12} {:>14}", "least time of one call", "ns", "BLAKE3-256 B");
    let line = |what: &str, picos: u128| {
        let ratio = picos * 100 / unit.max(1);
        let (ns, tenth) = (picos / 1000, picos % 1000 / 100);
        println!("{what:<32} {ns:>10}.{tenth} {:>11}.{:02}", ratio / 100, ratio % 100);
    };
    line("BLAKE3 of 256 bytes", unit);
    let mut handles: Vec<_> = (0..200 * 100).map(|_| base()).collect();
    line(
        "transition, typed",
        least(200, 100, || {
            black_box(
                handles.pop().map(|audience| audience.escalate(EscalationTrigger::RiskScore)),
            );
        }),
    );
    let mut handles: Vec<_> = (0..200 * 100).map(|_| AnyAudience::from(base())).collect();
    line(
        "transition, at run time",
        least(200, 100, || {
            let audience = handles.pop().unwrap();
            black_box(audience.request(black_box(State::Escalated), Way::Escalate).is_ok());
        }),
    );
    line(
        "edge, by table",
        least(200, 1000, || {
            black_box(by_table(black_box(State::Verified), black_box(State::Privileged)));
        }),
    );
    line(
        "edge, by hand",
        least(200, 1000, || {
            black_box(by_hand(black_box(State::Verified), black_box(State::Privileged)));
        }),
    );
    for rows in SIZES {
        let lookup = Lookup::new(rows);
        line(
            &format!("table of {rows} rows, find"),
            least(200, 1000, || {
                black_box(lookup.find());
            }),
        );
        line(
            &format!("table of {rows} rows, resolve"),
            least(200, 1000, || {
                black_box(lookup.resolve());
            }),
        );
    }
    let catalogue = Setup::sample().unwrap().catalogue;
    let mut requests: Vec<_> = (0..100 * 200).map(|_| request()).collect();
    line(
        "intent from a request",
        least(100, 200, || {
            black_box(catalogue.intent(requests.pop().unwrap()).unwrap());
        }),
    );
    #[cfg(feature = "files")]
    line(
        "intent from JSON, labelled",
        least(100, 200, || {
            black_box(intent_from_text(&catalogue));
        }),
    );
    let mut routes = Routes::new();
    let mut picos = u128::MAX;
    for _ in 0..50 {
        let mut intents: Vec<_> = (0..200).map(|_| routes.intent()).collect();
        picos = picos.min(least(1, 200, || routes.route(intents.pop().unwrap())));
    }
    line("route in memory", picos);
    let store = log();
    let whole = least(10, 1, || {
        black_box(verify(&store, |_| {}).unwrap());
    });
    line("verify, per record", whole / u128::from(RECORDS));
}
