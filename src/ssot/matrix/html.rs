//! The matrix as one page: a heat map that a person can read.
//!
//! The page needs nothing beside itself: no network, no script, no font. It follows the
//! reader's light or dark setting and prints. Each cell has a sign, letters and a title
//! that says what it means, so colour is never the only carrier. Everything that comes
//! from a log is escaped.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::ssot::matrix::cell::{Cell, State};
use crate::ssot::matrix::check::{CHECKS, Check};
use crate::ssot::matrix::data::{Matrix, Row};
use crate::ssot::matrix::table::{grouped, plain, plural};
use crate::ssot::record::StreamKind;

/// How a page is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOptions<'a> {
    /// What the log is called: its file, or its origin.
    pub title: &'a str,
    /// How many streams of one kind are listed. Those that are not sound come first.
    pub rows: usize,
    /// How many faults are told.
    pub faults: usize,
}

impl Default for PageOptions<'_> {
    fn default() -> Self {
        Self { title: "", rows: 200, faults: 200 }
    }
}

const STYLE: &str = include_str!("style.css");

/// A text that may stand anywhere between tags, and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Marks that turn the direction of what follows.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(c.escape_unicode());
            }
            c => out.push(c),
        }
    }
    out
}

const fn class(state: State) -> &'static str {
    match state {
        State::Unsound => "bad",
        State::Stale => "old",
        State::NotChecked => "open",
        State::Sound => "ok",
        State::NotApplicable => "na",
    }
}

impl Matrix {
    /// The matrix as one HTML page.
    pub fn html(&self, options: &PageOptions<'_>) -> String {
        let mut out = String::with_capacity(32 << 10);
        // A `String` takes whatever is written to it.
        let _taken = self.write_page(&mut out, options);
        out
    }

    fn write_page(&self, out: &mut String, options: &PageOptions<'_>) -> core::fmt::Result {
        let title = escaped(options.title);
        let verdict = self.verdict();
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>Integrity matrix: {} {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
            verdict.words()
        )?;
        write!(
            out,
            "<header>\n<p class=\"kicker\">SSOT Integrity Matrix v1.0</p>\n<h1>{title}</h1>\n\
             <p class=\"verdict {}\"><b>{}</b> {}</p>\n",
            class(verdict),
            escaped(&verdict.mark().chars().take(1).chain(" ".chars()).collect::<String>()),
            self.sentence()
        )?;
        self.write_facts(out)?;
        out.push_str("</header>\n<main>\n");
        self.page_faults(out, options)?;
        self.write_totals(out)?;
        out.push_str("<h2>Streams</h2>\n<p>Each row is a stream, each column a check. Streams that are not sound come first.</p>\n<table class=\"map\">\n");
        write_head(out, "Stream", Some("Records"))?;
        for kind in self.kinds() {
            self.page_kind(out, kind, options)?;
        }
        out.push_str("</table>\n");
        write_legend(out)?;
        write!(
            out,
            "</main>\n<footer>Made {} by {}. Matrix digest <code>{}</code>.</footer>\n\
             </body>\n</html>\n",
            self.made().at,
            escaped(&self.made().by),
            self.digest()
        )
    }

    /// The verdict in one sentence.
    fn sentence(&self) -> String {
        let log = self.log();
        let streams = self.rows().len() as u64;
        let count = self.streams(None);
        match self.verdict() {
            State::Unsound => {
                let failed = (self.faults().len() + log.faults.len()) as u64 + log.further;
                format!(
                    "Unsound: {} {} failed, in {} of {} {}. What they say cannot be relied upon.",
                    grouped(failed),
                    plural(failed, "check"),
                    grouped(count.of(State::Unsound)),
                    grouped(streams),
                    plural(streams, "stream")
                )
            }
            State::Stale => format!(
                "Sound as far as checked: {} of {} records. {} {} grown since.",
                grouped(log.checked),
                grouped(log.records),
                grouped(count.of(State::Stale)),
                if count.of(State::Stale) == 1 { "stream has" } else { "streams have" }
            ),
            State::NotChecked => {
                "Nothing is wrong with what was checked; not everything could be.".into()
            }
            State::Sound | State::NotApplicable => format!(
                "Sound: {} records in {} {}, every check that applies.",
                grouped(log.records),
                grouped(streams),
                plural(streams, "stream")
            ),
        }
    }

