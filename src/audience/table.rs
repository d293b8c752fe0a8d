//! The one transition table (D-1): which state may follow which, and in which way.
//!
//! Everything else in this room agrees with this table or does not compile: the
//! typed verbs of [`crate::audience::typed`], the run-time face of
//! [`crate::audience::any`], replay, and the diagram.
//!
//! ```
//! use prospera::audience::state::State;
//! use prospera::audience::table::{Way, edge, legal_exits};
//! assert!(edge(State::Init, State::Verified).is_none());
//! assert!(edge(State::Privileged, State::Verified).is_some_and(|e| e.allows(Way::GovernedDowngrade)));
//! assert_eq!(legal_exits(State::Escalated).map(|e| e.to).collect::<Vec<_>>(), [State::Hold]);
//! ```
//!
//! INVARIANT (one relation): [`EDGES`] has fifteen rows, none twice, none from a
//! state to itself, and none of the prohibited pairs except PRIVILEGED → VERIFIED,
//! which can be taken only as a governed downgrade (D-2). The compiler proves it.

use alloc::string::String;
use core::fmt::{self, Write as _};

use crate::audience::state::State;
use crate::encode::byte_enum;
use crate::verdict::CapabilityTier;

/// The way in which an edge is taken; the event type of its record (ASM2-9.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// With a clearance (D-4).
    Advance,
    /// Voluntarily to less trust.
    StepBack,
    /// For Class C or for risk above the threshold.
    Restrict,
    /// For a hold trigger (ASM2-8).
    Hold,
    /// For a downgrade cause (ASM2-6).
    Downgrade,
    /// For a downgrade cause and with governance's authorization (D-2).
    GovernedDowngrade,
    /// With governance's approval (ASM2-8.5, ASM2-8.6).
    Release,
    /// By governance's review.
    Review,
    /// For an escalation trigger (ASM2-7).
    Escalate,
    /// For a violation of the constitution (ASM2-7.6).
    ConstitutionalEscalate,
}

impl Way {
    /// All ways.
    pub const ALL: [Self; 10] = [
        Self::Advance,
        Self::StepBack,
        Self::Restrict,
        Self::Hold,
        Self::Downgrade,
        Self::GovernedDowngrade,
        Self::Release,
        Self::Review,
        Self::Escalate,
        Self::ConstitutionalEscalate,
    ];

    /// The way's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Advance => "advance",
            Self::StepBack => "step back",
            Self::Restrict => "restrict",
            Self::Hold => "hold",
            Self::Downgrade => "downgrade",
            Self::GovernedDowngrade => "governed downgrade",
            Self::Release => "release",
            Self::Review => "review",
            Self::Escalate => "escalate",
            Self::ConstitutionalEscalate => "constitutional escalate",
        }
    }

    /// Whether the way takes trust away and so needs a cause, never a clearance (D-4).
    pub const fn is_restrictive(self) -> bool {
        !matches!(self, Self::Advance | Self::Release | Self::Review)
    }

    const fn same(self, other: Self) -> bool {
        self as u8 == other as u8
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

byte_enum!(Way, "a way of transition", {
    Advance = 1, StepBack = 2, Restrict = 3, Hold = 4, Downgrade = 5, GovernedDowngrade = 6,
    Release = 7, Review = 8, Escalate = 9, ConstitutionalEscalate = 10,
});

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The state left.
    pub from: State,
    /// The state entered.
    pub to: State,
    /// The ways in which the edge may be taken.
    pub ways: &'static [Way],
    /// What taking it needs, in the words of D-1.
    pub needs: &'static str,
    /// The requirement it comes from.
    pub spec: &'static str,
}

impl Edge {
    /// Whether the edge may be taken in this way.
    pub const fn allows(&self, way: Way) -> bool {
        let mut ways = self.ways;
        while let [first, rest @ ..] = ways {
            if first.same(way) {
                return true;
            }
            ways = rest;
        }
        false
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.from, self.to)
    }
}

const fn row(
    from: State,
    to: State,
    ways: &'static [Way],
    needs: &'static str,
    spec: &'static str,
) -> Edge {
    Edge { from, to, ways, needs, spec }
}

