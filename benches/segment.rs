//! How small a packed log is, and how fast it is packed and read:
//! `cargo bench --features cli --bench segment`.
//!
//! Two logs, each routed by the command line first: the office scenario, and the agent calls
//! of `AgentDojo` with their injections (`../shared/data/agents`; left out where it is not
//! there). Dictionaries are trained on records that are not measured: those of the banking
//! suite for the slack suite and for the office. Route records are evidence blocks and
//! outcomes; every digest that is written as it is counts as theirs. Each time is the median
//! of nine runs.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![expect(clippy::cast_precision_loss, clippy::float_arithmetic, reason = "figures for people")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use prospera::routing::shape::Bodies;
use prospera::ssot::class::{ClassRules, StateClass};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::redb::RedbStore;
use prospera::ssot::segment::{
    Bare, Dictionaries, Options, Packed, Segments, Shape, pack, train, unpack,
};
use prospera::ssot::store::Store;
use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn route(arguments: &[&str], store: &Path) -> RedbStore {
    let done = Command::new(env!("CARGO_BIN_EXE_prospera"))
        .arg("route")
        .args(arguments)
        .args(["--store", &store.display().to_string()])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    RedbStore::open_read_only(store).unwrap()
}

fn data() -> Option<PathBuf> {
    let places = ["../shared/data/agents", "../../shared/data/agents"];
    let mut places = places.iter().map(|place| Path::new(ROOT).join(place));
    places.find(|place| place.join("agentdojo.jsonl").is_file())
}

/// The calls of each task of a suite, then each user's task with each injection.
fn calls(data: &Path, suite: &str) -> String {
    let read = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(data.join(name)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["suite"] == suite).collect()
    };
    let (calls, pairs) = (read("agentdojo.jsonl"), read("agentdojo_pairs.jsonl"));
    let mut out = String::new();
    let mut tasks: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for call in calls {
        writeln!(out, "{call}").unwrap();
        tasks.entry(call["task_id"].as_str().unwrap().to_owned()).or_default().push(call);
    }
    for pair in pairs {
        let of = |field: &str| pair[field].as_str().unwrap();
        let (user, injection) = (of("user_task"), of("injection_task"));
        let benign = tasks.get(user).unwrap();
        let looks = benign.iter().filter(|call| call["mutates"] == false);
        for (step, call) in looks.chain(tasks.get(injection).unwrap()).enumerate() {
            let mut line = call.clone();
            line["kind"] = json!("benign");
            line["prompt"] = benign.first().unwrap()["prompt"].clone();
            line["task_id"] = json!(format!("{user}+{injection}"));
            line["step"] = json!(step);
            writeln!(out, "{line}").unwrap();
        }
    }
    out
}

fn options(block_records: usize, payloads: bool) -> Options {
    Options { block_records, segment_records: 1 << 20, partial: true, payloads, cold_at: None }
}

fn packed(
    store: &impl Store,
    trained: &Dictionaries,
    shape: &(dyn Shape + Sync),
    options: &Options,
) -> (tempfile::TempDir, Packed) {
    let folder = tempfile::tempdir().unwrap();
    let report = pack(store, folder.path(), shape, &ClassRules::DEFAULT, trained, options).unwrap();
    assert_eq!(report.whole, 0);
    (folder, report)
}

/// Bytes of evidence blocks and outcomes: as they were, and packed.
fn routes(report: &Packed) -> (u64, u64) {
    let of = |class| report.by_class.get(&class).copied().unwrap_or_default();
    let (routing, execution) = (of(StateClass::Routing), of(StateClass::Execution));
    (routing.0 + execution.0, routing.2 + execution.2 + 32 * report.opaque)
}

fn ratio((raw, packed): (u64, u64)) -> f64 {
    raw as f64 / packed.max(1) as f64
}

