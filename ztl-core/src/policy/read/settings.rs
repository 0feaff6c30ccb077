//! Settings files: TOML that is read as strictly as a policy document, and refused with the same errors.
//!
//! 1. A key that nobody asked for, a key that is given twice, and a value of the wrong kind refuse the file, with line, column, a
//!    caret and, where one is near, a suggestion.
//! 2. A table can only be opened by a function that reads it, so that no unknown key in it passes.
//! 3. What is read is bounded: [`MAX_SETTINGS_BYTES`], the depth of the tables, the entries of a list.

use core::ops::RangeInclusive;
use core::time::Duration;

use super::table::{Place, Reader};
use super::{unit, value};
use crate::policy::diagnostic::{LoadError, Report, quoted};
use crate::policy::document::Span;
use crate::policy::limits::MAX_ENTRIES;
use crate::policy::tree::{Node, Tree, parse_toml};

/// Longest settings file, in bytes. Refused before it is parsed.
pub const MAX_SETTINGS_BYTES: usize = 1024 * 1024;

/// Reads a settings file. `source` is what errors call it, mostly its path.
///
/// ```
/// use ztl_core::settings;
///
/// let read = |text| settings::read(text, "web.toml", |table| table.text("greeting"));
/// assert_eq!(read("greeting = 'hello'").unwrap().as_deref(), Some("hello"));
/// let error = read("greetings = 'hello'").unwrap_err().to_string();
/// assert!(error.contains("web.toml:1:1: unknown key `greetings`"), "{error}");
/// assert!(error.contains("did you mean `greeting`?"), "{error}");
/// ```
///
/// # Errors
/// [`LoadError`] with line, column and a suggestion for everything that was found wrong.
pub fn read<T>(
    text: &str,
    source: &str,
    read: impl FnOnce(&mut Table<'_, '_>) -> T,
) -> Result<T, LoadError> {
    let refused = |report: Report| report.into_error(Some(source), text);
    if text.len() > MAX_SETTINGS_BYTES {
        let mut report = Report::default();
        let (start, end) = (MAX_SETTINGS_BYTES, MAX_SETTINGS_BYTES);
        let message = format!("the file is longer than {MAX_SETTINGS_BYTES} bytes");
        report.error(Span { start, end }, message);
        return Err(refused(report));
    }
    let root = parse_toml(text).map_err(|error| refused(error.into()))?;
    let mut report = Report::default();
    let read = Table::open(&root, Place::Root, &mut report, read);
    match read {
        Some(read) if report.is_empty() => Ok(read),
        _ => Err(refused(report)),
    }
}

/// One table of a settings file, while it is read. Whatever is wrong is kept for the error; an absent key and a bad one are both
/// `None`, and a bad one refuses the file in the end.
pub struct Table<'a, 'r>(Reader<'a, 'r>);

impl core::fmt::Debug for Table<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

/// What a key does not take is told by how to mend it.
type Parsed<T> = Result<T, String>;

impl<'a> Table<'a, '_> {
    fn open<T>(
        node: &'a Node,
        place: Place<'a>,
        report: &mut Report,
        read: impl FnOnce(&mut Table<'_, '_>) -> T,
    ) -> Option<T> {
        let mut table = Table(Reader::open(node, place, report)?);
        let read = read(&mut table);
        table.0.finish(|key| {
            let of_policy = matches!(key, "schema" | "serial" | "trust_domain" | "relays");
            of_policy.then_some("it is a key of the policy document, and not of this file")
        });
        Some(read)
    }

    /// Text that is not empty.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, |text| Ok(text.to_owned()))
    }

    /// Text that means something.
    pub fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        let node = self.0.take(key)?;
        parsed(key, node, self.0.report, parse)
    }

    /// One text or a list of them that mean something; empty where the key is absent.
    pub fn each<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Parsed<T>) -> Vec<T> {
        self.0.each(key, MAX_ENTRIES, |key, node, report| {
            parsed(key, node, report, &parse)
        })
    }

    /// True or false.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.0.one(key, value::boolean)
    }

    /// An integer within bounds.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        Some(self.0.integer(key, range)?.value)
    }

    /// A time of at least a millisecond: seconds as an integer, or text with a unit (`"250ms"`, `"10s"`, `"5m"`, `"1h"`, `"1d"`).
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.0.one(key, unit::span)
    }

    /// A table, `[key]`.
    pub fn table<T>(
        &mut self,
        key: &'static str,
        header: &'static str,
        read: impl FnOnce(&mut Table<'_, '_>) -> T,
    ) -> Option<T> {
        let node = self.0.take(key)?;
        Table::open(node, Place::Fixed(header), self.0.report, read)
    }

    /// The tables of `[[key]]`, at most so many.
    pub fn tables<T>(
        &mut self,
        key: &'static str,
        header: &'static str,
        max: usize,
        mut read: impl FnMut(&mut Table<'_, '_>) -> T,
    ) -> Vec<T> {
        let nodes = self.0.tables(key, max);
        let report = &mut *self.0.report;
        let open = |node| Table::open(node, Place::Fixed(header), report, &mut read);
        nodes.iter().filter_map(open).collect()
    }

    /// The entries of a table whose keys are names of the author's: `"name" = "text"`, or a list of texts, each of which is then an
    /// entry of that name.
    pub fn entries<T>(
        &mut self,
        key: &'static str,
        name: impl Fn(&str) -> Parsed<()>,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Vec<(String, T)> {
        let entries = self.0.named(key, MAX_ENTRIES);
        let report = &mut *self.0.report;
        let mut read = Vec::new();
        for (named, node) in entries {
            if let Err(help) = name(&named.value) {
                let message = format!("`{key}` does not take the name {}", quoted(&named.value));
                report.error_with_help(named.span, message, help);
                continue;
            }
            if matches!(node.value, Tree::Table(_)) {
                let message = format!("{} takes text, not a table", quoted(&named.value));
                let help = "a name with a dot is written in quotes, as in `\"prod.example\" = ..`";
                report.error_with_help(named.span, message, help);
                continue;
            }
            let each = |_: &str, node: &Node, report: &mut Report| {
                parsed(&named.value, node, report, &parse)
            };
            let texts = value::each(&named.value, node, MAX_ENTRIES, report, each);
            read.extend(texts.into_iter().map(|text| (named.value.clone(), text)));
        }
        read
    }

    /// Asks for a key that must be there; `help` says what to write. It is read by another call.
    pub fn need(&mut self, key: &'static str, help: &str) {
        let _ = self.0.need(key, help);
    }

    /// Asks for a key that means nothing here: where it is there, it is refused by this message and this help.
    pub fn refuse(&mut self, key: &'static str, message: &str, help: &str) {
        if let Some(node) = self.0.take(key) {
            self.0.report.error_with_help(node.span, message, help);
        }
    }
}

