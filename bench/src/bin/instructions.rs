//! `instructions SIZE COUNT QUESTIONS ENGINE...`: asks each engine in turn COUNT questions, for callgrind to count.
//!
//! QUESTIONS is `all` for questions about all rules, or `first` for those about the first target, which is the same at every
//! size. Callgrind is told to collect only within `measured_*`; the n-th engine is counted in `measured_n`.

use std::hint::black_box;

use ztl_bench::engine::{Engine, Kind, Loaded, agree};
use ztl_bench::mesh::{Mesh, Query};

type Measured = fn(&dyn Engine, &[Query]) -> usize;

/// Functions that differ in their names alone.
macro_rules! slots {
    ($($name:ident = $number:literal),*) => {
        $(
            #[inline(never)]
            fn $name(engine: &dyn Engine, queries: &[Query]) -> usize {
                // Keeps the linker from making one function of all.
                black_box($number);
                ask(engine, queries)
            }
        )*
        const SLOTS: &[Measured] = &[$($name),*];
    };
}

slots!(
    measured_0 = 0,
    measured_1 = 1,
    measured_2 = 2,
    measured_3 = 3,
    measured_4 = 4,
    measured_5 = 5,
    measured_6 = 6,
    measured_7 = 7,
    measured_8 = 8,
    measured_9 = 9,
    measured_10 = 10,
    measured_11 = 11,
    measured_12 = 12,
    measured_13 = 13
);

#[inline(always)]
fn ask(engine: &dyn Engine, queries: &[Query]) -> usize {
    let questions = queries.iter().enumerate();
    questions
        .filter(|(at, query)| engine.permits(*at, black_box(query)))
        .count()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [size, count, questions, kinds @ ..] = &arguments[..] else {
        panic!("instructions SIZE COUNT QUESTIONS ENGINE...");
    };
    let (size, count) = (size.parse().expect("size"), count.parse().expect("count"));
    assert!(kinds.len() <= SLOTS.len(), "too many engines");
    let mesh = Mesh::new(size);
    let questions = match questions.as_str() {
        "all" => mesh.questions(count),
        "first" => mesh.questions_of_first_target(count),
        other => panic!("`{other}` is neither `all` nor `first`"),
    };
    let loaded = Loaded::new(&mesh);
    for (name, measured) in kinds.iter().zip(SLOTS) {
        let kind = Kind::named(name).expect("an engine");
        let queries = kind.of(&questions);
        let engine = kind.build(&mesh, &loaded, queries);
        agree(kind, &*engine, queries);
        black_box(measured(&*engine, queries));
    }
}
