//! Routes and summary, for people and for machines.

use std::path::PathBuf;
use std::time::Duration;

use prospera::id::RequestId;
use prospera::routing::{FollowUp, Routed};
use serde_json::{Value, json};

use super::input::Line;
use super::run::Done;
use super::tally::{Tally, Verdicts, deciding, name};
use crate::args::Group;
use crate::failure::Failure;
use crate::out::{Out, bytes, plain};

/// What was written, and how long it took.
pub(crate) struct Log {
    pub(crate) records: u64,
    pub(crate) before: u64,
    pub(crate) place: Option<PathBuf>,
    pub(crate) bytes: Option<u64>,
    pub(crate) took: Duration,
}

/// One route on one line.
pub(crate) fn text_line(line: &Line, done: &Done) -> String {
    let number = line.number;
    let (routed, request) = match done {
        Done::Control(what) => return format!("{number:>4}  -        {what}"),
        Done::Routed { routed, request, .. } => (routed, request),
    };
    let evidence = &routed.evidence;
    let kind = evidence.kind.as_ref().map_or("(no intent)", |kind| kind.as_str());
    let mut text = format!("{number:>4}  {:<8} {kind}", name(routed.verdict));
    if let Some(request) = request {
        text.push(' ');
        text.push_str(request.as_str());
    }
    text = format!("{text}  {} {}", evidence.subject, routed.record.short());
    if let Some(reason) = deciding(evidence) {
        text = format!("{text}  {}", plain(&reason.to_string(), 160));
    }
    if let Some((from, to)) = routed.moved {
        text = format!("{text}  [{from} → {to}]");
    }
    text
}

/// One route as one JSON object.
pub(crate) fn json_line(line: &Line, done: &Done) -> Value {
    match done {
        Done::Control(what) => json!({"line": line.number, "control": what}),
        Done::Routed { routed, session, request, .. } => {
            route(line.number, routed, session.as_str(), request.as_ref())
        }
    }
}

fn route(number: u64, routed: &Routed, session: &str, request: Option<&RequestId>) -> Value {
    let evidence = &routed.evidence;
    let trace: Vec<Value> = evidence
        .trace
        .iter()
        .map(
            |entry| json!({"layer": entry.layer, "result": entry.result, "reasons": entry.reasons}),
        )
        .collect();
    json!({
        "line": number,
        "verdict": name(routed.verdict),
        "session": session,
        "subject": evidence.subject,
        "principal": evidence.principal,
        "request": request,
        "kind": evidence.kind,
        "reason": deciding(evidence),
        "flags": evidence.flags.union(evidence.raised),
        "risk": evidence.risk,
        "drift": evidence.drift,
        "state": evidence.state,
        "moved": routed.moved.map(|(from, to)| json!([from, to])),
        "narrowing": evidence.narrowing,
        "follow_up": routed.follow_up.as_ref().map(follow_up),
        "outcome": routed.outcome.as_ref().map(|outcome| outcome.status),
        "output": routed.output.as_ref().map(|output| as_json(&output.value)),
        "intent": evidence.intent,
        "record": routed.record,
        "index": routed.index,
        "trace": trace,
    })
}

/// A value as JSON; numbers that JSON readers would round stay texts.
fn as_json(value: &prospera::value::Value) -> Value {
    serde_json::from_str(&value.to_string()).unwrap_or(Value::Null)
}

fn follow_up(follow_up: &FollowUp) -> Value {
    match follow_up {
        FollowUp::Approval(request) => json!({
            "approval": {"role": request.role, "until": request.expires_at.to_string()}
        }),
        FollowUp::Correction(conflicts) => {
            let each = conflicts.iter().map(|conflict| {
                json!({
                    "key": conflict.key.as_ref().map(prospera::id::FactKey::as_str),
                    "argument": conflict.argument,
                    "reason": conflict.reason,
                })
            });
            json!({"correction": each.collect::<Vec<_>>()})
        }
        FollowUp::Supply { missing, until } => {
            json!({"supply": {"missing": missing, "until": until.to_string()}})
        }
        FollowUp::Drift => json!("drift"),
    }
}

const fn group(by: Group) -> &'static str {
    match by {
        Group::Session => "session",
        Group::Subject => "subject",
        Group::Kind => "kind",
    }
}

