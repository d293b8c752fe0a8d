//! Instructions, counted by callgrind: `cargo bench --bench instructions`.
//!
//! The same on a busy machine and on a quiet one. Needs valgrind and `gungraun-runner` of
//! the version in `Cargo.toml` (`tools/bench` installs both); says so and ends where they
//! are missing. Ends with an error when a typed verb takes an instruction more than the
//! same by hand.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};

mod common;

/// What is counted. The setup of each is not.
mod counted {
    use std::hint::black_box;

    use gungraun::{library_benchmark, library_benchmark_group, main};
    use prospera::audience::any::{AnyAudience, Refused};
    use prospera::audience::causes::EscalationTrigger;
    use prospera::audience::state::State;
    use prospera::audience::states::{Base, Escalated};
    use prospera::audience::table::{Edge, Way};
    use prospera::audience::typed::{Audience, Transition};
    use prospera::governance::Ruling;
    use prospera::identity::{IdentityFinding, Session};
    use prospera::intent::{Intent, RoutingPackage};
    use prospera::memory::MemoryFinding;
    use prospera::modeling::ModelingFinding;
    use prospera::routing::{Route, Routed, RouterError, layers};
    use prospera::safety::SafetyFinding;
    use prospera::verdict::KernelVerdict;

    use crate::common::engines::Engines;
    use crate::common::lookup::Lookup;
    use crate::common::routes::{Necessary, Routes};
    use crate::common::{machine, report, step};