    fn write_facts(&self, out: &mut String) -> core::fmt::Result {
        let log = self.log();
        let (open, erased) = self.remarks();
        out.push_str("<dl>\n");
        let mut fact =
            |name: &str, value: &str| writeln!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        fact("Records", &grouped(log.records))?;
        if log.checked != log.records {
            fact("Checked", &grouped(log.checked))?;
        }
        fact("Streams", &grouped(self.rows().len() as u64))?;
        fact("Open routes", &grouped(open))?;
        fact("Erased payloads", &grouped(erased))?;
        fact("Made", &format!("{}", self.made().at))?;
        let digests =
            [("Last record", log.last), ("Tree root", log.root), ("Policy in force", log.policy)];
        for (name, digest) in digests {
            let value = digest.map_or_else(|| "none".into(), |d| format!("<code>{d}</code>"));
            fact(name, &value)?;
        }
        out.push_str("</dl>\n");
        Ok(())
    }

    fn page_faults(&self, out: &mut String, options: &PageOptions<'_>) -> core::fmt::Result {
        let faults = self.faults();
        if faults.is_empty() && self.log().faults.is_empty() {
            return Ok(());
        }
        out.push_str("<h2>First faults</h2>\n<p>Of each stream and check the first one, in the order of the log.</p>\n<ol class=\"faults\">\n");
        for fault in self.log().faults.iter().take(options.faults) {
            writeln!(
                out,
                "<li><p><b>The log, record {}.</b> {}</p>\
                 <p class=\"detail\">Expected {}; found {}.</p></li>",
                grouped(fault.index),
                escaped(fault.rule.plain_words()),
                escaped(&fault.expected),
                escaped(&fault.found)
            )?;
        }
        for (stream, fault) in faults.iter().take(options.faults) {
            writeln!(
                out,
                "<li><p><b>{}, record {}</b> of <code>{}</code> (sequence {}). {}</p>\
                 <p class=\"detail\">Expected {}; found {}. <span class=\"rule\">{}</span></p></li>",
                fault.rule.check().name(),
                grouped(fault.index),
                escaped(&format!("{stream}")),
                grouped(fault.sequence),
                escaped(fault.rule.plain_words()),
                escaped(&fault.expected),
                escaped(&fault.found),
                fault.rule
            )?;
        }
        out.push_str("</ol>\n");
        let more = faults.len().saturating_sub(options.faults) as u64 + self.log().further;
        if more > 0 {
            writeln!(out, "<p>And {} more.</p>", grouped(more))?;
        }
        Ok(())
    }

