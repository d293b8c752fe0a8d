//! A transition: seven states, fifteen edges, walked round a circle that takes nine of them.
//!
//! statig calls the handler of the current state and stores the next one; handlers may do
//! what they like, and states may be nested, which these are not. Ours is asked three ways:
//! the table alone (state and way in, next state out), the run-time handle (which is given
//! up to a refusal and else given back with what the edge needs), and the typed verb, which
//! makes the event to record and a handle that waits for it. Neither statig nor the table
//! leaves evidence; neither needs a clearance to advance.

use std::hint::black_box;

use prospera::audience::causes::EscalationTrigger;
use prospera::audience::state::State as Audience;
use prospera::audience::table::{Way, edge};
use statig::prelude::*;

use crate::common::machine;
use crate::common::report::{Report, batch, rivals};

/// Which state is asked for, and in which way.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    to: Audience,
    way: Way,
}

/// The audience's machine in statig.
#[derive(Default)]
pub struct Machine;

#[state_machine(initial = "State::init()", state(derive(Debug, Clone, PartialEq)))]
impl Machine {
    #[state]
    fn init(event: &Asked) -> Outcome<State> {
        match (event.to, event.way) {
            (Audience::Base, Way::Advance) => Transition(State::base()),
            (Audience::Escalated, Way::ConstitutionalEscalate) => Transition(State::escalated()),
            _ => Handled,
        }
    }

    #[state]
    fn base(event: &Asked) -> Outcome<State> {
        match (event.to, event.way) {
            (Audience::Verified, Way::Advance) => Transition(State::verified()),
            (Audience::Restricted, Way::Restrict | Way::Downgrade) => {
                Transition(State::restricted())
            }
            (Audience::Escalated, Way::Escalate) => Transition(State::escalated()),
            _ => Handled,
        }
    }

    #[state]
    fn verified(event: &Asked) -> Outcome<State> {
        match (event.to, event.way) {
            (Audience::Privileged, Way::Advance) => Transition(State::privileged()),
            (Audience::Base, Way::StepBack | Way::Downgrade) => Transition(State::base()),
            (Audience::Escalated, Way::Escalate) => Transition(State::escalated()),
            _ => Handled,
        }
    }

    #[state]
    fn privileged(event: &Asked) -> Outcome<State> {
        match (event.to, event.way) {
            (Audience::Verified, Way::GovernedDowngrade) => Transition(State::verified()),
            (Audience::Escalated, Way::Escalate) => Transition(State::escalated()),
            _ => Handled,
        }
    }

    #[state]
    fn restricted(event: &Asked) -> Outcome<State> {
        match (event.to, event.way) {
            (Audience::Hold, Way::Hold | Way::Downgrade) => Transition(State::hold()),
            (Audience::Escalated, Way::Escalate) => Transition(State::escalated()),
            _ => Handled,
        }
    }

    #[state]
    fn hold(event: &Asked) -> Outcome<State> {
        match (event.to, event.way) {
            (Audience::Base, Way::Release) => Transition(State::base()),
            (Audience::Restricted, Way::Release) => Transition(State::restricted()),
            _ => Handled,
        }
    }

    #[state]
    fn escalated(event: &Asked) -> Outcome<State> {
        match (event.to, event.way) {
            (Audience::Hold, Way::Review) => Transition(State::hold()),
            _ => Handled,
        }
    }
}

/// Ours, walked by the table: the next state, or the same where there is no such edge.
fn step(state: Audience, asked: Asked) -> Audience {
    match edge(state, asked.to) {
        Some(edge) if edge.allows(asked.way) => edge.to,
        _ => state,
    }
}

const fn asked(to: Audience, way: Way) -> Asked {
    Asked { to, way }
}

