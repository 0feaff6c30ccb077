//! What Prometheus reads: rendered by the exporter that `docs/observability.md` names, as `examples/observability` installs it.

use std::collections::BTreeMap;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use super::*;

/// A line of the exposition format: a name, labels and a value.
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').expect("an end");
    let labels = labels.split(',').filter(|label| !label.is_empty());
    let labels = labels.map(|label| {
        let (name, value) = label.split_once('=').expect("a label");
        let value = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        (name.to_owned(), value.expect("quotes").to_owned())
    });
    let value = value.parse().expect("a number");
    (name.to_owned(), labels.collect(), value)
}

#[tokio::test]
async fn a_prometheus_exporter_gives_the_series_that_the_dashboard_asks_for() {
    let _shared = MEASURED.read().await;
    let durations = Matcher::Full("ztl_handshake_duration_seconds".to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(durations, &[0.001, 0.01, 0.1, 1.0, 10.0])
        .expect("buckets")
        .build_recorder();
    let rendered = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder);
    let watched = watched().await;
    for _ in 0..3 {
        let answer = watched.ask("/caller", get1("/open")).await;
        assert_eq!(answer.as_deref(), Ok("200 "));
    }
    let denied = watched.ask("/caller", get1("/admin")).await;
    assert!(denied.expect("an answer").starts_with("403 "));
    support::until("all are gone", || watched.guard.connections().is_empty()).await;
    let text = rendered.render();
    let lines = text.lines().filter(|line| !line.is_empty());
    let (said, samples): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with('#'));
    let samples: Vec<_> = samples.into_iter().map(sample).collect();
    let value = |name: &str, wanted: &[(&str, &str)]| {
        let meant = |labels: &BTreeMap<String, String>| {
            (wanted.iter()).all(|(name, value)| labels.get(*name).is_some_and(|it| it == value))
        };
        let found = samples
            .iter()
            .filter(|(one, labels, _)| one == name && meant(labels));
        found.map(|(.., value)| value).sum::<f64>()
    };
    let decided = |verdict, reason, rule| {
        let labels = [("verdict", verdict), ("reason", reason), ("rule", rule)];
        value(
            "ztl_decisions_total",
            &[("stage", "action"), labels[0], labels[1], labels[2]],
        )
    };
    assert_eq!(decided("permit", "permitted", "reads"), 3.0, "{text}");
    assert_eq!(decided("deny", "no_action_permitted", ""), 1.0, "{text}");
    let would = [
        ("rule", "soon-gone"),
        ("would", "deny"),
        ("verdict", "permit"),
    ];
    assert_eq!(value("ztl_shadow_outcomes_total", &would), 3.0, "{text}");
    let permitted = ("result", "permitted");
    let within = [permitted, ("kind", "mutual"), ("le", "+Inf")];
    assert_eq!(
        value("ztl_handshake_duration_seconds_bucket", &within),
        4.0,
        "{text}"
    );
    assert_eq!(
        value("ztl_handshake_duration_seconds_count", &[permitted]),
        4.0,
        "{text}"
    );
    assert!(
        value("ztl_handshake_duration_seconds_sum", &[permitted]) > 0.0,
        "{text}"
    );
    assert!(
        value("ztl_svid_expiry_timestamp_seconds", &[]) > 1e9,
        "{text}"
    );
    // Each series is of the kind that the page says, and of the guard that it names.
    for (name, kind) in [
        ("ztl_decisions_total", "counter"),
        ("ztl_handshake_duration_seconds", "histogram"),
        ("ztl_connections", "gauge"),
        ("ztl_svid_presentable", "gauge"),
    ] {
        assert!(
            said.contains(&format!("# TYPE {name} {kind}").as_str()),
            "{name}: {text}"
        );
    }
    for (name, labels, _) in &samples {
        assert_eq!(
            labels.get("workload").map(String::as_str),
            Some("watched"),
            "{name}: {text}"
        );
    }
}
