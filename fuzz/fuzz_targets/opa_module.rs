//! What a module in WebAssembly says: its entrypoints and builtins, what it calls builtins with, what it answers. Nothing panics, what is
//! taken is within its bounds, and the same call has the same answer. The engine itself is fuzzed where it is made.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use ztl_authz::opa::door::{self, Calls};
use ztl_authz::opa::given_builtins;

/// Highest number of a builtin.
const MOST_BUILTINS: usize = 1024;
/// Most arguments of one.
const MOST_ARGUMENTS: usize = 4;

static GIVEN: LazyLock<Vec<&'static str>> = LazyLock::new(|| given_builtins().collect());

#[derive(Arbitrary, Debug)]
enum Case<'a> {
    Entrypoints(&'a [u8]),
    Builtins(&'a [u8]),
    Numbers(Vec<(Name<'a>, i64)>),
    Answer(&'a [u8]),
    Memory {
        memory: &'a [u8],
        at: i32,
        most: u16,
    },
    Term(&'a [u8]),
    Calls {
        most: u16,
        calls: Vec<Call<'a>>,
    },
}

#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Given(u8),
    Other(&'a str),
}

#[derive(Arbitrary, Debug)]
struct Call<'a> {
    builtin: u8,
    now: Option<i64>,
    arguments: [Argument<'a>; MOST_ARGUMENTS],
}

#[derive(Arbitrary, Debug)]
enum Argument<'a> {
    Raw(&'a [u8]),
    Text(&'a str),
    Texts(Vec<&'a str>),
    Whole(i64),
    Wholes(Vec<i64>),
    Number(f64),
    /// As `time.format` and others take: a time, and texts.
    Pair(i64, &'a str),
    Members(Vec<(&'a str, &'a str)>),
    Set(Vec<&'a str>),
}

fuzz_target!(|case: Case<'_>| match case {
    Case::Entrypoints(bytes) => {
        if let Ok(count) = door::entrypoints(bytes) {
            let all: Value = serde_json::from_slice(bytes).expect("it was read");
            assert_eq!(all.as_object().map(serde_json::Map::len), Some(count));
        }
    }
    Case::Builtins(bytes) => builtins(bytes),
    Case::Numbers(numbers) => {
        let all = numbers.into_iter().map(|(name, number)| {
            let name = match name {
                Name::Given(at) => given(at).to_owned(),
                Name::Other(name) => name.to_owned(),
            };
            (name, json!(number))
        });
        let all = Value::Object(all.collect()).to_string();
        builtins(all.as_bytes());
        let _ = door::entrypoints(all.as_bytes());
    }
    Case::Answer(bytes) => {
        if let Ok(Some(value)) = door::answer(bytes) {
            let again = json!([{ "result": value }]).to_string();
            assert_eq!(door::answer(again.as_bytes()), Ok(Some(value)));
        }
    }
    Case::Memory { memory, at, most } => {
        let most = usize::from(most);
        if let Some(text) = door::text(memory, at, most) {
            assert!(text.len() <= most && !text.contains(&0));
            let at = usize::try_from(at.cast_unsigned()).expect("an address");
            assert_eq!(memory.get(at..at + text.len()), Some(text));
            assert_eq!(memory.get(at + text.len()), Some(&0));
        }
    }
    Case::Term(bytes) => {
        if let Some(written) = door::term(bytes) {
            let again = door::term(written.as_bytes());
            assert_eq!(
                again.as_deref(),
                Some(&*written),
                "it is read as it was written"
            );
        }
    }
    Case::Calls { most, calls } => {
        let most = usize::from(most);
        let mut kept = Calls::default();
        for call in calls {
            let (name, now) = (given(call.builtin), call.now);
            let arguments = call.arguments.map(Argument::written);
            let arguments = arguments.each_ref().map(Vec::as_slice);
            for count in 0..=MOST_ARGUMENTS {
                let arguments = arguments.get(..count).unwrap_or_default();
                let answered = kept.call(name, arguments, now, most);
                if let Some(Ok(answer)) = &answered {
                    assert!(answer.len() <= most, "{name}: {} bytes", answer.len());
                    assert!(door::term(answer.as_bytes()).is_some(), "{name}: {answer}");
                }
                // Whatever was asked before.
                let anew = Calls::default().call(name, arguments, now, most);
                assert_eq!(answered, anew, "{name}");
            }
        }
    }
});

fn given(at: u8) -> &'static str {
    GIVEN[usize::from(at) % GIVEN.len()]
}

fn builtins(json: &[u8]) {
    if let Ok(all) = door::builtins(json) {
        assert!(all.len() <= MOST_BUILTINS + 1);
        for name in all.into_iter().flatten() {
            assert!(GIVEN.contains(&name), "{name}");
        }
    }
}

impl Argument<'_> {
    fn written(self) -> Vec<u8> {
        let value = match self {
            Self::Raw(bytes) => return bytes.to_vec(),
            Self::Set(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| json!(text).to_string()).collect();
                return format!("{{{}}}", texts.join(",")).into_bytes();
            }
            Self::Text(text) => json!(text),
            Self::Texts(texts) => json!(texts),
            Self::Whole(number) => json!(number),
            Self::Wholes(numbers) => json!(numbers),
            Self::Number(number) => json!(number),
            Self::Pair(number, text) => json!([number, text]),
            Self::Members(members) => members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        };
        value.to_string().into_bytes()
    }
}