fn parsed<T>(
    key: &str,
    node: &Node,
    report: &mut Report,
    parse: impl FnOnce(&str) -> Parsed<T>,
) -> Option<T> {
    let text = value::text(key, node, report)?;
    match parse(text) {
        Ok(read) => Some(read),
        Err(help) => {
            let message = format!("{} does not take {}", quoted(key), quoted(text));
            report.error_with_help(node.span, message, help);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let read = read(text, "a.toml", |table| {
            table.need("name", "write `name = \"x\"`");
            let _ = table.text("name");
            let _ = table.duration("wait");
            let _ = table.integer("count", 1..=9);
            let digits = |text: &str| text.parse::<u8>().map_err(|_| "write a number".to_owned());
            let _ = table.each("numbers", digits);
            table.refuse("fax", "there is no fax", "remove it");
            let _ = table.table("inner", "[inner]", |inner| inner.boolean("on"));
            let _ = table.tables("thing", "[[thing]]", 2, |thing| thing.text("name"));
            let plain = |name: &str| match name {
                "bad" => Err("write another".to_owned()),
                _ => Ok(()),
            };
            table.entries("files", plain, |text| Ok(text.to_owned()))
        });
        read.map_or_else(|error| error.to_string(), |read| format!("{read:?}"))
    }

    #[test]
    fn law_1_whatever_is_not_understood_refuses_the_file() {
        let whole = "name = 'x'\nwait = '250ms'\ncount = 3\nnumbers = ['1', '2']\n[inner]\non = true\n[[thing]]\nname = 'y'\n\
             [files]\n\"a.b\" = 'c'\nd = ['e', 'f']\n";
        assert_eq!(refused(whole), r#"[("a.b", "c"), ("d", "e"), ("d", "f")]"#);
        for (text, error) in [
            ("", "missing `name` in the document"),
            ("name = 1", "a.toml:1:8: `name` takes text, not an integer"),
            ("name = ''", "`name` is empty"),
            ("name = 'x'\nname = 'y'", "a.toml:2:1: duplicate key `name`"),
            ("nmae = 'x'", "did you mean `name`?"),
            ("name = 'x'\nwait = '10'", "`wait` takes a time"),
            ("name = 'x'\nwait = 0", "`wait` takes a time"),
            ("name = 'x'\nwait = '1.5s'", "`wait` takes a time"),
            (
                "name = 'x'\nwait = '9999999999999999999d'",
                "`wait` takes a time",
            ),
            ("name = 'x'\ncount = 10", "an integer from 1 to 9"),
            ("name = 'x'\nnumbers = 'a'", "`numbers` does not take `a`"),
            ("name = 'x'\nnumbers = []", "empty list"),
            ("name = 'x'\nfax = 1", "there is no fax"),
            (
                "name = 'x'\n[inner]\noff = true",
                "unknown key `off` in [inner]",
            ),
            (
                "name = 'x'\n[inner]\ntrust_domain = 'a'",
                "a key of the policy document",
            ),
            ("name = 'x'\n[thing]\nname = 'y'", "write `[[thing]]`"),
            (
                "name = 'x'\n[[thing]]\n[[thing]]\n[[thing]]",
                "more `[[thing]]`",
            ),
            ("name = 'x'\n[files]\na.b = 'c'", "written in quotes"),
            ("name = 'x'\n[files]\nbad = 'c'", "write another"),
            ("name = 'x'\n[files]\na = 1", "takes text"),
        ] {
            let said = refused(text);
            assert!(said.contains(error), "{text}\n{said}");
        }
        let long = format!("name = 'x'\n#{}", "x".repeat(MAX_SETTINGS_BYTES));
        assert!(refused(&long).contains("longer than"));
    }
}
