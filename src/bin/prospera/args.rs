//! What can be asked for.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::failure::Failure;
use crate::out::Out;

/// Governs what automated systems and AI agents do: routes intents through eight layers
/// and seven audience states, and leaves evidence that can be verified.
#[derive(Debug, Parser)]
#[command(name = "prospera", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Routes a scenario folder, or a file of JSON lines, or standard input (`-`).
    ///
    /// Exits with 0 when every line was routed, whatever the verdicts; `--strict`
    /// exits with 1 when anything was not allowed. 2: it could not be done.
    Route(RouteArgs),
    /// Checks every stream of a log by every check, as a table, a page or JSON: exits with
    /// 1 when anything is unsound.
    Matrix(crate::matrix::MatrixArgs),
    /// Verifies a whole log: exits with 1 and names the first bad record. Or one bundle:
    /// `prospera verify bundle FILE --key VKEY`.
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Verify(VerifyArgs),
    /// Writes the evidence of one route as one file that a stranger can verify.
    ///
    /// Example: `prospera bundle out/prospera.redb r-04 --key log.key --out r-04.json`,
    /// then `prospera verify bundle r-04.json --key VKEY`.
    Bundle(BundleArgs),
    /// Erases a subject's payloads, by a decision on record. Every chain and proof stays.
    ///
    /// Example: `prospera forget out/prospera.redb nora --policy policy --as tomas`.
    Forget(ForgetArgs),
    /// Shows one route as a readable trace of the eight layers.
    Show(ShowArgs),
    /// Shows a subject's audience: its state and how it came there. All subjects when
    /// none is named.
    Audience(AudienceArgs),
    /// Answers a route that asks for a person's approval.
    Approve(ApproveArgs),
    /// Asks the module whether an effect whose outcome is unknown took place.
    Settle(SettleArgs),
    /// Derives every past verdict again and names the first difference.
    ///
    /// Routes every intent of a log again, by the engines and under the policies that the
    /// log keeps, and holds every record against what follows from those before it: verdict,
    /// Routing ID, trace, audience state, byte for byte. Nothing is executed or written.
    /// Exits with 1 when anything differs. Example: `prospera replay log.redb --from 1000`.
    Replay(ReplayArgs),
    /// Shows what would change under another policy.
    ///
    /// Asks another policy folder about every route of a log, each on the past that the log
    /// has. Nothing is executed or written.
    /// Example: `prospera whatif log.redb --policy stricter/`.
    Whatif(WhatIfArgs),
    /// Writes every stream of the log to a file of its own, such as
    /// `ssot/intent/routing/SESSION.jsonl`.
    Export {
        /// The store's file.
        store: PathBuf,
        /// The folder; it must be empty or not exist.
        folder: PathBuf,
        /// Leaves out the bytes of records that are more sensitive than this. Default:
        /// nothing is left out.
        #[arg(long, value_enum, value_name = "SENSITIVITY")]
        up_to: Option<UpTo>,
    },
    /// Packs closed parts of a log, unpacks them, verifies them.
    #[command(subcommand)]
    Segment(crate::segment::SegmentCommand),
    /// Copies a log into a new file and verifies the copy.
    ///
    /// The log of a service that runs is published by the service itself; `verify` and
    /// `export` take the folder of what it publishes, too. One that a crash left open is
    /// closed before it is copied. For example: `prospera backup log.redb monday.redb`
    Backup {
        /// The store's file.
        store: PathBuf,
        /// The new file; there must be none.
        to: PathBuf,
    },
    /// Gives the room in a store's file that nothing uses back to the disk.
    ///
    /// Nothing else may have the store open. What is in it stays as it is, whatever happens
    /// meanwhile. For example: `prospera compact log.redb`
    Compact(StoreArg),
    /// Signs the log, publishes it, verifies what was published.
    #[command(subcommand)]
    Log(crate::log::LogCommand),
    /// Checks a Routing Table.
    #[command(subcommand)]
    Table(TableCommand),
    /// Checks a policy folder.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Compares the sessions of one subject (Fellegi-Sunter record linkage).
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Writes a commented starter folder that routes out of the box.
    Init {
        /// The folder; it must be empty or not exist.
        folder: PathBuf,
    },
    /// Writes a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum TableCommand {
    /// Proves that no two rows of a table can match the same intent.
    Check {
        /// The file, such as `policy/table.toml`.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum IdentityCommand {
    /// Shows how each session of a subject compares with the ones before it: field by
    /// field, as it was recorded, or under another model.
    ///
    /// Example: `prospera identity score log.redb alice --model linkage.toml`
    Score(ScoreArgs),
    /// Estimates a model from all sessions of a log and writes it as a `linkage.toml`.
    ///
    /// Example: `prospera identity estimate log.redb > policy/linkage.toml`
    Estimate(EstimateArgs),
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Checks every file, and the files against each other.
    Check {
        /// The folder.
        folder: PathBuf,
    },
    /// Lists the policy versions of a log.
    List {
        /// The store's file.
        store: PathBuf,
    },
    /// Writes the files of a policy version that a log keeps.
    Export {
        /// The store's file.
        store: PathBuf,
        /// The version: the beginning of its digest.
        version: String,
        /// The folder; it must be empty or not exist.
        folder: PathBuf,
    },
}