/// The fifteen legal edges (D-1).
#[rustfmt::skip]
pub const EDGES: [Edge; 15] = {
    use State::{Base, Escalated, Hold, Init, Privileged, Restricted, Verified};
    [
        row(Init, Base, &[Way::Advance], "a clearance", "ASM2-4.1"),
        row(Base, Verified, &[Way::Advance], "a clearance", "ASM2-4.2"),
        row(Verified, Privileged, &[Way::Advance], "a clearance with constitutional clearance", "ASM2-4.3"),
        row(Verified, Base, &[Way::StepBack, Way::Downgrade], "nothing, or a downgrade cause", "ASM2-4.4"),
        row(Base, Restricted, &[Way::Restrict, Way::Downgrade],
            "Class C or risk above the restriction threshold, or a downgrade cause", "ASM2-4.5"),
        row(Restricted, Hold, &[Way::Hold, Way::Downgrade], "a hold trigger, or a downgrade cause", "ASM2-4.6"),
        row(Privileged, Verified, &[Way::GovernedDowngrade],
            "a downgrade cause and governance authorization", "ASM2-6.6"),
        row(Hold, Base, &[Way::Release], "governance approval", "ASM2-4.7"),
        row(Hold, Restricted, &[Way::Release], "governance approval", "ASM2-8.6"),
        row(Escalated, Hold, &[Way::Review], "governance review", "ASM2-4.9"),
        row(Restricted, Escalated, &[Way::Escalate], "an escalation trigger", "ASM2-4.8"),
        row(Init, Escalated, &[Way::ConstitutionalEscalate], "a constitutional violation", "ASM2-7.6"),
        row(Base, Escalated, &[Way::Escalate], "an escalation trigger", "ASM2-7.7"),
        row(Verified, Escalated, &[Way::Escalate], "an escalation trigger", "ASM2-7.8"),
        row(Privileged, Escalated, &[Way::Escalate], "an escalation trigger", "ASM2-7.9"),
    ]
};

/// The seven prohibitions by name (ASM2-5.1..ASM2-5.7), each with its id. The last is legal
/// as a governed downgrade (D-2).
#[rustfmt::skip]
pub const PROHIBITED: [(State, State, &str); 7] = [
    (State::Restricted, State::Privileged, "ASM2-5.1"),
    (State::Escalated, State::Privileged, "ASM2-5.2"),
    (State::Escalated, State::Verified, "ASM2-5.3"),
    (State::Hold, State::Privileged, "ASM2-5.4"),
    (State::Init, State::Privileged, "ASM2-5.5"),
    (State::Init, State::Verified, "ASM2-5.6"),
    (State::Privileged, State::Verified, "ASM2-5.7"),
];

/// The row of this pair, if it is legal.
pub const fn edge(from: State, to: State) -> Option<&'static Edge> {
    let mut rows: &'static [Edge] = &EDGES;
    while let [first, rest @ ..] = rows {
        if same(first.from, from) && same(first.to, to) {
            return Some(first);
        }
        rows = rest;
    }
    None
}

/// The prohibition that names this pair (ASM2-5).
pub const fn prohibition(from: State, to: State) -> Option<&'static str> {
    let mut rows: &'static [(State, State, &'static str)] = &PROHIBITED;
    while let [(f, t, spec), rest @ ..] = rows {
        if same(*f, from) && same(*t, to) {
            return Some(spec);
        }
        rows = rest;
    }
    None
}

/// The rows that leave this state, in the order of the table.
pub fn legal_exits(from: State) -> impl Iterator<Item = &'static Edge> {
    EDGES.iter().filter(move |e| e.from == from)
}

/// Whether an audience in `state` may use what requires `required`.
///
/// Trust rises INIT, BASE, VERIFIED, PRIVILEGED. RESTRICTED stands beside that
/// order: it satisfies only what asks for RESTRICTED, which every classified state
/// above it satisfies too. HOLD and ESCALATED satisfy nothing (D-10).
pub const fn satisfies(state: State, required: State) -> bool {
    use State::{Base, Init, Privileged, Restricted, Verified};
    match required {
        Init => matches!(state, Init | Base | Verified | Privileged),
        Restricted => matches!(state, Restricted | Base | Verified | Privileged),
        Base => matches!(state, Base | Verified | Privileged),
        Verified => matches!(state, Verified | Privileged),
        Privileged => matches!(state, Privileged),
        State::Hold | State::Escalated => false,
    }
}

/// The highest capability tier an audience in `state` may use; `None` is none at all.
pub const fn ceiling(state: State) -> Option<CapabilityTier> {
    match state {
        State::Restricted => Some(CapabilityTier::Observe),
        State::Base => Some(CapabilityTier::Act),
        State::Verified => Some(CapabilityTier::Commit),
        State::Privileged => Some(CapabilityTier::Privileged),
        State::Init | State::Hold | State::Escalated => None,
    }
}

/// The tier whose matrix cell an advance into `state` is judged by (D-4).
pub const fn entry_tier(state: State) -> CapabilityTier {
    match state {
        State::Verified => CapabilityTier::Act,
        State::Privileged => CapabilityTier::Privileged,
        _ => CapabilityTier::Observe,
    }
}

/// The table as a Mermaid state diagram.
pub fn mermaid() -> String {
    let mut out = String::from("stateDiagram-v2\n    [*] --> INIT\n");
    for edge in &EDGES {
        // Writing to a string cannot fail.
        let _ = write!(out, "    {} --> {}: ", edge.from, edge.to);
        for (i, way) in edge.ways.iter().enumerate() {
            let _ = write!(out, "{}{way}", if i == 0 { "" } else { " / " });
        }
        let _ = writeln!(out, " [{}] ({})", edge.needs, edge.spec);
    }
    out
}

