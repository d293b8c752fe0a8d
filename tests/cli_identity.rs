//! `prospera identity`, end to end with the built program: a model estimated from a log, put into
//! the policy folder, and a session that does not fit.
//!
//! Requirements: PLAN-8.3, ASM2-8.1.
#![cfg(feature = "cli")]
#![expect(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers that other command line tests share; a test fails by panicking"
)]

use serde_json::json;

#[path = "cli/support.rs"]
mod support;

use support::Place;

fn session(id: &str, subject: &str, device: &str, network: &str) -> String {
    let signals = json!({"device": device, "network": network});
    let line = json!({"session": {"id": id, "subject": subject, "signals": signals}});
    format!("{line}\n")
}

/// Sixteen people, five sessions each: a phone, now and then a laptop or another network.
fn months() -> String {
    let mut lines = String::new();
    for visit in 0..5 {
        for person in 0..16 {
            let device = if (visit + person) % 5 == 0 { "laptop" } else { "phone" };
            let place =
                if (visit * 3 + person) % 4 == 0 { "mobile".into() } else { format!("{person}") };
            lines += &session(
                &format!("s-{person}-{visit}"),
                &format!("p-{person}"),
                &format!("{device}-{person}"),
                &format!("AS{}/{place}", person % 4),
            );
        }
    }
    lines
}

#[test]
fn plan_8_3_a_model_is_estimated_and_used() {
    let place = Place::with_starter();
    let route = |now: &str, lines: &str, more: &[&str]| {
        let mut args = vec!["route", "-", "--policy", "s/policy", "--store", "log.redb"];
        args.extend(["--now", now, "--step-ms", "60000"]);
        args.extend(more);
        place.run_with(&args, lines)
    };
    route("1800000000000", &months(), &[]).code(0);
    let none = place.run(&["identity", "score", "log.redb", "p-3"]).code(0);
    assert!(none.out.contains("not scored; the policy had no linkage.toml"), "{}", none.out);
    let estimate = place.run(&["identity", "estimate", "log.redb", "--as", "nov"]).code(0);
    assert!(estimate.out.starts_with("# Estimated from 160 pairs of sessions of one subject"));
    assert!(estimate.out.contains("version = \"nov\""), "{}", estimate.out);
    assert!(estimate.err.contains("left out, as no subject's sessions differ in it: issuer"));
    let again = place.run(&["identity", "estimate", "log.redb", "--as", "nov"]).code(0);
    assert_eq!(again.out, estimate.out, "the same log and seed give the same model");
    place.write("s/policy/linkage.toml", &estimate.out);
    let checked = place.run(&["policy", "check", "s/policy"]).code(0);
    assert!(checked.out.starts_with("s/policy: sound"), "{}", checked.out);
    // What it would have said of the sessions there are.
    let what_if =
        place.run(&["identity", "score", "log.redb", "p-3", "--model", "s/policy/linkage.toml"]);
    let what_if = what_if.code(0);
    assert!(what_if.out.contains("session `s-3-0`: unknown, nothing to compare with"));
    assert!(what_if.out.contains("5 sessions of `p-3`, 0 of them low"), "{}", what_if.out);
    // The model is part of the policy set: somebody has to put it into force.
    let thief =
        session("own", "p-3", "phone-3", "AS3/3") + &session("stolen", "p-3", "burner", "AS9/9");
    let refused = route("1801000000000", &thief, &[]).code(2);
    assert!(refused.err.contains("linkage"), "{}", refused.err);
    route("1801000000000", &thief, &["--adopt", "operator"]).code(0);
    let scored = place.run(&["identity", "score", "log.redb", "p-3"]).code(0);
    assert!(scored.out.contains("session `own`: consistent"), "{}", scored.out);
    assert!(scored.out.contains("session `stolen`: "), "{}", scored.out);
    assert!(scored.out.contains("device      other"), "{}", scored.out);
    assert!(scored.out.contains("7 sessions of `p-3`, 1 of them low"), "{}", scored.out);
    let audience = place.run(&["audience", "log.redb", "p-3"]).code(0);
    let (hold, mismatch) = ("identity inconsistency", "identity mismatch anomaly");
    assert!(audience.out.contains(hold) || audience.out.contains(mismatch), "{}", audience.out);
    place.run(&["verify", "log.redb"]).code(0);
}

#[test]
fn what_cannot_be_scored_is_said() {
    let place = Place::with_starter();
    let args = ["route", "-", "--policy", "s/policy", "--store", "log.redb"];
    place.run_with(&args, &session("s-1", "ann", "d", "n")).code(0);
    let few = place.run(&["identity", "estimate", "log.redb"]).code(2);
    assert!(few.err.contains("at least 30 pairs"), "{}", few.err);
    let nobody = place.run(&["identity", "score", "log.redb", "bob"]).code(2);
    assert!(nobody.err.contains("no session of `bob`"), "{}", nobody.err);
    place.write(
        "bad.toml",
        "version = \"1\"\nprior = 0\nsessions = 1\nhold_below_millibits = 0\n[field]\n",
    );
    let bad = place.run(&["identity", "score", "log.redb", "ann", "--model", "bad.toml"]).code(2);
    assert!(bad.err.contains("bad.toml:5:1: expected at least one field"), "{}", bad.err);
    let help = place.run(&["identity", "estimate", "--help"]).code(0);
    assert!(help.out.contains("Example: `prospera identity estimate log.redb"), "{}", help.out);
    place.write("s/policy/linkage.toml", "version = 1\n");
    let wrong = place.run(&["policy", "check", "s/policy"]).code(2);
    assert!(wrong.err.contains("s/policy/linkage.toml:1:"), "{}", wrong.err);
}
