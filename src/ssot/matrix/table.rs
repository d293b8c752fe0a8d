//! The matrix on a terminal.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::ssot::matrix::cell::{Cell, State};
use crate::ssot::matrix::check::Check;
use crate::ssot::matrix::data::{Matrix, Row};
use crate::ssot::record::StreamKind;

/// How a table is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableOptions {
    /// How many columns there are. The names of streams take what the checks leave.
    pub width: usize,
    /// How many streams of one kind are listed. Those that are not sound come first.
    pub rows: usize,
    /// How many faults are told.
    pub faults: usize,
    /// Whether to colour what words say already.
    pub colour: bool,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self { width: 100, rows: 12, faults: 20, colour: false }
    }
}

/// The columns that the checks take, spaces between them included.
fn checks_width() -> usize {
    Check::ALL.iter().map(|check| column(*check) + 1).sum()
}

/// How wide the column of a check is: its name, or the longest mark.
const fn column(check: Check) -> usize {
    let name = check.name().len();
    if name < 5 { 5 } else { name }
}

impl Matrix {
    /// The matrix as a table of text. Every state is a sign and letters; colours only
    /// repeat them.
    pub fn table(&self, options: &TableOptions) -> String {
        let mut out = String::new();
        // A `String` takes whatever is written to it.
        let _taken = self.write_table(&mut out, options);
        out
    }

    fn write_table(&self, out: &mut String, options: &TableOptions) -> core::fmt::Result {
        let paint = Paint(options.colour);
        let name = options.width.saturating_sub(checks_width()).clamp(16, 64);
        let verdict = self.verdict();
        writeln!(
            out,
            "SSOT Integrity Matrix v1.0: {}",
            paint.of(verdict, &verdict.words().to_uppercase())
        )?;
        self.write_log(out)?;
        out.push('\n');
        write!(out, "{:name$}", "")?;
        for check in Check::ALL {
            write!(out, " {:1$}", check.name(), column(check))?;
        }
        trim_line(out);
        for state in State::ALL {
            if Check::ALL.iter().all(|check| self.count(*check).of(state) == 0) {
                continue;
            }
            write!(out, "{:name$}", format!("{} {}", sign(state), state.words()))?;
            for check in Check::ALL {
                let count = match self.count(check).of(state) {
                    0 => String::from("·"),
                    count => short(count),
                };
                write!(out, " {:1$}", count, column(check))?;
            }
            trim_line(out);
        }
        for kind in self.kinds() {
            self.write_kind(out, kind, name, options)?;
        }
        self.write_faults(out, options)?;
        out.push('\n');
        out.push_str("✓ ok sound  ✗ BAD unsound  ~ old stale: grown since  ? n/c not checked  · n/a not applicable\n");
        Ok(())
    }

    fn write_log(&self, out: &mut String) -> core::fmt::Result {
        let log = self.log();
        write!(out, "{} records in {} streams", grouped(log.records), self.rows().len())?;
        match log.records.saturating_sub(log.checked) {
            0 => out.push_str(", all checked\n"),
            left => writeln!(out, ", {} checked, {} not yet", grouped(log.checked), grouped(left))?,
        }
        for (what, digest) in
            [("last record", log.last), ("tree root", log.root), ("policy", log.policy)]
        {
            if let Some(digest) = digest {
                writeln!(out, "{what:12} {digest}")?;
            }
        }
        writeln!(out, "{:12} {}", "matrix", self.digest())?;
        writeln!(out, "{:12} {} by {}", "made", self.made().at, plain(&self.made().by))?;
        let (open, erased) = self.remarks();
        if open > 0 {
            writeln!(
                out,
                "{:12} {}: evidence without an outcome yet",
                "open routes",
                grouped(open)
            )?;
        }
        if erased > 0 {
            writeln!(
                out,
                "{:12} {}: named by records, not kept any more",
                "erased",
                grouped(erased)
            )?;
        }
        Ok(())
    }

    fn write_kind(
        &self,
        out: &mut String,
        kind: StreamKind,
        name: usize,
        options: &TableOptions,
    ) -> core::fmt::Result {
        let paint = Paint(options.colour);
        let count = self.streams(Some(kind));
        let parts = State::ALL.iter().filter(|state| count.of(**state) > 0);
        let parts: alloc::vec::Vec<String> =
            parts.map(|state| format!("{} {}", grouped(count.of(*state)), state.words())).collect();
        writeln!(out, "\n{}: {}", kind.path(), parts.join(", "))?;
        let listed = self.listed(kind, options.rows);
        for row in &listed {
            let label = format!("{} ({})", plain(row.stream.name().as_str()), row.head.length());
            write!(out, "{}", fitted(&format!("  {label}"), name))?;
            for (check, cell) in row.cells() {
                let mark = format!(" {:1$}", cell.state().mark(), column(check));
                out.push_str(&paint.of(cell.state(), &mark));
            }
            trim_line(out);
        }
        let more = self.left_out(kind, listed.len());
        if !more.is_empty() {
            writeln!(out, "  {}", more.join(", "))?;
        }
        Ok(())
    }

