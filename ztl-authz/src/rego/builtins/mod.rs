//! Builtins that a host gives to policies: what OPA does not compile into a module, and what the interpreter would answer otherwise
//! than OPA.
//!
//! What is given is a function of its arguments and of the decision's time, and bounded. What is not given refuses the policy
//! when it is loaded. The expected answers of the tests are OPA's.

mod digest;
mod encode;
#[cfg(feature = "rego")]
mod glob;
mod layout;
mod net;
mod object;
mod pattern;
mod sprintf;
mod text;
mod time;
mod units;
mod version;

use std::borrow::Cow;

use super::term::Term;

pub(crate) use pattern::Regexes;

/// The one builtin that reads the clock: here, the decision's.
pub(crate) const NOW: &str = "time.now_ns";

/// What a builtin may use beside its arguments.
pub(crate) struct Context<'a> {
    /// The time of the decision, in nanoseconds since 1970.
    pub(crate) now: Option<i64>,
    /// Expressions compiled before.
    pub(crate) regexes: &'a mut Regexes,
    /// Longest answer, in bytes.
    pub(crate) most: usize,
}

/// Why a builtin could not answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Why(pub(crate) Cow<'static, str>);

impl From<&'static str> for Why {
    fn from(text: &'static str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Why {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

pub(crate) type Answer = Result<Term, Why>;
type Function = fn(&mut Context<'_>, &[Term]) -> Answer;

/// A builtin.
#[derive(Clone, Copy)]
pub(crate) struct Builtin {
    name: &'static str,
    arity: usize,
    function: Function,
}

impl Builtin {
    /// What stands where a module gave no builtin a number.
    #[cfg(any(feature = "opa", feature = "opa-readers"))]
    pub(crate) const NONE: Self = Self {
        name: "",
        arity: usize::MAX,
        function: |_, _| Err(Why(Cow::Borrowed("there is none"))),
    };

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn arity(&self) -> usize {
        self.arity
    }

    pub(crate) fn call(&self, context: &mut Context<'_>, arguments: &[Term]) -> Answer {
        (self.function)(context, arguments)
    }
}

/// Every builtin that is given, with the number of its arguments.
const GIVEN: &[(&str, usize, Function)] = &[
    ("base64url.encode_no_pad", 1, encode::base64url_no_pad),
    ("crypto.hmac.equal", 2, digest::hmac_equal),
    ("crypto.hmac.sha256", 2, digest::hmac_sha256),
    ("crypto.hmac.sha512", 2, digest::hmac_sha512),
    ("crypto.sha256", 1, digest::sha256),
    ("glob.quote_meta", 1, text::quote_meta),
    ("hex.decode", 1, encode::hex_decode),
    ("hex.encode", 1, encode::hex_encode),
    ("indexof_n", 2, text::indexof_n),
    ("net.cidr_contains_matches", 2, net::contains_matches),
    ("net.cidr_expand", 1, net::expand),
    ("net.cidr_is_valid", 1, net::is_valid),
    ("net.cidr_merge", 1, net::merge),
    ("object.subset", 2, object::subset),
    ("regex.find_n", 3, pattern::find_n),
    ("regex.replace", 3, pattern::replace),
    ("regex.split", 2, pattern::split),
    ("semver.compare", 2, version::compare),
    ("semver.is_valid", 1, version::is_valid),
    ("sprintf", 2, sprintf::sprintf),
    ("strings.any_prefix_match", 2, text::any_prefix),
    ("strings.any_suffix_match", 2, text::any_suffix),
    ("strings.count", 2, text::count),
    ("time.add_date", 4, time::add_date),
    ("time.clock", 1, time::clock),
    ("time.date", 1, time::date),
    ("time.diff", 2, time::diff),
    ("time.format", 1, time::format),
    (NOW, 0, time::now_ns),
    ("time.parse_duration_ns", 1, time::parse_duration_ns),
    ("time.parse_rfc3339_ns", 1, time::parse_rfc3339_ns),
    ("time.weekday", 1, time::weekday),
    ("trace", 1, text::trace),
    ("units.parse", 1, units::parse),
    ("units.parse_bytes", 1, units::parse_bytes),
    ("urlquery.decode", 1, encode::query_decode),
    ("urlquery.decode_object", 1, encode::query_decode_object),
    ("urlquery.encode", 1, encode::query_encode),
    ("urlquery.encode_object", 1, encode::query_encode_object),
];

/// Those that OPA compiles into a module, and that the interpreter would answer otherwise than OPA.
#[cfg(feature = "rego")]
const INTERPRETED: &[(&str, usize, Function)] = &[
    ("base64.decode", 1, encode::base64_decode),
    ("base64.is_valid", 1, encode::base64_is_valid),
    ("base64url.decode", 1, encode::base64url_decode),
    ("glob.match", 3, glob::matches),
    ("indexof", 2, text::indexof),
    ("lower", 1, text::lower),
    ("net.cidr_contains", 2, net::contains),
    (
        "regex.find_all_string_submatch_n",
        3,
        pattern::find_all_submatches,
    ),
    ("regex.is_valid", 1, pattern::is_valid),
    ("regex.match", 2, pattern::matches),
    ("regex.template_match", 4, pattern::template_matches),
    ("strings.replace_n", 2, text::replace_n),
    ("upper", 1, text::upper),
];

/// The names of the builtins that are given.
#[cfg(any(feature = "opa", feature = "opa-readers"))]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    GIVEN.iter().map(|&(name, ..)| name)
}

/// A builtin by its name.
pub(crate) fn given(name: &str) -> Option<Builtin> {
    named(GIVEN, name)
}

/// One that the interpreter is given, by its name.
#[cfg(feature = "rego")]
pub(crate) fn interpreted(name: &str) -> Option<Builtin> {
    given(name).or_else(|| named(INTERPRETED, name))
}

fn named(all: &[(&'static str, usize, Function)], name: &str) -> Option<Builtin> {
    let found = all.iter().find(|(given, ..)| *given == name);
    found.map(|&(name, arity, function)| Builtin {
        name,
        arity,
        function,
    })
}

/// The argument at a place, as a string.
fn string(arguments: &[Term], at: usize) -> Result<&str, Why> {
    let found = arguments.get(at).and_then(Term::as_str);
    found.ok_or_else(|| Why::from(format!("argument {} is no string", at + 1)))
}

/// The argument at a place, as a whole number.
fn whole(arguments: &[Term], at: usize) -> Result<i64, Why> {
    let found = arguments.get(at).and_then(Term::as_i64);
    found.ok_or_else(|| Why::from(format!("argument {} is no whole number", at + 1)))
}

/// The argument at a place: a string, or an array or a set of strings.
fn strings(arguments: &[Term], at: usize) -> Result<Vec<&str>, Why> {
    let wrong = || {
        Why::from(format!(
            "argument {} is neither a string nor a list of them",
            at + 1
        ))
    };
    match arguments.get(at) {
        Some(Term::String(text)) => Ok(vec![text]),
        Some(term) => {
            let all: Option<Vec<&str>> = term
                .elements()
                .and_then(|all| all.iter().map(Term::as_str).collect());
            all.ok_or_else(wrong)
        }
        None => Err(wrong()),
    }
}

#[cfg(test)]
mod tests;
