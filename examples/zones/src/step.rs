//! One step of the walk, and how a walk is printed.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;

/// What was tried, what came of it, and everything that came out otherwise than it had to.
pub(crate) struct Step {
    pub(crate) part: &'static str,
    pub(crate) step: &'static str,
    pub(crate) caller: &'static str,
    pub(crate) from: IpAddr,
    pub(crate) target: &'static str,
    pub(crate) asked: &'static str,
    /// As the audit log of the target says.
    pub(crate) verdict: String,
    pub(crate) stage: String,
    pub(crate) reason: String,
    pub(crate) rule: String,
    /// As the caller heard it.
    pub(crate) heard: String,
    /// Empty where all is as told and as the policy says.
    pub(crate) wrong: Vec<String>,
}

impl Step {
    /// Notes a difference.
    pub(crate) fn compare(&mut self, what: &str, must: &str, is: &str) {
        if must != is {
            self.wrong
                .push(format!("{what} must be `{must}`, and is `{is}`"));
        }
    }

    fn cells(&self) -> [&str; 7] {
        [
            self.step,
            self.caller,
            self.target,
            self.asked,
            &self.heard,
            &self.reason,
            &self.rule,
        ]
    }
}

impl Default for Step {
    fn default() -> Self {
        Self {
            part: "",
            step: "",
            caller: "",
            from: Ipv4Addr::UNSPECIFIED.into(),
            target: "",
            asked: "",
            verdict: String::new(),
            stage: String::new(),
            reason: String::new(),
            rule: String::new(),
            heard: String::new(),
            wrong: Vec::new(),
        }
    }
}

/// One object a line.
pub(crate) fn json(steps: &[Step]) -> String {
    let lines = steps.iter().map(|step| {
        let line = json!({
            "step": step.step,
            "caller": step.caller,
            "from_addr": step.from.to_string(),
            "target": step.target,
            "action": step.asked,
            "verdict": step.verdict,
            "stage": step.stage,
            "reason": step.reason,
            "rule": if step.rule == "-" { None } else { Some(&*step.rule) },
            "heard": step.heard,
            "ok": step.wrong.is_empty(),
            "wrong": step.wrong,
        });
        format!("{line}\n")
    });
    lines.collect()
}

/// A table for each part of the walk, their columns in line.
pub(crate) fn table(steps: &[Step]) -> String {
    const HEADER: [&str; 7] = ["step", "who", "to whom", "what", "heard", "reason", "rule"];
    let mut widths = HEADER.map(str::len);
    for step in steps {
        for (width, cell) in widths.iter_mut().zip(step.cells()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; 7]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        format!("{}\n", line.trim_end())
    };
    let (mut out, mut part) = (String::new(), "");
    for step in steps {
        if step.part != part {
            part = step.part;
            let _ = write!(out, "\n{part}\n\n{}", line(HEADER));
        }
        out.push_str(&line(step.cells()));
        for wrong in &step.wrong {
            let _ = writeln!(out, "    WRONG: {wrong}");
        }
    }
    let wrong = steps.iter().filter(|step| !step.wrong.is_empty()).count();
    let outcome = match wrong {
        0 => "all came out as told, and as the policy says".to_owned(),
        wrong => format!("{wrong} came out otherwise"),
    };
    let _ = writeln!(out, "\n{} steps: {outcome}", steps.len());
    out
}
