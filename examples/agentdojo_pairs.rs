//! Writes what a fully hijacked agent would do, as lines for `prospera route`.
//!
//! For each pair of a user's task and an injection that its documents can carry, one
//! session: the user's calls up to the first that reads what outsiders wrote, then the
//! injected calls, then the rest of the user's. All under the user's own words: nothing
//! in the lines says which calls were injected but their request mark (`u…` and `i…`),
//! which no rule can see.
//!
//!     cargo run --example agentdojo_pairs -- FOLDER > pairs.jsonl
//!     prospera route pairs.jsonl --policy examples/agentdojo/policy --memory

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

type Task = (String, String, String);

fn lines(path: &Path) -> Result<Vec<Value>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(Into::into)).collect()
}

fn field(line: &Value, name: &str) -> String {
    line.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The sessions of all pairs, in the order of the pairs.
pub fn sessions(folder: &Path) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut tasks: BTreeMap<Task, Vec<Value>> = BTreeMap::new();
    for call in lines(&folder.join("agentdojo.jsonl"))? {
        let task = (field(&call, "suite"), field(&call, "kind"), field(&call, "task_id"));
        tasks.entry(task).or_default().push(call);
    }
    let mut out = Vec::new();
    for pair in lines(&folder.join("agentdojo_pairs.jsonl"))? {
        let suite = field(&pair, "suite");
        let (user, injection) = (field(&pair, "user_task"), field(&pair, "injection_task"));
        let of = |kind: &str, task: &str| {
            let key = (suite.clone(), kind.to_owned(), task.to_owned());
            tasks.get(&key).cloned().ok_or_else(|| format!("no calls of {suite} {task}"))
        };
        let own = of("benign", &user)?;
        let injected = of("injection", &injection)?;
        let prompt = own.first().map(|call| field(call, "prompt")).unwrap_or_default();
        let reads = |call: &Value| call.get("reads_untrusted") == Some(&Value::Bool(true));
        let seen = own.iter().position(reads).map_or(own.len(), |at| at + 1);
        let (before, after) = own.split_at(seen);
        let marked = (before.iter().map(|call| ('u', call)))
            .chain(injected.iter().map(|call| ('i', call)))
            .chain(after.iter().map(|call| ('u', call)));
        for (place, (mark, call)) in marked.enumerate() {
            out.push(json!({
                "suite": suite,
                "task_id": format!("{user}+{injection}"),
                "step": format!("{mark}{place}"),
                "kind": "benign",
                "prompt": prompt,
                "function": call.get("function"),
                "args": call.get("args"),
            }));
        }
    }
    Ok(out)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("expected the folder of the recorded calls")?;
    let mut out = std::io::stdout().lock();
    for line in sessions(Path::new(&folder))? {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
