//! The soak of `examples/soak`, short: as the full one, but for its length.
#![cfg(all(feature = "files", feature = "redb"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/soak/hostile.rs"]
mod hostile;
#[path = "../examples/soak/run.rs"]
mod run;
#[path = "../examples/soak/worker.rs"]
mod worker;
#[path = "../examples/soak/world.rs"]
mod world;

use run::{Place, Plan, soak};

fn short(place: Place, seed: u64) {
    let plan = Plan { routes: 3_000, seed, threads: 16, place };
    let report = soak(&plan, |line| println!("{line}")).unwrap();
    println!("{report}");
    assert!(report.routes >= 3_000, "{report}");
    assert!((150..600).contains(&report.hostile), "a tenth: {report}");
    assert!(report.ways.iter().all(|(_, times)| *times > 0), "every way: {report}");
    assert!(report.executed * 2 > report.honest, "most of what is honest: {report}");
    assert!(report.at_the_door > 0 && report.records > 3_000, "{report}");
}

#[test]
fn three_thousand_routes_on_the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    short(Place::Folder(folder.path().to_owned()), 1);
}

#[test]
fn three_thousand_routes_in_memory() {
    short(Place::Memory { chapter: 1_000 }, 2);
}
