//! What keeps metrics, spans and events for a test to look at.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};

/// Metrics by name and labels; of a histogram, how often it was recorded.
#[derive(Default)]
pub(super) struct Recorded(Arc<Mutex<HashMap<String, f64>>>);

struct One(String, Arc<Mutex<HashMap<String, f64>>>);

impl One {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        let mut all = self.1.lock().expect("metrics");
        change(all.entry(self.0.clone()).or_default());
    }
}

impl metrics::CounterFn for One {
    fn increment(&self, by: u64) {
        self.change(|value| *value += f64::from(u32::try_from(by).expect("a count")));
    }

    fn absolute(&self, _: u64) {}
}

impl metrics::GaugeFn for One {
    fn increment(&self, by: f64) {
        self.change(|value| *value += by);
    }

    fn decrement(&self, by: f64) {
        self.change(|value| *value -= by);
    }

    fn set(&self, to: f64) {
        self.change(|value| *value = to);
    }
}

impl metrics::HistogramFn for One {
    fn record(&self, _: f64) {
        self.change(|value| *value += 1.0);
    }
}

impl Recorded {
    pub(super) fn value(&self, name: &str, labels: &str) -> f64 {
        let all = self.0.lock().expect("metrics");
        all.get(&format!("{name}:{labels}"))
            .copied()
            .unwrap_or_default()
    }

    fn one(&self, key: &Key) -> Arc<One> {
        let mut labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        labels.sort();
        let name = format!("{}:{}", key.name(), labels.join(","));
        Arc::new(One(name, Arc::clone(&self.0)))
    }
}

impl metrics::Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.one(key))
    }
}

/// Spans and events of ztl, each with its name or message and its fields.
#[derive(Clone, Default)]
pub(super) struct Spans(Arc<Mutex<Vec<(String, String)>>>);

impl Spans {
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let all = self.0.lock().expect("spans");
        let named = all.iter().filter(|(its, _)| its == name);
        named.map(|(_, fields)| fields.clone()).collect()
    }

    pub(super) fn text(&self) -> String {
        format!("{:?}", self.0.lock().expect("spans"))
    }

    fn add(&self, name: &str, visit: impl FnOnce(&mut Fields)) -> usize {
        let mut fields = Fields::default();
        visit(&mut fields);
        let name = fields.message.take().unwrap_or_else(|| name.to_owned());
        let mut all = self.0.lock().expect("spans");
        all.push((name, fields.text));
        all.len()
    }
}

#[derive(Default)]
struct Fields {
    message: Option<String>,
    text: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.text, "{}={value} ", field.name()).expect("text");
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = Some(format!("{value:?}"));
        } else {
            write!(self.text, "{}={value:?} ", field.name()).expect("text");
        }
    }
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "ztl"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let at = self.add(span.metadata().name(), |fields| span.record(fields));
        Id::from_u64(u64::try_from(at).expect("an id"))
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        let at = usize::try_from(span.into_u64()).expect("an id") - 1;
        self.0.lock().expect("spans")[at].1.push_str(&fields.text);
    }

    fn event(&self, event: &tracing::Event<'_>) {
        self.add("", |fields| event.record(fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
