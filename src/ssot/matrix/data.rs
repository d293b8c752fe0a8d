//! The matrix as data: rows, totals, one verdict, one canonical form.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::digest::{Digest, Domain};
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};
use crate::ssot::matrix::cell::{Cell, Fault, STATES, State, Why};
use crate::ssot::matrix::check::{CHECKS, Check};
use crate::ssot::record::{Head, StreamId, StreamKind};
use crate::time::Timestamp;

/// What every canonical form begins with.
const MAGIC: &str = "prospera integrity matrix";
/// The version of the form.
const VERSION: u8 = 1;
/// The fewest bytes that a row takes.
const ROW_LEAST: usize = 1 + 4 + 40 + 8 + CHECKS + 9;

/// One stream: a row of the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The stream.
    pub stream: StreamId,
    /// Its head as the store gives it.
    pub head: Head,
    /// How many of its records were looked at.
    pub checked: u64,
    /// One cell for each check, in the order of [`Check::ALL`].
    pub cells: [Cell; CHECKS],
    /// The evidence of a route that has no outcome: where in the log it stands.
    pub open: Option<u64>,
    /// How many payloads that its records name are not kept: erased.
    pub erased: u64,
}

impl Row {
    /// The cell of a check.
    pub fn cell(&self, check: Check) -> &Cell {
        let found = Check::ALL.iter().zip(&self.cells).find(|(other, _)| **other == check);
        found.map_or(&Cell::NotApplicable, |(_, cell)| cell)
    }

    /// Checks and cells, in order.
    pub fn cells(&self) -> impl Iterator<Item = (Check, &Cell)> {
        Check::ALL.into_iter().zip(&self.cells)
    }

    /// Notes a fault, unless its check has failed before.
    pub(super) fn fail(&mut self, fault: &Fault) -> bool {
        let cells = Check::ALL.into_iter().zip(&mut self.cells);
        let own = cells.filter(|(check, _)| *check == fault.rule.check()).map(|(_, cell)| cell);
        own.take(1).any(|cell| cell.fail(fault.clone()))
    }

    /// Ends a check, unless it has ended before.
    pub(super) fn end(&mut self, check: Check, why: &Why) {
        let cells = Check::ALL.into_iter().zip(&mut self.cells);
        cells.filter(|(other, _)| *other == check).for_each(|(_, cell)| cell.end(why.clone()));
    }

    /// The worst state among the cells.
    pub fn state(&self) -> State {
        let states = self.cells.iter().map(Cell::state);
        states.min().unwrap_or(State::NotApplicable).min(State::Sound)
    }
}

/// What is wrong with the log as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogRule {
    /// It has fewer records than an earlier check saw: cut off, or an older copy.
    Shorter,
    /// The last record that an earlier check saw is another now: the log was rewritten.
    Replaced,
    /// What stands at this place is no record of any stream it could belong to.
    Unreadable,
    /// The tree of the records is not the one the store, or a checkpoint, gives.
    Tree,
    /// A stream's index could not be followed.
    Index,
}

byte_enum!(LogRule, "what is wrong with a log", {
    Shorter = 1, Replaced = 2, Unreadable = 3, Tree = 4, Index = 5,
});

impl LogRule {
    /// In plain words.
    pub const fn plain_words(self) -> &'static str {
        match self {
            Self::Shorter => {
                "The log has fewer records than an earlier check saw: its end was cut off, or an \
                 older copy was put in its place."
            }
            Self::Replaced => {
                "The last record that an earlier check saw is another now: the log was rewritten, \
                 or it is another log."
            }
            Self::Unreadable => "What stands here is no record of any stream it could belong to.",
            Self::Tree => "The Merkle tree of these records is not the one that was given.",
            Self::Index => "The streams' index could not be followed.",
        }
    }
}

/// Something wrong with the log as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogFault {
    /// What.
    pub rule: LogRule,
    /// Where in the log it shows.
    pub index: u64,
    /// What was expected.
    pub expected: Box<str>,
    /// What was found.
    pub found: Box<str>,
}

impl LogFault {
    pub(super) fn new(
        rule: LogRule,
        index: u64,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        let text = |text: &dyn fmt::Display| alloc::format!("{text}").into();
        Self { rule, index, expected: text(&expected), found: text(&found) }
    }
}

impl fmt::Display for LogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}: expected {}, found {}", self.index, self.expected, self.found)
    }
}

/// The log that the rows are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogState {
    /// How many records the store has.
    pub records: u64,
    /// How many were looked at.
    pub checked: u64,
    /// The digest of the last one looked at; none when there is none.
    pub last: Option<Digest>,
    /// The root of the Merkle tree over those looked at.
    pub root: Option<Digest>,
    /// The digest of the policy set in force behind them.
    pub policy: Option<Digest>,
    /// What is wrong with the log as a whole.
    pub faults: Vec<LogFault>,
    /// How many more of these there were.
    pub further: u64,
}

