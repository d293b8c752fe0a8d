//! What the parts cost, and what that is in hashes: `cargo bench --bench baseline`.
//!
//! Divan prints times; the table behind it prints the least time of each and what that is
//! beside its rival: beside the same by hand, or beside one BLAKE3 hash of 256 bytes taken
//! in the same run. The ratio is what stays comparable from one machine to the next.
//! Nothing here asserts a time. See `benches/README.md`.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::cell::RefCell;
use std::hint::black_box;

use divan::Bencher;
use prospera::audience::causes::EscalationTrigger;
use prospera::audience::state::State;
use prospera::audience::table::Way;
use prospera::testing::world::Setup;

use common::lookup::{Lookup, SIZES};
use common::machine;
use common::report::{self, Report, batch, handed, least, rivals};
use common::routes::{Necessary, Routes, request};

mod common;

const TRIGGER: EscalationTrigger = EscalationTrigger::RiskScore;

fn main() {
    divan::main();
    if !report::only_tried() {
        assert!(machine::agree(), "the machine by hand has the same edges");
        let mut report = Report::begin("the hot path");
        transitions(&mut report);
        tables(&mut report);
        intents(&mut report);
        routes(&mut report);
        report.end();
    }
}

#[divan::bench]
fn blake3_256_bytes() -> blake3::Hash {
    report::hash()
}

#[divan::bench]
fn transition_typed(bencher: Bencher<'_, '_>) {
    let typed = |audience| machine::escalate_typed(audience, black_box(TRIGGER));
    bencher.with_inputs(machine::base).bench_values(typed);
}

#[divan::bench]
fn transition_by_hand(bencher: Bencher<'_, '_>) {
    let hand = |audience| machine::escalate_enum(audience, black_box(TRIGGER));
    bencher.with_inputs(machine::hand).bench_values(hand);
}

#[divan::bench]
fn transition_at_run_time(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(machine::any).bench_values(|audience| {
        machine::request_ours(audience, black_box(State::Escalated), black_box(Way::Escalate))
    });
}

