//! What a verified bundle says, as a page for a person.

use prospera::bundle::{Decision, PayloadSeen, PayloadState, Verified};
use prospera::routing::{OutcomeStatus, StepResult};

use crate::failure::Failure;
use crate::out::{Out, plain};
use crate::route::verdict_name;

/// Longest text that is shown on one line.
const SHOWN: usize = 160;

pub(crate) fn print(seen: &Verified, place: &str, out: &mut Out) -> Result<(), Failure> {
    let block = &seen.evidence;
    out.line(format!("{place}: VERIFIED, {}", verdict_name(block.verdict).to_uppercase()))?;
    who(seen, out)?;
    what(seen, out)?;
    why(seen, out)?;
    policy(seen, out)?;
    people(seen, out)?;
    when(seen, out)?;
    withheld(seen, out)?;
    let checkpoint = &seen.checkpoint;
    field("checkpoint", &format!("{}, {} records", checkpoint.origin, checkpoint.size), out)?;
    more(&format!("root {}", checkpoint.root), out)?;
    more(&format!("signed by {}", checkpoint.signed.join(", ")), out)?;
    for witness in &checkpoint.cosigned {
        more(&format!("cosigned by {witness}"), out)?;
    }
    Ok(())
}

fn field(name: &str, text: &str, out: &mut Out) -> Result<(), Failure> {
    out.line(format!("{name:<11} {}", plain(text, 4 * SHOWN)))
}

fn more(text: &str, out: &mut Out) -> Result<(), Failure> {
    field("", text, out)
}

fn names<T: std::fmt::Display>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn who(seen: &Verified, out: &mut Out) -> Result<(), Failure> {
    let who = &seen.identity;
    let text =
        format!("{} `{}` for `{}`, session {}", who.kind, who.principal, who.subject, who.session);
    field("who", &text, out)?;
    more(&format!("roles {}; scopes {}", names(&who.roles), names(&who.scopes)), out)?;
    for link in &who.delegation {
        more(&format!("`{}` passed on {}", link.principal, names(&link.scopes)), out)?;
    }
    let origin = match &who.origin {
        Some(issuer) => format!("a token of `{issuer}`"),
        None => "the host".to_owned(),
    };
    more(&format!("vouched for by {origin}, verified {}", who.verified_at), out)
}

fn what(seen: &Verified, out: &mut Out) -> Result<(), Failure> {
    let block = &seen.evidence;
    let kind = block.kind.as_ref().map_or("no intent", |kind| kind.as_str());
    let by = block.module.as_ref().map_or(String::new(), |module| format!(" by `{module}`"));
    field("what", &format!("{kind}{by}, mode {:?}", block.mode).to_lowercase(), out)?;
    if let Some(id) = &block.routing_id {
        more(&format!("Routing ID {id}, computed again"), out)?;
    }
    for payload in &seen.payloads {
        shown(payload, out)?;
    }
    if !block.narrowing.is_empty() {
        let dropped = names(&block.narrowing.drop_arguments);
        more(&format!("narrowed: arguments left out: {dropped}"), out)?;
    }
    Ok(())
}

fn shown(payload: &PayloadSeen, out: &mut Out) -> Result<(), Failure> {
    let state = match payload.state {
        PayloadState::Shown => "",
        PayloadState::Partly => ", some of it withheld",
        PayloadState::Withheld => ", withheld",
        PayloadState::Erased => ", ERASED",
    };
    let form = if payload.salted { "commitment" } else { "plain digest" };
    field(payload.part, &format!("{form} {}{state}", payload.digest), out)?;
    for (path, value) in &payload.fields {
        let name = if path.is_empty() { String::new() } else { format!("{path} = ") };
        more(&format!("  {name}{}", plain(&value.to_string(), SHOWN)), out)?;
    }
    for path in payload.withheld.iter().filter(|path| !path.is_empty()) {
        more(&format!("  {path}: (withheld)"), out)?;
    }
    Ok(())
}