/// How output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// For whom an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UpTo {
    /// Anybody.
    Public,
    /// The organisation.
    Internal,
    /// Who may see personal data.
    Personal,
}

/// What routes are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// By session.
    Session,
    /// By subject.
    Subject,
    /// By kind of intent.
    Kind,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct RouteArgs {
    /// A scenario folder (`policy/`, `intents.jsonl`, `scenario.toml`), a file of JSON
    /// lines, or `-` for standard input.
    #[arg(default_value = "-")]
    pub(crate) path: PathBuf,
    /// The policy folder; a scenario folder brings its own.
    #[arg(long, value_name = "DIR")]
    pub(crate) policy: Option<PathBuf>,
    /// The store. One that exists is continued, never overwritten. Default:
    /// `out/prospera.redb` in a scenario folder, otherwise `./prospera.redb`.
    #[arg(long, value_name = "FILE", conflicts_with = "memory")]
    pub(crate) store: Option<PathBuf>,
    /// Keeps the log in memory: nothing remains.
    #[arg(long)]
    pub(crate) memory: bool,
    /// Publishes backups of the log in this folder, for `verify` and `export` in other
    /// processes: once a minute, whenever one is asked for, and at the end.
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    pub(crate) publish: Option<PathBuf>,
    /// How routes and summary are written.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// Starts a fixed clock here: milliseconds since 1970.
    #[arg(long, value_name = "MS")]
    pub(crate) now: Option<u64>,
    /// How far the fixed clock moves on from line to line.
    #[arg(long, value_name = "MS", requires = "now")]
    pub(crate) step_ms: Option<u64>,
    /// Puts a changed policy into force; the log records that WHO did.
    #[arg(long, value_name = "WHO")]
    pub(crate) adopt: Option<String>,
    /// Routes at most so many lines.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Salts the payloads: evidence then tells nothing of a field that a bundle withholds.
    /// A subject that was salted once is salted from then on.
    #[arg(long)]
    pub(crate) salted: bool,
    /// Exits with 1 when anything was not allowed.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Also counts routes by session, subject or kind.
    #[arg(long, value_enum)]
    pub(crate) by: Option<Group>,
    /// Lists each route.
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Refuses lines that speak for the host (`session`, `fact`, `user`, `decide`,
    /// `review`, `release`): for input that an agent writes.
    #[arg(long)]
    pub(crate) calls_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreArg {
    /// The store's file.
    pub(crate) store: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The store's file.
    #[arg(required = true)]
    store: Option<PathBuf>,
    #[command(subcommand)]
    what: Option<VerifyCommand>,
}

#[derive(Debug, Subcommand)]
enum VerifyCommand {
    /// Verifies one bundle: no store, no network. Exits with 1 and says what is wrong.
    ///
    /// Example: `prospera verify bundle r-04.json --key example.com/log+1c2d3e4f+AX…`.
    Bundle(VerifyBundleArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyBundleArgs {
    /// The bundle, in JSON or binary.
    pub(crate) file: PathBuf,
    /// The log's public key (NAME+ID+BASE64), or a file that holds it.
    #[arg(long, value_name = "VKEY", required_unless_present = "policy")]
    pub(crate) key: Option<String>,
    /// A file with logs and witnesses (C2SP tlog-policy) in the key's place.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) policy: Option<PathBuf>,
    /// How it is written.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// The store's file.
    pub(crate) store: PathBuf,
    /// The route: as for `show`, or its Routing ID.
    pub(crate) route: String,
    /// A file with the log's signing key (PRIVATE+KEY+NAME+ID+BASE64): signs a checkpoint
    /// of the log as it is.
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    pub(crate) key: Option<PathBuf>,
    /// The origin of the checkpoint that is signed. Default: the key's name.
    #[arg(long, value_name = "LINE", requires = "key")]
    pub(crate) origin: Option<String>,
    /// A signed checkpoint of this log.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Where it is written; nothing is overwritten. Default: standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Writes the compact form.
    #[arg(long)]
    pub(crate) binary: bool,
    /// Withholds a field, such as `intent/arguments/to/value`, or a whole part: `intent`,
    /// `objective`, `output`. Can be given again.
    #[arg(long, value_name = "PATH")]
    pub(crate) withhold: Vec<String>,
    /// Shows values that are labelled secret.
    #[arg(long)]
    pub(crate) with_secrets: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// The store's file.
    pub(crate) store: PathBuf,
    /// The subject.
    pub(crate) subject: String,
    /// The policy folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) policy: PathBuf,
    /// A file with the governor's signed token.
    #[arg(long, value_name = "FILE")]
    pub(crate) token: Option<PathBuf>,
    /// The governor, for whom this host vouches as a person.
    #[arg(
        long = "as",
        value_name = "WHO",
        conflicts_with = "token",
        required_unless_present = "token"
    )]
    pub(crate) vouched: Option<String>,
    /// A word for the record.
    #[arg(long, default_value = "")]
    pub(crate) note: String,
    /// Decides at this time: milliseconds since 1970.
    #[arg(long, value_name = "MS")]
    pub(crate) now: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The store's file.
    pub(crate) store: PathBuf,
    /// The route: the beginning of its record's digest, its index in the log, or the
    /// request's own mark.
    pub(crate) route: String,
    /// How it is written.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct AudienceArgs {
    /// The store's file.
    pub(crate) store: PathBuf,
    /// The subject.
    pub(crate) subject: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The store's file.
    pub(crate) store: PathBuf,
    /// The route, as for `show`.
    pub(crate) route: String,
    /// The policy folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) policy: PathBuf,
    /// A file with the approver's signed token.
    #[arg(long, value_name = "FILE")]
    pub(crate) token: Option<PathBuf>,
    /// The approver, for whom this host vouches as a person (where `identity.toml` lets
    /// it): with the roles of `approvers` there.
    #[arg(
        long = "as",
        value_name = "WHO",
        conflicts_with = "token",
        required_unless_present = "token"
    )]
    pub(crate) vouched: Option<String>,
    /// Grants it.
    #[arg(long, conflicts_with = "refuse", required_unless_present = "refuse")]
    pub(crate) grant: bool,
    /// Refuses it.
    #[arg(long)]
    pub(crate) refuse: bool,
    /// A word for the record.
    #[arg(long, default_value = "")]
    pub(crate) note: String,
    /// Decides at this time: milliseconds since 1970.
    #[arg(long, value_name = "MS")]
    pub(crate) now: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct SettleArgs {
    /// The store's file.
    pub(crate) store: PathBuf,
    /// The session.
    pub(crate) session: String,
    /// The policy folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) policy: PathBuf,
    /// Settles at this time: milliseconds since 1970.
    #[arg(long, value_name = "MS")]
    pub(crate) now: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The store's file.
    #[arg(default_value = "prospera.redb")]
    pub(crate) store: PathBuf,
    /// The first record that is derived: its place in the log.
    #[arg(long, value_name = "N")]
    pub(crate) from: Option<u64>,
    /// The record before which the replay ends.
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<u64>,
    /// A policy folder for versions of which the log keeps no files; it is taken where its
    /// digests are those that were pinned.
    #[arg(long, value_name = "DIR")]
    pub(crate) policy: Option<PathBuf>,
    /// The seed that keyed the token mint (`seed` of a scenario): tags are derived, too.
    #[arg(long)]
    pub(crate) seed: Option<String>,
    /// On so many threads; as many as the machine has, where it is not said.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Exits with 1 also when anything could not be derived.
    #[arg(long)]
    pub(crate) strict: bool,
    /// How the report is written.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct WhatIfArgs {
    /// The store's file.
    #[arg(default_value = "prospera.redb")]
    pub(crate) store: PathBuf,
    /// The policy folder that is asked.
    #[arg(long, value_name = "DIR")]
    pub(crate) policy: PathBuf,
    /// The first record that is asked about: its place in the log.
    #[arg(long, value_name = "N")]
    pub(crate) from: Option<u64>,
    /// The record before which it ends.
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<u64>,
    /// Shows at most so many changes; all are counted.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// On so many threads; as many as the machine has, where it is not said.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// How it is written.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// The store's file.
    pub(crate) store: PathBuf,
    /// The subject.
    pub(crate) subject: String,
    /// Scores under this model instead of showing what was recorded.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EstimateArgs {
    /// The store's file.
    pub(crate) store: PathBuf,
    /// What the random sample of subjects is drawn by.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The model's version.
    #[arg(long = "as", value_name = "VERSION", default_value = "estimated")]
    pub(crate) version: String,
}

impl Arguments {
    /// Does what was asked for.
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Route(args) => crate::route::run(&args, out),
            Command::Matrix(args) => crate::matrix::run(&args, out),
            Command::Verify(args) => match (args.what, args.store) {
                (Some(VerifyCommand::Bundle(args)), _) => crate::bundle::verify::run(&args, out),
                (None, Some(store)) => crate::verify::run(&store, out),
                (None, None) => Err(Failure::new("expected a store, or `bundle` and a file")),
            },
            Command::Bundle(args) => crate::bundle::run(&args, out),
            Command::Forget(args) => crate::forget::run(&args, out),
            Command::Show(args) => crate::show::run(&args, out),
            Command::Audience(args) => crate::audience::run(&args, out),
            Command::Approve(args) => crate::approve::run(&args, out),
            Command::Settle(args) => crate::settle::run(&args, out),
            Command::Replay(args) => crate::replay::run(&args, out),
            Command::Whatif(args) => crate::whatif::run(&args, out),
            Command::Policy(PolicyCommand::List { store }) => crate::kept::list(&store, out),
            Command::Policy(PolicyCommand::Export { store, version, folder }) => {
                crate::kept::export(&store, &version, &folder, out)
            }
            Command::Export { store, folder, up_to } => {
                crate::export::run(&store, &folder, up_to, out)
            }
            Command::Segment(command) => crate::segment::run(&command, out),
            Command::Backup { store, to } => crate::backup::run(&store, &to, out),
            Command::Compact(args) => crate::compact::run(&args.store, out),
            Command::Log(command) => command.run(out),
            Command::Table(TableCommand::Check { file }) => crate::check::table(&file, out),
            Command::Policy(PolicyCommand::Check { folder }) => crate::check::policy(&folder, out),
            Command::Identity(IdentityCommand::Score(args)) => crate::identity::score(&args, out),
            Command::Identity(IdentityCommand::Estimate(args)) => {
                crate::identity::estimate(&args, out)
            }
            Command::Init { folder } => crate::init::run(&folder, out),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "prospera", &mut script);
                out.bytes(&script)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
