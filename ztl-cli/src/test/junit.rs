//! Outcomes as a JUnit report, in the form that build servers read.

use std::io::Write;

use super::outcome::Outcome;
use crate::exit::Failure;

/// One suite, named as the policy; a test that got no answer is an error, another that does not hold a failure.
pub(super) fn write(
    policy: &str,
    outcomes: &[Outcome<'_>],
    out: &mut impl Write,
) -> Result<(), Failure> {
    let errors = outcomes
        .iter()
        .filter(|one| one.decision().is_none())
        .count();
    let wrong = |one: &&Outcome<'_>| one.decision().is_some() && !one.holds();
    let failures = outcomes.iter().filter(wrong).count();
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"",
        outcomes.len()
    );
    let name = escaped(policy);
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"ztl test\" {counts}>")?;
    writeln!(out, "  <testsuite name=\"{name}\" {counts} skipped=\"0\">")?;
    for one in outcomes {
        let case = one.case;
        write!(
            out,
            "    <testcase classname=\"{name}\" name=\"{}\" file=\"{}\" line=\"{}\"",
            escaped(&case.name),
            escaped(&case.file),
            case.line
        )?;
        if one.holds() {
            writeln!(out, "/>")?;
            continue;
        }
        let element = if one.decision().is_some() {
            "failure"
        } else {
            "error"
        };
        let (expected, got) = (escaped(&one.expected()), escaped(&one.came_out()));
        writeln!(out, ">")?;
        writeln!(
            out,
            "      <{element} type=\"{element}\" message=\"expected {expected}, got {got}\">expected  {expected}&#10;got       {got}</{element}>"
        )?;
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")?;
    Ok(())
}

/// Text that ends neither an element nor an attribute, of characters that XML 1.0 allows (§2.2). Others are shown as U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t30_a_text_stays_one_text() {
        assert_eq!(
            escaped("\"/><failure a='&\u{1}\n\u{ffff}é"),
            "&quot;/&gt;&lt;failure a=&apos;&amp;\u{fffd}&#10;\u{fffd}é"
        );
    }
}