/// Who made a matrix, and when: inputs, both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// When.
    pub at: Timestamp,
    /// By which program and version.
    pub by: Box<str>,
}

/// The SSOT Integrity Matrix v1.0: streams × checks → state.
///
/// INVARIANT (order): rows stand in the order of their streams, each stream once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    made: Made,
    log: LogState,
    rows: Vec<Row>,
}

/// How many cells are in each state, in the order of [`State::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count([u64; STATES]);

impl Count {
    /// How many are in this state.
    pub fn of(&self, state: State) -> u64 {
        State::ALL.iter().zip(self.0).find(|(other, _)| **other == state).map_or(0, |(_, n)| n)
    }

    fn add(&mut self, state: State) {
        for (other, count) in State::ALL.iter().zip(&mut self.0) {
            *count = count.saturating_add(u64::from(*other == state));
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(State::ALL.iter().zip(self.0))
    }
}

impl Matrix {
    /// Sorts the rows.
    pub(super) fn new(made: Made, log: LogState, mut rows: Vec<Row>) -> Self {
        rows.sort_unstable_by(|a, b| a.stream.cmp(&b.stream));
        Self { made, log, rows }
    }

    /// Who made it, and when.
    pub const fn made(&self) -> &Made {
        &self.made
    }

    /// The log it is of.
    pub const fn log(&self) -> &LogState {
        &self.log
    }

    /// The rows, in the order of their streams.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of a stream.
    pub fn row(&self, stream: &StreamId) -> Option<&Row> {
        let place = self.rows.binary_search_by(|row| row.stream.cmp(stream)).ok()?;
        self.rows.get(place)
    }

    /// The verdict on everything: the worst state there is.
    pub fn verdict(&self) -> State {
        if !self.log.faults.is_empty() {
            return State::Unsound;
        }
        self.rows.iter().map(Row::state).min().unwrap_or(State::Sound)
    }

    /// How many streams are in which state by a check.
    pub fn count(&self, check: Check) -> Count {
        let mut count = Count::default();
        for row in &self.rows {
            count.add(row.cell(check).state());
        }
        count
    }

    /// How many streams are in which state altogether; all of them, or those of one kind.
    pub fn streams(&self, kind: Option<StreamKind>) -> Count {
        let mut count = Count::default();
        for row in self.of_kind(kind) {
            count.add(row.state());
        }
        count
    }

    /// The rows of a kind, or all.
    pub fn of_kind(&self, kind: Option<StreamKind>) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| kind.is_none_or(|kind| row.stream.kind() == kind))
    }

    /// The kinds of stream that there are, in order.
    pub fn kinds(&self) -> Vec<StreamKind> {
        let mut kinds: Vec<_> = self.rows.iter().map(|row| row.stream.kind()).collect();
        kinds.dedup();
        kinds
    }

    /// Every first fault, in the order of the log.
    pub fn faults(&self) -> Vec<(&StreamId, &Fault)> {
        let of = |row: &'_ Row| row.cells.iter().filter_map(Cell::fault).count();
        let mut all = Vec::with_capacity(self.rows.iter().map(of).sum());
        for row in &self.rows {
            all.extend(row.cells.iter().filter_map(Cell::fault).map(|fault| (&row.stream, fault)));
        }
        all.sort_by_key(|(_, fault)| (fault.index, fault.rule));
        all
    }

    /// Lays over the row of a stream what was found of a check by other means than a walk,
    /// a replay for example: how many records were found sound, or the first fault. A fault
    /// that is there stays. Says whether anything was changed.
    pub fn lay_over(&mut self, stream: &StreamId, check: Check, found: Result<u64, Fault>) -> bool {
        let Ok(place) = self.rows.binary_search_by(|row| row.stream.cmp(stream)) else {
            return false;
        };
        let Some(row) = self.rows.get_mut(place) else { return false };
        match found {
            Err(fault) => fault.rule.check() == check && row.fail(&fault),
            Ok(records) => {
                let cells = Check::ALL.into_iter().zip(&mut row.cells);
                let mut own = cells.filter(|(other, _)| *other == check).map(|(_, cell)| cell);
                own.any(|cell| {
                    let open = !matches!(cell, Cell::Unsound { .. });
                    if open {
                        *cell = Cell::Sound { records };
                    }
                    open
                })
            }
        }
    }

    /// The digest of the canonical form: what can be recorded or signed.
    pub fn digest(&self) -> Digest {
        Domain::IntegrityMatrix.hash(&self.to_canonical())
    }
}

