//! The path by hand: a route whose type says which layer it has passed, and an audience
//! whose type says in which state it is.
//!
//! [`Router`](prospera::routing::Router) walks exactly this path. By hand one sees every
//! end it can have, each a type of its own. A step that is left out does not compile, nor
//! does a handle that is used twice.
//!
//! Run it with `cargo run --example typed_path`.

use std::collections::BTreeMap;

use prospera::audience::any::AnyAudience;
use prospera::audience::causes::{DowngradeCause, HoldTrigger};
use prospera::audience::classifier::{Class, Classifier, Consent, Profile as ClassProfile};
use prospera::audience::evidence::At;
use prospera::audience::gate::{Gate, Verdicts};
use prospera::audience::matrix::Matrix;
use prospera::audience::state::State;
use prospera::audience::states::{Base, Hold, Init, Restricted, Verified};
use prospera::audience::typed::{Audience, Transition};
use prospera::digest::Digest;
use prospera::governance::{Authority, GovernanceEngine, KernelInput};
use prospera::id::{SnapshotId, Subsystem};
use prospera::identity::Session;
use prospera::intent::Submission;
use prospera::memory::Facts;
use prospera::modeling::Profile;
use prospera::provenance::Label;
use prospera::risk::Risk;
use prospera::routing::route::{GovernanceView, Reception, Route, SafetyView};
use prospera::routing::terminal::{GovernanceStop, Terminal};
use prospera::routing::{Rules, Stop};
use prospera::safety::{PostureInput, SafetyEngine};
use prospera::ssot::ledger::Ledger;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::store::Batch;
use prospera::testing::world::{BEGIN, DefaultEngines, Failure, Setup, request, session};
use prospera::verdict::{CapabilityTier, Consensus, SafetyFlags};

/// Records a transition and turns what is pending into a handle.
fn record<F, T>(
    ledger: &Ledger<MemoryStore>,
    transition: Transition<F, T>,
) -> Result<Audience<T>, Failure>
where
    F: prospera::audience::states::AudienceState,
    T: prospera::audience::states::AudienceState,
{
    println!("  {} → {}", F::STATE, T::STATE);
    let draft = transition.draft(Subsystem::Audience);
    let pending = transition.into_pending();
    let batch = Batch::new(BEGIN).expect(pending.stream(), pending.expected_head()).append(draft);
    let receipt = ledger.commit(batch)?;
    let sealed = receipt.records().first().ok_or("no record")?;
    // Only the sealed record of exactly this transition makes the handle usable.
    Ok(pending.confirm(sealed).map_err(|error| error.to_string())?)
}

/// INIT → BASE → VERIFIED, each with a clearance that the four verdicts open.
fn advance(
    engines: &DefaultEngines,
    ledger: &Ledger<MemoryStore>,
    session: &Session,
) -> Result<Audience<Verified>, Failure> {
    let AnyAudience::Init(audience) = AnyAudience::replay(session.subject().clone(), &[])? else {
        return Err("a lineage without records ends in INIT".into());
    };
    let (gate, matrix) = (Gate::new(60_000), Matrix::default());
    let at = At { now: BEGIN, snapshot: Digest::ZERO };
    let (envelope, risk) = engines.safety.posture(&PostureInput {
        state: State::Init,
        strength: session.strength(),
        context: &Label::empty(),
        now: BEGIN,
    });
    let class = Classifier::default().classify(&ClassProfile {
        identity_strength: session.strength(),
        consent: Consent::Explicit,
        good_outcomes: 0,
        bad_outcomes: 0,
        age_days: 0,
        risk,
    });
    let kernel = |state| {
        engines.governance.kernel(&KernelInput {
            state,
            flags: SafetyFlags::NONE,
            tier: CapabilityTier::Observe,
            authority: authority(session),
            risk,
            label: &Label::empty(),
            lineage_intact: true,
        })
    };
    let verdicts =
        |state, tier| (class.verdict(), matrix.verdict(class.class(), tier), kernel(state));

    let (by_class, by_matrix, by_kernel) = verdicts(State::Init, CapabilityTier::Observe);
    let clearance = gate.clear::<Init, Base>(
        &audience,
        Verdicts {
            envelope: Some(&envelope),
            class: Some(&by_class),
            matrix: Some(&by_matrix),
            kernel: Some(&by_kernel),
        },
        &at,
    )?;
    let admitted = audience.admit(clearance, &at).map_err(|error| error.to_string())?;
    let audience: Audience<Base> = record(ledger, admitted)?;

    let (by_class, by_matrix, by_kernel) = verdicts(State::Base, CapabilityTier::Act);
    let clearance = gate.clear::<Base, Verified>(
        &audience,
        Verdicts {
            envelope: Some(&envelope),
            class: Some(&by_class),
            matrix: Some(&by_matrix),
            kernel: Some(&by_kernel),
        },
        &at,
    )?;
    let verified = audience.verify(clearance, &at).map_err(|error| error.to_string())?;
    record(ledger, verified)
}

fn authority(session: &Session) -> Authority<'_> {
    Authority {
        principal: session.principal(),
        kind: session.kind().name(),
        scopes: session.scopes(),
        delegation: session.delegation().len(),
    }
}

