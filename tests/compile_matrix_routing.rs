//! Every skip, repeat and backward jump on the routing path does not compile, for the right
//! reason (IRM-2, IRM-7.1, D-20, D-25); every legal step does. So do copies, forgeries and
//! mistaken terminals.

#[path = "support/matrix.rs"]
mod matrix;

use matrix::{Case, Expect, Matrix};

const PLACES: [&str; 10] = [
    "Received",
    "Identity",
    "Intent",
    "Modeling",
    "Memory",
    "Safety",
    "Governance",
    "Pipeline",
    "Committed",
    "Execution",
];

const LAYERS: [&str; 8] =
    ["Identity", "Intent", "Modeling", "Memory", "Safety", "Governance", "Pipeline", "Execution"];

/// The verb that leads to a place, what it takes beside the route, and the call.
const VERBS: [(&str, &str, &str); 9] = [
    ("Identity", "e: &IdentitySystem, s: &Session", "identify(e, s)"),
    ("Intent", "e: &CatalogueEngine, d: Digest", "package(e, d)"),
    ("Modeling", "e: &BehaviourModel, p: &Profile", "model(e, p)"),
    ("Memory", "e: &MemorySystem, f: &Facts", "recall(e, f)"),
    ("Safety", "e: &SafetySystem, v: &SafetyView<'_>", "assess(e, v)"),
    (
        "Governance",
        "e: &Governor, v: &GovernanceView<'_>, t: &RoutingTable, m: &TokenMint",
        "govern(e, v, t, m)",
    ),
    (
        "Pipeline",
        "e: &PathPlanner, t: &RoutingTable, s: State, k: ApprovalToken, m: &TokenMint, n: Timestamp",
        "plan(e, t, s, k, m, n)",
    ),
    ("Committed", "e: &Registry", "seal(e)"),
    ("Execution", "e: &Registry, s: State, n: Timestamp", "execute(e, s, n)"),
];

const PRELUDE: &str = "
use prospera::audience::state::State;
use prospera::digest::Digest;
use prospera::execution::{Job, Permit, Registry};
use prospera::governance::{ApprovalToken, BacktrackAuthorization, Governor, TokenMint};
use prospera::identity::{IdentitySystem, Session};
use prospera::intent::package::CatalogueEngine;
use prospera::memory::{Facts, MemorySystem};
use prospera::modeling::{BehaviourModel, Profile};
use prospera::pipeline::PathPlanner;
use prospera::routing::layers::{self, Committed, Execution, Governance, Identity, Intent, Memory, Modeling, Pipeline, Received, Safety};
use prospera::routing::terminal::{Conclusion, ContractBlocked, Deferred, Denied, DriftReferral, IdentityBlocked, IntentBlocked, MemoryHalt, PipelineHalt, SafetyBlocked, SteppedUp, Terminal};
use prospera::routing::{GovernanceView, Route, RoutingTable, SafetyView, Sealed};
use prospera::safety::SafetySystem;
use prospera::ssot::ledger::Receipt;
use prospera::time::Timestamp;
";

