//! What was measured.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

/// A figure's measure, its engine, and its column: a number of rules or a protocol.
type Key = (String, String, String);

/// All figures of a run.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    all: HashMap<Key, f64>,
    // In the order in which they came, for tables.
    order: Vec<Key>,
}

impl Figures {
    /// Reads lines of JSON: `measure`, `engine`, `value`, and `size` or `protocol` where there are columns.
    ///
    /// # Panics
    /// Where a line is no figure.
    pub fn read_lines(&mut self, text: &str) {
        for line in text.lines() {
            let figure: Value = serde_json::from_str(line).expect("a line of JSON");
            let column = match (&figure["size"], &figure["protocol"]) {
                (Value::Null, Value::Null) => String::new(),
                (Value::Null, protocol) => word(protocol),
                (size, _) => size.to_string(),
            };
            let value = figure["value"].as_f64().expect("a value");
            let (measure, engine) = (word(&figure["measure"]), word(&figure["engine"]));
            self.insert((measure, engine, column), value);
        }
    }

    /// Reads the medians of one of criterion's groups.
    ///
    /// # Panics
    /// Where there are none.
    pub fn read_criterion(&mut self, folder: &Path, group: &str, measure: &str) {
        let mut found = Vec::new();
        walk(&folder.join(group), &mut found);
        for path in found {
            let read = |name: &str| -> Value {
                let text = std::fs::read_to_string(path.join(name)).expect("a file of criterion");
                serde_json::from_str(&text).expect("JSON")
            };
            let (id, estimates) = (read("benchmark.json"), read("estimates.json"));
            let engine = id["function_id"].as_str().expect("a name").to_owned();
            let column = id["value_str"].as_str().unwrap_or_default().to_owned();
            let median = estimates["median"]["point_estimate"].as_f64();
            self.insert(
                (measure.to_owned(), engine, column),
                median.expect("a median"),
            );
        }
    }

    /// One figure.
    #[must_use]
    pub fn get(&self, measure: &str, engine: &str, column: &str) -> Option<f64> {
        let key = (measure.to_owned(), engine.to_owned(), column.to_owned());
        self.all.get(&key).copied()
    }

    /// A measure as a Markdown table: a row an engine, a column a size or protocol.
    #[must_use]
    pub fn table(&self, measure: &str, title: &str) -> String {
        let of: Vec<&Key> = self.order.iter().filter(|key| key.0 == measure).collect();
        let (mut rows, mut columns): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        for (_, engine, column) in of {
            if !rows.contains(&engine.as_str()) {
                rows.push(engine);
            }
            if !columns.contains(&column.as_str()) {
                columns.push(column);
            }
        }
        columns.sort_by_key(|column| column.parse::<usize>().unwrap_or_default());
        let mut text = format!("\n{title}\n\n| |");
        for column in &columns {
            let _ = write!(text, " {column} |");
        }
        text.push_str("\n|---|");
        text.push_str(&"--:|".repeat(columns.len()));
        for row in rows {
            let _ = write!(text, "\n| {row} |");
            for column in &columns {
                match self.get(measure, row, column) {
                    Some(value) if value.abs() < 100.0 && value.fract() != 0.0 => {
                        let _ = write!(text, " {value:.2} |");
                    }
                    Some(value) => {
                        let _ = write!(text, " {value:.0} |");
                    }
                    None => text.push_str(" |"),
                }
            }
        }
        text.push('\n');
        text
    }

    fn insert(&mut self, key: Key, value: f64) {
        if self.all.insert(key.clone(), value).is_none() {
            self.order.push(key);
        }
    }
}

fn word(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The folders of the last run of each benchmark, oldest first.
fn walk(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("a folder of criterion");
    let mut folders: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    for path in folders {
        // A benchmark may be called `new` as well.
        if path.file_name().is_some_and(|name| name == "new")
            && path.join("benchmark.json").is_file()
        {
            found.push(path);
        } else if path
            .file_name()
            .is_none_or(|name| name != "base" && name != "change")
        {
            walk(&path, found);
        }
    }
}
