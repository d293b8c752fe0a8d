//! What checking a grown log costs: a log of many sessions is checked, grows a little, and
//! is checked again from what was remembered.
//!
//! `cargo run --release --example integrity_matrix [SESSIONS [GROWN [PAGE.html]]]`

use std::time::Instant;

use prospera::routing::audit::Auditor;
use prospera::ssot::matrix::{Inspector, Made, Options, PageOptions, State};
use prospera::ssot::store::Store;
use prospera::testing::world::{Failure, Setup, World, request};
use prospera::time::Clock as _;

/// Routes of each session.
const ROUTES: usize = 4;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: usize| match arguments.next() {
        Some(text) => text.parse::<usize>().map_err(Failure::from),
        None => Ok(usual),
    };
    let (sessions, grown) = (number(200)?, number(2)?);
    let world = Setup::sample()?.build()?;
    for session in 0..sessions {
        live(&world, session)?;
    }

    let store = world.router.store();
    let begun = Instant::now();
    let mut inspector = Inspector::new(Auditor::new());
    let first = inspector.run(store, &Options::default(), |_| {})?;
    let whole = begun.elapsed();
    let streams = inspector.streams();
    let saved = inspector.save();
    println!("first check: {} records read, {streams} streams", first.read);
    println!("remembered: {} bytes for each stream", saved.len() / streams.max(1));

    for session in sessions..sessions + grown {
        live(&world, session)?;
    }
    let mut inspector = Inspector::restore(Auditor::new(), &saved)?;
    let begun = Instant::now();
    let second = inspector.run(store, &Options::default(), |_| {})?;
    let new = begun.elapsed();
    println!("second check: {} records read, {} new", second.read, second.to - second.from);
    let (part, all) = (new.as_nanos(), whole.as_nanos().max(1));
    println!(
        "second / first: {} ‰ of the records, {} ‰ of the time",
        second.read * 1000 / first.read.max(1),
        part * 1000 / all
    );
    println!("each record: {} ns", whole.as_nanos() / u128::from(first.read.max(1)));

    let made = Made { at: world.clock.now(), by: "the example".into() };
    let matrix = inspector.matrix(store, made)?;
    let from_the_start = {
        let mut inspector = Inspector::new(Auditor::new());
        inspector.run(store, &Options::default(), |_| {})?;
        inspector.matrix(store, matrix.made().clone())?
    };
    println!("the same as from the start: {}", matrix == from_the_start);
    println!("verdict: {}, {} records", matrix.verdict().words(), store.len()?);
    if let Some(page) = arguments.next() {
        std::fs::write(
            page,
            matrix.html(&PageOptions { title: "example", ..PageOptions::default() }),
        )?;
    }
    if matrix.verdict() == State::Unsound { Err("the log is unsound".into()) } else { Ok(()) }
}

/// One session of a subject of its own, with some routes.
fn live(world: &World, number: usize) -> Result<(), Failure> {
    let (subject, session) = (format!("user-{number:06}"), format!("s-{number:06}"));
    let mut desk = world.open(&subject, &session)?;
    for route in 0..ROUTES {
        let name = route.to_string();
        let mut request = request("note.read", &[("name", name.as_str().into())])?;
        (request.subject, request.session) = (subject.parse()?, session.parse()?);
        let intent = world.catalogue.intent(request).map_err(|error| error.to_string())?;
        let _routed =
            world.router.route(&mut desk, prospera::intent::Submission::Intent(intent))?;
        world.clock.advance_millis(10);
    }
    Ok(())
}
