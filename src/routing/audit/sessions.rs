//! Sessions: who opened them, with what, and until when.

use crate::digest::{Digest, Domain};
use crate::identity::SessionOpened;
use crate::limits::DELEGATION_LINKS;
use crate::routing::audit::memo::{Memo, SessionMemo, SubjectMemo};
use crate::routing::audit::{Auditor, Due, Pending, not_before};
use crate::ssot::matrix::{Check, Rule, Scene, Why};
use crate::ssot::record::{Record, StreamKind};

/// A digest to hold two openings against each other by.
pub(super) fn body_digest(record: &Record) -> Digest {
    Domain::Other.hash(record.body())
}

impl Auditor {
    /// An opening, in the session's stream or in the subject's.
    pub(super) fn opened(
        &mut self,
        record: &Record,
        opened: &SessionOpened,
        settled: bool,
        scene: &mut Scene<'_, Memo>,
    ) {
        let claims = &opened.claims;
        self.policies.check_ever("identity", &opened.policy, scene);
        check_claims(opened, scene);
        let name = record.stream().name();
        if record.stream().kind() == StreamKind::Subject {
            if claims.subject.name() != name {
                let found = alloc::format!("claims of subject `{}`", claims.subject);
                scene.fault(Rule::Subject, alloc::format!("claims of subject `{name}`"), found);
            }
            if !settled {
                match self.gap.filter(|gap| gap.checked_add(1) == Some(scene.index())) {
                    Some(index) => scene.end(Check::Lineage, Why::Gap { index }),
                    None => scene.fault(
                        Rule::Twin,
                        "the same opening in the session's stream, right before it",
                        "another record",
                    ),
                }
            }
            if let Some(memo @ Memo::None) = scene.memo() {
                *memo = Memo::Subject(SubjectMemo::default());
            }
            return;
        }
        if claims.session.name() != name {
            let found = alloc::format!("claims of session `{}`", claims.session);
            scene.fault(Rule::Subject, alloc::format!("claims of session `{name}`"), found);
        }
        self.pending = Some(Pending {
            what: Due::Twin { subject: claims.subject.name().clone(), body: body_digest(record) },
            stream: record.stream().clone(),
            at: scene.at(),
            time: record.timestamp(),
        });
        let memo = SessionMemo {
            open: true,
            subject: claims.subject.clone(),
            principal: claims.principal.clone(),
            valid_from: claims.valid_from.max(claims.issued_at).max(opened.verified_at),
            expires_at: claims.expires_at,
            verified_at: opened.verified_at,
        };
        let was_open = matches!(scene.memo(), Some(Memo::Session(before)) if before.open);
        if was_open {
            scene.fault(Rule::Session, "no opening of a session that is open", "one");
        }
        if let Some(own) = scene.memo() {
            *own = Memo::Session(alloc::boxed::Box::new(memo));
        }
    }
}

/// The end of a session.
pub(super) fn closed(_: &Record, scene: &mut Scene<'_, Memo>) {
    let closed = match scene.memo() {
        Some(Memo::Session(session)) => core::mem::replace(&mut session.open, false),
        _ => false,
    };
    if !closed {
        scene.fault(Rule::Session, "an open session to close", "one that is not open");
    }
}

/// That the claims held when they were verified, and the chain of delegation narrows.
fn check_claims(opened: &SessionOpened, scene: &mut Scene<'_, Memo>) {
    let claims = &opened.claims;
    let begins = claims.valid_from.max(claims.issued_at);
    let begun = not_before(opened.verified_at, begins);
    let over = opened.verified_at >= claims.expires_at.plus_millis(crate::limits::LEEWAY_MILLIS);
    if !begun || over {
        let expected = alloc::format!("claims verified between {begins} and {}", claims.expires_at);
        scene.fault(Rule::Claims, expected, opened.verified_at);
    }
    let chain = &claims.delegation;
    if chain.len() > DELEGATION_LINKS {
        let expected = alloc::format!("at most {DELEGATION_LINKS} links of delegation");
        scene.fault(Rule::Delegation, expected, chain.len());
    }
    for (link, next) in chain.iter().zip(chain.iter().skip(1)) {
        if let Some(scope) = next.granted.difference(&link.granted).next() {
            let expected = alloc::format!("`{}` to pass on what it holds", next.principal);
            scene.fault(Rule::Delegation, expected, alloc::format!("`{scope}` beside it"));
        }
    }
    for (place, link) in chain.iter().enumerate() {
        let mut later = chain.iter().skip(place.saturating_add(1));
        let again = later.any(|other| other.principal == link.principal);
        if again || link.principal == claims.principal {
            let found = alloc::format!("`{}` twice", link.principal);
            scene.fault(Rule::Delegation, "each principal once in the chain", found);
        }
    }
    let rests = match chain.last() {
        Some(last) => opened.scopes == last.granted,
        None => opened.scopes.is_superset(&claims.scopes),
    };
    if !rests {
        scene.fault(Rule::Delegation, "the scopes that the claims give", "others");
    }
}
