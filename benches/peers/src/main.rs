//! What prospera's parts cost beside what one would pick instead, on the same work in the
//! same run: `cargo bench --features peers --bench peers` in the crate above.
//!
//! Before anything is measured, every peer is asked the same questions as prospera and has
//! to give the same answers; `cargo test` here checks the same.

use std::hint::black_box;

use common::report::{Report, batch, rivals};
use common::routes::Routes;

#[path = "../../common/mod.rs"]
mod common;
mod decision;
mod role;
mod transition;
mod version;

fn main() {
    for name in ["cedar-policy", "regorus", "statig", "casbin"] {
        version::print(name, include_str!("../Cargo.lock"));
    }
    let mut report = Report::begin("beside peers");
    decision::measure(&mut report);
    route(&mut report);
    transition::measure(&mut report);
    role::measure(&mut report);
    report.end();
}

/// The whole route that a decision is a part of: eight layers, two records, the effect.
fn route(report: &mut Report) {
    let mut routes = Routes::new();
    let mut once = || {
        let mut intents = routes.intents(200).into_iter();
        batch(200, || black_box(intents.next().map_or((), |intent| routes.route(intent))))
    };
    let least = rivals(50, &mut [&mut once]);
    report.time("prospera-route", "prospera, a whole route", least.first().copied().unwrap_or(0));
}
