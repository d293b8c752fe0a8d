//! Standard output that may be closed at any time.

use std::io::{BufWriter, ErrorKind, IsTerminal as _, Stdout, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::Failure;

/// Standard output, buffered. Every write may fail, none panics.
pub(crate) struct Out(BufWriter<Stdout>);

impl Out {
    pub(crate) fn stdout() -> Self {
        Self(BufWriter::new(std::io::stdout()))
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> Result<(), Failure> {
        writeln!(self.0, "{text}").map_err(|error| closed(&error))
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.0.write_all(bytes).map_err(|error| closed(&error))
    }

    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(|error| closed(&error))
    }
}

fn closed(error: &std::io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        Failure::nobody_reads()
    } else {
        Failure::new(format!("standard output cannot be written: {error}"))
    }
}

/// Writes a line to standard error; where that is closed, nobody misses it.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _closed = writeln!(std::io::stderr().lock(), "{text}");
}

/// A progress bar on standard error, on a terminal only.
pub(crate) fn progress(total: Option<u64>, what: &'static str) -> ProgressBar {
    let bar = match total {
        _ if !std::io::stderr().is_terminal() => return ProgressBar::hidden(),
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    let template =
        if total.is_some() { "{msg} {pos} of {len} {bar:30} {eta}" } else { "{msg} {pos}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// A text on one line, control characters escaped, cut where it is too long.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut out: String = text
        .chars()
        .take(most)
        .flat_map(|c| {
            let escaped: Vec<char> =
                if c.is_control() { c.escape_default().collect() } else { vec![c] };
            escaped
        })
        .collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{} KiB", count.div_ceil(1024)),
        _ => format!("{} MiB", count.div_ceil(1_048_576)),
    }
}
