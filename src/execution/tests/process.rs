//! Programs as modules: limits, environment, exit codes, and once per key.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::execution::process::{ProcessConfig, ProcessError, ProcessModule};

/// Enough of a parser for these tests; the real one is handed in by the caller.
fn parse(bytes: &[u8]) -> Result<Value, String> {
    fn value(json: &serde_json::Value) -> Result<Value, String> {
        Ok(match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(it) => Value::Bool(*it),
            serde_json::Value::Number(it) => {
                Value::Number(it.to_string().parse().map_err(|_| "no number".to_string())?)
            }
            serde_json::Value::String(it) => it.as_str().into(),
            serde_json::Value::Array(it) => {
                Value::List(it.iter().map(value).collect::<Result<_, _>>()?)
            }
            serde_json::Value::Object(it) => Value::Map(
                it.iter()
                    .map(|(k, v)| Ok((k.as_str().into(), value(v)?)))
                    .collect::<Result<_, String>>()?,
            ),
        })
    }
    value(&serde_json::from_slice(bytes).map_err(|error| error.to_string())?)
}

fn config(script: &str, folder: &Path) -> ProcessConfig {
    ProcessConfig {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        folder: folder.into(),
        time_limit: Duration::from_secs(20),
        output_bytes: 4096,
        no_effect_exit: vec![65],
        reconciles: false,
    }
}

struct Run {
    folder: tempfile::TempDir,
    module: ProcessModule,
}

fn module(tier: CapabilityTier, script: &str, change: impl FnOnce(&mut ProcessConfig)) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(script, folder.path());
    change(&mut config);
    let journal = folder.path().join("journal");
    let module = ProcessModule::new(contract("p", tier), config, parse, Some(&journal)).unwrap();
    Run { folder, module }
}

impl Run {
    fn run(&self, number: u64) -> Execution {
        with_job("p", CapabilityTier::Privileged, key(number), |job| {
            DynModule::run(&self.module, &Call::new(job))
        })
    }
}

fn act(script: &str) -> Execution {
    module(CapabilityTier::Act, script, |_| ()).run(1)
}

fn observe(script: &str) -> Execution {
    module(CapabilityTier::Observe, script, |_| ()).run(1)
}

fn failed(execution: Execution) -> Reason {
    match execution {
        Execution::Failed(reason) => reason,
        other => panic!("expected failed, found {other:?}"),
    }
}

fn unknown(execution: Execution) -> Reason {
    match execution {
        Execution::Unknown(reason) => reason,
        other => panic!("expected unknown, found {other:?}"),
    }
}

/// The whole question goes in, the whole answer comes out.
#[test]
fn one_document_in_and_one_out() {
    let Execution::Done(output) = act("cat") else { panic!("not done") };
    let expected = alloc::format!(
        r#"{{"arguments":{{"a":"one"}},"ask":"run","key":"{}","kind":"k","mode":"normal","state":"BASE"}}"#,
        key(1)
    );
    assert_eq!(output.value.to_string(), expected);
}

/// The environment is the configured one and nothing else.
#[test]
fn the_environment_is_cleared() {
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "there is something to clear");
    let run = module(CapabilityTier::Observe, "", |config| {
        config.program = "/usr/bin/env".into();
        config.args = vec![
            "sh".into(),
            "-c".into(),
            r#"env | sort | sed 's/.*/"&",/' | (echo "["; cat; echo 'null]')"#.into(),
        ];
        config.env.insert("ONLY".into(), "this".into());
    });
    let Execution::Done(output) = run.run(1) else { panic!("not done") };
    let Value::List(found) = output.value else { panic!("no list") };
    let found: Vec<_> = found.iter().filter_map(Value::as_text).collect();
    // The shell itself sets PWD, SHLVL and _.
    let own: Vec<_> = found
        .iter()
        .filter(|it| !["PWD=", "SHLVL=", "_=", "OLDPWD="].iter().any(|name| it.starts_with(name)))
        .collect();
    assert_eq!(own, [&"ONLY=this", &"PATH=/usr/bin:/bin"]);
    let folder = run.folder.path().canonicalize().unwrap();
    assert!(found.contains(&&*alloc::format!("PWD={}", folder.display())), "{found:?}");
}