fn check(name: &'static str, cases: Vec<Case>) {
    let matrix = Matrix { name, prelude: PRELUDE.trim().to_owned(), cases };
    let problems = matrix.problems();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

fn fails(code: &'static str, words: &[&str]) -> Expect {
    Expect::Fails { code, words: words.iter().map(|word| (*word).to_owned()).collect() }
}

/// IRM-1.2, IRM-1.5, IRM-2.1..IRM-2.4, IRM-2.6, IRM-2.7.
#[test]
fn irm_2_each_verb_is_there_at_one_place_only() {
    let mut cases = Vec::new();
    let mut legal = 0;
    for place in PLACES {
        for (i, (next, parameters, call)) in VERBS.iter().enumerate() {
            let follows = PLACES[i] == place;
            legal += usize::from(follows);
            // The compiler shortens names that are unique, so the path before them varies.
            let (stands, enters) = (
                format!("{place} cannot enter "),
                format!("{next}: routing never skips, repeats or reverses a layer"),
            );
            cases.push(Case {
                what: format!("{call} at {place}"),
                code: format!("fn NAME(r: Route<{place}>, {parameters}) {{ let _ = r.{call}; }}"),
                expect: if follows {
                    Expect::Compiles
                } else {
                    fails(
                        "E0277",
                        &[
                            "a route that stands at ",
                            &stands,
                            &enters,
                            "the one path is Received → Identity",
                        ],
                    )
                },
            });
        }
    }
    assert_eq!((cases.len(), legal), (90, 9));
    check("routing-verbs", cases);
}

#[test]
fn d_25_backtracking_leads_only_to_a_layer_that_was_passed() {
    let mut cases = Vec::new();
    let mut legal = 0;
    for (place, passed) in PLACES.iter().zip(0..) {
        for (layer, number) in LAYERS.iter().zip(1..) {
            // Nothing goes back once the evidence is durable.
            let back = number <= passed && !matches!(*place, "Committed" | "Execution");
            legal += usize::from(back);
            let (stands, back_to) = (
                format!("{place} cannot be taken back to "),
                format!(
                    "{layer}
"
                ),
            );
            cases.push(Case {
                what: format!("backtrack::<{layer}> at {place}"),
                code: format!(
                    "fn NAME(r: Route<{place}>, a: BacktrackAuthorization) {{ let _ = r.backtrack::<layers::{layer}>(a); }}"
                ),
                expect: if back { Expect::Compiles } else { fails("E0277", &["a route that stands at ", &stands, &back_to]) },
            });
        }
        for not_a_layer in ["Received", "Committed"] {
            cases.push(Case {
                what: format!("backtrack::<{not_a_layer}> at {place}"),
                code: format!(
                    "fn NAME(r: Route<{place}>, a: BacktrackAuthorization) {{ let _ = r.backtrack::<layers::{not_a_layer}>(a); }}"
                ),
                expect: fails("E0277", &["is not one of the eight layers"]),
            });
        }
    }
    assert_eq!(legal, 28, "1 + 2 + .. + 7");
    check("routing-backtrack", cases);
}

/// What a route, a token, a receipt and their like are never.
#[test]
fn d_28_nothing_of_a_route_can_be_copied_or_read_from_outside() {
    let linear = [
        "Route<Received>",
        "Route<Governance>",
        "Route<Committed>",
        "ApprovalToken",
        "Receipt",
        "Sealed",
        "BacktrackAuthorization",
        "Permit",
        "MemoryHalt",
        "DriftReferral",
        "Denied",
        "Job<'static>",
    ];
    let mut cases = Vec::new();
    for of in linear {
        for (bound, word) in [
            ("Clone", "Clone"),
            ("Copy", "Copy"),
            ("Default", "Default"),
            ("prospera::encode::Decode", "Decode"),
        ] {
            cases.push(Case {
                what: format!("{of}: {word}"),
                code: format!("fn NAME() {{ fn is<T: {bound}>() {{}} is::<{of}>(); }}"),
                expect: fails("E0277", &[word, "is not satisfied"]),
            });
        }
    }
    cases.push(Case {
        what: "a digest is Clone".into(),
        code: "fn NAME() { fn is<T: Clone>() {} is::<Digest>(); }".into(),
        expect: Expect::Compiles,
    });
    check("routing-linear", cases);
}

/// D-20, IRM-2.5.
#[test]
fn d_20_terminals_are_not_one_another() {
    let terminals = [
        "IdentityBlocked",
        "IntentBlocked",
        "DriftReferral",
        "MemoryHalt",
        "SafetyBlocked",
        "Denied",
        "SteppedUp",
        "Deferred",
        "PipelineHalt",
        "ContractBlocked",
    ];
    let mut cases = Vec::new();
    for from in terminals {
        for to in terminals {
            cases.push(Case {
                what: format!("{from} as {to}"),
                code: format!("fn NAME(stop: {from}) -> {to} {{ stop }}"),
                expect: if from == to {
                    Expect::Compiles
                } else {
                    fails("E0308", &["mismatched types"])
                },
            });
        }
        for (follow_up, owner) in [
            ("conflicts()", "MemoryHalt"),
            ("request()", "SteppedUp"),
            ("until()", "Deferred"),
            ("missing()", "Deferred"),
            ("finding()", "SafetyBlocked"),
        ] {
            cases.push(Case {
                what: format!("{from}.{follow_up}"),
                code: format!("fn NAME(stop: {from}) {{ let _ = stop.{follow_up}; }}"),
                expect: if from == owner {
                    Expect::Compiles
                } else {
                    fails("E0599", &["no method named"])
                },
            });
        }
        cases.push(Case {
            what: format!("{from}.conclude()"),
            code: format!("fn NAME(stop: {from}) -> Conclusion {{ stop.conclude() }}"),
            expect: Expect::Compiles,
        });
        cases.push(Case {
            what: format!("{from}.backtrack()"),
            code: format!(
                "fn NAME(stop: {from}, a: BacktrackAuthorization) {{ let _ = stop.backtrack(a); }}"
            ),
            expect: if from == "DriftReferral" {
                Expect::Compiles
            } else {
                fails("E0599", &["no method named `backtrack`"])
            },
        });
    }
    check("routing-terminals", cases);
}

/// Used once: the compiler's own rule, asked for each thing that must be.
#[test]
fn irm_7_4_what_is_spent_is_gone() {
    let mut cases = Vec::new();
    for (i, (next, parameters, call)) in VERBS.iter().enumerate() {
        let place = PLACES[i];
        cases.push(Case {
            what: format!("a route at {place} used after {call}"),
            code: format!(
                "fn NAME(r: Route<{place}>, {parameters}) {{ let _a = r.{call}; let _b = r.evidence(); }}"
            ),
            expect: fails("E0382", &["borrow of moved value: `r`"]),
        });
        cases.push(Case {
            what: format!("a route at {place} used before {call}, towards {next}"),
            code: format!(
                "fn NAME(r: Route<{place}>, {parameters}) {{ let _b = r.evidence(); let _a = r.{call}; }}"
            ),
            expect: Expect::Compiles,
        });
    }
    cases.push(Case {
        what: "a token for two routes".into(),
        code: "fn NAME(a: Route<Governance>, b: Route<Governance>, e: &PathPlanner, t: &RoutingTable, s: State, k: ApprovalToken, m: &TokenMint, n: Timestamp) { let _ = a.plan(e, t, s, k, m, n); let _ = b.plan(e, t, s, k, m, n); }".into(),
        expect: fails("E0382", &["use of moved value: `k`"]),
    });
    cases.push(Case {
        what: "an authorization for two routes".into(),
        code: "fn NAME(a: Route<Safety>, b: Route<Safety>, k: BacktrackAuthorization) { let _ = a.backtrack::<layers::Modeling>(k); let _ = b.backtrack::<layers::Modeling>(k); }".into(),
        expect: fails("E0382", &["use of moved value: `k`"]),
    });
    cases.push(Case {
        what: "sealed evidence committed twice".into(),
        code: "fn NAME(s: Sealed, r: &Receipt) { let _ = s.commit(r); let _ = s.commit(r); }"
            .into(),
        expect: fails("E0382", &["use of moved value: `s`"]),
    });
    cases.push(Case {
        what: "a terminal concluded twice".into(),
        code: "fn NAME(s: MemoryHalt) { let _a = s.conclude(); let _b = s.conclude(); }".into(),
        expect: fails("E0382", &["use of moved value: `s`"]),
    });
    check("routing-moves", cases);
}

/// Nothing that stands for a decision can be made by hand: fields.
#[test]
fn d_28_forging_by_construction() {
    let forged = [
        ("Route", "Route<Committed>", "Route { ..loop {} }", "E0451"),
        ("Permit", "Permit", "Permit(())", "E0423"),
        (
            "ApprovalToken",
            "ApprovalToken",
            "ApprovalToken { claims: todo!(), tag: [0; 32] }",
            "E0451",
        ),
        ("Receipt", "Receipt", "Receipt { records: vec![], durability: todo!() }", "E0451"),
        ("Sealed", "Sealed", "Sealed { ..loop {} }", "E0451"),
        (
            "BacktrackAuthorization",
            "BacktrackAuthorization",
            "BacktrackAuthorization { route: todo!(), target: todo!(), record: todo!() }",
            "E0451",
        ),
        ("Denied", "Denied", "Denied { ..loop {} }", "E0451"),
    ];
    // One crate for each code: errors of one phase hide those of another.
    for (crate_name, code) in
        [("routing-forged-fields", "E0451"), ("routing-forged-tuple", "E0423")]
    {
        let cases = forged.iter().filter(|f| f.3 == code).map(|(what, of, made, code)| Case {
            what: format!("{what} by construction"),
            code: format!("fn NAME() -> {of} {{ {made} }}"),
            expect: fails(code, &[]),
        });
        check(crate_name, cases.collect());
    }
}

/// Nor through a function that mints.
#[test]
fn d_28_forging_by_minting() {
    let cases = [
        (
            "TokenMint::issue",
            "fn NAME(m: &TokenMint, c: prospera::governance::TokenClaims) { let _ = m.issue(c); }",
        ),
        ("Permit::of_committed_route", "fn NAME() { let _ = Permit::of_committed_route(); }"),
        (
            "GovernanceDecision::authorize_backtrack",
            "fn NAME(d: &prospera::governance::GovernanceDecision, r: Digest, n: Timestamp) { let _ = d.authorize_backtrack(r, n); }",
        ),
        ("Route::at", "fn NAME() { let _ = Route::<Committed>::at(todo!()); }"),
        (
            "Route::committed",
            "fn NAME() { let _ = Route::<Committed>::committed(todo!(), todo!()); }",
        ),
        ("Route::resume", "fn NAME() { let _ = Route::<Safety>::resume(todo!()); }"),
        ("MemoryHalt::new", "fn NAME() { let _ = MemoryHalt::new(todo!(), vec![]); }"),
    ];
    let cases = cases.map(|(what, code)| Case {
        what: what.into(),
        code: code.into(),
        expect: fails("E0624", &["is private"]),
    });
    check("routing-minted", cases.into());
}

/// The positions and their order are closed.
///
/// IRM-1.7, IRM-3.4.4.
#[test]
fn irm_7_3_no_place_of_ones_own() {
    let cases = vec![Case {
        what: "a ninth layer".into(),
        code: "enum Ninth {} impl layers::Precedes<Memory> for Ninth {}".into(),
        expect: fails("E0277", &["`Ninth` is no place on the routing path"]),
    }];
    check("routing-sealed", cases);
    let cases = vec![Case {
        what: "a shortcut".into(),
        code: "impl layers::Precedes<Execution> for Identity {}".into(),
        expect: fails("E0117", &["only traits defined in the current crate"]),
    }];
    check("routing-shortcut", cases);
}
