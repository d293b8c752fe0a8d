//! No heap allocation in a transition, neither typed nor at run time, and none in the
//! resolution of a route; and a route asks for no more memory because the table is larger.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, may end a test")]

use allocation_counter::measure;
use prospera::audience::any::AnyAudience;
use prospera::audience::causes::{DowngradeCause, EscalationTrigger, HoldTrigger};
use prospera::audience::classifier::Class;
use prospera::audience::lineage::{Cause, Cleared, LineageEvent, Why};
use prospera::audience::permits::permits;
use prospera::audience::state::State;
use prospera::audience::states::{Base, Hold, Restricted, Verified};
use prospera::audience::table::{Way, edge};
use prospera::audience::typed::Audience;
use prospera::digest::{Digest, Domain};
use prospera::encode::Encode;
use prospera::id::{SnapshotId, SubjectId, Subsystem};
use prospera::intent::RoutingComponents;
use prospera::routing::RoutingTable;
use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use prospera::testing::world::{self, BEGIN, Setup};
use prospera::verdict::{CapabilityTier, Consensus, SafetyFlags};

/// Runs `call` and gives how often it asked the heap for memory.
fn allocations<T>(call: impl FnOnce() -> T) -> u64 {
    let mut out = None;
    let info = measure(|| out = Some(call()));
    drop(out);
    info.count_total
}

/// The counter counts: without this, every test below could pass for nothing.
#[test]
fn the_counter_sees_an_allocation() {
    assert_eq!(allocations(|| Box::new(1)), 1);
    assert_eq!(allocations(|| String::from("a text on the heap")), 1);
    assert_eq!(allocations(|| 1), 0);
}

/// An audience in `state`, restored from a lineage that leads there.
fn audience(state: State) -> AnyAudience {
    use State::{Base, Escalated, Hold, Init, Privileged, Restricted, Verified};
    let cleared = || {
        let digest = Digest::ZERO;
        let snapshot = digest;
        let (envelope, classifier, matrix, kernel) = (digest, digest, digest, digest);
        Cause::Clearance(Cleared {
            class: Class::A,
            envelope,
            classifier,
            matrix,
            kernel,
            snapshot,
        })
    };
    let lowered = || Cause::Downgrade(Why::Downgrade(DowngradeCause::SubsystemDrift));
    let path: Vec<(State, State, Cause)> = match state {
        Init => vec![],
        Base => vec![(Init, Base, cleared())],
        Verified => vec![(Init, Base, cleared()), (Base, Verified, cleared())],
        Privileged => vec![
            (Init, Base, cleared()),
            (Base, Verified, cleared()),
            (Verified, Privileged, cleared()),
        ],
        Restricted => vec![(Init, Base, cleared()), (Base, Restricted, lowered())],
        Hold => vec![
            (Init, Base, cleared()),
            (Base, Restricted, lowered()),
            (Restricted, Hold, lowered()),
        ],
        Escalated => vec![
            (Init, Base, cleared()),
            (Base, Escalated, Cause::Escalation(EscalationTrigger::RiskScore)),
        ],
    };
    let subject: SubjectId = "alice".parse().unwrap();
    let stream = StreamId::new(StreamKind::Audience, subject.name().clone());
    let (mut head, mut records) = (Head::EMPTY, Vec::new());
    for (index, (from, to, cause)) in (0..).zip(path) {
        let body = LineageEvent::new(from, to, cause).unwrap().to_canonical();
        let draft =
            Draft::new(stream.clone(), RecordKind::AudienceEvent, Subsystem::Governance, body);
        let record = Record::seal(draft, index, head, BEGIN);
        head = record.head();
        records.push(record);
    }
    AnyAudience::replay(subject, &records).unwrap()
}

#[test]
fn a_transition_at_run_time_allocates_nothing_legal_or_refused() {
    for from in State::ALL {
        for to in State::ALL {
            for way in Way::ALL {
                let audience = audience(from);
                let count = allocations(|| audience.request(to, way));
                assert_eq!(count, 0, "{from} → {to} by way of {way}");
            }
        }
    }
}

