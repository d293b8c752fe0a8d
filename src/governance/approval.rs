//! Asking a person, and what their answer is (D-52, "step up").
//!
//! The question shows everything the answer covers: kind, each argument with its value,
//! sensitivity and sources, the objective and the reasons. The answer is bound to the
//! exact Intent Hash, ends, and is used once: routing enforces that through the record.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::digest::Digest;
use crate::governance::review::{GovernanceDecision, Matter, ReviewError, Sitting};
use crate::governance::{Approval, ApprovalRequest, Authority, GovernanceInput};
use crate::id::{Name, PrincipalId};
use crate::limits::SHOWN_CHARS;
use crate::provenance::Sensitivity;
use crate::time::Timestamp;
use crate::value::Value;
use crate::verdict::{Reason, ReasonCode};

/// The question put to an approver.
pub(super) fn question(input: &GovernanceInput<'_>, role: &Name, reasons: &[Reason]) -> Box<str> {
    let intent = input.intent;
    let mut out = String::with_capacity(512);
    // Writing to a text cannot fail.
    let _ = writeln!(
        out,
        "May `{}` be done for {} in session {}? Asked by {} {}, risk {}, flags {}. A `{role}` decides.",
        plain(intent.kind().id.as_str()),
        plain(intent.subject().as_str()),
        plain(intent.session().as_str()),
        input.authority.kind,
        plain(input.authority.principal.as_str()),
        input.risk,
        input.flags,
    );
    let _ = writeln!(out, "Objective: {}", shown(&Value::from(intent.objective().text())));
    for (name, argument) in intent.arguments() {
        let label = &argument.label;
        let value = if label.sensitivity() == Sensitivity::Secret {
            "(a secret, not shown)".into()
        } else {
            shown(&argument.value)
        };
        let _ = writeln!(out, "  {} = {value}  (from {})", plain(name), plain(&format!("{label}")));
    }
    for reason in reasons {
        let _ = writeln!(out, "Because: {}", plain(&format!("{reason}")));
    }
    let _ = write!(out, "Intent {}", intent.hash());
    out.into()
}

/// A value on one line, cut where it is too long to read.
fn shown(value: &Value) -> String {
    let text = format!("{value}");
    let length = text.chars().count();
    let mut out = plain(&text.chars().take(SHOWN_CHARS).collect::<String>());
    if length > SHOWN_CHARS {
        let _ = write!(out, "... and {} more characters", length - SHOWN_CHARS);
    }
    out
}

/// Escapes what could make a text look like another: control characters, marks that
/// turn the direction of writing, and characters without width (Unicode TR 36, 3.1).
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(
                c,
                '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
            );
        if hidden {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

impl ApprovalRequest {
    /// Asks a person who holds `role`, until `expires_at`, whether this intent may be done.
    pub fn new(
        input: &GovernanceInput<'_>,
        role: Name,
        expires_at: Timestamp,
        reasons: &[Reason],
    ) -> Self {
        let question = question(input, &role, reasons);
        Self { intent: input.intent.hash(), role, expires_at, question }
    }

    /// The reason to deny, once nobody answered in time: silence is no approval (D-52).
    pub fn overdue(&self, now: Timestamp) -> Option<Reason> {
        (now >= self.expires_at).then(|| Reason::new(ReasonCode::ApprovalExpired))
    }

    /// A person's answer, for the record.
    ///
    /// `requester` is who asked for the intent; `policy` the digest of the policy in
    /// force; the answer is good for `valid_millis`.
    ///
    /// # Errors
    /// [`ReviewError`]: too late, not a person, the requester's own, or without the role.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of the record")]
    pub fn answer(
        &self,
        requester: &PrincipalId,
        approver: &Authority<'_>,
        granted: bool,
        note: &str,
        now: Timestamp,
        valid_millis: u64,
        policy: Digest,
    ) -> Result<GovernanceDecision, ReviewError> {
        if now >= self.expires_at {
            return Err(ReviewError::TooLate { expires_at: self.expires_at, found: now });
        }
        let matter = Matter::Approval { intent: self.intent, requester: requester.clone() };
        Sitting { requester, role: &self.role, policy, now, valid_millis }
            .decide(matter, approver, granted, note)
    }
}

impl GovernanceDecision {
    /// The approval it is, once its record has this digest; `None` for another matter.
    pub fn approval(&self, record: Digest) -> Option<Approval> {
        match self.matter() {
            Matter::Approval { intent, .. } => Some(Approval {
                intent: *intent,
                approver: self.decider().clone(),
                role: self.role().clone(),
                granted: self.granted(),
                expires_at: self.expires_at(),
                record,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_shown() {
        assert_eq!(plain("a\u{202e}b\u{200b}\n"), "a\\u{202e}b\\u{200b}\\u{a}");
        let long = Value::from("x".repeat(3000).as_str());
        assert!(shown(&long).ends_with("... and 1002 more characters"));
    }
}
