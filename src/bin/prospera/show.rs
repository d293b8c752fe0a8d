//! `prospera show`: one route as a readable trace of the eight layers.

use std::process::ExitCode;

use prospera::id::LayerId;
use prospera::provenance::Sensitivity;
use prospera::routing::payloads::{self, PayloadError};
use prospera::routing::{Outcome, OutcomeStatus, StepResult};
use serde_json::json;

use crate::args::{Format, ShowArgs};
use crate::failure::Failure;
use crate::out::{Out, plain};
use crate::records::{ReadIntent, RouteRecord, find_route, outcome_of, read_intent};
use crate::route::verdict_name;
use crate::store::reader;

/// Longest value that is shown.
const SHOWN: usize = 120;

pub(crate) fn run(args: &ShowArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = reader(&args.store)?;
    let route = find_route(&store, &args.route)?;
    let outcome = outcome_of(&store, &route.record)?;
    let kept = payloads::intent(&store, &route.block).map_err(|error| changed(&error))?;
    let intent = kept.and_then(|bytes| read_intent(&bytes).ok());
    let objective = payloads::objective(&store, &route.block).map_err(|error| changed(&error))?;
    let objective = objective.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if args.format == Format::Json {
        let arguments: serde_json::Value = intent
            .iter()
            .flat_map(|intent| &intent.arguments)
            .map(|(name, argument)| {
                let value = json!({
                    "value": argument.value.to_string(),
                    "label": argument.label,
                });
                (name.clone(), value)
            })
            .collect();
        out.line(json!({
            "record": route.record.digest(),
            "index": route.record.index(),
            "evidence": route.block,
            "objective": objective,
            "arguments": arguments,
            "outcome": outcome,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    head(&route, intent.as_ref(), out)?;
    if let Some(objective) = &objective {
        out.line(format!("  objective  {}", plain(objective, SHOWN)))?;
    }
    arguments(intent.as_ref(), out)?;
    layers(&route, outcome.as_ref(), out)?;
    tail(&route, outcome.as_ref(), out)?;
    Ok(ExitCode::SUCCESS)
}

/// What is kept is not what the evidence names: nothing of it is shown.
fn changed(error: &PayloadError) -> Failure {
    Failure::new(error.to_string())
        .help("`prospera verify` names the first record that is affected")
}

fn head(route: &RouteRecord, intent: Option<&ReadIntent>, out: &mut Out) -> Result<(), Failure> {
    let RouteRecord { record, block } = route;
    let kind = block.kind.as_ref().map_or("no intent", |kind| kind.as_str());
    out.line(format!("{}  {kind}", verdict_name(block.verdict).to_uppercase()))?;
    out.line(format!("  record     {} (index {})", record.digest(), record.index()))?;
    out.line(format!("  time       {}", block.timestamp))?;
    out.line(format!("  subject    {}, acted for by {}", block.subject, block.principal))?;
    out.line(format!("  stream     {}, sequence {}", record.stream(), record.sequence()))?;
    if let Some(intent) = intent {
        if let Some(request) = &intent.request {
            out.line(format!("  request    {request} of session {}", intent.session))?;
        }
        for (key, version) in &intent.reads {
            out.line(format!("  relies on  {key}, version {version}"))?;
        }
    }
    let class = ["none", "A", "B", "C"].get(usize::from(block.class)).copied().unwrap_or("none");
    out.line(format!("  audience   {}, class {class}", block.state))?;
    out.line(format!(
        "  risk       {}, surprise {}, flags {}",
        block.risk,
        block.surprise,
        block.flags.union(block.raised)
    ))?;
    if let Some(id) = &block.routing_id {
        out.line(format!("  routing id {}", id.digest()))?;
    }
    out.line(format!("  policy set {}", block.pins))
}

fn arguments(intent: Option<&ReadIntent>, out: &mut Out) -> Result<(), Failure> {
    let Some(intent) = intent else { return Ok(()) };
    if intent.arguments.is_empty() {
        return Ok(());
    }
    out.line("arguments")?;
    for (name, argument) in &intent.arguments {
        let label = &argument.label;
        let value = if label.sensitivity() == Sensitivity::Secret {
            "(a secret, not shown)".to_owned()
        } else {
            plain(&argument.value.to_string(), SHOWN)
        };
        out.line(format!("  {} = {value}  (from {label})", plain(name, SHOWN)))?;
    }
    Ok(())
}

const fn result(result: StepResult) -> &'static str {
    match result {
        StepResult::Passed => "passed",
        StepResult::Flagged => "flagged",
        StepResult::Narrowed => "narrowed",
        StepResult::Stopped => "STOPPED",
        StepResult::Backtracked => "went back",
    }
}

fn layers(route: &RouteRecord, outcome: Option<&Outcome>, out: &mut Out) -> Result<(), Failure> {
    out.line("layers")?;
    let trace = &route.block.trace;
    for entry in trace {
        out.line(format!("  {:<13} {}", entry.layer.to_string(), result(entry.result)))?;
        for reason in &entry.reasons {
            out.line(format!("                {}", plain(&reason.to_string(), 2 * SHOWN)))?;
        }
        if entry.layer == LayerId::Pipeline
            && let (Some(template), Some(module)) = (&route.block.template, &route.block.module)
        {
            let branch = route.block.branch.as_ref().map_or("none", |branch| branch.as_str());
            out.line(format!(
                "                template {template}, branch {branch}, module {module}"
            ))?;
        }
    }
    if let Some(outcome) = outcome {
        let status = match outcome.status {
            OutcomeStatus::Done => "done",
            OutcomeStatus::Failed => "FAILED, nothing was done",
            OutcomeStatus::Unknown => "UNKNOWN",
        };
        out.line(format!("  {:<13} {status}", LayerId::Execution.to_string()))?;
        for reason in &outcome.reasons {
            out.line(format!("                {}", plain(&reason.to_string(), 2 * SHOWN)))?;
        }
    } else if route.block.opens_route() {
        out.line(format!("  {:<13} no outcome on record", LayerId::Execution.to_string()))?;
    }
    let reached: Vec<_> = trace.iter().map(|entry| entry.layer).collect();
    let left: Vec<String> = LayerId::ALL
        .iter()
        .filter(|layer| {
            !(reached.contains(layer) || outcome.is_some() || route.block.opens_route())
        })
        .map(ToString::to_string)
        .collect();
    if !left.is_empty() {
        out.line(format!("  not reached: {}", left.join(", ")))?;
    }
    Ok(())
}

fn tail(route: &RouteRecord, outcome: Option<&Outcome>, out: &mut Out) -> Result<(), Failure> {
    let block = &route.block;
    if !block.narrowing.is_empty() {
        let narrowing = &block.narrowing;
        let mut parts: Vec<String> =
            narrowing.drop_arguments.iter().map(|name| format!("without `{name}`")).collect();
        parts.extend(narrowing.exclude_modules.iter().map(|module| format!("not by `{module}`")));
        if narrowing.read_only {
            parts.push("read only".into());
        }
        out.line(format!("narrowed   {}", parts.join(", ")))?;
    }
    if let Some(approval) = &block.approval {
        out.line(format!("approval   on record {approval}"))?;
    }
    if let (Some(role), Some(until)) = (&block.approver, &block.wait_until) {
        out.line(format!("waits for  a `{role}`, until {until}; no answer denies"))?;
    } else if let Some(until) = &block.wait_until {
        out.line(format!("waits      until {until}; nothing by then denies"))?;
    }
    if let Some(outcome) = outcome {
        if let Some(output) = &outcome.output {
            out.line(format!("output     {output}, from {}", outcome.label))?;
        }
        out.line(format!("effect key {}", outcome.evidence))?;
    }
    Ok(())
}
