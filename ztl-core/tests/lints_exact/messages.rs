//! What is said of each, word for word.

use std::fmt::Write as _;

use ztl_core::analysis::lint::{Lint, lint};
use ztl_core::policy::Policy;

use super::HEAD;

fn messages(rules: &str, of: Lint) -> Vec<String> {
    let policy =
        Policy::from_toml(&format!("{HEAD}{rules}")).unwrap_or_else(|error| panic!("{error}"));
    let found = lint(&policy).into_iter().filter(|one| one.lint == of);
    found.map(|one| one.message).collect()
}

const READS: &str = "[[permit]]\nname = 'reads'\nfrom = 'web'\nto = 'db'\nports = [5432, 8443]\nactions = ['GET /a', 'POST /b']\n";

#[test]
fn forbids_that_take_all_of_a_permit_together_are_named() {
    let forbid = |name: &str, more: &str| {
        format!("[[forbid]]\nname = '{name}'\nfrom = 'any'\nto = 'db'\n{more}\n")
    };
    let told = |forbids: &[String]| {
        messages(
            &format!("{READS}{}", forbids.concat()),
            Lint::ShadowedByForbid,
        )
    };
    let [gets, posts] = [
        ("gets", "actions = 'GET /{x}'"),
        ("posts", "actions = 'POST /b'"),
    ]
    .map(|(name, more)| forbid(name, more));
    let together = "the permit `reads` lets nothing through: the forbids `gets`, `posts` together take all of it away";
    assert_eq!(told(&[gets.clone(), posts.clone()]), [together]);
    assert!(told(&[gets]).is_empty());
    let ports =
        [("one", "ports = 5432"), ("other", "ports = 8443")].map(|(name, more)| forbid(name, more));
    let together = "the permit `reads` lets nothing through: the forbids `one`, `other` together take all of it away";
    assert_eq!(told(&ports), [together]);
    let alone = "the permit `reads` lets nothing through: the forbid `all` takes all of it away";
    assert_eq!(told(&[posts.clone(), forbid("all", "")]), [alone]);
    // One that may not fire, or counts for nothing, takes nothing away.
    for more in [
        "actions = 'GET /a'\nsubject = 'any'",
        "actions = 'GET /a'\nmode = 'shadow'",
    ] {
        assert!(told(&[posts.clone(), forbid("gets", more)]).is_empty());
    }
}

