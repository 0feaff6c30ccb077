//! Rows of a suite beside our answers, and the checked-in list of the rows that we answer otherwise on purpose.

use std::fmt::Write;

/// How our answer stands to the suite's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// We refuse or deny what it takes: an exception, with its reason, may say so.
    Stricter,
    /// We take what it refuses: only an exception that says `looser = true` may say so.
    Looser,
}

/// What [`Tally::row`] is given for a row that no policy document can say.
pub(crate) const UNSAID: &str = "unsaid";

/// How many rows came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) agree: usize,
    pub(crate) stricter: usize,
    pub(crate) unsaid: usize,
    pub(crate) looser: usize,
}

/// `[[exception]]`
struct Exception {
    /// Ids; one that ends with `*` is the beginning of ids.
    cases: Vec<(String, bool)>,
    ours: String,
    looser: bool,
}

/// The rows of one suite.
pub(crate) struct Tally {
    exceptions: Vec<Exception>,
    counts: Counts,
    faults: String,
}

impl Tally {
    /// With the exceptions of a file: tables `[[exception]]` with `cases`, `ours` and `why`.
    pub(crate) fn new(exceptions: &str) -> Self {
        let table: toml::Table = exceptions.parse().expect("exceptions are TOML");
        let list = table.get("exception").and_then(toml::Value::as_array);
        let read = |entry: &toml::Value| {
            let text = |key: &str| entry[key].as_str().expect("a text").to_owned();
            assert!(text("why").len() > 10, "an exception has a reason: {entry}");
            let cases = entry["cases"].as_array().expect("a list of cases");
            let case = |case: &toml::Value| (case.as_str().expect("an id").to_owned(), false);
            Exception {
                cases: cases.iter().map(case).collect(),
                ours: text("ours"),
                looser: entry.get("looser").is_some(),
            }
        };
        Self {
            exceptions: list.into_iter().flatten().map(read).collect(),
            counts: Counts::default(),
            faults: String::new(),
        }
    }

    /// One row: what the suite says and what we say. `stands` is how we stand where the two differ.
    pub(crate) fn row(&mut self, id: &str, theirs: &str, ours: &str, stands: Stands) {
        let listed = self.exceptions.iter_mut().find_map(|exception| {
            let case = exception
                .cases
                .iter_mut()
                .find(|(case, _)| is_of(id, case))?;
            case.1 = true;
            Some((&exception.ours, exception.looser))
        });
        let looser = ours != UNSAID && stands == Stands::Looser;
        let fault = match (ours == theirs, listed) {
            (true, None) => {
                self.counts.agree += 1;
                return;
            }
            (true, Some(_)) => "an exception for it is stale",
            (false, Some((listed, excused))) if listed == ours && excused == looser => {
                let count = match (ours, stands) {
                    (UNSAID, _) => &mut self.counts.unsaid,
                    (_, Stands::Stricter) => &mut self.counts.stricter,
                    (_, Stands::Looser) => &mut self.counts.looser,
                };
                *count += 1;
                return;
            }
            (false, _) if looser => "looser than it",
            (false, Some(_)) => "an exception for it says otherwise",
            (false, None) => "no exception for it",
        };
        writeln!(
            self.faults,
            "{id}: theirs `{theirs}`, ours `{ours}`: {fault}"
        )
        .expect("text");
    }

    /// Prints the summary and fails on any fault, any exception that no row needed, and any other counts than these.
    pub(crate) fn finish(mut self, suite: &str, expected: Counts) {
        let Counts {
            agree,
            stricter,
            unsaid,
            looser,
        } = self.counts;
        println!(
            "{suite}: {agree} agree, {stricter} stricter, {unsaid} not sayable, {looser} looser"
        );
        for exception in &self.exceptions {
            for (case, _) in exception.cases.iter().filter(|(_, needed)| !needed) {
                writeln!(self.faults, "{case}: no row needs the exception").expect("text");
            }
        }
        assert!(self.faults.is_empty(), "{suite}:\n{}", self.faults);
        assert_eq!(self.counts, expected, "{suite}");
    }
}

fn is_of(id: &str, case: &str) -> bool {
    case.strip_suffix('*')
        .map_or(id == case, |start| id.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
        [[exception]]
        cases = ["a", "b:*"]
        ours = "deny"
        why = "a reason that is one"
    "#;

    /// What the tally of these rows says: id, theirs, ours, and how we stand.
    fn faults(rows: &[(&str, &str, &str, Stands)]) -> String {
        let mut tally = Tally::new(LIST);
        for (id, theirs, ours, stands) in rows {
            tally.row(id, theirs, ours, *stands);
        }
        tally.faults
    }

    #[test]
    fn an_exception_excuses_what_it_says_and_nothing_else() {
        use Stands::{Looser, Stricter};
        assert_eq!(
            faults(&[
                ("a", "allow", "deny", Stricter),
                ("b:1", "allow", "deny", Stricter)
            ]),
            ""
        );
        assert_eq!(faults(&[("c", "deny", "deny", Stricter)]), "");
        for (row, fault) in [
            (("c", "allow", "deny", Stricter), "no exception"),
            (("a", "allow", "refused", Stricter), "says otherwise"),
            (("a", "deny", "deny", Stricter), "is stale"),
            (("b:2", "allow", "allow", Looser), "is stale"),
            (("c", "deny", "allow", Looser), "looser"),
            (("a", "refused", "deny", Looser), "looser"),
        ] {
            assert!(faults(&[row]).contains(fault), "{row:?}");
        }
    }

    #[test]
    #[should_panic(expected = "no row needs the exception")]
    fn an_exception_that_no_row_needs_is_stale() {
        let mut tally = Tally::new(LIST);
        tally.row("a", "allow", "deny", Stands::Stricter);
        tally.finish("a list", Counts::default());
    }
}
