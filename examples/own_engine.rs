//! An engine of one's own in place of a default one.
//!
//! Each of the eight layers is a trait, and an [`EngineSet`] holds one engine per layer.
//! Here Safety is replaced: `Cautious` asks the default engine first and then adds a
//! concern of its own. It can only be stricter, because it starts from what the default
//! engine found and never looks back.
//!
//! Run it with `cargo run --example own_engine`.

use prospera::routing::{EngineSet, Router, StepResult};
use prospera::safety::{
    PostureInput, SafetyDecision, SafetyEngine, SafetyFinding, SafetyInput, SafetySystem,
};
use prospera::ssot::memory::MemoryStore;
use prospera::testing::world::{BEGIN, Failure, Setup, SharedClock, session};
use prospera::verdict::{EnvelopeVerdict, Reason, ReasonCode};

/// The default Safety System, and one concern more: notes about the board are not for
/// machines.
struct Cautious {
    default: SafetySystem,
    word: &'static str,
}

impl SafetyEngine for Cautious {
    fn assess(&self, input: &SafetyInput<'_>) -> SafetyFinding {
        let mut finding = self.default.assess(input);
        let mut texts = input.intent.arguments().values().filter_map(|a| a.value.as_text());
        if texts.any(|text| text.contains(self.word)) {
            finding.decision = SafetyDecision::Block;
            let reason = Reason::new(ReasonCode::ForbiddenRoute);
            finding.reasons.push(reason.detail(format!("an argument speaks of the {}", self.word)));
        }
        finding
    }

    // What an audience is worth while it rests stays the default engine's business.
    fn posture(&self, input: &PostureInput<'_>) -> (EnvelopeVerdict, prospera::risk::Risk) {
        self.default.posture(input)
    }
}

fn main() -> Result<(), Failure> {
    // Seven engines stay what they are.
    let (engines, rules, catalogue) = Setup::sample()?.into_parts()?;
    let engines = EngineSet {
        identity: engines.identity,
        intent: engines.intent,
        modeling: engines.modeling,
        memory: engines.memory,
        safety: Cautious { default: engines.safety, word: "board" },
        governance: engines.governance,
        pipeline: engines.pipeline,
        execution: engines.execution,
    };
    let alice = session(engines.identity.policy(), "alice", "s-1", None, BEGIN)?;
    let clock = SharedClock::new(BEGIN);
    let router = Router::new(engines, rules, MemoryStore::new(), clock, "operator".parse()?)?;
    let mut desk = router.open(alice)?;

    for note in ["groceries", "board meeting"] {
        let request = prospera::testing::world::request("note.read", &[("name", note.into())])?;
        let intent = catalogue.intent(request)?;
        let done = router.route(&mut desk, intent.into())?;
        let stopped = done.evidence.trace.iter().find(|entry| entry.result == StepResult::Stopped);
        let last = stopped.and_then(|entry| entry.reasons.last());
        let why = last.map(|reason| format!(": {reason}")).unwrap_or_default();
        println!("{note}: {}{why}", done.verdict);
    }
    Ok(())
}