#[test]
fn a_workload_is_unreachable_for_each_of_three_reasons() {
    let told = |rules: &str| {
        messages(rules, Lint::UnreachableWorkload)
            .into_iter()
            .filter(|text| text.contains("`db`"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(""),
        ["nobody may reach the workload `db`: no enforced permit has it as `to`"]
    );
    assert!(told(READS).is_empty());
    let taken = "nobody may reach the workload `db`: what enforced permits have it as `to` matches no call, or is taken away by forbids";
    assert_eq!(
        told(&format!(
            "{READS}[[forbid]]\nfrom = 'zone:office'\nto = 'db'\n"
        )),
        [taken]
    );
    assert_eq!(told(&READS.replace("'web'", "'ghost'")), [taken]);
}

#[test]
fn who_never_comes_is_named_with_the_reason() {
    let told = |rule: &str| messages(rule, Lint::NeverMatching);
    let of = |from: &str, more: &str| {
        format!(
            "[[permit]]\nname = 'p'\nfrom = {from}\nto = 'any'\nports = 8443\nactions = 'any'\n{more}\n"
        )
    };
    for (from, more, reason) in [
        (
            "['web', 'zone:wide']",
            "",
            "nobody is seen to arrive from the zone `wide`",
        ),
        (
            "'label:tier=gone'",
            "",
            "nobody of whom it speaks comes from where",
        ),
        (
            "['web', 'gauge']",
            "require = { zone_trust = 2 }",
            "the zone `plant` has a trust of 1, and the permit requires 2",
        ),
        (
            "['web', 'public']",
            "anonymous = true",
            "none of its targets takes callers without an SVID",
        ),
    ] {
        let found = told(&of(from, more));
        assert!(
            matches!(found.as_slice(), [one] if one.contains(reason)),
            "{from}: {found:?}"
        );
    }
    let forbid = |ports: &str| {
        told(&format!(
            "[[forbid]]\nname = 'f'\nfrom = 'public'\nto = 'any'\n{ports}"
        ))
    };
    assert!(forbid("").is_empty());
    let nobody =
        "the forbid `f` can never match: nobody of whom it speaks comes to one of its targets";
    assert_eq!(forbid("ports = 8443\n"), [nobody]);
}

#[test]
fn a_forbid_of_what_is_outside_matches_as_a_whole() {
    let told = |from: &str, to: &str, ports: &str| {
        let rule = format!("[[forbid]]\nname = 'f'\nfrom = {from}\nto = '{to}'\n{ports}\n");
        messages(&rule, Lint::NeverMatching)
    };
    for (from, to, ports) in [
        ("['any', 'public']", "external:hub", ""),
        ("['web', 'spiffe://t/undeclared']", "external:hub", ""),
        ("['zone:low', 'zone:office']", "external:hub", ""),
        ("['zone:low', 'zone:plant']", "any", "ports = 9443"),
    ] {
        assert!(told(from, to, ports).is_empty(), "{from} {to}");
    }
    let no_port =
        "the forbid `f` can never match: none of its targets listens on a port that it speaks of";
    for to in ["external:hub", "any"] {
        assert_eq!(told("'any'", to, "ports = 9444"), [no_port]);
    }
    let nobody =
        "the forbid `f` can never match: nobody of whom it speaks comes to one of its targets";
    for from in ["'public'", "'zone:low'"] {
        assert_eq!(told(from, "external:hub", ""), [nobody]);
    }
}

#[test]
fn only_forbids_of_its_own_ports_take_a_permit_of_what_is_outside_away() {
    let permit = "[[permit]]\nname = 'out'\nfrom = 'web'\nto = 'external:hub'\nports = 443\nactions = ['GET /a', 'POST /b']\n";
    let forbid = |name: &str, more: &str| {
        format!("[[forbid]]\nname = '{name}'\nfrom = 'any'\nto = 'external:hub'\n{more}\n")
    };
    let told = |forbids: &[(&str, &str)]| {
        let forbids: String = forbids
            .iter()
            .map(|(name, more)| forbid(name, more))
            .collect();
        messages(&format!("{permit}{forbids}"), Lint::ShadowedByForbid)
    };
    let gets = ("gets", "ports = 443\nactions = 'GET /{x}'");
    let posts = ("posts", "actions = 'POST /b'");
    let there = ("there", "ports = '9000-9999'");
    let together = "the permit `out` lets nothing through: the forbids `gets`, `posts` together take all of it away";
    assert_eq!(told(&[there, gets, posts]), [together]);
    assert!(told(&[there, gets]).is_empty());
    let alone = "the permit `out` lets nothing through: the forbid `here` takes all of it away";
    assert_eq!(told(&[there, ("here", "ports = 443")]), [alone]);
}

/// Nothing fits below such an id, so that no caller there can be made up.
#[test]
fn beside_an_id_that_is_too_long_nothing_is_said_of_calls() {
    let long = format!("spiffe://t/{}", "a".repeat(2046 - "spiffe://t/".len()));
    let rules = format!(
        "{READS}[[permit]]\nname = 'long'\nfrom = '{long}/**'\nto = 'db'\nports = 8443\nactions = 'any'\n"
    );
    for of in [
        Lint::NeverMatching,
        Lint::UnreachableWorkload,
        Lint::ShadowedByForbid,
    ] {
        let told = messages(&rules, of);
        // That no permit names it needs no trying.
        assert!(
            told.iter().all(|one| one.ends_with("has it as `to`")),
            "{told:?}"
        );
    }
    let told = messages(&rules, Lint::Incomplete);
    assert!(
        matches!(told.as_slice(), [one] if one.contains("is so long")),
        "{told:?}"
    );
}

#[test]
fn public_that_listens_is_told_what_else_keeps_it_away() {
    let of = |from: &str, least: u8| {
        let rule = format!(
            "[[permit]]\nname = 'p'\nfrom = {from}\nto = 'web'\nports = [443, 8443]\nactions = 'any'\n\
            anonymous = true\nrequire = {{ zone_trust = {least} }}\n"
        );
        messages(&rule, Lint::NeverMatching)
    };
    assert!(of("'public'", 2).is_empty());
    let least = "this caller of the permit `p` can never match: nobody of whom it speaks comes from where its targets take calls, and is trusted enough there";
    assert_eq!(of("'public'", 3), [least]);
    assert_eq!(
        of("['web', 'public']", 3).last().map(String::as_str),
        Some(least)
    );
}

/// What would take for ever ends, and says that it did not look at all: many callers beside rules that tell too many actions apart.
#[test]
fn actions_beyond_number_end_with_a_note() {
    let mut rules = String::new();
    for at in 0..14 {
        let part = |part: usize| match part == at {
            true => format!("/s{at}"),
            false => format!("/{{p{part}}}"),
        };
        let path: String = (0..14).map(part).collect();
        let _ = writeln!(
            rules,
            "[[forbid]]\nname = 'f{at}'\nfrom = 'any'\nto = 'db'\nactions = 'GET {path}'"
        );
    }
    for at in 0..400 {
        let (third, last) = (at / 200, at % 200);
        let _ = writeln!(
            rules,
            "[workloads.c{at}]\nid = 'spiffe://t/c{at}'\n[zones.z{at}]\nnetworks = ['10.77.{third}.{last}/32']"
        );
    }
    let path: String = (0..14).map(|part| format!("/{{p{part}}}")).collect();
    let _ = writeln!(
        rules,
        "[[permit]]\nname = 'p'\nfrom = 'any'\nto = 'db'\nports = [5432, 8443]\nactions = 'GET {path}'"
    );
    let told = messages(&rules, Lint::Incomplete);
    assert!(
        matches!(told.as_slice(), [one] if one.contains("too many actions apart")),
        "{told:?}"
    );
}