/// How many groups came through, were asked about, were refused.
fn worst(tally: &Tally) -> [(&'static str, usize); 3] {
    ["passed", "asked", "refused"]
        .map(|what| (what, tally.groups.values().filter(|group| group.worst() == what).count()))
}

/// The summary for people.
pub(crate) fn text(tally: &Tally, log: &Log, out: &mut Out) -> Result<(), Failure> {
    let routes = tally.routes();
    out.line(format!("{} lines: {routes} routes, {} for the host", tally.lines(), tally.control))?;
    out.line("")?;
    out.line("verdicts")?;
    for (verdict, count) in super::tally::NAMES.iter().zip(tally.verdicts.0) {
        out.line(format!("  {verdict:<8} {count:>6}"))?;
        let of_it = tally.reasons.iter().filter(|((of, _), _)| of == verdict);
        for ((_, reason), count) in of_it {
            out.line(format!("           {count:>6}  {reason}"))?;
        }
    }
    if let Some(by) = tally.by() {
        out.line("")?;
        let heading = format!("by {}", group(by));
        let widest = tally.groups.keys().map(|key| key.chars().count()).max().unwrap_or(0);
        let width = widest.max(heading.len()).min(60);
        out.line(format!("{heading:<width$}   allow  modify step up   defer    deny"))?;
        for (key, Verdicts(counts)) in &tally.groups {
            let counts = counts.map(|count| format!("{count:>7} ")).concat();
            out.line(format!("{:<width$} {}", plain(key, 60), counts.trim_end()))?;
        }
        let rolled = worst(tally).map(|(what, count)| format!("{count} {what}"));
        out.line(format!("{} in all: {}", tally.groups.len(), rolled.join(", ")))?;
    }
    out.line("")?;
    out.line("audiences")?;
    for (state, count) in &tally.states {
        out.line(format!("  {:<10} {count:>4}", state.to_string()))?;
    }
    for ((from, to), count) in &tally.moves {
        out.line(format!("  {from} → {to}: {count}"))?;
    }
    if !tally.bad.is_empty() {
        out.line("")?;
        out.line("lines that are no intent (Blocked, with evidence)")?;
        for bad in &tally.bad {
            out.line(format!("  {}: {}", bad.place, plain(&bad.why, 200)))?;
        }
        if tally.more_bad > 0 {
            out.line(format!("  and {} more", tally.more_bad))?;
        }
    }
    out.line("")?;
    let place = match (&log.place, log.bytes) {
        (Some(place), Some(size)) => format!("in `{}`, {}", place.display(), bytes(size)),
        _ => "in memory, gone now".to_owned(),
    };
    let new = log.records.saturating_sub(log.before);
    out.line(format!("log: {new} new records, {} in all, {place}", log.records))?;
    let millis = log.took.as_millis();
    let a_second = u128::from(routes).saturating_mul(1_000_000) / log.took.as_micros().max(1);
    out.line(format!("time: {millis} ms, {a_second} routes/s"))
}

/// The summary for machines.
pub(crate) fn json(tally: &Tally, log: &Log) -> Value {
    let counts = |verdicts: &Verdicts| -> Value {
        super::tally::NAMES
            .iter()
            .zip(verdicts.0)
            .map(|(n, c)| ((*n).to_owned(), Value::from(c)))
            .collect()
    };
    let reasons: Vec<Value> = tally
        .reasons
        .iter()
        .map(|((verdict, reason), count)| {
            json!({"verdict": verdict, "reason": reason, "count": count})
        })
        .collect();
    let states: Value = tally
        .states
        .iter()
        .map(|(state, count)| (state.to_string(), Value::from(*count)))
        .collect();
    let moves: Vec<Value> = tally
        .moves
        .iter()
        .map(|((from, to), count)| json!({"from": from, "to": to, "count": count}))
        .collect();
    let bad: Vec<Value> =
        tally.bad.iter().map(|bad| json!({"place": bad.place, "why": bad.why})).collect();
    let groups: Value = tally.groups.iter().map(|(key, v)| (key.clone(), counts(v))).collect();
    json!({"summary": {
        "lines": tally.lines(),
        "routes": tally.routes(),
        "verdicts": counts(&tally.verdicts),
        "reasons": reasons,
        "by": tally.by().map(group),
        "groups": groups,
        "audiences": states,
        "moves": moves,
        "bad": bad,
        "bad_not_listed": tally.more_bad,
        "not_carried_out": tally.failed,
        "records": log.records,
        "new_records": log.records.saturating_sub(log.before),
        "store": log.place,
        "bytes": log.bytes,
        "micros": u64::try_from(log.took.as_micros()).unwrap_or(u64::MAX),
    }})
}
