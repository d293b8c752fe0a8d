//! What is routed, under which policy, into which store, by which clock.
//!
//! A scenario folder holds `policy/`, `intents.jsonl` and, where runs are to be the
//! same bytes each time, `scenario.toml`:
//!
//! ```toml
//! version = "1"
//! start_ms = 1767603600000   # the clock starts here …
//! step_ms = 1000             # … and moves on from line to line
//! seed = "office"            # keys the token mint; not for real work
//! ```

use std::path::{Path, PathBuf};

use prospera::files::read_toml;
use prospera::time::Timestamp;
use serde::Deserialize;

use crate::args::RouteArgs;
use crate::failure::Failure;
use crate::store::CliClock;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    start_ms: Option<u64>,
    step_ms: Option<u64>,
    seed: Option<String>,
}

/// Everything that a run is made of.
pub(crate) struct Scenario {
    pub(crate) policy: PathBuf,
    pub(crate) input: PathBuf,
    /// Where token files are looked for.
    pub(crate) base: PathBuf,
    /// `None`: in memory.
    pub(crate) store: Option<PathBuf>,
    pub(crate) clock: CliClock,
    pub(crate) seed: Option<String>,
}

impl Scenario {
    pub(crate) fn of(args: &RouteArgs) -> Result<Self, Failure> {
        if args.path.is_dir() {
            return Self::folder(args);
        }
        let Some(policy) = args.policy.clone() else {
            let help = "`--policy DIR` names the policy folder; `prospera init DIR` writes one";
            let what = if args.path.as_os_str() == "-" {
                "lines from standard input need a policy folder".to_owned()
            } else if args.path.exists() {
                format!("the lines of `{}` need a policy folder", args.path.display())
            } else {
                format!(
                    "expected a scenario folder or a file of JSON lines at `{}`, found nothing",
                    args.path.display()
                )
            };
            return Err(Failure::new(what).help(help));
        };
        let base = args.path.parent().unwrap_or(Path::new("")).to_owned();
        let store = args.store.clone().unwrap_or_else(|| PathBuf::from("prospera.redb"));
        Ok(Self {
            policy,
            input: args.path.clone(),
            base,
            store: (!args.memory).then_some(store),
            clock: clock(args, &File::default()),
            seed: None,
        })
    }

    fn folder(args: &RouteArgs) -> Result<Self, Failure> {
        let base = args.path.clone();
        let file = base.join("scenario.toml");
        let read = match std::fs::read_to_string(&file) {
            Ok(text) => read_scenario(&file, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
            Err(error) => {
                let place = file.display();
                return Err(Failure::new(format!("`{place}` cannot be read: {error}")));
            }
        };
        let input = base.join("intents.jsonl");
        if !input.is_file() {
            let place = input.display();
            return Err(Failure::new(format!("expected the intents at `{place}`, found no file"))
                .help("a scenario folder holds `policy/` and `intents.jsonl`"));
        }
        let store = if args.memory {
            None
        } else if let Some(store) = &args.store {
            Some(store.clone())
        } else {
            Some(out_folder(&base)?.join("prospera.redb"))
        };
        Ok(Self {
            policy: args.policy.clone().unwrap_or_else(|| base.join("policy")),
            input,
            base,
            store,
            clock: clock(args, &read),
            seed: read.seed,
        })
    }
}

fn read_scenario(file: &Path, text: &str) -> Result<File, Failure> {
    let place = file.display().to_string();
    let read: File = read_toml(&place, text)?;
    if read.version != "1" {
        let found = &read.version;
        return Err(Failure::new(format!("{place}: expected version `1`, found `{found}`")));
    }
    Ok(read)
}

/// `out/`, which version control is told to leave alone.
fn out_folder(base: &Path) -> Result<PathBuf, Failure> {
    let out = base.join("out");
    let failed = |error: std::io::Error| {
        Failure::new(format!("the folder `{}` cannot be written: {error}", out.display()))
            .help("`--store FILE` puts the log elsewhere, `--memory` keeps none")
    };
    if !out.is_dir() {
        std::fs::create_dir_all(&out).map_err(failed)?;
        std::fs::write(out.join(".gitignore"), "*\n").map_err(failed)?;
    }
    Ok(out)
}

fn clock(args: &RouteArgs, file: &File) -> CliClock {
    let start = args.now.or(file.start_ms);
    let step = args.step_ms.or(file.step_ms).unwrap_or(1);
    start.map_or(CliClock::System, |start| CliClock::fixed(Timestamp::from_millis(start), step))
}
