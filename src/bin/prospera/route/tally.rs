//! What a run came to.

use std::collections::BTreeMap;

use prospera::audience::state::State;
use prospera::routing::{EvidenceBlock, OutcomeStatus, Routed};
use prospera::verdict::{Reason, ReasonCode, Verdict};

use super::run::Done;
use crate::args::Group;

/// Most bad lines that are listed.
const LISTED: usize = 20;

/// Counts by verdict: allow, modify, step up, defer, deny.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Verdicts(pub(crate) [u64; 5]);

impl Verdicts {
    fn count(&mut self, verdict: Verdict) {
        if let Some(count) = self.0.get_mut(place(verdict)) {
            *count = count.saturating_add(1);
        }
    }

    /// The worst that happened: `passed`, `asked` or `refused`.
    pub(crate) fn worst(&self) -> &'static str {
        let [_, _, asked, deferred, denied] = self.0;
        match (asked.saturating_add(deferred), denied) {
            (0, 0) => "passed",
            (_, 0) => "asked",
            _ => "refused",
        }
    }
}

const fn place(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Allow => 0,
        Verdict::Modify => 1,
        Verdict::StepUp => 2,
        Verdict::Defer => 3,
        Verdict::Deny => 4,
    }
}

/// The verdicts' names, in the order in which they are counted.
pub(crate) const NAMES: [&str; 5] = ["allow", "modify", "step up", "defer", "deny"];

/// A verdict's name.
pub(crate) fn name(verdict: Verdict) -> &'static str {
    NAMES.get(place(verdict)).copied().unwrap_or_default()
}

/// A bad line: where and why.
pub(crate) struct Bad {
    pub(crate) place: String,
    pub(crate) why: String,
}

/// What a run came to.
pub(crate) struct Tally {
    by: Option<Group>,
    lines: u64,
    pub(crate) control: u64,
    pub(crate) verdicts: Verdicts,
    pub(crate) reasons: BTreeMap<(&'static str, String), u64>,
    pub(crate) groups: BTreeMap<String, Verdicts>,
    pub(crate) moves: BTreeMap<(State, State), u64>,
    pub(crate) states: BTreeMap<State, u64>,
    pub(crate) failed: u64,
    pub(crate) bad: Vec<Bad>,
    pub(crate) more_bad: u64,
}

impl Tally {
    pub(crate) const fn new(by: Option<Group>) -> Self {
        Self {
            by,
            lines: 0,
            control: 0,
            verdicts: Verdicts([0; 5]),
            reasons: BTreeMap::new(),
            groups: BTreeMap::new(),
            moves: BTreeMap::new(),
            states: BTreeMap::new(),
            failed: 0,
            bad: Vec::new(),
            more_bad: 0,
        }
    }

    /// How many lines were done.
    pub(crate) const fn lines(&self) -> u64 {
        self.lines
    }

    /// How many were routed.
    pub(crate) const fn routes(&self) -> u64 {
        self.lines.saturating_sub(self.control)
    }

    /// What routes are grouped by.
    pub(crate) const fn by(&self) -> Option<Group> {
        self.by
    }

    /// Whether everything was allowed, narrowed or not, and took place.
    pub(crate) fn all_allowed(&self) -> bool {
        let [_, _, asked, deferred, denied] = self.verdicts.0;
        asked == 0 && deferred == 0 && denied == 0 && self.failed == 0
    }

    /// Takes in what came of a line.
    pub(crate) fn take(&mut self, input: &str, number: u64, done: &Done) {
        self.lines = self.lines.saturating_add(1);
        let Done::Routed { routed, session, malformed, .. } = done else {
            self.control = self.control.saturating_add(1);
            return;
        };
        self.verdicts.count(routed.verdict);
        let reason = why(routed);
        *self.reasons.entry((name(routed.verdict), reason)).or_default() += 1;
        if routed.outcome.as_ref().is_some_and(|o| o.status != OutcomeStatus::Done) {
            self.failed = self.failed.saturating_add(1);
        }
        if let Some(by) = self.by {
            let evidence = &routed.evidence;
            let key = match by {
                Group::Session => session.to_string(),
                Group::Subject => evidence.subject.to_string(),
                Group::Kind => {
                    evidence.kind.as_ref().map_or_else(|| "(none)".into(), ToString::to_string)
                }
            };
            self.groups.entry(key).or_default().count(routed.verdict);
        }
        if *malformed {
            if self.bad.len() < LISTED {
                let why = deciding(&routed.evidence).map_or_else(String::new, ToString::to_string);
                self.bad.push(Bad { place: format!("{input}:{number}"), why });
            } else {
                self.more_bad = self.more_bad.saturating_add(1);
            }
        }
    }

    /// A move of an audience.
    pub(crate) fn moved(&mut self, from: State, to: State) {
        *self.moves.entry((from, to)).or_default() += 1;
    }

    /// The states that audiences ended in, one per subject.
    pub(crate) fn states(&mut self, found: impl Iterator<Item = (String, State)>) {
        let by_subject: BTreeMap<String, State> = found.collect();
        for state in by_subject.into_values() {
            *self.states.entry(state).or_default() += 1;
        }
    }
}

/// The reason that decided a route: of the layer that ended it, or of the one that
/// narrowed it, the first that speaks for the verdict. The layer lists what else it found
/// beside it.
pub(crate) fn deciding(evidence: &EvidenceBlock) -> Option<&Reason> {
    use prospera::routing::StepResult::{Narrowed, Stopped};
    let ended = evidence.trace.iter().find(|entry| entry.result == Stopped);
    let narrowed = || evidence.trace.iter().rev().find(|entry| entry.result == Narrowed);
    let Some(entry) = ended.or_else(narrowed) else {
        let all = evidence.trace.iter().flat_map(|entry| &entry.reasons);
        let grants = |reason: &&Reason| {
            matches!(reason.code, ReasonCode::RuleAllow | ReasonCode::ApprovalGranted)
        };
        return all.rev().find(grants);
    };
    let reasons = &entry.reasons;
    let speaks = |reason: &&Reason| verdict_of(reason.code).is_none_or(|v| v == evidence.verdict);
    reasons.iter().find(speaks).or_else(|| reasons.first())
}

/// The verdict that a code speaks for, where it speaks for one alone.
const fn verdict_of(code: ReasonCode) -> Option<Verdict> {
    match code {
        ReasonCode::RuleAllow | ReasonCode::RiskScored | ReasonCode::ApprovalGranted => {
            Some(Verdict::Allow)
        }
        ReasonCode::RuleModify | ReasonCode::RiskLimit => Some(Verdict::Modify),
        ReasonCode::RuleStepUp | ReasonCode::SafetyHeld | ReasonCode::RiskHold => {
            Some(Verdict::StepUp)
        }
        ReasonCode::RuleDefer => Some(Verdict::Defer),
        ReasonCode::RuleDeny => Some(Verdict::Deny),
        _ => None,
    }
}

/// Why, in the fewest words: the code, and the rule that says so.
fn why(routed: &Routed) -> String {
    if let Some(outcome) = &routed.outcome
        && outcome.status != OutcomeStatus::Done
    {
        let reason = outcome.reasons.first().map_or("unknown", |reason| reason.code.name());
        return format!("not carried out: {reason}");
    }
    match deciding(&routed.evidence) {
        Some(reason) => short(reason),
        None => "every layer agreed".into(),
    }
}

/// A reason's code and rule.
pub(crate) fn short(reason: &Reason) -> String {
    match &reason.rule {
        Some(rule) => format!("{} [{rule}]", reason.code.name()),
        None => reason.code.name().into(),
    }
}
