//! Every illegal pair of states and every illegal verb does not compile, for the right
//! reason (D-1, ASM2-3.8, ASM2-5.1..ASM2-5.7); every legal one does.

#[path = "support/matrix.rs"]
mod matrix;

use matrix::{Case, Expect, Matrix};
use prospera::audience::state::State;
use prospera::audience::table::{Way, edge};

/// A verb: its name, the way it takes, the target (none: the mapping decides), the trait of
/// its bound, the words of its message, and the call on an audience `a` in state `FROM`.
struct Verb {
    name: &'static str,
    way: Way,
    to: Option<State>,
    message: &'static str,
    parameters: &'static str,
    call: &'static str,
}

const VERBS: [Verb; 14] = [
    verb(
        "admit",
        Way::Advance,
        Some(State::Base),
        "cannot advance to",
        "c: Clearance<FROM, Base>, at: At",
        "admit(c, &at)",
    ),
    verb(
        "admit_restricted",
        Way::Advance,
        Some(State::Base),
        "cannot advance to",
        "c: Clearance<FROM, Base>, at: At",
        "admit_restricted(c, &at)",
    ),
    verb(
        "verify",
        Way::Advance,
        Some(State::Verified),
        "cannot advance to",
        "c: Clearance<FROM, Verified>, at: At",
        "verify(c, &at)",
    ),
    verb(
        "elevate",
        Way::Advance,
        Some(State::Privileged),
        "cannot advance to",
        "c: Clearance<FROM, Privileged>, at: At",
        "elevate(c, &at)",
    ),
    verb("step_back", Way::StepBack, Some(State::Base), "cannot step back to", "", "step_back()"),
    verb(
        "downgrade",
        Way::Downgrade,
        None,
        "has no downgrade that a cause alone justifies",
        "c: DowngradeCause",
        "downgrade(c)",
    ),
    verb(
        "restrict",
        Way::Restrict,
        Some(State::Restricted),
        "cannot be restricted to",
        "r: Restriction",
        "restrict(r)",
    ),
    verb("hold", Way::Hold, Some(State::Hold), "cannot be put on", "t: HoldTrigger", "hold(t)"),
    verb(
        "downgrade_governed",
        Way::GovernedDowngrade,
        Some(State::Verified),
        "has no governed downgrade to",
        "c: DowngradeCause, g: GovernanceAuthorization, now: Timestamp",
        "downgrade_governed(c, g, now)",
    ),
    verb(
        "release",
        Way::Release,
        Some(State::Base),
        "cannot be released to",
        "g: GovernanceApproval, now: Timestamp",
        "release(g, now)",
    ),
    verb(
        "release_restricted",
        Way::Release,
        Some(State::Restricted),
        "cannot be released to",
        "g: GovernanceApproval, now: Timestamp",
        "release_restricted(g, now)",
    ),
    verb(
        "review",
        Way::Review,
        Some(State::Hold),
        "cannot be reviewed into",
        "g: GovernanceReview, now: Timestamp",
        "review(g, now)",
    ),
    verb(
        "escalate",
        Way::Escalate,
        Some(State::Escalated),
        "cannot escalate to",
        "t: EscalationTrigger",
        "escalate(t)",
    ),
    verb(
        "escalate_constitutional",
        Way::ConstitutionalEscalate,
        Some(State::Escalated),
        "has no constitutional escalation to",
        "v: ConstitutionalViolation",
        "escalate_constitutional(v)",
    ),
];

const fn verb(
    name: &'static str,
    way: Way,
    to: Option<State>,
    message: &'static str,
    parameters: &'static str,
    call: &'static str,
) -> Verb {
    Verb { name, way, to, message, parameters, call }
}

const PRELUDE: &str = "
use prospera::audience::causes::{ConstitutionalViolation, DowngradeCause, EscalationTrigger, HoldTrigger, Restriction};
use prospera::audience::evidence::{At, GovernanceApproval, GovernanceAuthorization, GovernanceReview};
use prospera::audience::gate::{Clearance, Gate, Verdicts};
use prospera::audience::states::{Base, Escalated, Hold, Init, Privileged, Restricted, Satisfies, Verified};
use prospera::audience::typed::{Audience, legal_edge};
use prospera::time::Timestamp;
fn contract<S: Satisfies<R>, R: prospera::audience::states::AudienceState>(_: &Audience<S>) {}
";

