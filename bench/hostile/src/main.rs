//! `ztl-bench-hostile ROUNDS MILLISECONDS`: how long honest callers of a guarded service wait, alone and beside one hostile caller
//! whose requests are dear to judge. Each hostile request has to be denied within its bound. Ends with one JSON line a figure.

mod attack;
mod honest;
mod service;
mod token;

use core::time::Duration;
use std::sync::Arc;
use std::thread;

use serde_json::json;

use attack::{Answered, Attack, attacks};
use honest::{Question, questions};
use service::Host;
use token::Signer;

/// How many requests of the hostile caller are judged at a time: one after another, and its share of the judgements that may take long.
const AT_ONCE: [u32; 2] = [1, 32];

/// What is shown of waits: its name, and how many of a hundred are shorter.
const PERCENTILES: [(&str, usize); 2] = [("p50", 50), ("p99", 99)];

/// One attack at one strength, and what the rounds saw of it.
struct Row {
    attack: Attack,
    at_once: u32,
    answered: Answered,
    /// For each question the waits alone and beside it, round by round.
    waited: Vec<Vec<(Vec<f64>, Vec<f64>)>>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rounds, millis] = &arguments[..] else {
        panic!("ztl-bench-hostile ROUNDS MILLISECONDS");
    };
    let rounds: usize = rounds.parse().expect("a number of rounds");
    let span = Duration::from_millis(millis.parse().expect("a number of milliseconds"));
    let signer = Signer::new();
    let (runtime, questions) = (honest::runtime(), questions(&signer));
    let host = Arc::new(runtime.block_on(Host::new(&signer)));
    let alone = || -> Vec<Vec<f64>> {
        let ask = |question| honest::ask(question, &host, runtime.handle(), span);
        thread::scope(|scope| {
            let ask = &ask;
            let all: Vec<_> = (questions.iter())
                .map(|question| scope.spawn(move || ask(question)))
                .collect();
            let all = all.into_iter().map(|one| one.join().expect("answers"));
            all.collect()
        })
    };
    let mut rows: Vec<Row> = Vec::new();
    for attack in attacks(&signer) {
        let strengths = if attack.asks() {
            &AT_ONCE[..]
        } else {
            &AT_ONCE[..1]
        };
        rows.extend(strengths.iter().map(|at_once| Row {
            attack: attack.clone(),
            at_once: *at_once,
            answered: Answered::default(),
            waited: vec![Vec::new(); questions.len()],
        }));
    }
    // The first warms up.
    for round in 0..=rounds {
        for row in &mut rows {
            let quiet = alone();
            let running = row.attack.begin(&host, runtime.handle(), row.at_once);
            // It has to be under way.
            thread::sleep(Duration::from_millis(20));
            let beside = alone();
            let answered = running.end(runtime.handle());
            if round > 0 {
                for ((waited, quiet), beside) in row.waited.iter_mut().zip(quiet).zip(beside) {
                    waited.push((quiet, beside));
                }
                row.answered.times.extend(answered.times);
                row.answered.turned_away += answered.turned_away;
                row.answered.span += answered.span;
            }
        }
    }
    report(&rows, &questions);
}

fn report(rows: &[Row], questions: &[Question]) {
    println!("What became of the hostile requests\n");
    println!(
        "| | at once | a second | not looked at | p50 ms | slowest ms |\n|---|--:|--:|--:|--:|--:|"
    );
    for row in rows.iter().filter(|row| row.attack.asks()) {
        let all = &row.answered;
        let count = all.times.len() as f64;
        println!(
            "| {} | {} | {:.0} | {:.0} % | {:.2} | {:.1} |",
            row.attack.name,
            row.at_once,
            count / all.span,
            all.turned_away as f64 * 100.0 / count,
            percentile(&all.times, 50) * 1e3,
            percentile(&all.times, 100) * 1e3,
        );
    }
    println!("\nWhat honest callers wait for an answer, µs: alone, beside it, and the ratio\n");
    println!(
        "| beside | at once | asks | p50 | | | p99 | | |\n|---|--:|---|--:|--:|--:|--:|--:|--:|"
    );
    let mut lines = Vec::new();
    for row in rows {
        for (question, waited) in questions.iter().zip(&row.waited) {
            print!(
                "| {} | {} | {} |",
                row.attack.name, row.at_once, question.name
            );
            for (name, percent) in PERCENTILES {
                let figures = Figures::of(waited, percent);
                let [alone, beside] = [figures.alone, figures.beside].map(|time| time * 1e6);
                print!(" {alone:.0} | {beside:.0} | {:.2} |", figures.ratio);
                let what = format!(
                    "{name} of {}, beside {}, {} at once / alone",
                    question.name, row.attack.name, row.at_once
                );
                let shown = (figures.ratio * 100.0).round() / 100.0;
                lines.push(json!({ "goal": "T34", "what": what, "value": shown, "unit": "ratio", "target": null, "ok": null }));
            }
            println!();
        }
    }
    println!();
    let denied: usize = rows.iter().map(|row| row.answered.times.len()).sum();
    let what = "hostile requests, each denied within its bound";
    println!(
        "{}",
        json!({ "goal": "T34", "what": what, "value": denied, "unit": "requests", "target": 1, "ok": denied > 0 })
    );
    for line in lines {
        println!("{line}");
    }
}

/// Medians over the rounds.
struct Figures {
    alone: f64,
    beside: f64,
    ratio: f64,
}

impl Figures {
    fn of(waited: &[(Vec<f64>, Vec<f64>)], percent: usize) -> Self {
        let pairs: Vec<(f64, f64)> = (waited.iter())
            .map(|(alone, beside)| (percentile(alone, percent), percentile(beside, percent)))
            .collect();
        let median = |value: fn(&(f64, f64)) -> f64| {
            let values: Vec<f64> = pairs.iter().map(value).collect();
            percentile(&values, 50)
        };
        Self {
            alone: median(|(alone, _)| *alone),
            beside: median(|(_, beside)| *beside),
            ratio: median(|(alone, beside)| beside / alone),
        }
    }
}

fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