impl Encode for Row {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.stream).u64(self.head.length()).digest(&self.head.digest());
        out.u64(self.checked);
        for cell in &self.cells {
            out.value(cell);
        }
        put_number(self.open, out);
        out.u64(self.erased);
    }
}

fn put_number(number: Option<u64>, out: &mut Writer) {
    match number {
        None => out.u8(0),
        Some(number) => out.u8(1).u64(number),
    };
}

impl Decode for Row {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let stream = input.value()?;
        let head = Head::new(input.u64()?, input.digest()?);
        let checked = input.u64()?;
        let cells = decode_cells(input)?;
        let open = if input.bool()? { Some(input.u64()?) } else { None };
        Ok(Self { stream, head, checked, cells, open, erased: input.u64()? })
    }
}

pub(super) fn decode_cells(input: &mut Reader<'_>) -> Result<[Cell; CHECKS], DecodeError> {
    let mut cells = [const { Cell::NEW }; CHECKS];
    for (check, cell) in Check::ALL.into_iter().zip(&mut cells) {
        *cell = input.value()?;
        if cell.fault().is_some_and(|fault| fault.rule.check() != check) {
            return Err(input.invalid("a fault of the check it stands under"));
        }
    }
    Ok(cells)
}

impl Encode for LogFault {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.rule).u64(self.index).text(&self.expected).text(&self.found);
    }
}

impl Decode for LogFault {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            rule: input.value()?,
            index: input.u64()?,
            expected: input.text()?.into(),
            found: input.text()?.into(),
        })
    }
}

impl Encode for Matrix {
    fn room(&self) -> usize {
        256 + self.rows.len() * 192
    }

    /// | field | form |
    /// |---|---|
    /// | magic, version | text, `u8` 1 |
    /// | made at, by | `u64` ms, text |
    /// | records, checked | `u64`, `u64` |
    /// | last, root, policy | optional digests |
    /// | faults of the log, how many more | list, `u64` |
    /// | rows | list, in the order of their streams |
    fn encode(&self, out: &mut Writer) {
        let Self { made, log, rows } = self;
        out.text(MAGIC).u8(VERSION).value(&made.at).text(&made.by);
        out.u64(log.records).u64(log.checked).option(log.last.as_ref());
        out.option(log.root.as_ref()).option(log.policy.as_ref());
        out.list(&log.faults).u64(log.further).list(rows);
    }
}

impl Decode for Matrix {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.text()? != MAGIC {
            return Err(input.invalid("an integrity matrix"));
        }
        let offset = input.offset();
        let version = input.u8()?;
        if version != VERSION {
            return Err(Reader::bad_tag("integrity matrix version 1", version, offset));
        }
        let made = Made { at: input.value()?, by: input.text()?.into() };
        let log = LogState {
            records: input.u64()?,
            checked: input.u64()?,
            last: input.option()?,
            root: input.option()?,
            policy: input.option()?,
            faults: input.list()?,
            further: input.u64()?,
        };
        let count = input.count(ROW_LEAST)?;
        let mut rows: Vec<Row> = Vec::new();
        for _ in 0..count {
            let row: Row = input.value()?;
            if rows.last().is_some_and(|last| last.stream >= row.stream) {
                return Err(input.invalid("unique streams in ascending order"));
            }
            rows.push(row);
        }
        Ok(Self { made, log, rows })
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Cells<'a>(&'a Row);
        impl Serialize for Cells<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.cells())
            }
        }
        let mut row = serializer.serialize_struct("Row", 7)?;
        row.serialize_field("stream", &alloc::format!("{}", self.stream))?;
        row.serialize_field("state", &self.state())?;
        row.serialize_field("head", &self.head)?;
        row.serialize_field("checked", &self.checked)?;
        row.serialize_field("cells", &Cells(self))?;
        row.serialize_field("open", &self.open)?;
        row.serialize_field("erased", &self.erased)?;
        row.end()
    }
}

impl Serialize for Matrix {
    /// Everything, with totals, verdict and digest beside it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Checks<'a>(&'a Matrix);
        impl Serialize for Checks<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(Check::ALL.iter().map(|check| (check, self.0.count(*check))))
            }
        }
        let mut matrix = serializer.serialize_struct("Matrix", 8)?;
        matrix.serialize_field("format", "prospera integrity matrix 1")?;
        matrix.serialize_field("digest", &self.digest())?;
        matrix.serialize_field("verdict", &self.verdict())?;
        matrix.serialize_field("made", &self.made)?;
        matrix.serialize_field("log", &self.log)?;
        matrix.serialize_field("streams", &self.streams(None))?;
        matrix.serialize_field("checks", &Checks(self))?;
        matrix.serialize_field("rows", &self.rows)?;
        matrix.end()
    }
}