    fn write_totals(&self, out: &mut String) -> core::fmt::Result {
        out.push_str("<h2>Totals</h2>\n<table class=\"totals\">\n");
        write_head(out, "Streams", None)?;
        out.push_str("<tbody>\n");
        for state in State::ALL {
            let class = class(state);
            write!(
                out,
                "<tr><th scope=\"row\"><span class=\"key {class}\">{}</span> {}</th>",
                state.mark(),
                state.words()
            )?;
            for check in Check::ALL {
                match self.count(check).of(state) {
                    0 => out.push_str("<td class=\"zero\">0</td>"),
                    count => write!(out, "<td class=\"{class}\">{}</td>", grouped(count))?,
                }
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody>\n</table>\n");
        Ok(())
    }

    fn page_kind(
        &self,
        out: &mut String,
        kind: StreamKind,
        options: &PageOptions<'_>,
    ) -> core::fmt::Result {
        let count = self.streams(Some(kind));
        let parts = State::ALL.iter().filter(|state| count.of(**state) > 0);
        let parts: alloc::vec::Vec<String> =
            parts.map(|state| format!("{} {}", grouped(count.of(*state)), state.words())).collect();
        write!(
            out,
            "<tbody>\n<tr class=\"kind\"><th colspan=\"{}\" scope=\"rowgroup\">{} <span>{}</span></th></tr>\n",
            CHECKS + 2,
            kind.path(),
            parts.join(", ")
        )?;
        let listed = self.listed(kind, options.rows);
        for row in &listed {
            write_row(out, row)?;
        }
        let more = self.left_out(kind, listed.len());
        if !more.is_empty() {
            writeln!(
                out,
                "<tr class=\"more\"><td colspan=\"{}\">{}</td></tr>",
                CHECKS + 2,
                more.join(", ")
            )?;
        }
        out.push_str("</tbody>\n");
        Ok(())
    }
}

fn write_legend(out: &mut String) -> core::fmt::Result {
    out.push_str("<h2>What the cells say</h2>\n<dl class=\"legend\">\n");
    let meanings = [
        (State::Unsound, "Something is wrong. The first fault is listed above."),
        (State::Stale, "It was sound when it was last checked, and has grown since."),
        (
            State::NotChecked,
            "It could not be checked, or not any further; the cell's title says why.",
        ),
        (State::Sound, "Every record was looked at, and nothing is wrong."),
        (State::NotApplicable, "The check has nothing to say of such a stream."),
    ];
    for (state, meaning) in meanings {
        writeln!(
            out,
            "<div><dt><span class=\"key {}\">{}</span></dt><dd><b>{}</b>. {meaning}</dd></div>",
            class(state),
            state.mark(),
            state.words()
        )?;
    }
    out.push_str("</dl>\n<h2>What the checks ask</h2>\n<dl class=\"legend\">\n");
    for check in Check::ALL {
        writeln!(
            out,
            "<div><dt>{}</dt><dd>{}</dd></div>",
            check.name(),
            escaped(check.question())
        )?;
    }
    out.push_str("</dl>\n");
    Ok(())
}

fn write_head(out: &mut String, first: &str, second: Option<&str>) -> core::fmt::Result {
    write!(out, "<thead><tr><th scope=\"col\">{first}</th>")?;
    if let Some(second) = second {
        write!(out, "<th scope=\"col\" class=\"number\">{second}</th>")?;
    }
    for check in Check::ALL {
        write!(
            out,
            "<th scope=\"col\" class=\"check\" title=\"{}\">{}</th>",
            escaped(check.question()),
            check.name()
        )?;
    }
    out.push_str("</tr></thead>\n");
    Ok(())
}

fn write_row(out: &mut String, row: &Row) -> core::fmt::Result {
    let name = escaped(row.stream.name().as_str());
    write!(out, "<tr><th scope=\"row\" title=\"{}\">{name}", escaped(&format!("{}", row.stream)))?;
    if let Some(index) = row.open {
        write!(
            out,
            " <small title=\"the route of record {index} has no outcome yet\">open</small>"
        )?;
    }
    if row.erased > 0 {
        write!(
            out,
            " <small title=\"payloads that its records name and that are not kept any more\">{} erased</small>",
            grouped(row.erased)
        )?;
    }
    write!(out, "</th><td class=\"number\">{}</td>", grouped(row.head.length()))?;
    for (check, cell) in row.cells() {
        let state = cell.state();
        let title = match cell {
            Cell::NotApplicable => format!("{check}: not applicable"),
            cell => format!("{check}: {cell}"),
        };
        write!(
            out,
            "<td class=\"{}\" title=\"{}\">{}</td>",
            class(state),
            escaped(&title),
            state.mark()
        )?;
    }
    out.push_str("</tr>\n");
    Ok(())
}
