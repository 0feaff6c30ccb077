//! Who reaches a destination outside the mesh.

use std::io::Write as _;

use serde_json::Value;
use ztl_core::analysis::ReachedBy;

use super::{Found, text};
use crate::exit::Failure;
use crate::json;
use crate::output::Output;

impl Found for ReachedBy {
    const CHANGE: [&str; 3] = ["no longer reached by", "reached only now by", "nobody"];

    fn told(&self) -> Value {
        self.to_json()
    }

    fn names(&self) -> Vec<String> {
        let names = self.callers.iter().map(|one| one.workload.to_string());
        names.collect()
    }

    fn write(&self, out: &mut Output, given: &str) -> Result<(), Failure> {
        let count = match self.callers.len() {
            0 => "nobody".to_owned(),
            1 => "1 workload".to_owned(),
            many => format!("{many} workloads"),
        };
        let line = format!(
            "`external:{}` ({}) is reached by {count}{given}",
            self.external,
            self.hosts.join(", ")
        );
        writeln!(out, "{}", json::escaped(&line))?;
        text::write_exits(out, &self.exits)?;
        if !self.callers.is_empty() {
            writeln!(out, "\nreached by")?;
        }
        for one in &self.callers {
            let over = match &one.over {
                Some(over) => format!(" over {over}"),
                None => String::new(),
            };
            let (away, how) = (text::hops(one.hops), text::how(out, one.freely));
            writeln!(out, "  {:<24} {away} away{over}, {how}", one.workload)?;
        }
        Ok(())
    }
}
