//! What can be asked for.

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
    /// Verifies a whole log: exits with 1 and names the first bad record.
    Verify(StoreArg),
    /// Shows one route as a readable trace of the eight layers.
    Show(ShowArgs),
    /// Shows a subject's audience: its state and how it came there. All subjects when
    /// none is named.
    Audience(AudienceArgs),
    /// Answers a route that asks for a person's approval.
    Approve(ApproveArgs),
    /// Asks the module whether an effect whose outcome is unknown took place.
    Settle(SettleArgs),
    /// Writes every stream of the log to a file of its own, such as
    /// `ssot/intent/routing/SESSION.jsonl`.
    Export {
        /// The store's file.
        store: PathBuf,
        /// The folder; it must be empty or not exist.
        folder: PathBuf,
    },
    /// Signs the log, publishes it, verifies what was published.
    #[command(subcommand)]
    Log(crate::log::LogCommand),
    /// Checks a Routing Table.
    #[command(subcommand)]
    Table(TableCommand),
    /// Checks a policy folder.
    #[command(subcommand)]
    Policy(PolicyCommand),
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
enum PolicyCommand {
    /// Checks every file, and the files against each other.
    Check {
        /// The folder.
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

impl Arguments {
    /// Does what was asked for.
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Route(args) => crate::route::run(&args, out),
            Command::Verify(args) => crate::verify::run(&args.store, out),
            Command::Show(args) => crate::show::run(&args, out),
            Command::Audience(args) => crate::audience::run(&args, out),
            Command::Approve(args) => crate::approve::run(&args, out),
            Command::Settle(args) => crate::settle::run(&args, out),
            Command::Export { store, folder } => crate::export::run(&store, &folder, out),
            Command::Log(command) => command.run(out),
            Command::Table(TableCommand::Check { file }) => crate::check::table(&file, out),
            Command::Policy(PolicyCommand::Check { folder }) => crate::check::policy(&folder, out),
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
