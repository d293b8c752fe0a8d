//! A role check: may this person do that, by their roles.
//!
//! Casbin's documented model for roles: `g` maps people to roles and roles to scopes, `p`
//! says which scope a kind needs, and the matcher walks both on each question; the policy
//! can be changed while it runs. Ours resolves roles to scopes once, when the session opens,
//! so a question is a look-up; the Identity System's whole step asks that and whether the
//! session is fresh and not revoked. Casbin's cached enforcer answers a question it has
//! heard before from its cache.

use std::collections::BTreeSet;
use std::hint::black_box;

use casbin::prelude::*;
use casbin::{CachedEnforcer, CoreApi, MgmtApi};
use prospera::id::Name;
use prospera::identity::{
    HostClaims, IdentityEngine, IdentityInput, IdentityPolicy, IdentitySystem, PrincipalKind,
    Session, VerifiedClaims,
};
use prospera::risk::Risk;
use prospera::time::Timestamp;

use crate::common::report::{Report, batch, rivals};

const MODEL: &str = "
[request_definition]
r = sub, obj, act

[policy_definition]
p = sub, obj, act

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
";

/// Which scope a kind needs.
const KINDS: [(&str, &str); 7] = [
    ("calendar.read", "office"),
    ("mail.read", "office"),
    ("calendar.add", "office"),
    ("mail.send", "office"),
    ("payment.send", "payments"),
    ("password.set", "office"),
    ("records.erase", "office"),
];

/// Which scopes a role brings.
const ROLES: [(&str, &[&str]); 3] = [
    ("owner", &["office", "payments"]),
    ("bookkeeping", &["payments"]),
    ("manager", &["finance", "security"]),
];

const PEOPLE: [(&str, &str); 3] =
    [("nora", "owner"), ("books", "bookkeeping"), ("tomas", "manager")];

const NOW: Timestamp = Timestamp::from_secs(1_767_603_600);

struct Ours {
    system: IdentitySystem,
    sessions: Vec<Session>,
    scopes: Vec<Name>,
}

impl Ours {
    fn new() -> Self {
        let issuer = "https://id.example".parse().unwrap();
        let mut policy = IdentityPolicy::builder(issuer, "prospera".parse().unwrap());
        for (role, scopes) in ROLES {
            let scopes: Vec<Name> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
            policy = policy.role(role.parse().unwrap(), scopes);
        }
        let policy = policy.build();
        let open = |(person, role): &(&str, &str)| {
            let claims = VerifiedClaims::vouched_by_host(HostClaims {
                principal: person.parse().unwrap(),
                kind: PrincipalKind::Human,
                subject: person.parse().unwrap(),
                session: "s-1".parse().unwrap(),
                roles: [role.parse().unwrap()].into(),
                scopes: BTreeSet::new(),
                delegation: Vec::new(),
                consent: true,
                strength: Risk::MAX,
                issued_at: NOW,
                expires_at: NOW.plus_millis(3_600_000),
            });
            Session::open(claims, NOW, &policy).unwrap()
        };
        Self {
            sessions: PEOPLE.iter().map(open).collect(),
            scopes: KINDS.iter().map(|(_, scope)| scope.parse().unwrap()).collect(),
            system: IdentitySystem::new(policy),
        }
    }

    /// The look-up alone.
    fn holds(&self, person: usize, kind: usize) -> bool {
        black_box(&self.sessions[person]).scopes().contains(black_box(&self.scopes[kind]))
    }

    /// The Identity System's whole step.
    fn identify(&self, person: usize, kind: usize) -> bool {
        let session = black_box(&self.sessions[person]);
        let (subject, scope) = (session.subject(), Some(black_box(&self.scopes[kind])));
        self.system.identify(&IdentityInput { session, subject, scope, now: NOW }).is_ok()
    }
}

async fn fill(enforcer: &mut impl MgmtApi) {
    let line = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for (kind, scope) in KINDS {
        enforcer.add_policy(line(&[scope, kind, "use"])).await.unwrap();
    }
    for (role, scopes) in ROLES {
        for scope in scopes {
            enforcer.add_grouping_policy(line(&[role, scope])).await.unwrap();
        }
    }
    for (person, role) in PEOPLE {
        enforcer.add_grouping_policy(line(&[person, role])).await.unwrap();
    }
}

fn casbin() -> (Enforcer, CachedEnforcer) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let model = || DefaultModel::from_str(MODEL);
        let adapter = MemoryAdapter::default;
        let mut plain = Enforcer::new(model().await.unwrap(), adapter()).await.unwrap();
        let mut cached = CachedEnforcer::new(model().await.unwrap(), adapter()).await.unwrap();
        fill(&mut plain).await;
        fill(&mut cached).await;
        (plain, cached)
    })
}

fn same_answers(ours: &Ours, plain: &Enforcer, cached: &mut CachedEnforcer) {
    let mut allowed = 0;
    for (person, (name, _)) in PEOPLE.iter().enumerate() {
        for (kind, (id, _)) in KINDS.iter().enumerate() {
            let expected = ours.holds(person, kind);
            allowed += usize::from(expected);
            assert_eq!(ours.identify(person, kind), expected, "{name}, {id}");
            assert_eq!(plain.enforce((*name, *id, "use")).unwrap(), expected, "{name}, {id}");
            for _ in 0..2 {
                let answer = cached.enforce_mut((*name, *id, "use")).unwrap();
                assert_eq!(answer, expected, "{name}, {id}");
            }
        }
    }
    // The owner's seven and the bookkeeping's one; the manager's scopes open none.
    assert_eq!(allowed, 8);
}

/// Asks about everybody and everything; gives the time of one question.
fn all(mut ask: impl FnMut(usize, usize) -> bool) -> u128 {
    let whole = batch(5, || {
        for person in 0..PEOPLE.len() {
            for kind in 0..KINDS.len() {
                black_box(ask(person, kind));
            }
        }
    });
    whole / 21
}

pub(crate) fn measure(report: &mut Report) {
    let ours = Ours::new();
    let (plain, mut cached) = casbin();
    same_answers(&ours, &plain, &mut cached);
    let question = |person: usize, kind: usize| (PEOPLE[person].0, KINDS[kind].0, "use");
    let times = rivals(
        100,
        &mut [
            &mut || all(|person, kind| ours.holds(person, kind)),
            &mut || all(|person, kind| ours.identify(person, kind)),
            &mut || all(|person, kind| plain.enforce(question(person, kind)).unwrap()),
            &mut || all(|person, kind| cached.enforce_mut(question(person, kind)).unwrap()),
        ],
    );
    report.time("prospera-scope", "prospera, a scope looked up", times[0]);
    report.time("prospera-identify", "prospera, the whole identity step", times[1]);
    report.beside("casbin", "casbin, a role check", times[2], "prospera-identify", times[1]);
    report.beside("casbin-cached", "  from its cache", times[3], "prospera-identify", times[1]);
}

#[test]
fn both_let_the_same_people_do_the_same() {
    let (plain, mut cached) = casbin();
    same_answers(&Ours::new(), &plain, &mut cached);
}