    fn leak<T>(value: T) -> &'static T {
        Box::leak(Box::new(value))
    }

    fn trigger() -> EscalationTrigger {
        EscalationTrigger::RiskScore
    }

    #[library_benchmark]
    #[bench::one(machine::base())]
    fn transition_typed(audience: Audience<Base>) -> Transition<Base, Escalated> {
        machine::escalate_typed(audience, black_box(trigger()))
    }

    #[library_benchmark]
    #[bench::one(machine::hand())]
    fn transition_by_hand(audience: machine::Hand) -> Result<machine::Pending, machine::Hand> {
        machine::escalate_enum(audience, black_box(trigger()))
    }

    #[library_benchmark]
    #[bench::one(machine::core())]
    fn transition_trusting(core: machine::Core) -> machine::Pending {
        machine::escalate_trusting(core, black_box(trigger()))
    }

    #[library_benchmark]
    #[bench::one(machine::any())]
    fn request(audience: AnyAudience) -> Result<(AnyAudience, &'static Edge), Refused> {
        machine::request_ours(audience, black_box(State::Escalated), black_box(Way::Escalate))
    }

    #[library_benchmark]
    #[bench::one(machine::hand())]
    fn request_by_hand(
        audience: machine::Hand,
    ) -> Result<(machine::Hand, &'static str), machine::Refused> {
        machine::request_hand(audience, black_box(State::Escalated), black_box(Way::Escalate))
    }

    /// Every state, target and way.
    fn questions(ask: fn(State, State, Way) -> bool) -> u32 {
        let mut legal = 0;
        for from in State::ALL {
            for to in State::ALL {
                for way in Way::ALL {
                    legal += u32::from(ask(black_box(from), black_box(to), black_box(way)));
                }
            }
        }
        legal
    }

    #[library_benchmark]
    fn edge() -> u32 {
        questions(machine::edge_by_table)
    }

    #[library_benchmark]
    fn edge_by_hand() -> u32 {
        questions(machine::edge_by_hand)
    }

    #[library_benchmark]
    #[bench::one(step::received())]
    fn layer_step(
        (route, session): (Route<layers::Received>, &'static Session),
    ) -> Option<Route<layers::Identity>> {
        step::typed(route, session)
    }

    #[library_benchmark]
    #[bench::one(step::received_by_hand())]
    fn layer_step_by_hand((route, session): (step::Hand, &'static Session)) -> Option<step::Hand> {
        step::by_hand(route, session)
    }

    #[library_benchmark]
    #[bench::rows_10(leak(Lookup::new(10)))]
    #[bench::rows_1000(leak(Lookup::new(1_000)))]
    #[bench::rows_100000(leak(Lookup::new(100_000)))]
    fn table_find(lookup: &'static Lookup) -> bool {
        lookup.find()
    }

    #[library_benchmark]
    #[bench::rows_10(leak(Lookup::new(10)))]
    #[bench::rows_1000(leak(Lookup::new(1_000)))]
    #[bench::rows_100000(leak(Lookup::new(100_000)))]
    fn table_resolve(lookup: &'static Lookup) -> bool {
        lookup.resolve()
    }

    #[library_benchmark]
    #[bench::one(leak(Engines::new()))]
    fn engine_identity(engines: &'static Engines) -> Option<IdentityFinding> {
        engines.identity()
    }

    #[library_benchmark]
    #[bench::one(leak(Engines::new()))]
    fn engine_intent(engines: &'static Engines) -> Option<RoutingPackage> {
        engines.intent()
    }

    #[library_benchmark]
    #[bench::one(leak(Engines::new()))]
    fn engine_modeling(engines: &'static Engines) -> ModelingFinding {
        engines.modeling()
    }

    #[library_benchmark]
    #[bench::one(leak(Engines::new()))]
    fn engine_memory(engines: &'static Engines) -> Option<MemoryFinding> {
        engines.memory()
    }

    #[library_benchmark]
    #[bench::one(leak(Engines::new()))]
    fn engine_safety(engines: &'static Engines) -> SafetyFinding {
        engines.safety()
    }

    #[library_benchmark]
    #[bench::one(leak(Engines::new()))]
    fn engine_kernel(engines: &'static Engines) -> KernelVerdict {
        engines.kernel()
    }

    #[library_benchmark]
    #[bench::one(leak(Engines::new()))]
    fn engine_governance(engines: &'static Engines) -> Ruling {
        engines.governance()
    }

    /// A desk that has routed fifty times, and the next intent.
    fn warm() -> (&'static mut Routes, Intent) {
        let routes = Box::leak(Box::new(Routes::new()));
        for intent in routes.intents(50) {
            routes.route(intent);
        }
        let intent = routes.intents(1).remove(0);
        (routes, intent)
    }

    #[library_benchmark]
    #[bench::one(warm())]
    fn route((routes, intent): (&'static mut Routes, Intent)) -> Result<Routed, RouterError> {
        routes.world.router.route(&mut routes.desk, intent.into())
    }

    #[library_benchmark]
    #[bench::one(leak(Necessary::new()))]
    fn route_hashing(necessary: &'static Necessary) {
        necessary.hash();
    }

    #[library_benchmark]
    fn hash_256() -> blake3::Hash {
        report::hash()
    }

    library_benchmark_group!(
        name = all,
        benchmarks = [
            hash_256,
            transition_typed,
            transition_by_hand,
            transition_trusting,
            request,
            request_by_hand,
            edge,
            edge_by_hand,
            layer_step,
            layer_step_by_hand,
            table_find,
            table_resolve,
            engine_identity,
            engine_intent,
            engine_modeling,
            engine_memory,
            engine_safety,
            engine_kernel,
            engine_governance,
            route_hashing,
            route,
        ]
    );

    main!(library_benchmark_groups = all);

    /// Counts, or takes part in being counted.
    pub(crate) fn count() {
        main();
    }
}

/// Set for the process that gungraun runs in; its JSON lines are read here.
const COUNTING: &str = "PROSPERA_COUNTING";

fn main() -> ExitCode {
    let nested = std::env::args().nth(1).is_some_and(|arg| arg == "--gungraun-run");
    if nested || std::env::var_os(COUNTING).is_some() {
        counted::count();
        return ExitCode::SUCCESS;
    }
    if common::report::only_tried() {
        return ExitCode::SUCCESS;
    }
    for tool in ["valgrind", "gungraun-runner"] {
        let asked = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
        if !asked.is_ok_and(|status| status.success()) {
            println!("instructions: skipped, there is no {tool} (tools/bench installs it)");
            return ExitCode::SUCCESS;
        }
    }
    match counts() {
        Ok(counts) => compare(&counts),
        Err(why) => {
            eprintln!("instructions: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs this program under gungraun and reads the counts, by name.
fn counts() -> Result<BTreeMap<String, u64>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["--bench", "--output-format=json"])
        .env(COUNTING, "1")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("gungraun ended with {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut counts = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let summary: serde_json::Value =
            serde_json::from_str(line).map_err(|error| error.to_string())?;
        let (name, count) = read(&summary).ok_or_else(|| format!("cannot read {line}"))?;
        counts.insert(name, count);
    }
    Ok(counts)
}

/// The name and the instructions of one summary (gungraun's format, version 7).
fn read(summary: &serde_json::Value) -> Option<(String, u64)> {
    let function = summary.get("function_name")?.as_str()?;
    let name = match summary.get("id").and_then(serde_json::Value::as_str) {
        Some(id) if id != "one" => format!("{function}-{id}"),
        _ => function.to_owned(),
    };
    let count = summary.pointer("/profiles/0/data/total/metrics/Ir/values/new")?.as_u64()?;
    Some((name.replace('_', "-"), count))
}

/// What is shown beside what.
const BESIDE: [(&str, &str); 11] = [
    ("transition-typed", "transition-by-hand"),
    ("transition-typed", "transition-trusting"),
    ("layer-step", "layer-step-by-hand"),
    ("request", "request-by-hand"),
    ("edge", "edge-by-hand"),
    ("table-find-rows-1000", "table-find-rows-10"),
    ("table-find-rows-100000", "table-find-rows-10"),
    ("table-resolve-rows-1000", "table-resolve-rows-10"),
    ("table-resolve-rows-100000", "table-resolve-rows-10"),
    ("route", "route-hashing"),
    ("route", "hash-256"),
];

/// What must take no instruction more than what it is beside.
const HELD: [&str; 2] = ["transition-typed", "layer-step"];

/// Prints the counts, and fails when a typed verb takes more than the same by hand.
fn compare(counts: &BTreeMap<String, u64>) -> ExitCode {
    println!("\n{:<32} {:>12}", "instructions of one call", "count");
    for (name, count) in counts {
        println!("{name:<32} {count:>12}");
    }
    let (mut lines, mut held) = (Vec::new(), true);
    println!();
    for (name, other) in BESIDE {
        let (Some(count), Some(by)) = (counts.get(name), counts.get(other)) else {
            eprintln!("instructions: expected a count of {name} and of {other}");
            return ExitCode::FAILURE;
        };
        let verdict = match (HELD.contains(&name), count <= by) {
            (false, _) => "",
            (true, true) => "  no instruction more",
            (true, false) => "  MORE THAN BY HAND",
        };
        held &= verdict != "  MORE THAN BY HAND";
        println!("{name} {count}, {other} {by}{verdict}");
        let ratio = common::report::ratio((*count).into(), (*by).into());
        lines.push(format!(
            "result\tinstructions-{name}\t{count}\tinstructions\t{ratio}\tinstructions-{other}"
        ));
    }
    println!();
    for (name, count) in counts {
        println!("result\tinstructions-{name}\t{count}\tinstructions\t-\t-");
    }
    for line in lines {
        println!("{line}");
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