/// Walks one intent to its end. Each `?` is one of the ways in which it can end early.
fn walk(
    engines: &DefaultEngines,
    rules: &Rules,
    ledger: &Ledger<MemoryStore>,
    session: &Session,
    audience: &Audience<Verified>,
    submission: Submission,
) -> Result<Result<String, Stop>, Failure> {
    let state = audience.state();
    let facts = Facts::of(session.subject().clone());
    let (context, history) = (Label::empty(), BTreeMap::new());
    let route = Route::receive(
        submission,
        &Reception {
            session,
            state,
            class: 2,
            snapshot: SnapshotId::new(Digest::ZERO),
            pins: rules.pins.digest(),
            standing: Consensus::NONE,
            wait_until: BEGIN.plus_millis(60_000),
            now: BEGIN,
        },
    );
    let decide = || {
        let route = route
            .identify(&engines.identity, session)?
            .package(&engines.intent, rules.catalogue)?
            .model(&engines.modeling, &Profile::default())?
            .recall(&engines.memory, &facts)?
            .assess(
                &engines.safety,
                &SafetyView { state, context: &context, staleness_millis: 0 },
            )?;
        let view = GovernanceView {
            session,
            state,
            class: Class::B,
            context: &context,
            history: &history,
            approval: None,
            lineage_intact: true,
            ask: false,
            token_millis: 60_000,
            nonce: *b"one of its kind!",
        };
        // The token is spent at once: there is no second plan for one approval.
        let (route, token) = route.govern(&engines.governance, &view, &rules.table, &rules.mint)?;
        let route =
            route.plan(&engines.pipeline, &rules.table, state, token, &rules.mint, BEGIN)?;
        Ok::<_, Stop>(route.seal(&engines.execution)?)
    };
    let sealed = match decide() {
        Ok(sealed) => sealed,
        Err(stop) => return Ok(Err(stop)),
    };
    // Evidence first. Without the receipt there is no `execute` to call.
    let draft = sealed.draft();
    let head = prospera::ssot::store::Store::head(ledger.store(), draft.stream())?;
    let receipt =
        ledger.commit(Batch::new(BEGIN).expect(draft.stream().clone(), head).append(draft))?;
    let route = sealed.commit(&receipt).map_err(|error| error.to_string())?;
    let done = route.execute(&engines.execution, state, BEGIN);
    let output = done.output().map(|output| output.value.to_string());
    Ok(Ok(format!("{:?} {}", done.outcome().status, output.unwrap_or_default())))
}

/// Every end of a route, as what one can do about it.
fn explain(stop: Stop) -> String {
    fn why(stop: &impl Terminal) -> String {
        let reasons: Vec<_> = stop.reasons().iter().map(ToString::to_string).collect();
        format!("{} ({})", stop.verdict(), reasons.join("; "))
    }
    match stop {
        Stop::Identity(stop) => format!("not who may ask: {}", why(&stop)),
        Stop::Intent(stop) => format!("not an intent: {}", why(&stop)),
        Stop::Drift(stop) => format!("governance may take it back: {}", why(&stop)),
        Stop::Memory(stop) => format!("{} facts to correct", stop.conflicts().len()),
        Stop::Safety(stop) => format!("not safe: {}", why(&stop)),
        Stop::Governance(GovernanceStop::Denied(stop)) => format!("not allowed: {}", why(&stop)),
        Stop::Governance(GovernanceStop::SteppedUp(stop)) => {
            format!("a {} decides", stop.request().role)
        }
        Stop::Governance(GovernanceStop::Deferred(stop)) => {
            format!("until {} supply {}", stop.until(), stop.missing())
        }
        Stop::Pipeline(stop) => format!("no path: {}", why(&stop)),
        Stop::Contract(stop) => format!("no module: {}", why(&stop)),
    }
}

fn main() -> Result<(), Failure> {
    let (engines, rules, catalogue) = Setup::sample()?.into_parts()?;
    let alice = session(engines.identity.policy(), "alice", "s-1", None, BEGIN)?;
    let ledger = Ledger::new(MemoryStore::new());

    println!("up:");
    let audience = advance(&engines, &ledger, &alice)?;
    println!("routes of {} at risk below {}:", audience.subject(), Risk::ESCALATION);
    for (kind, argument) in [
        ("note.read", "name"),
        ("payment.send", "to"),
        ("key.rotate", "key"),
        ("note.read", "nmae"),
    ] {
        let request = request(kind, &[(argument, "x".into())])?;
        let submission = match catalogue.intent(request) {
            Ok(intent) => Submission::from(intent),
            Err(error) => {
                println!("  {kind}: no intent: {error}");
                continue;
            }
        };
        match walk(&engines, &rules, &ledger, &alice, &audience, submission)? {
            Ok(done) => println!("  {kind}: {done}"),
            Err(stop) => println!("  {kind}: {}", explain(stop)),
        }
    }

    println!("down:");
    let audience: Audience<Base> = record(&ledger, audience.step_back())?;
    let lowered = audience.downgrade::<Restricted>(DowngradeCause::PredictiveRisk);
    let audience: Audience<Restricted> = record(&ledger, lowered)?;
    let audience: Audience<Hold> = record(&ledger, audience.hold(HoldTrigger::GovernanceFlag))?;
    // From HOLD only governance leads out: `audience.verify(..)` does not compile.
    println!("{} rests in {}", audience.subject(), audience.state());
    Ok(())
}