#[divan::bench]
fn transition_by_match(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(machine::hand).bench_values(|audience| {
        machine::request_hand(audience, black_box(State::Escalated), black_box(Way::Escalate))
    });
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

#[divan::bench]
fn route_in_memory(bencher: Bencher<'_, '_>) {
    let routes = RefCell::new(Routes::new());
    bencher
        .with_inputs(|| routes.borrow_mut().intents(1).remove(0))
        .bench_local_values(|intent| routes.borrow_mut().route(intent));
}

#[divan::bench]
fn hashing_of_a_route(bencher: Bencher<'_, '_>) {
    let necessary = Necessary::new();
    bencher.bench(|| necessary.hash());
}

/// Moves so many handles through a verb and gives the time of one call. Handles are made
/// before the clock starts; what comes out is dropped after it has stopped. So few that
/// both fit the nearest cache.
fn spend<T, U>(make: impl Fn() -> T, verb: impl Fn(T) -> U) -> u128 {
    const HANDLES: u32 = 48;
    let handles: Vec<T> = (0..HANDLES).map(|_| make()).collect();
    let mut out: Vec<U> = Vec::with_capacity(handles.len());
    let mut handles = handles.into_iter();
    batch(HANDLES, || out.extend(handles.next().map(&verb)))
}

const BATCH: u32 = 200;

fn transitions(report: &mut Report) {
    let trigger = || black_box(TRIGGER);
    let times = rivals(
        1000,
        &mut [
            &mut || spend(machine::base, |a| machine::escalate_typed(a, trigger())),
            &mut || spend(machine::hand, |a| machine::escalate_enum(a, trigger())),
            &mut || spend(machine::core, |a| machine::escalate_trusting(a, trigger())),
        ],
    );
    let [typed, hand, trusting] = times[..] else { return };
    report.time("transition-by-hand", "transition, enum by hand", hand);
    report.time("transition-trusting", "transition, by hand and unchecked", trusting);
    report.beside("transition-typed", "transition, typed", typed, "transition-by-hand", hand);

    let asked = || (black_box(State::Escalated), black_box(Way::Escalate));
    let mut ours = Some(machine::any());
    let mut hand = Some(machine::hand());
    let times = rivals(
        400,
        &mut [
            &mut || {
                let (picos, audience) = handed(1000, ours.take().unwrap(), |audience| {
                    let (to, way) = asked();
                    match machine::request_ours(audience, to, way) {
                        Ok((audience, _)) => audience,
                        Err(_) => machine::any(),
                    }
                });
                ours = Some(audience);
                picos
            },
            &mut || {
                let (picos, audience) = handed(1000, hand.take().unwrap(), |audience| {
                    let (to, way) = asked();
                    match machine::request_hand(audience, to, way) {
                        Ok((audience, _)) => audience,
                        Err(_) => machine::hand(),
                    }
                });
                hand = Some(audience);
                picos
            },
            &mut || edges(machine::edge_by_table),
            &mut || edges(machine::edge_by_hand),
        ],
    );
    let [ours, hand, table, by_match] = times[..] else { return };
    report.time("request-by-hand", "transition at run time, match by hand", hand);
    report.beside("request", "transition at run time", ours, "request-by-hand", hand);
    report.time("edge-by-hand", "an edge's legality, match by hand", by_match);
    report.beside("edge", "an edge's legality, by the table", table, "edge-by-hand", by_match);
}

/// Asks about every state, target and way; gives the time of one question.
fn edges(ask: impl Fn(State, State, Way) -> bool) -> u128 {
    let all = batch(10, || {
        for from in State::ALL {
            for to in State::ALL {
                for way in Way::ALL {
                    black_box(ask(black_box(from), black_box(to), black_box(way)));
                }
            }
        }
    });
    all / 490
}

fn tables(report: &mut Report) {
    let tables: Vec<_> = SIZES.iter().map(|size| (size, Lookup::new(*size))).collect();
    for (size, lookup) in &tables {
        let find = least(200, 1000, || assert!(lookup.find()));
        report.time(&format!("table-find-{size}"), &format!("table of {size} rows, find"), find);
        let resolve = least(200, 1000, || assert!(lookup.resolve()));
        let row = format!("table-resolve-{size}");
        report.time(&row, &format!("table of {size} rows, resolve"), resolve);
    }
}

fn intents(report: &mut Report) {
    let catalogue = Setup::sample().unwrap().catalogue;
    let mut requests: Vec<_> = (0..100 * 200).map(|_| request()).collect();
    let picos = least(100, 200, || {
        black_box(requests.pop().map(|request| catalogue.intent(request).is_ok()));
    });
    report.time("intent-from-request", "intent from a request", picos);
}

fn routes(report: &mut Report) {
    let necessary = Necessary::new();
    let mut plain = Routes::new();
    let mut sized: Vec<_> = SIZES.iter().map(|size| Routes::with_rows(*size)).collect();
    let [ten, thousand, many] = &mut sized[..] else { return };
    let once = |routes: &mut Routes| {
        let mut intents = routes.intents(BATCH).into_iter();
        batch(BATCH, || intents.next().map_or((), |intent| routes.route(intent)))
    };
    // A thousand routes a world: fewer rounds where a world is dear to build.
    let times = rivals(
        60,
        &mut [
            &mut || batch(1000, || necessary.hash()),
            &mut || once(&mut plain),
            &mut || once(ten),
            &mut || once(thousand),
            &mut || once(many),
        ],
    );
    let [hashing, route, ten, thousand, many] = times[..] else { return };
    let text = format!("hashing that a route must do, {} bytes", necessary.bytes());
    report.time("route-hashing", &text, hashing);
    report.time("route", "route in memory", route);
    report.beside("route-over-hashing", "  beside its hashing", route, "route-hashing", hashing);
    report.time("route-10", "  with a table of 10 rows", ten);
    report.beside("route-1000", "  of 1,000", thousand, "route-10", ten);
    report.beside("route-100000", "  of 100,000", many, "route-10", ten);
}
