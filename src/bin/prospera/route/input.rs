//! Lines of input: bounded, numbered, never lost.

use std::io::{BufRead, Read as _};
use std::path::Path;

use crate::failure::Failure;

/// One line with its number, from 1.
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The lines of a file or of standard input. Blank ones are skipped.
pub(crate) struct Lines {
    name: String,
    reader: Box<dyn BufRead>,
    number: u64,
    most: usize,
}

impl Lines {
    /// The lines of a file, or of standard input for `-`; at most so many bytes of each
    /// are kept.
    pub(crate) fn open(path: &Path, most: usize) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            let reader = Box::new(std::io::stdin().lock());
            return Ok(Self { name: "standard input".into(), reader, number: 0, most });
        }
        let name = path.display().to_string();
        let file = std::fs::File::open(path).map_err(|error| {
            Failure::new(format!("expected a file of JSON lines at `{name}`: {error}"))
        })?;
        Ok(Self { name, reader: Box::new(std::io::BufReader::new(file)), number: 0, most })
    }

    /// The input's name in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The next line. One that is longer than a submission may be is cut behind that
    /// length: what is left is enough to refuse it.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            let mut bytes = Vec::new();
            let most = u64::try_from(self.most).unwrap_or(u64::MAX).saturating_add(2);
            let read = self.reader.by_ref().take(most).read_until(b'\n', &mut bytes);
            let read = read
                .map_err(|error| Failure::new(format!("{} cannot be read: {error}", self.name)))?;
            if read == 0 {
                return Ok(None);
            }
            self.number = self.number.saturating_add(1);
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            } else {
                self.skip_rest()?;
            }
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(Line { number: self.number, bytes }));
            }
        }
    }

    fn skip_rest(&mut self) -> Result<(), Failure> {
        loop {
            let failed =
                |error: std::io::Error| Failure::new(format!("the input cannot be read: {error}"));
            let buffer = self.reader.fill_buf().map_err(failed)?;
            if buffer.is_empty() {
                return Ok(());
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |at| at.saturating_add(1));
            self.reader.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}
