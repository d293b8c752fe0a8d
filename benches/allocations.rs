//! How often the heap is asked for memory: `cargo bench --bench allocations`.
//!
//! A figure of the program and not of the machine: it is the same in each run. What must
//! be zero is asserted in `tests/allocations.rs`. The peak is taken over a desk that
//! routes on and on, over a store that keeps no record, so that what grows is not the log.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use prospera::audience::causes::EscalationTrigger;
use prospera::audience::state::State;
use prospera::audience::table::Way;
use prospera::intent::Catalogue;
use prospera::routing::{Desk, Router};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::merkle::{Frontier, Sha256};
use prospera::ssot::verify::verify;
use prospera::testing::world::{BEGIN, DefaultEngines, Setup, SharedClock, session};

use common::forgetful::Forgetful;
use common::logs::fill;
use common::lookup::{Lookup, SIZES};
use common::machine;
use common::report::{self, Report};
use common::routes::{Routes, request, request_of};

mod common;

/// How many routes an average is taken over.
const ROUTES: u32 = 1000;

fn main() {
    if report::only_tried() {
        return;
    }
    let mut report = Report::begin("allocations");
    transitions(&mut report);
    tables(&mut report);
    intents(&mut report);
    routes(&mut report);
    peak(&mut report);
    logs(&mut report);
    report.end();
}

fn count(info: &AllocationInfo) -> (u128, &'static str) {
    (u128::from(info.count_total), "allocations")
}

fn transitions(report: &mut Report) {
    let (typed, any) = (machine::base(), machine::any());
    let info = measure(|| drop(black_box(machine::escalate_typed(typed, trigger()))));
    report.count("allocations-transition-typed", "transition, typed", count(&info), None);
    let info = measure(|| {
        drop(black_box(machine::request_ours(any, State::Escalated, Way::Escalate)));
    });
    report.count("allocations-request", "transition at run time", count(&info), None);
    let any = machine::any();
    let info = measure(|| {
        drop(black_box(machine::request_ours(any, State::Privileged, Way::Advance)));
    });
    report.count("allocations-request-refused", "  refused", count(&info), None);
}

fn trigger() -> EscalationTrigger {
    black_box(EscalationTrigger::RiskScore)
}

fn tables(report: &mut Report) {
    for size in SIZES {
        let lookup = Lookup::new(size);
        let info = measure(|| assert!(lookup.resolve()));
        let (row, text) = (format!("allocations-resolve-{size}"), format!("resolve, {size} rows"));
        report.count(&row, &text, count(&info), None);
    }
}

fn intents(report: &mut Report) {
    let catalogue = Setup::sample().unwrap().catalogue;
    let request = request();
    let info = measure(|| drop(black_box(catalogue.intent(request))));
    report.count("allocations-intent", "intent from a request", count(&info), None);
}

fn routes(report: &mut Report) {
    let mut routes = Routes::new();
    for intent in routes.intents(ROUTES / 10) {
        routes.route(intent);
    }
    let intents = routes.intents(ROUTES / 2);
    let each = intents.len() as u128;
    let info = measure(|| intents.into_iter().for_each(|intent| routes.route(intent)));
    let mean = (u128::from(info.count_total) + each / 2) / each;
    report.count("allocations-route", "route in memory", (mean, "allocations"), None);
    let bytes = u128::from(info.bytes_total) / each;
    report.count("allocated-route", "  bytes asked for", (bytes, "bytes"), None);
}

/// A desk over a store that forgets.
struct Long {
    router: Router<DefaultEngines, Forgetful, SharedClock>,
    desk: Desk<prospera::modeling::Profile>,
    catalogue: Catalogue,
    asked: u64,
}

impl Long {
    fn new() -> Self {
        let (engines, rules, catalogue) = Routes::setup().into_parts().unwrap();
        let alice = session(engines.identity.policy(), "alice", "s-1", None, BEGIN).unwrap();
        let clock = SharedClock::new(BEGIN);
        let operator = "operator".parse().unwrap();
        let router = Router::new(engines, rules, Forgetful::default(), clock, operator).unwrap();
        let desk = router.open(alice).unwrap();
        router.store().forget().unwrap();
        Self { router, desk, catalogue, asked: 0 }
    }

    fn route(&mut self) {
        self.asked += 1;
        let request = request_of("alice", "s-1", self.asked);
        let intent = self.catalogue.intent(request).unwrap();
        let routed = self.router.route(&mut self.desk, intent.into()).unwrap();
        assert!(routed.evidence.opens_route());
    }
}

/// The most memory that was in use at a time, on top of what was there at the beginning.
fn peak(report: &mut Report) {
    let many: u32 = std::env::var("PROSPERA_ROUTES").map_or(1_000_000, |n| n.parse().unwrap());
    let mut long = Long::new();
    for _ in 0..ROUTES {
        long.route();
    }
    let few = measure(|| (0..ROUTES).for_each(|_| long.route()));
    let many = measure(|| (0..many).for_each(|_| long.route()));
    let [few, many] = [few.bytes_max, many.bytes_max].map(u128::from);
    report.count("peak-routes-1000", "peak over 1,000 routes", (few, "bytes"), None);
    let against = Some(("peak-routes-1000", few));
    report.count("peak-routes-1000000", "  over a million", (many, "bytes"), against);
}

/// What appending to a tree and verifying a log hold at a time, on top of the log itself.
fn logs(report: &mut Report) {
    let million = std::env::var("PROSPERA_ROUTES").map_or(1_000_000, |n| n.parse().unwrap());
    let held = |records: usize| {
        let store = MemoryStore::new();
        fill(&store, records, 64, &[0]);
        let mut tree = Frontier::<Sha256>::new();
        let appending = measure(|| (0..records as u64).for_each(|n| tree.push(&n.to_le_bytes())));
        let verifying = measure(|| {
            black_box(verify(&store, |_| {}).unwrap());
        });
        assert_eq!(tree.size(), verify(&store, |_| {}).unwrap().records);
        [appending.bytes_max, verifying.bytes_max].map(u128::from)
    };
    let ([tree, verified], [more_tree, more_verified]) = (held(million), held(10 * million));
    report.count("peak-tree-1m", "peak of appending a million leaves", (tree, "bytes"), None);
    let against = Some(("peak-tree-1m", tree));
    report.count("peak-tree-10m", "  ten million", (more_tree, "bytes"), against);
    report.count(
        "peak-verify-1m",
        "peak of verifying a million records",
        (verified, "bytes"),
        None,
    );
    let against = Some(("peak-verify-1m", verified));
    report.count("peak-verify-10m", "  ten million", (more_verified, "bytes"), against);
}