fn why(seen: &Verified, out: &mut Out) -> Result<(), Failure> {
    let block = &seen.evidence;
    field("verdict", verdict_name(block.verdict), out)?;
    for entry in &block.trace {
        let result = match entry.result {
            StepResult::Passed => "passed",
            StepResult::Flagged => "flagged",
            StepResult::Narrowed => "narrowed",
            StepResult::Stopped => "STOPPED",
            StepResult::Backtracked => "went back",
        };
        more(&format!("{:<13} {result}", entry.layer.to_string()), out)?;
        for reason in &entry.reasons {
            more(&format!("              {reason}"), out)?;
        }
    }
    let class = ["none", "A", "B", "C"].get(usize::from(block.class)).copied().unwrap_or("none");
    field("audience", &format!("{}, class {class}, risk {}", block.state, block.risk), out)?;
    for record in &seen.audience {
        more(&format!("record {}: {}", record.place.index, record.says), out)?;
    }
    Ok(())
}

fn policy(seen: &Verified, out: &mut Out) -> Result<(), Failure> {
    let policy = &seen.policy;
    field("policy", &format!("{}", policy.pins), out)?;
    let place = &policy.place;
    more(&format!("put into force by `{}`, {}", policy.by, place.recorded_at), out)?;
    for (name, digest) in &policy.parts {
        more(&format!("{:<13} {digest}", name.to_string()), out)?;
    }
    Ok(())
}

fn people(seen: &Verified, out: &mut Out) -> Result<(), Failure> {
    decision("approval", seen.approval.as_ref(), out)?;
    decision("backtrack", seen.backtrack.as_ref(), out)?;
    let block = &seen.evidence;
    if let Some(until) = &block.wait_until {
        let role = block.approver.as_ref().map_or(String::new(), |role| format!(" for a `{role}`"));
        field("waits", &format!("until {until}{role}; nothing by then denies"), out)?;
    }
    decision("answer", seen.answer.as_ref(), out)?;
    if let Some(resumed) = &seen.resumed {
        let (place, verdict) = (&resumed.place, verdict_name(resumed.verdict));
        field(
            "resumed",
            &format!("record {}, {}: {verdict}", place.index, place.recorded_at),
            out,
        )?;
    }
    decision("erasure", seen.erasure.as_ref(), out)
}

fn decision(name: &str, decision: Option<&Decision>, out: &mut Out) -> Result<(), Failure> {
    let Some(decision) = decision else { return Ok(()) };
    let what = if decision.granted { "granted" } else { "refused" };
    let text = format!(
        "{what} by `{}` as `{}`, {} (record {})",
        decision.decider, decision.role, decision.decided_at, decision.place.index
    );
    field(name, &text, out)?;
    if decision.note.is_empty() { Ok(()) } else { more(&decision.note, out) }
}

fn when(seen: &Verified, out: &mut Out) -> Result<(), Failure> {
    let route = &seen.route;
    field("decided", &format!("{}", seen.evidence.timestamp), out)?;
    field("recorded", &format!("{} as record {}", route.recorded_at, route.index), out)?;
    more(&format!("{}", route.digest), out)?;
    match &seen.outcome {
        Some(outcome) => {
            let status = match outcome.outcome.status {
                OutcomeStatus::Done => "done",
                OutcomeStatus::Failed => "FAILED, nothing was done",
                OutcomeStatus::Unknown => "UNKNOWN",
            };
            let place = &outcome.place;
            let text = format!("{status}; {} as record {}", place.recorded_at, place.index);
            field("executed", &format!("after it was recorded: {text}"), out)?;
            for reason in &outcome.outcome.reasons {
                more(&reason.to_string(), out)?;
            }
            Ok(())
        }
        None if seen.evidence.opens_route() => {
            field("executed", "this bundle holds no outcome", out)
        }
        None => field("executed", "nothing: the verdict lets nothing be done", out),
    }
}

fn withheld(seen: &Verified, out: &mut Out) -> Result<(), Failure> {
    let withheld = seen.withheld();
    if withheld.is_empty() {
        return field("withheld", "nothing", out);
    }
    for (number, path) in withheld.iter().enumerate() {
        field(if number == 0 { "withheld" } else { "" }, path, out)?;
    }
    let plain = |payload: &&PayloadSeen| payload.state == PayloadState::Withheld && !payload.salted;
    match seen.payloads.iter().find(plain) {
        Some(_) => more("its digest is a plain one: whoever has a guess can confirm it", out),
        None => Ok(()),
    }
}