#[test]
fn exit_codes_say_whether_something_was_done() {
    let reason = failed(act("echo 'no such room' >&2; exit 65"));
    assert_eq!(reason.to_string(), "execution.failed: exit code 65: no such room");
    let reason = unknown(act("exit 1"));
    assert_eq!(reason.to_string(), "execution.failed: exit code 1");
    assert_eq!(failed(observe("exit 1")).code, ReasonCode::ModuleFailed);
    let reason = unknown(act("kill -9 $$"));
    assert_eq!(reason.to_string(), "execution.unknown: ended by signal 9");
    let reason = unknown(act("echo '{'"));
    assert_eq!(reason.code, ReasonCode::OutputInvalid);
    let missing = module(CapabilityTier::Act, "", |config| config.program = "/no/such".into());
    assert!(failed(missing.run(1)).detail.starts_with("cannot start `/no/such`"));
}

/// The time limit ends the program and what it started.
#[test]
fn the_time_limit_ends_the_whole_group() {
    let script = "sleep 60 & echo $! > grandchild; echo $$ > child; wait";
    let short = |config: &mut ProcessConfig| config.time_limit = Duration::from_millis(400);
    let run = module(CapabilityTier::Act, script, short);
    let start = Instant::now();
    let reason = unknown(run.run(1));
    assert_eq!(reason.to_string(), "execution.unknown: over the time limit of 400 ms");
    assert!(start.elapsed() < Duration::from_secs(10));
    for name in ["child", "grandchild"] {
        let pid = std::fs::read_to_string(run.folder.path().join(name)).unwrap();
        assert!(is_gone(pid.trim()), "{name} lives on");
    }
    let observe = module(CapabilityTier::Observe, "sleep 60", short);
    assert_eq!(failed(observe.run(1)).code, ReasonCode::OutcomeUnknown);
}

/// Whether no process of this number is there, or only what waits to be reaped.
fn is_gone(pid: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let state = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid]).output();
        let state = String::from_utf8(state.unwrap().stdout).unwrap();
        if state.trim().is_empty() || state.starts_with('Z') {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// A program that ends but leaves a child with its pipes open does not hang the route.
#[test]
fn what_is_left_behind_is_ended() {
    let start = Instant::now();
    let Execution::Done(output) = act("sleep 60 & echo 1") else { panic!("not done") };
    assert_eq!(output.value, 1.into());
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_output_limit_ends_the_program() {
    let start = Instant::now();
    let reason = unknown(act("yes"));
    assert_eq!(reason.to_string(), "execution.output: more than 4096 bytes of output");
    assert!(start.elapsed() < Duration::from_secs(10));
    let fits = r#"printf '"'; head -c 4094 /dev/zero | tr '\0' x; printf '"'"#;
    assert!(matches!(act(fits), Execution::Done(_)));
    let over = r#"printf '"'; head -c 4095 /dev/zero | tr '\0' x; printf '"'"#;
    assert_eq!(unknown(act(over)).code, ReasonCode::OutputInvalid);
}

/// A flood on standard error neither blocks the program nor fills the record.
#[test]
fn standard_error_is_bounded() {
    let reason = failed(act("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 65"));
    assert!(reason.detail.len() < 600, "{}", reason.detail.len());
}

/// Input that the program never reads does not block the route.
#[test]
fn input_may_be_left_unread() {
    let intent = intent(kind("k", CapabilityTier::Act), &[("a", (&*"x".repeat(200_000)).into())]);
    let run = module(CapabilityTier::Act, "echo 1", |_| ());
    let job = Job {
        module: &"p".parse().unwrap(),
        intent: &intent,
        narrowing: &Narrowing::default(),
        mode: SafetyMode::Normal,
        state: State::Base,
        key: key(1),
        now: Timestamp::from_millis(7),
        permit: Permit::of_committed_route(),
    };
    assert!(matches!(DynModule::run(&run.module, &Call::new(&job)), Execution::Done(_)));
}

/// D-27: the key is durable before the program starts; it never starts it twice.
#[test]
fn a_key_starts_the_program_once() {
    let script = "echo x >> runs; echo null";
    let run = module(CapabilityTier::Act, script, |_| ());
    assert!(matches!(run.run(1), Execution::Done(_)));
    unknown(run.run(1));
    assert_eq!(run.module.reconcile(key(1)), Reconciled::Happened(None));
    assert_eq!(run.module.reconcile(key(2)), Reconciled::NotHappened);
    failed(run.run(2));
    let Run { folder, module } = run;
    drop(module);
    let journal = folder.path().join("journal");
    let module = ProcessModule::new(
        contract("p", CapabilityTier::Act),
        config(script, folder.path()),
        parse,
        Some(&journal),
    );
    let run = Run { folder, module: module.unwrap() };
    unknown(run.run(1));
    failed(run.run(2));
    assert!(matches!(run.run(3), Execution::Done(_)));
    let runs = std::fs::read_to_string(run.folder.path().join("runs")).unwrap();
    assert_eq!(runs, "x\nx\n", "keys 1 and 3");
}

/// While the program runs nobody is told that nothing happened.
#[test]
fn a_running_program_is_not_reconciled() {
    let run = module(CapabilityTier::Act, "touch begun; sleep 0.5; echo null", |config| {
        config.reconciles = true;
    });
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run.run(1));
        while !run.folder.path().join("begun").exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(run.module.reconcile(key(1)), Reconciled::Unknown);
        assert!(matches!(running.join().unwrap(), Execution::Done(_)));
    });
    assert_eq!(run.module.reconcile(key(1)), Reconciled::Happened(None));
}