    fn write_faults(&self, out: &mut String, options: &TableOptions) -> core::fmt::Result {
        let paint = Paint(options.colour);
        let faults = self.faults();
        let total = faults.len() + self.log().faults.len();
        if total > 0 {
            out.push_str("\nFirst faults\n");
        }
        for fault in self.log().faults.iter().take(options.faults) {
            writeln!(
                out,
                "{}  the log, {}",
                paint.of(State::Unsound, "✗"),
                plain(&format!("{fault}"))
            )?;
            writeln!(out, "     {}", fault.rule.plain_words())?;
        }
        if self.log().further > 0 {
            writeln!(out, "   and {} more of the log", grouped(self.log().further))?;
        }
        for (stream, fault) in faults.iter().take(options.faults) {
            let text = plain(&format!("{stream}: {fault}"));
            writeln!(out, "{}  {}", paint.of(State::Unsound, "✗"), text)?;
            writeln!(out, "     {}", fault.rule.plain_words())?;
        }
        if faults.len() > options.faults {
            let more = (faults.len() - options.faults) as u64;
            writeln!(out, "   and {} more first faults", grouped(more))?;
        }
        let mut whys: alloc::collections::BTreeMap<String, u64> =
            alloc::collections::BTreeMap::new();
        for row in self.rows() {
            for (check, cell) in row.cells() {
                if let Cell::NotChecked { why, .. } = cell {
                    *whys.entry(plain(&format!("{check}: {why}"))).or_default() += 1;
                }
            }
        }
        if !whys.is_empty() {
            out.push_str("\nNot checked\n");
        }
        let (some, all) = (options.faults, whys.len());
        for (why, streams) in whys.into_iter().take(some) {
            writeln!(out, "?  {why} ({} {})", grouped(streams), plural(streams, "stream"))?;
        }
        if all > some {
            writeln!(out, "   and {} more reasons", all - some)?;
        }
        Ok(())
    }

    /// The streams of a kind to list: the worst first, then in their order.
    pub(super) fn listed(&self, kind: StreamKind, most: usize) -> alloc::vec::Vec<&Row> {
        let mut listed = alloc::vec::Vec::new();
        for state in State::ALL {
            let left = most.saturating_sub(listed.len());
            let of_state = self.of_kind(Some(kind)).filter(|row| row.state() == state);
            listed.extend(of_state.take(left));
        }
        listed
    }

    /// What a list of the first so many streams of a kind leaves out.
    pub(super) fn left_out(&self, kind: StreamKind, listed: usize) -> alloc::vec::Vec<String> {
        let (count, mut listed) = (self.streams(Some(kind)), listed as u64);
        let mut out = alloc::vec::Vec::new();
        for state in State::ALL {
            let shown = count.of(state).min(listed);
            listed -= shown;
            let left = count.of(state) - shown;
            if left > 0 {
                let streams = plural(left, "stream");
                out.push(format!("{} more {} {streams}", grouped(left), state.words()));
            }
        }
        out
    }

    /// How many routes are open, and how many payloads were erased.
    pub fn remarks(&self) -> (u64, u64) {
        let open = self.rows().iter().filter(|row| row.open.is_some()).count() as u64;
        let erased = self.rows().iter().fold(0_u64, |sum, row| sum.saturating_add(row.erased));
        (open, erased)
    }
}

/// The sign alone.
fn sign(state: State) -> &'static str {
    state.mark().split(' ').next().unwrap_or_default()
}

/// Colours, where they are wanted.
struct Paint(bool);

impl Paint {
    fn of(&self, state: State, text: &str) -> String {
        let code = match state {
            _ if !self.0 => return text.into(),
            State::Unsound => "1;31",
            State::Stale => "33",
            State::NotChecked => "35",
            State::Sound => "32",
            State::NotApplicable => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Ends a line without blanks before its end.
fn trim_line(out: &mut String) {
    let kept = out.trim_end_matches(' ').len();
    out.truncate(kept);
    out.push('\n');
}

/// A text in exactly so many columns, its middle left out where it is longer.
fn fitted(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return format!("{text:width$}");
    }
    let (front, back) = (width.saturating_sub(1) / 2, width / 2);
    let front: String = text.chars().take(front).collect();
    let back: String = text.chars().skip(count.saturating_sub(back)).collect();
    format!("{front}…{back}")
}

/// Control characters escaped: a name cannot move the cursor.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = format!("{number}");
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number in five columns.
fn short(number: u64) -> String {
    match number {
        0..=99_999 => format!("{number}"),
        100_000..=9_999_999 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}

pub(super) fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.into() } else { format!("{noun}s") }
}