/// A way into each state.
fn path(to: Audience) -> Vec<Asked> {
    use Audience::{Base, Escalated, Hold, Init, Privileged, Restricted, Verified};
    let base = asked(Base, Way::Advance);
    match to {
        Init => vec![],
        Base => vec![base],
        Verified => vec![base, asked(Verified, Way::Advance)],
        Privileged => {
            vec![base, asked(Verified, Way::Advance), asked(Privileged, Way::Advance)]
        }
        Restricted => vec![base, asked(Restricted, Way::Restrict)],
        Hold => vec![base, asked(Restricted, Way::Restrict), asked(Hold, Way::Hold)],
        Escalated => vec![base, asked(Escalated, Way::Escalate)],
    }
}

/// From BASE through all states but INIT, and back to BASE.
const CIRCLE: [Asked; 9] = [
    asked(Audience::Verified, Way::Advance),
    asked(Audience::Privileged, Way::Advance),
    asked(Audience::Verified, Way::GovernedDowngrade),
    asked(Audience::Base, Way::StepBack),
    asked(Audience::Restricted, Way::Restrict),
    asked(Audience::Escalated, Way::Escalate),
    asked(Audience::Hold, Way::Review),
    asked(Audience::Restricted, Way::Release),
    asked(Audience::Hold, Way::Hold),
];

const BACK: Asked = asked(Audience::Base, Way::Release);

fn statig_state(state: &State) -> Audience {
    match state {
        State::Init {} => Audience::Init,
        State::Base {} => Audience::Base,
        State::Verified {} => Audience::Verified,
        State::Privileged {} => Audience::Privileged,
        State::Restricted {} => Audience::Restricted,
        State::Hold {} => Audience::Hold,
        State::Escalated {} => Audience::Escalated,
    }
}

/// From every state, every target in every way: 490 questions.
fn same_answers() {
    for from in Audience::ALL {
        for to in Audience::ALL {
            for way in Way::ALL {
                let mut machine = Machine.state_machine();
                path(from).iter().for_each(|asked| machine.handle(asked));
                assert_eq!(statig_state(machine.state()), from);
                machine.handle(&asked(to, way));
                let ours = step(from, asked(to, way));
                assert_eq!(statig_state(machine.state()), ours, "{from} → {to} by {way}");
            }
        }
    }
}

const ROUNDS: u32 = 50;

pub(crate) fn measure(report: &mut Report) {
    same_answers();
    let mut circle = CIRCLE.to_vec();
    circle.push(BACK);
    let steps = u128::try_from(circle.len()).unwrap_or(1);

    let mut machine = Machine.state_machine();
    machine.handle(&asked(Audience::Base, Way::Advance));
    let mut state = Audience::Base;
    let mut handle = Some(machine::any());
    let times = rivals(
        200,
        &mut [
            &mut || {
                batch(ROUNDS, || {
                    for asked in &circle {
                        state = step(black_box(state), *black_box(asked));
                    }
                }) / steps
            },
            &mut || {
                batch(ROUNDS, || {
                    for asked in &circle {
                        machine.handle(black_box(asked));
                    }
                }) / steps
            },
            &mut || {
                batch(500, || {
                    let (to, way) = (black_box(Audience::Escalated), black_box(Way::Escalate));
                    let answer = handle.take().map(|a| machine::request_ours(a, to, way));
                    handle = answer.and_then(Result::ok).map(|(audience, _)| audience);
                })
            },
            &mut || {
                let handles: Vec<_> = (0..200).map(|_| machine::base()).collect();
                let mut handles = handles.into_iter();
                let mut out = Vec::with_capacity(200);
                batch(200, || {
                    let trigger = black_box(EscalationTrigger::RiskScore);
                    out.extend(handles.next().map(|a| machine::escalate_typed(a, trigger)));
                })
            },
        ],
    );
    assert_eq!(state, Audience::Base, "the circle closes");
    assert_eq!(statig_state(machine.state()), Audience::Base, "the circle closes");
    report.time("prospera-step", "prospera, a transition by the table", times[0]);
    report.beside("statig", "statig, a transition", times[1], "prospera-step", times[0]);
    report.time("prospera-request", "prospera, a handle asks at run time", times[2]);
    report.time("prospera-typed", "prospera, a typed verb with its event", times[3]);
}

#[test]
fn both_machines_go_to_the_same_state() {
    same_answers();
}