/// After an unknown outcome the program is asked, if it answers such questions.
#[test]
fn the_program_is_asked_after_an_unknown_outcome() {
    let script = r#"read -r question
        case "$question" in
            *'"ask":"reconcile"'*) printf '{"happened":%s}' "$HAPPENED";;
            *) kill -9 $$;;
        esac"#;
    let asked = |answer: &str, reconciles: bool| {
        let run = module(CapabilityTier::Act, script, |config| {
            config.env.insert("HAPPENED".into(), answer.into());
            config.reconciles = reconciles;
        });
        unknown(run.run(1));
        run.module.reconcile(key(1))
    };
    assert_eq!(asked("true", true), Reconciled::Happened(None));
    assert_eq!(asked("false", true), Reconciled::NotHappened);
    assert_eq!(asked("null", true), Reconciled::Unknown);
    assert_eq!(asked("true", false), Reconciled::Unknown);
}

#[test]
fn settings_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let new = |tier, change: fn(&mut ProcessConfig)| {
        let mut config = config("", folder.path());
        change(&mut config);
        ProcessModule::new(contract("p", tier), config, parse, None).unwrap_err()
    };
    let observe = CapabilityTier::Observe;
    assert!(matches!(new(CapabilityTier::Act, |_| ()), ProcessError::NoJournal));
    assert!(matches!(new(observe, |c| c.program = "sh".into()), ProcessError::Relative { .. }));
    assert!(matches!(new(observe, |c| c.folder = ".".into()), ProcessError::Relative { .. }));
    assert!(matches!(new(observe, |c| c.output_bytes = 2 << 20), ProcessError::Limit { .. }));
    assert!(matches!(new(observe, |c| c.time_limit = Duration::ZERO), ProcessError::Limit { .. }));
    assert!(matches!(new(observe, |c| c.no_effect_exit.push(0)), ProcessError::ZeroExit));
    let variable: fn(&mut ProcessConfig) = |c| drop(c.env.insert("A=B".into(), String::new()));
    assert!(matches!(new(observe, variable), ProcessError::Variable { .. }));
}
