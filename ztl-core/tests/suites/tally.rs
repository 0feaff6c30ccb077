//! Rows of a suite beside our answers, and the checked-in list of what is answered otherwise on purpose.

use std::fmt::Write;

/// How our answer stands to the suite's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// We refuse or deny what it takes: an exception or a rule, with its reason, may say so.
    Stricter,
    /// We take what it refuses: only an exception that says `looser = true` may say so, row by row.
    Looser,
}

/// What an answer begins with where no policy document can say the row; its reason follows.
pub(crate) const UNSAID: &str = "unsaid: ";

/// How many rows came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) agree: usize,
    pub(crate) stricter: usize,
    pub(crate) unsaid: usize,
    pub(crate) looser: usize,
}

/// `[[exception]]`: rows by their ids. It says of each of them that it differs, so one that comes to agree makes it stale.
struct Exception {
    cases: Vec<(String, Need)>,
    ours: String,
    looser: bool,
}

/// `[[rule]]`: whatever row has this answer, an answer with its reason. Rows that agree do not matter to it; it is stale when
/// no row needs it. It excuses nothing that is looser.
struct Rule {
    ours: String,
    /// Ids, or with `*` at the end beginnings of ids; every id where there are none.
    cases: Vec<String>,
    need: Need,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Seen,
    None,
}

/// The rows of one suite.
pub(crate) struct Tally {
    exceptions: Vec<Exception>,
    rules: Vec<Rule>,
    counts: Counts,
    faults: String,
}

impl Tally {
    /// With the exceptions of a file: tables `[[exception]]` with `cases`, `ours` and `why`, and tables `[[rule]]` with `ours`,
    /// `why` and, where not every row is meant, `cases`.
    pub(crate) fn new(file: &str) -> Self {
        let table: toml::Table = file.parse().expect("exceptions are TOML");
        let of = |kind: &str| {
            let list = table.get(kind).map(|list| list.as_array().expect("tables"));
            list.into_iter().flatten()
        };
        Self {
            exceptions: of("exception").map(exception).collect(),
            rules: of("rule").map(rule).collect(),
            counts: Counts::default(),
            faults: String::new(),
        }
    }

    /// With the rules of another table's file, for the same answers. Whether they are needed is seen to there.
    #[allow(dead_code, reason = "not every suite has tables that share rules")]
    pub(crate) fn with_rules_of(mut self, file: &str) -> Self {
        let mut others = Self::new(file).rules;
        for rule in &mut others {
            rule.need = Need::Seen;
        }
        self.rules.extend(others);
        self
    }

    /// One row: what the suite says and what we say. `stands` is how we stand where the two differ.
    pub(crate) fn row(&mut self, id: &str, theirs: &str, ours: &str, stands: Stands) {
        let is_unsaid = ours.starts_with(UNSAID);
        let looser = !is_unsaid && stands == Stands::Looser;
        let listed = self.exceptions.iter_mut().find_map(|exception| {
            let mut cases = exception.cases.iter_mut();
            let (_, need) = cases.find(|(case, _)| case == id)?;
            *need = Need::Seen;
            Some((&exception.ours, exception.looser))
        });
        let fault = match (ours == theirs, listed) {
            (true, None) => {
                self.counts.agree += 1;
                return;
            }
            (true, Some(_)) => "an exception for it is stale",
            (false, Some((listed, excused))) if listed == ours && excused == looser => {
                self.differs(is_unsaid, looser);
                return;
            }
            (false, _) if looser => "looser than it",
            (false, Some(_)) => "an exception for it says otherwise",
            (false, None) => {
                let mut rules = self.rules.iter_mut();
                if let Some(rule) = rules.find(|rule| rule.excuses(id, ours)) {
                    rule.need = Need::Seen;
                    self.differs(is_unsaid, looser);
                    return;
                }
                "no exception and no rule for it"
            }
        };
        self.fault(id, theirs, ours, fault);
    }

    /// A row of a kind that this harness does not read: nothing was judged, and the test fails.
    #[allow(dead_code, reason = "not every suite has kinds")]
    pub(crate) fn unread(&mut self, id: &str, what: &str, value: &str) {
        let what = format!("its {what} is new: it was not judged");
        self.fault(id, value, "", &what);
    }

    fn differs(&mut self, is_unsaid: bool, looser: bool) {
        let count = match (is_unsaid, looser) {
            (true, _) => &mut self.counts.unsaid,
            (false, false) => &mut self.counts.stricter,
            (false, true) => &mut self.counts.looser,
        };
        *count += 1;
    }

    fn fault(&mut self, id: &str, theirs: &str, ours: &str, fault: &str) {
        writeln!(
            self.faults,
            "{id}: theirs `{theirs}`, ours `{ours}`: {fault}"
        )
        .expect("text");
    }

