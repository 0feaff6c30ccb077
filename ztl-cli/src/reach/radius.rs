//! A blast radius.

use std::io::Write as _;

use serde_json::Value;
use ztl_core::analysis::{Reach, ReachEdge};

use super::{Found, text};
use crate::exit::Failure;
use crate::output::Output;

impl Found for Reach {
    const CHANGE: [&str; 3] = ["no longer reached", "reached only now", "nothing"];

    fn told(&self) -> Value {
        self.to_json()
    }

    /// Inside the mesh and outside.
    fn names(&self) -> Vec<String> {
        let reached = self.reached.iter().map(|one| one.workload.to_string());
        let mut all: Vec<_> = reached.collect();
        for exit in &self.exits {
            let name = format!("external:{}", exit.to);
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    }

    fn write(&self, out: &mut Output, given: &str) -> Result<(), Failure> {
        let freely = self.reached.iter().filter(|one| one.freely).count();
        let count = match self.reached.len() {
            0 if !self.exits.is_empty() => "no workload".to_owned(),
            0 => "nothing".to_owned(),
            1 => "1 workload".to_owned(),
            many => format!("{many} workloads"),
        };
        let freely = match self.reached.is_empty() {
            true => String::new(),
            false => format!(", {freely} of them freely"),
        };
        writeln!(
            out,
            "`{}` taken over reaches {count}{freely}{}{given}",
            self.start,
            outside(self)
        )?;
        let mut hop = 0;
        for edge in &self.edges {
            if edge.hop != hop {
                hop = edge.hop;
                writeln!(out, "\nhop {hop}")?;
            }
            write_edge(out, edge)?;
        }
        text::write_exits(out, &self.exits)?;
        if !self.reached.is_empty() {
            writeln!(out, "\nreached")?;
        }
        for one in &self.reached {
            let (away, how) = (text::hops(one.hops), text::how(out, one.freely));
            writeln!(out, "  {:<24} {away} away, {how}", one.workload)?;
        }
        Ok(())
    }
}

/// How many destinations outside the mesh guards let out to.
fn outside(found: &Reach) -> String {
    let mut names: Vec<_> = found.exits.iter().map(|exit| &exit.to).collect();
    names.sort();
    names.dedup();
    match names.len() {
        0 => String::new(),
        1 => ", and 1 destination outside the mesh".to_owned(),
        many => format!(", and {many} destinations outside the mesh"),
    }
}

fn write_edge(out: &mut Output, edge: &ReachEdge) -> Result<(), Failure> {
    let shown_as = match edge.shown_as {
        "public" => "  without its SVID",
        "asserted" => "  saying that it is somebody else",
        _ => "",
    };
    writeln!(
        out,
        "  {} -> {}:{}{shown_as}",
        edge.from, edge.to, edge.port
    )?;
    text::write_uses(out, &edge.uses)
}