fn sizes(name: &str, store: &impl Store, training: &impl Store) {
    println!("\n## {name}: {} records", store.len().unwrap());
    println!(
        "shape     block payloads | route records: bytes, packed, ratio | all records, ratio | payloads, ratio"
    );
    let shapes: [(&str, &(dyn Shape + Sync)); 2] =
        [("bare", &Bare), ("bodies", &Bodies::default())];
    for (shape_name, shape) in shapes {
        for block in [1, 8, 16, 64, 256] {
            for payloads in [true, false] {
                let options = options(block, payloads);
                let rules = ClassRules::DEFAULT;
                let trained = train(training, 0, 1 << 20, shape, &rules, &options).unwrap();
                let (_folder, report) = packed(store, &trained, shape, &options);
                let (raw, small) = routes(&report);
                let others = report.packed_bytes - report.packed_payload_bytes;
                println!(
                    "{shape_name:8} {block:5} {payloads:8} | {raw:8} {small:7} {:5.2} | {:8} {others:7} {:5.2} | {:7} {:6} {:5.2}",
                    ratio((raw, small)),
                    report.record_bytes,
                    ratio((report.record_bytes, others)),
                    report.payload_bytes,
                    report.packed_payload_bytes,
                    ratio((report.payload_bytes, report.packed_payload_bytes)),
                );
            }
        }
    }
}

fn median(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times.get(4).copied().unwrap()
}

fn speeds(name: &str, store: &impl Store, training: &impl Store) {
    println!("\n## {name}: speed (one core; MB of records and payloads as they were)");
    let rules = ClassRules::DEFAULT;
    for block in [1, 8, 16, 64, 256] {
        let options = options(block, true);
        let trained = train(training, 0, 1 << 20, &Bodies::default(), &rules, &options).unwrap();
        let (folder, report) = packed(store, &trained, &Bodies::default(), &options);
        let megabytes = (report.record_bytes + report.payload_bytes) as f64 / 1e6;
        let packing = median(|| {
            black_box(packed(store, &trained, &Bodies::default(), &options));
        });
        let open = || Segments::open(folder.path(), Bodies::default()).unwrap();
        let unpacking = median(|| {
            unpack(&open(), &MemoryStore::new()).unwrap();
        });
        let scanning = median(|| {
            let mut sum = 0;
            open().scan(0, usize::MAX, &mut |bytes, _| sum += bytes.len()).unwrap();
            black_box(sum);
        });
        // One record of each block in turn: where there are more blocks than are held at
        // hand, none of them is.
        let segments = open();
        let firsts: Vec<u64> = (0..store.len().unwrap()).step_by(block).collect();
        let random = median(|| {
            for first in &firsts {
                black_box(segments.read(*first, 1).unwrap());
            }
        });
        let held = if firsts.len() > 16 { "" } else { " (all at hand)" };
        println!(
            "block {block:4}: pack {:6.1} MB/s, unpack into memory {:6.1} MB/s, scan {:6.1} MB/s, one record at random {:6.1} us{held}",
            megabytes / packing,
            megabytes / unpacking,
            megabytes / scanning,
            random / firsts.len() as f64 * 1e6,
        );
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let office = Path::new(ROOT).join("examples/office");
    let office = office.display().to_string();
    let office = route(&[&office], &folder.path().join("office.redb"));
    let Some(data) = data() else {
        println!("agent calls left out: no recordings at ../shared/data/agents");
        sizes("office, trained on itself", &office, &office);
        return;
    };
    let policy = Path::new(ROOT).join("examples/agentdojo/policy").display().to_string();
    let [banking, slack] = ["banking", "slack"].map(|suite| {
        let file = folder.path().join(format!("{suite}.jsonl"));
        fs::write(&file, calls(&data, suite)).unwrap();
        let file = file.display().to_string();
        let clock = ["--now", "1767603600000", "--step-ms", "1000"];
        let arguments: Vec<&str> =
            [file.as_str(), "--policy", policy.as_str()].into_iter().chain(clock).collect();
        route(&arguments, &folder.path().join(format!("{suite}.redb")))
    });
    sizes("office, trained on the banking suite", &office, &banking);
    sizes("slack suite, trained on the banking suite", &slack, &banking);
    sizes("banking suite, trained on the slack suite", &banking, &slack);
    speeds("banking suite, trained on the slack suite", &banking, &slack);
}