    /// Prints the summary and fails on any fault, any exception or rule that no row needed, and any other counts than these.
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
        let unneeded = |need: &Need| *need == Need::None;
        for exception in &self.exceptions {
            for (case, _) in exception.cases.iter().filter(|(_, need)| unneeded(need)) {
                writeln!(self.faults, "{case}: no row needs the exception").expect("text");
            }
        }
        for rule in self.rules.iter().filter(|rule| unneeded(&rule.need)) {
            let Rule { ours, cases, .. } = rule;
            writeln!(self.faults, "`{ours}` of {cases:?}: no row needs the rule").expect("text");
        }
        assert!(self.faults.is_empty(), "{suite}:\n{}", self.faults);
        assert_eq!(self.counts, expected, "{suite}");
    }
}

impl Rule {
    fn excuses(&self, id: &str, ours: &str) -> bool {
        let is_of = |case: &String| {
            case.strip_suffix('*')
                .map_or(id == case, |start| id.starts_with(start))
        };
        self.ours == ours && (self.cases.is_empty() || self.cases.iter().any(is_of))
    }
}

fn exception(entry: &toml::Value) -> Exception {
    known(entry, &["cases", "looser", "ours", "why"]);
    let looser = entry.get("looser").map(|looser| looser.as_bool());
    let cases = cases(entry);
    assert!(
        !cases.is_empty() && !cases.iter().any(|case| case.ends_with('*')),
        "an exception lists ids, a rule may have beginnings of them: {entry}"
    );
    Exception {
        cases: cases.into_iter().map(|case| (case, Need::None)).collect(),
        ours: text(entry, "ours"),
        looser: looser.is_some_and(|looser| looser.expect("true or false")),
    }
}

fn rule(entry: &toml::Value) -> Rule {
    known(entry, &["cases", "ours", "why"]);
    let ours = text(entry, "ours");
    let reason = ours.split_once(": ").map(|(_, reason)| reason);
    assert!(
        reason.is_some_and(|reason| !reason.is_empty()),
        "a rule excuses an answer that says its reason, as `refused: REASON`: {entry}"
    );
    Rule {
        ours,
        cases: cases(entry),
        need: Need::None,
    }
}

fn known(entry: &toml::Value, keys: &[&str]) {
    let table = entry.as_table().expect("a table");
    let stranger = table.keys().find(|key| !keys.contains(&key.as_str()));
    assert_eq!(stranger, None, "in {entry}");
    assert!(
        text(entry, "why").len() > 10,
        "an exception has a reason: {entry}"
    );
}

fn text(entry: &toml::Value, key: &str) -> String {
    let text = entry.get(key).and_then(toml::Value::as_str);
    text.unwrap_or_else(|| panic!("`{key}` is a text: {entry}"))
        .to_owned()
}