#[test]
fn d_1_exactly_the_fifteen_edges_compile() {
    let mut cases = Vec::new();
    let mut illegal_pairs = 0;
    for from in State::ALL {
        for to in State::ALL {
            let legal = edge(from, to).is_some();
            illegal_pairs += usize::from(!legal);
            cases.push(pair(from, to, legal));
            cases.push(clearance(from, to));
            cases.push(contract(from, to));
        }
        cases.extend(VERBS.iter().map(|verb| call(from, verb)));
    }
    assert_eq!(illegal_pairs, 34, "27 pairs of different states and 7 of the same");
    // Each illegal pair that a verb could lead to is tried with every such verb.
    for (from, to) in State::ALL.into_iter().flat_map(|f| State::ALL.map(|t| (f, t))) {
        let tried = VERBS.iter().any(|verb| verb.to == Some(to));
        assert!(tried || to == State::Init, "{from} {to}: no verb leads to {to}");
    }
    let matrix = Matrix { name: "audience-matrix", prelude: PRELUDE.trim().to_owned(), cases };
    let problems = matrix.problems();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

fn marker(state: State) -> String {
    format!("{state:?}")
}

/// The marker as the compiler names it in a message.
fn shown(state: State) -> String {
    format!("prospera::audience::states::{state:?}")
}

/// `legal_edge` over a pair.
fn pair(from: State, to: State, legal: bool) -> Case {
    let (f, t) = (marker(from), marker(to));
    Case {
        what: format!("legal_edge {from} {to}"),
        code: format!("fn NAME() {{ legal_edge::<{f}, {t}>(); }}"),
        expect: if legal {
            Expect::Compiles
        } else {
            let what = format!("`{}` → `{}` is not an edge", shown(from), shown(to));
            fails(vec![what, "legal exits:".to_owned()])
        },
    }
}

/// A clearance for a pair: advances only.
fn clearance(from: State, to: State) -> Case {
    let (f, t) = (marker(from), marker(to));
    Case {
        what: format!("clearance {from} {to}"),
        code: format!(
            "fn NAME(g: Gate, a: &Audience<{f}>, v: Verdicts<'_>, at: At) {{ let _ = g.clear::<{f}, {t}>(a, v, &at); }}"
        ),
        expect: if edge(from, to).is_some_and(|e| e.allows(Way::Advance)) {
            Expect::Compiles
        } else {
            fails(vec![format!("`{}` cannot advance to `{}`", shown(from), shown(to))])
        },
    }
}

/// A Module Contract's required state.
fn contract(state: State, required: State) -> Case {
    let (s, r) = (marker(state), marker(required));
    Case {
        what: format!("contract that requires {required}, audience in {state}"),
        code: format!("fn NAME(a: &Audience<{s}>) {{ contract::<{s}, {r}>(a); }}"),
        expect: if prospera::audience::table::satisfies(state, required) {
            Expect::Compiles
        } else {
            fails(vec![format!(
                "an audience in `{}` does not satisfy a contract that requires `{}`",
                shown(state),
                shown(required)
            )])
        },
    }
}

/// A verb called in a state.
fn call(from: State, verb: &Verb) -> Case {
    let f = marker(from);
    let legal = State::ALL
        .into_iter()
        .filter(|to| verb.to.is_none_or(|target| target == *to))
        .any(|to| edge(from, to).is_some_and(|e| e.allows(verb.way)));
    let parameters = verb.parameters.replace("FROM", &f);
    let target = verb.to.map(|to| format!(" `{}`", shown(to))).unwrap_or_default();
    let words =
        vec![format!("`{}` {}{target}", shown(from), verb.message), "legal exits:".to_owned()];
    Case {
        what: format!("{} from {from}", verb.name),
        code: format!("fn NAME(a: Audience<{f}>, {parameters}) {{ let _ = a.{}; }}", verb.call),
        expect: if legal { Expect::Compiles } else { fails(words) },
    }
}

fn fails(words: Vec<String>) -> Expect {
    Expect::Fails { code: "E0277", words }
}
