//! MCP `tools/call`: one JSON-RPC 2.0 request (Model Context Protocol, 2025-06-18).
//!
//! ```json
//! {"jsonrpc": "2.0", "id": 7, "method": "tools/call",
//!  "params": {"name": "send_money", "arguments": {"to": "DE1"}, "_meta": {}}}
//! ```
//!
//! `name` is the kind, `id` the caller's mark (`"7"` and `7` are two marks). A
//! notification, which has no `id`, is refused: nobody would learn its verdict. The
//! objective is the channel's: the agent that makes the call cannot say what the
//! user said. `_meta` may hold `prospera/subject` and `prospera/session`, which must
//! agree with the channel where that has its own; what else is in it is ignored.

use alloc::format;
use alloc::vec::Vec;

use crate::id::{RequestId, SessionId, SubjectId};
use crate::intent::intake::fields::{Fields, agreed, as_name, as_text, or_malformed, wrong};
use crate::intent::intake::{Channel, Expanded, Malformed, digest};
use crate::intent::schema::short;
use crate::limits::Limits;
use crate::value::Value;
use crate::verdict::Reason;

/// Reads one `tools/call` request.
///
/// # Errors
/// [`Malformed`], to be routed as it is.
pub fn read(bytes: &[u8], channel: &Channel, limits: &Limits) -> Result<Expanded, Malformed> {
    or_malformed(bytes, channel, limits, |value| {
        expand(value, bytes, channel).map_err(|reason| (reason, None, None))
    })
}

fn expand(value: Value, bytes: &[u8], channel: &Channel) -> Result<Expanded, Reason> {
    let mut call = Fields::of("", value)?;
    expect(&mut call, "jsonrpc", "2.0")?;
    expect(&mut call, "method", "tools/call")?;
    let request = mark(&call.need("id")?)?;
    let mut params = Fields::of("/params", call.need("params")?)?;
    call.finish()?;
    let kind = params.need_text("name")?;
    let arguments = params.object("arguments")?;
    let mut meta = params.object("_meta")?;
    params.finish()?;
    let path = "/params/_meta/prospera~1subject";
    let subject = meta.remove("prospera/subject").map(|found| as_text(path, found)).transpose()?;
    let subject = subject.map(|text| as_name::<SubjectId>(path, &text)).transpose()?;
    let subject = agreed(path, subject, channel.subject.as_ref())?;
    let path = "/params/_meta/prospera~1session";
    let session = meta.remove("prospera/session").map(|found| as_text(path, found)).transpose()?;
    let session = session.map(|text| as_name::<SessionId>(path, &text)).transpose()?;
    let session = agreed(path, session, channel.session.as_ref())?;
    let objective = channel.objective.clone();
    Ok(Expanded {
        kind,
        subject,
        session,
        request: Some(request),
        objective: objective.ok_or_else(|| wrong("", "an objective of the channel", "none"))?,
        instruction: channel.instruction.clone(),
        arguments,
        claimed: [].into(),
        reads: Vec::new(),
        snapshot: None,
        digest: digest(bytes),
    })
}

fn expect(fields: &mut Fields, name: &str, expected: &str) -> Result<(), Reason> {
    let found = fields.need_text(name)?;
    if *found == *expected {
        return Ok(());
    }
    let (expected, found) = (format!("`{expected}`"), format!("`{}`", short(&found)));
    Err(wrong(&fields.path(name), &expected, &found))
}

/// The caller's mark: a text with its quotes, or a whole number.
fn mark(id: &Value) -> Result<RequestId, Reason> {
    match id {
        Value::Text(_) => as_name("/id", &format!("{id}")),
        Value::Number(number) if number.scale() == 0 => as_name("/id", &format!("{number}")),
        other => Err(wrong("/id", "a text or a whole number", other.shape())),
    }
}