fn cases(entry: &toml::Value) -> Vec<String> {
    let cases = entry
        .get("cases")
        .map(|cases| cases.as_array().expect("a list"));
    let id = |case: &toml::Value| case.as_str().expect("an id").to_owned();
    cases.into_iter().flatten().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::Stands::{Looser, Stricter};
    use super::*;

    const LIST: &str = r#"
        [[exception]]
        cases = ["a"]
        ours = "deny"
        why = "a reason that is one"

        [[exception]]
        cases = ["l"]
        ours = "allow"
        looser = true
        why = "a reason that is one"

        [[rule]]
        ours = "refused: empty"
        why = "a reason that is one"

        [[rule]]
        cases = ["r:*", "one"]
        ours = "deny: unproved"
        why = "a reason that is one"
    "#;

    type Row<'a> = (&'a str, &'a str, &'a str, Stands);

    /// What needs each entry of the list.
    const NEEDED: [Row<'_>; 4] = [
        ("a", "allow", "deny", Stricter),
        ("l", "deny", "allow", Looser),
        ("any", "allow", "refused: empty", Stricter),
        ("r:1", "allow", "deny: unproved", Stricter),
    ];

    fn of(rows: &[Row<'_>]) -> Tally {
        let mut tally = Tally::new(LIST);
        for (id, theirs, ours, stands) in rows {
            tally.row(id, theirs, ours, *stands);
        }
        tally
    }

    #[test]
    fn an_exception_excuses_what_it_says_and_nothing_else() {
        assert_eq!(of(&NEEDED).faults, "");
        assert_eq!(of(&[("c", "deny", "deny", Stricter)]).faults, "");
        for (row, fault) in [
            (("c", "allow", "deny", Stricter), "no exception and no rule"),
            (("a", "allow", "refused", Stricter), "says otherwise"),
            (("a", "deny", "deny", Stricter), "is stale"),
            (("l", "allow", "allow", Looser), "is stale"),
            (("c", "deny", "allow", Looser), "looser"),
            (("a", "refused", "deny", Looser), "looser"),
        ] {
            assert!(of(&[row]).faults.contains(fault), "{row:?}");
        }
    }

    #[test]
    fn a_rule_excuses_its_answer_where_that_is_stricter_and_nothing_else() {
        // Rows that agree beside those that need it do not matter.
        let more = [
            ("r:2", "deny: unproved", "deny: unproved", Stricter),
            ("one", "allow", "deny: unproved", Stricter),
        ];
        assert_eq!(of(&more).faults, "");
        for row in [
            ("r:1", "allow", "deny", Stricter),
            ("r:1", "allow", "deny: other", Stricter),
            ("s:1", "allow", "deny: unproved", Stricter),
            ("one:1", "allow", "deny: unproved", Stricter),
        ] {
            let faults = of(&[row]).faults;
            assert!(faults.contains("no exception and no rule"), "{row:?}");
        }
        for row in [
            ("any", "refused", "refused: empty", Looser),
            ("r:1", "refused", "deny: unproved", Looser),
        ] {
            assert!(of(&[row]).faults.contains("looser than it"), "{row:?}");
        }
        // An exception for the row itself says what it is.
        let faults = of(&[("a", "allow", "refused: empty", Stricter)]).faults;
        assert!(faults.contains("says otherwise"), "{faults}");
    }

    #[test]
    fn counts_are_of_how_rows_differ() {
        let mut tally = of(&NEEDED);
        tally.rules.push(Rule {
            ours: "unsaid: udp".to_owned(),
            cases: Vec::new(),
            need: Need::None,
        });
        // What cannot be said is never looser.
        tally.row("u", "deny", "unsaid: udp", Looser);
        let expected = Counts {
            agree: 0,
            stricter: 3,
            unsaid: 1,
            looser: 1,
        };
        tally.finish("a list", expected);
    }

    #[test]
    fn a_rule_of_another_table_excuses_and_goes_stale_there() {
        let mut tally = Tally::new("").with_rules_of(LIST);
        tally.row("any", "allow", "refused: empty", Stricter);
        tally.row("a", "allow", "deny", Stricter);
        tally.row("any", "refused", "refused: empty", Looser);
        let faults = tally.faults.lines().collect::<Vec<_>>();
        assert!(
            matches!(*faults, [one, two] if one.contains("no exception") && two.contains("looser")),
            "{faults:?}"
        );
        let tally = Tally::new("").with_rules_of(LIST);
        tally.finish("a list", Counts::default());
    }

    /// What the end of these rows says.
    fn end(rows: &[Row<'_>]) -> String {
        let tally = of(rows);
        let counts = tally.counts;
        let end = std::panic::catch_unwind(|| tally.finish("a list", counts));
        let said = end.err().and_then(|said| said.downcast::<String>().ok());
        said.map_or_else(String::new, |said| *said)
    }

    #[test]
    fn the_end_fails_on_what_is_looser_unlisted_or_stale() {
        assert_eq!(end(&NEEDED), "");
        for (row, fault) in [
            (("x", "deny", "allow", Looser), "x: theirs `deny`"),
            (("x", "allow", "deny", Stricter), "x: theirs `allow`"),
        ] {
            let said = end(&[&NEEDED[..], &[row]].concat());
            assert!(said.contains(fault), "{row:?}: {said}");
        }
        for (missing, fault) in [
            (0, "a: no row needs the exception"),
            (1, "l: no row needs the exception"),
            (2, "`refused: empty` of []: no row needs the rule"),
            (
                3,
                "`deny: unproved` of [\"r:*\", \"one\"]: no row needs the rule",
            ),
        ] {
            let mut rows = NEEDED.to_vec();
            rows.remove(missing);
            assert!(end(&rows).contains(fault), "{fault}");
        }
        let mut tally = of(&NEEDED);
        tally.unread("n", "kind", "novel");
        assert!(tally.faults.contains("its kind is new"));
        // Other counts than those that stand in a test.
        let other = std::panic::catch_unwind(|| of(&NEEDED).finish("a list", Counts::default()));
        assert!(other.is_err());
    }

    #[test]
    fn a_list_that_could_excuse_too_much_is_not_read() {
        for entry in [
            // A rule is never looser, and its answer says why.
            "[[rule]]\nours = 'x: y'\nwhy = 'a reason that is one'\nlooser = true",
            "[[rule]]\nours = 'deny'\nwhy = 'a reason that is one'",
            "[[rule]]\nours = 'deny: '\nwhy = 'a reason that is one'",
            "[[rule]]\nours = 'x: y'\nwhy = 'none'",
            "[[rule]]\nours = 'x: y'",
            "[[rule]]\nours = 'x: y'\ncase = ['a']\nwhy = 'a reason that is one'",
            "[[exception]]\nours = 'x'\ncases = ['a*']\nwhy = 'a reason that is one'",
            "[[exception]]\nours = 'x'\nwhy = 'a reason that is one'",
            "[[exception]]\nours = 'x'\ncases = ['a']",
        ] {
            let read = std::panic::catch_unwind(|| Tally::new(entry));
            assert!(read.is_err(), "{entry}");
        }
    }
}
