//! Why a command could not do its work, in the user's words.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// A message and what may help.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    help: Option<String>,
    quiet: bool,
}

impl Failure {
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), help: None, quiet: false }
    }

    /// The same failure with a line of help.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The message alone.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whoever read the output has gone away: nothing to say, and nobody to say it to.
    pub(crate) fn nobody_reads() -> Self {
        Self { message: String::new(), help: None, quiet: true }
    }

    /// Says it on standard error and gives the exit code: 2, or 0 where nobody reads.
    pub(crate) fn report(&self) -> ExitCode {
        if self.quiet {
            return ExitCode::SUCCESS;
        }
        let mut text = String::new();
        for line in self.message.lines() {
            text.push_str("error: ");
            text.push_str(line);
            text.push('\n');
        }
        if let Some(help) = &self.help {
            text.push_str("help: ");
            text.push_str(help);
            text.push('\n');
        }
        // Where standard error is closed there is no one to tell.
        let _closed = std::io::stderr().lock().write_all(text.as_bytes());
        ExitCode::from(2)
    }
}

macro_rules! from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error)
            }
        }
    )*};
}

from! {
    prospera::policy::PolicyError, prospera::files::FileError, prospera::identity::IdentityError,
    prospera::id::NameError, prospera::ssot::store::StoreError,
    prospera::ssot::verify::VerifyError, prospera::encode::DecodeError,
    prospera::routing::replay::ReplayError,
}

impl From<prospera::routing::RouterError> for Failure {
    fn from(error: prospera::routing::RouterError) -> Self {
        use prospera::routing::RouterError;
        let help = match &error {
            RouterError::PolicyChanged { .. } => {
                Some("`--adopt WHO` puts the folder's policy into force, and records who did")
            }
            RouterError::Parallel { .. } => Some(
                "the effect's outcome is not known: `prospera settle STORE --policy DIR SESSION` asks the module",
            ),
            _ => None,
        };
        let failure = Self::new(error);
        match help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}
