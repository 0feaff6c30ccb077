//! The steps as a table to read, or as JSON lines.

use std::fmt::Write;

use crate::step::Step;
use crate::wire::Protocol;

/// A part of the walk.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) story: String,
    pub(crate) steps: Vec<Step>,
}

/// How a table is printed.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// For a terminal.
    pub(crate) colour: bool,
}

const HEADER: [&str; 7] = [
    "step", "who", "to whom", "what", "verdict", "reason", "rule",
];
const VERDICT: usize = 4;
const GAP: usize = 2;

/// One line of the table: the same step over all protocols that came out the same.
struct Row<'a> {
    step: &'a Step,
    cells: [String; 7],
    protocols: Vec<Protocol>,
}

/// One object a line.
pub(crate) fn json(sections: &[Section]) -> String {
    let steps = sections.iter().flat_map(|section| &section.steps);
    steps.fold(String::new(), |mut out, step| {
        out.push_str(&step.to_json());
        out.push('\n');
        out
    })
}

/// A table for each section, their columns in line.
pub(crate) fn text(sections: &[Section], style: Style) -> String {
    let tables: Vec<_> = sections
        .iter()
        .map(|section| rows(&section.steps))
        .collect();
    let lines = tables.iter().flatten().map(|row| &row.cells);
    let mut widths = HEADER.map(str::len);
    for cells in lines {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for (section, rows) in sections.iter().zip(&tables) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n{}", style.paint(BOLD, section.title));
        let _ = writeln!(out, "{}\n", section.story);
        let _ = writeln!(
            out,
            "{}",
            style.paint(DIM, &line(&HEADER.map(str::to_owned), &widths, style, ""))
        );
        let rule = widths.map(|width| "-".repeat(width));
        let _ = writeln!(
            out,
            "{}",
            style.paint(DIM, &line(&rule, &widths, style, ""))
        );
        for row in rows {
            let _ = writeln!(out, "{}", line(&row.cells, &widths, style, row.colour()));
            for note in &row.step.notes {
                let _ = writeln!(out, "{}", style.paint(DIM, &format!("    {note}")));
            }
            for wrong in &row.step.wrong {
                let over: Vec<_> = row
                    .protocols
                    .iter()
                    .map(|protocol| protocol.as_str())
                    .collect();
                let over = over.join(", ");
                let over = if over.is_empty() {
                    over
                } else {
                    format!(" ({over})")
                };
                let _ = writeln!(
                    out,
                    "{}",
                    style.paint(RED, &format!("    WRONG{over}: {wrong}"))
                );
            }
        }
    }
    out
}

/// Steps that differ in nothing but the protocol are one row.
fn rows(steps: &[Step]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for step in steps {
        let cells = cells(step);
        let same = |row: &&mut Row<'_>| {
            row.cells == cells
                && row.step.notes == step.notes
                && row.step.wrong == step.wrong
                && row.step.protocol.is_some()
        };
        match rows.iter_mut().find(same) {
            Some(row) => row.protocols.extend(
                step.protocol
                    .filter(|protocol| !row.protocols.contains(protocol)),
            ),
            None => rows.push(Row {
                step,
                cells,
                protocols: step.protocol.into_iter().collect(),
            }),
        }
    }
    rows
}

fn cells(step: &Step) -> [String; 7] {
    [
        step.step.clone(),
        step.caller.clone(),
        step.target.clone(),
        step.action.clone(),
        format!("{} {}", step.verdict, step.heard).trim().to_owned(),
        step.reason.clone(),
        step.rule.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

impl Row<'_> {
    fn colour(&self) -> &'static str {
        match (self.step.is_ok(), &*self.step.verdict) {
            (false, _) => RED_BOLD,
            (true, "permit") => GREEN,
            (true, "deny") => RED,
            (true, _) => YELLOW,
        }
    }
}

/// A line, the verdict in its colour.
fn line(cells: &[String; 7], widths: &[usize; 7], style: Style, verdict: &str) -> String {
    let mut out = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        // Colours take no room, so the room is counted without them.
        let room = width.saturating_sub(cell.chars().count()) + GAP;
        if at == VERDICT && !verdict.is_empty() {
            out.push_str(&style.paint(verdict, cell));
        } else {
            out.push_str(cell);
        }
        out.extend(std::iter::repeat_n(' ', room));
    }
    out.trim_end().to_owned()
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const RED_BOLD: &str = "1;31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

impl Style {
    /// Select Graphic Rendition (ECMA-48 §8.3.117), on a terminal.
    pub(crate) fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