/// The table as a grid of all forty-nine pairs: the ways of each, `-` where there is none.
pub fn grid() -> String {
    let mut header = String::from("from \\ to  ");
    for to in State::ALL {
        let _ = write!(header, " {:<13}", to.name());
    }
    let mut out = String::from(header.trim_end());
    out.push('\n');
    for from in State::ALL {
        let mut line = String::new();
        let _ = write!(line, "{:<11}", from.name());
        for to in State::ALL {
            let mut cell = String::new();
            for way in edge(from, to).map_or(&[][..], |e| e.ways) {
                let _ = write!(cell, "{}{}", if cell.is_empty() { "" } else { "/" }, short(*way));
            }
            let text = if cell.is_empty() { "-" } else { &cell };
            let _ = write!(line, " {text:<13}");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

const fn short(way: Way) -> &'static str {
    match way {
        Way::StepBack => "back",
        Way::Downgrade => "down",
        Way::GovernedDowngrade => "gov. down",
        Way::ConstitutionalEscalate => "constit.",
        other => other.name(),
    }
}

const fn same(a: State, b: State) -> bool {
    a as u8 == b as u8
}

/// The states from which `target` can be reached by edges that have a way `W` accepts, as bits.
const fn reaching(target: State, forced_only: bool) -> u8 {
    let mut reached = 1_u8 << target as u8;
    let mut rounds = State::ALL.len();
    while rounds > 0 {
        let mut rows: &[Edge] = &EDGES;
        while let [edge, rest @ ..] = rows {
            let mut usable = !forced_only || edge.allows(Way::Review);
            let mut ways = edge.ways;
            while let [way, others @ ..] = ways {
                usable |= way.is_restrictive();
                ways = others;
            }
            if usable && reached >> edge.to as u8 & 1 == 1 {
                reached |= 1 << edge.from as u8;
            }
            rows = rest;
        }
        rounds -= 1;
    }
    reached
}

/// How many rows hold this pair.
const fn occurrences(from: State, to: State) -> usize {
    let (mut rows, mut count): (&[Edge], usize) = (&EDGES, 0);
    while let [edge, rest @ ..] = rows {
        count += (same(edge.from, from) && same(edge.to, to)) as usize;
        rows = rest;
    }
    count
}

const _: () = assert!(EDGES.len() == 15, "D-1 has fifteen legal pairs");
const _: () = {
    let (mut froms, mut pairs): (&[State], usize) = (&State::ALL, 0);
    while let [from, other_froms @ ..] = froms {
        assert!(occurrences(*from, *from) == 0, "no state moves to itself");
        assert!(occurrences(*from, State::Init) == 0, "nothing returns to INIT");
        let mut tos: &[State] = &State::ALL;
        while let [to, other_tos @ ..] = tos {
            assert!(occurrences(*from, *to) <= 1, "no pair stands twice");
            pairs += occurrences(*from, *to);
            tos = other_tos;
        }
        froms = other_froms;
    }
    assert!(pairs == 15, "each row is a pair of states");
};
const _: () = {
    let mut rows: &[(State, State, &str)] = &PROHIBITED;
    while let [(from, to, _), rest @ ..] = rows {
        match edge(*from, *to) {
            None => {}
            Some(edge) => assert!(
                same(*from, State::Privileged)
                    && same(*to, State::Verified)
                    && edge.ways.len() == 1
                    && edge.allows(Way::GovernedDowngrade),
                "ASM2-5: prohibited, but for the governed downgrade of D-2"
            ),
        }
        rows = rest;
    }
};
const _: () = {
    let mut rows: &[Edge] = &EDGES;
    while let [edge, rest @ ..] = rows {
        assert!(!edge.ways.is_empty(), "an edge can be taken in some way");
        assert!(
            !same(edge.to, State::Privileged) || same(edge.from, State::Verified),
            "PRIVILEGED is entered from VERIFIED only"
        );
        assert!(
            !same(edge.from, State::Hold) || edge.allows(Way::Release),
            "ASM2-8.7: HOLD is left by governance only"
        );
        assert!(
            !same(edge.from, State::Escalated) || edge.allows(Way::Review),
            "ESCALATED is left by governance's review only"
        );
        rows = rest;
    }
};
const _: () = assert!(
    reaching(State::Hold, true) == 0b111_1111,
    "every state reaches HOLD without gaining trust"
);
const _: () = assert!(
    reaching(State::Escalated, true) & 0b001_1111 == 0b001_1111,
    "INIT to RESTRICTED can all reach ESCALATED by restrictive moves"
);
