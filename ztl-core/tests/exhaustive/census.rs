//! What is permitted in every document of a universe, and the laws over all of them.

use std::collections::HashMap;
use std::thread;

use ztl_core::Verdict;

use crate::universe::{Questions, Rule, load};

/// The questions that a document permits, one bit each; `None` where the document is refused.
type Permitted = Option<Vec<u64>>;

/// Every document that was judged, and what it permits.
pub(crate) struct Census<'a> {
    rules: &'a [Rule],
    documents: HashMap<Vec<usize>, Permitted>,
}

impl<'a> Census<'a> {
    /// Judges every question under each of these documents. The reference interpreter has to say the same: verdict, stage,
    /// reason, rule, what is lacking, and what shadow rules would have said.
    pub(crate) fn take(rules: &'a [Rule], orders: &[Vec<usize>], questions: &Questions) -> Self {
        let judge = |order: &Vec<usize>| {
            let policy = load(rules, order)?;
            let mut permitted = vec![0_u64; questions.all.len().div_ceil(64)];
            for (at, question) in questions.all.iter().enumerate() {
                let decided = questions.decide(&policy, question);
                let meant = questions.refer(&policy, question);
                assert_eq!(decided, meant, "{:#?}\n{question:?}", texts(rules, order));
                if decided.verdict == Verdict::Permit {
                    permitted[at / 64] |= 1 << (at % 64);
                }
            }
            Some(permitted)
        };
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let documents = thread::scope(|scope| {
            let chunks = orders.chunks(orders.len().div_ceil(workers));
            let working: Vec<_> = chunks
                .map(|chunk| {
                    scope.spawn(move || -> Vec<_> {
                        let judged = chunk.iter().map(|order| (order.clone(), judge(order)));
                        judged.collect()
                    })
                })
                .collect();
            let done = working
                .into_iter()
                .map(|worker| worker.join().expect("the worker found no difference"));
            done.flatten().collect()
        });
        Self { rules, documents }
    }

    /// How many documents were judged, how many of them were refused, and how many questions were permitted over all.
    pub(crate) fn counts(&self) -> (usize, usize, u64) {
        let refused = self
            .documents
            .values()
            .filter(|document| document.is_none());
        let words = self.documents.values().flatten().flatten();
        let permitted = words.map(|word| u64::from(word.count_ones())).sum();
        (self.documents.len(), refused.count(), permitted)
    }

    /// Laws 4 and 8 of the rules over every document and every document of one rule less; says how many pairs there were.
    pub(crate) fn assert_monotonic(&self) -> usize {
        let mut pairs = 0;
        for (order, more) in &self.documents {
            for (at, rule) in order.iter().enumerate() {
                let mut without = order.clone();
                without.remove(at);
                let less = self.documents.get(&without).expect("a universe is closed");
                let (Some(more), Some(less)) = (more, less) else {
                    continue;
                };
                let rule = &self.rules[*rule];
                let widened = within(less, more);
                let narrowed = within(more, less);
                let holds = match (rule.shadow, rule.forbid) {
                    (true, _) => widened && narrowed,
                    (false, true) => narrowed,
                    (false, false) => widened,
                };
                assert!(holds, "{} to {:#?}", rule.text, texts(self.rules, &without));
                pairs += 1;
            }
        }
        pairs
    }

    /// Rule 5: whatever the order, the same is permitted. Says how many orders were compared with the ascending one.
    pub(crate) fn assert_order_does_not_matter(&self) -> usize {
        let mut compared = 0;
        for (order, permitted) in &self.documents {
            let mut ascending = order.clone();
            ascending.sort_unstable();
            if ascending != *order {
                let same = self.documents.get(&ascending) == Some(permitted);
                assert!(same, "{:#?}", texts(self.rules, order));
                compared += 1;
            }
        }
        compared
    }
}

/// Whether all that one permits, the other permits as well.
fn within(one: &[u64], other: &[u64]) -> bool {
    one.iter().zip(other).all(|(one, other)| one & !other == 0)
}

fn texts<'a>(rules: &'a [Rule], order: &[usize]) -> Vec<&'a str> {
    order.iter().map(|at| rules[*at].text.as_str()).collect()
}
