//! `prospera whatif`: the same log under another policy.

use std::process::ExitCode;

use prospera::policy::PolicyFolder;
use prospera::routing::replay::{Changes, Fared, ReplayError, WhatIf};

use crate::args::{Format, WhatIfArgs};
use crate::failure::Failure;
use crate::out::{Out, plain, progress};
use crate::store::reader;

/// Most characters of a ruling that are shown.
const SHOWN: usize = 160;

pub(crate) fn run(args: &WhatIfArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = reader(&args.store)?;
    // What is wrong with the folder is told as `policy check` tells it.
    let _sound = PolicyFolder::load(&args.policy)?;
    let candidate = || {
        let loaded = PolicyFolder::load(&args.policy).and_then(PolicyFolder::for_replay);
        loaded.map_err(|error| ReplayError::Candidate { why: error.to_string() })
    };
    let mut asked = WhatIf::new(&store, candidate)
        .range(args.from.unwrap_or(0)..args.to.unwrap_or(u64::MAX))
        .at_most(args.limit);
    if let Some(threads) = args.threads {
        asked = asked.threads(threads);
    }
    let bar = progress(Some(0), "asking");
    let changes = asked.run(|step| {
        bar.set_length(step.total);
        bar.set_position(step.done);
    });
    bar.finish_and_clear();
    let changes = changes?;
    match args.format {
        Format::Json => out.line(serde_json::to_string(&changes).map_err(Failure::new)?)?,
        Format::Text => text(args, &changes, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(args: &WhatIfArgs, changes: &Changes, out: &mut Out) -> Result<(), Failure> {
    let all = &changes.all;
    let (store, policy) = (args.store.display(), args.policy.display());
    out.line(format!(
        "{store} under `{policy}`: {} of {} routes would come to something else, nothing was written",
        all.changed, all.routes
    ))?;
    for change in changes.first.values() {
        let kind = change.kind.as_deref().unwrap_or("(no intent)");
        let (index, record, session) = (change.index, change.record.short(), &change.session);
        out.line(format!("\n{index} {record} {kind}, session {session}"))?;
        out.line(format!("  was    {}", plain(&change.old.to_string(), SHOWN)))?;
        out.line(format!("  would  {}", plain(&change.new.to_string(), SHOWN)))?;
    }
    let told = u64::try_from(changes.first.len()).unwrap_or(u64::MAX);
    if told < all.changed {
        let more = all.changed.saturating_sub(told);
        out.line(format!("\nand {more} more changes: `--limit N` shows more"))?;
    }
    out.line("")?;
    out.line(format!("{:<30}{:>8}{:>9}  {}", "kind", "routes", "changed", "verdicts"))?;
    for (kind, fared) in &changes.kinds {
        let kind = if kind.is_empty() { "(no intent)" } else { &**kind };
        out.line(row(kind, fared))?;
    }
    out.line(row("all", all))?;
    for (why, count) in &changes.not_replayable {
        out.line(format!("not asked: {count} routes because {}", why.words()))?;
    }
    Ok(())
}

fn row(name: &str, fared: &Fared) -> String {
    let turns = fared.turns.iter().map(|(turn, count)| format!("{count} {turn}"));
    let other = fared.changed.saturating_sub(fared.turns.values().sum());
    let other = (other > 0).then(|| format!("{other} for other reasons"));
    let turns: Vec<String> = turns.chain(other).collect();
    let line = format!("{name:<30}{:>8}{:>9}  {}", fared.routes, fared.changed, turns.join(", "));
    line.trim_end().to_owned()
}
