//! Findings as commands of a GitHub workflow, which shows them beside the line that they speak of.

use std::io::Write;

use super::item::{Item, Level};
use crate::exit::Failure;

/// One command for each item. The file is named as it was given, so `ztl` has to be run at the root of the repository.
pub(super) fn write(name: &str, items: &[Item], out: &mut impl Write) -> Result<(), Failure> {
    for item in items {
        let command = match item.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let (file, title) = (property(name), property(item.slug));
        write!(
            out,
            "::{command} file={file},line={},col={}",
            item.start.line, item.start.column
        )?;
        // Columns of an end are shown within one line only.
        if let Some(end) = item.end {
            write!(out, ",endLine={}", end.line)?;
            if end.line == item.start.line {
                write!(out, ",endColumn={}", end.column)?;
            }
        }
        let help = item
            .help
            .as_ref()
            .map_or_else(String::new, |help| format!("\nhelp: {help}"));
        writeln!(
            out,
            ",title={title}::{}",
            data(&format!("{}{help}", item.message))
        )?;
    }
    Ok(())
}

/// A message: what would end the line is escaped.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property: also what would end it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t30_no_text_ends_its_command() {
        assert_eq!(data("50%\r\n::set-env"), "50%25%0D%0A::set-env");
        assert_eq!(property("a,line=1::x\n"), "a%2Cline=1%3A%3Ax%0A");
    }
}