#[test]
fn a_typed_transition_allocates_nothing() {
    let base = || -> Audience<Base> { audience(State::Base).try_into().unwrap() };
    let verified = || -> Audience<Verified> { audience(State::Verified).try_into().unwrap() };
    let restricted = || -> Audience<Restricted> { audience(State::Restricted).try_into().unwrap() };
    let handle = base();
    assert_eq!(allocations(|| handle.escalate(EscalationTrigger::RiskScore)), 0);
    let handle = base();
    assert_eq!(allocations(|| handle.downgrade::<Restricted>(DowngradeCause::SubsystemDrift)), 0);
    let handle = verified();
    assert_eq!(allocations(|| handle.step_back()), 0);
    let handle = verified();
    assert_eq!(allocations(|| handle.downgrade::<Base>(DowngradeCause::SubsystemDrift)), 0);
    let handle = restricted();
    assert_eq!(allocations(|| handle.hold(HoldTrigger::GovernanceFlag)), 0);
    let handle = restricted();
    assert_eq!(allocations(|| handle.downgrade::<Hold>(DowngradeCause::SubsystemDrift)), 0);
    // From the run-time face to the typed one and back.
    let any = audience(State::Base);
    assert_eq!(allocations(|| Audience::<Base>::try_from(any).map(AnyAudience::from)), 0);
}

#[test]
fn asking_the_table_of_edges_and_the_ceiling_allocates_nothing() {
    let count = allocations(|| {
        for from in State::ALL {
            for to in State::ALL {
                let _ = edge(from, to).map(|edge| edge.allows(Way::Escalate));
            }
            let _ = permits(from, CapabilityTier::Commit, SafetyFlags::EXTERNAL).is_ok();
        }
    });
    assert_eq!(count, 0);
}

fn table(rows: usize) -> RoutingTable {
    let each = |number: usize| {
        let name = format!("kind-{number}");
        let mut row = world::row(&name, "bank").unwrap();
        // Patterns of two shapes, so that more than one index is asked.
        if number.is_multiple_of(3) {
            row.pattern.kind = None;
            row.pattern.objective = Some(Domain::Objective.hash(name.as_bytes()));
            row.pattern.all_flags = SafetyFlags::FINANCIAL;
        } else {
            row.pattern.no_flags = SafetyFlags::FINANCIAL;
        }
        row
    };
    RoutingTable::build("1".parse().unwrap(), (0..rows).map(each).collect()).unwrap()
}

#[test]
fn resolving_a_route_allocates_nothing_whatever_the_size_of_the_table() {
    for rows in [10, 1_000, 10_000] {
        let table = table(rows);
        for number in [0, 1, rows - 1] {
            let name = format!("kind-{number}");
            let components = RoutingComponents {
                intent: Domain::Intent.hash(b"intent"),
                objective: Domain::Objective.hash(name.as_bytes()),
                snapshot: SnapshotId::new(Digest::ZERO),
                flags: if number.is_multiple_of(3) {
                    SafetyFlags::FINANCIAL
                } else {
                    SafetyFlags::EFFECT
                },
                consensus: Consensus::NONE,
            };
            let (kind, id) = (name.parse().unwrap(), components.id());
            assert!(table.resolve(&kind, &components, id).is_ok(), "row {number} of {rows}");
            assert_eq!(allocations(|| table.find(&kind, &components).is_some()), 0);
            assert_eq!(allocations(|| table.resolve(&kind, &components, id).is_ok()), 0);
            assert_eq!(allocations(|| components.id()), 0);
        }
    }
}

/// How often a route under a table of so many further rows asks for memory.
fn route_under(rows: usize) -> u64 {
    let mut setup = Setup::sample().unwrap();
    let own = setup.table.rows().to_vec();
    let further = (0..rows).map(|number| world::row(&format!("kind-{number}"), "bank").unwrap());
    let all = own.into_iter().chain(further).collect();
    setup.table = RoutingTable::build("sample-1".parse().unwrap(), all).unwrap();
    let world = setup.build().unwrap();
    let mut desk = world.open("alice", "s-1").unwrap();
    let arguments = [("name", "today".into()), ("text", "Buy bread.".into())];
    let mut route = || {
        let intent = world.intent("note.write", "Write it down.", &arguments).unwrap();
        allocations(|| {
            assert!(world.router.route(&mut desk, intent).unwrap().evidence.opens_route());
        })
    };
    // The first ones fill what grows by doubling.
    for _ in 0..100 {
        route();
    }
    (0..10).map(|_| route()).min().unwrap_or(0)
}

#[test]
fn a_route_allocates_no_more_under_a_larger_table() {
    let few = route_under(0);
    assert!(few > 0, "a route leaves evidence, which takes memory");
    assert_eq!(few, route_under(2_000));
}
