//! What Prometheus reads: rendered by the exporter that `docs/observability.md` names, as `examples/observability` installs it.

use std::collections::BTreeMap;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use ztl_authz::jwt::{Issuer, Jwks, JwksEndpoint};
use ztl_tower::FetchedKeys;

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

/// A series that is born at one has not risen, and no alert on it fires.
#[tokio::test]
async fn what_alerts_ask_the_rise_of_is_counted_from_nothing_on() {
    let _shared = MEASURED.read().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder);
    let mesh = Mesh::new(&policy(8443));
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let write = |name: &str, text: &str| {
        let path = folder.join(format!("ztl-counted-{name}"));
        std::fs::write(&path, text).expect("a file");
        path
    };
    let path = write("policy.toml", &mesh.policy);
    let denied = write("denied", "end 0\n");
    let bundle = write("bundle.pem", mesh.authority.bundle_pem());
    let iss = "https://idp.example";
    let fetched = FetchedKeys::without_roots(JwksEndpoint::discovery(iss).expect("an endpoint"));
    let users = Issuer::access_tokens("corp", iss, "watched", Jwks::none());
    let guard = Guard::builder("watched")
        .policy_file(&path)
        .identity(mesh.svid("/watched"))
        .bundle_file("prod.example", &bundle)
        .deny_list_file(&denied)
        .fetched_issuer(users, fetched)
        .allow_dev_authority();
    let guard = guard.build().await.expect("guard");
    let text = rendered.render();
    let counted = |name: &str, labels: &[(&str, &str)]| {
        let found = text.lines().any(|line| {
            let one = line.starts_with(&format!("{name}{{")) && line.ends_with(" 0");
            let labelled =
                |(name, value): &(&str, &str)| line.contains(&format!("{name}=\"{value}\""));
            one && labels.iter().all(labelled)
        });
        assert!(found, "{name} {labels:?}: {text}");
    };
    for what in ["policy", "deny_list", "svid", "bundles"] {
        counted(
            "ztl_reloads_total",
            &[("what", what), ("outcome", "refused")],
        );
    }
    for what in ["svid", "bundles"] {
        counted(
            "ztl_reloads_total",
            &[("what", what), ("outcome", "withdrawn")],
        );
    }
    let withdrawn = [("what", "jwks"), ("from", "corp"), ("outcome", "withdrawn")];
    counted("ztl_fetches_total", &withdrawn);
    for direction in ["ingress", "egress"] {
        let revoked = [("direction", direction), ("cause", "revoked")];
        counted("ztl_connections_ended_total", &revoked);
    }
    counted("ztl_judgements_turned_away_total", &[]);
    counted("ztl_bodies_turned_away_total", &[]);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let alerts = root.join("examples/observability/alerts.yaml");
    let alerts = std::fs::read_to_string(alerts).expect("alerts");
    let asked = alerts.match_indices("increase(").map(|(at, it)| {
        let rest = alerts.get(at + it.len()..).unwrap_or_default();
        rest.split(['{', '[']).next().unwrap_or_default()
    });
    let asked: Vec<_> = asked.collect();
    assert!(asked.len() > 3, "{asked:?}");
    for name in asked {
        counted(name, &[]);
    }
    // What nobody reads again is no series.
    assert!(
        !text.contains("opa_bundle") && !text.contains("crls"),
        "{text}"
    );
    drop(guard);
    for path in [path, denied, bundle] {
        std::fs::remove_file(path).expect("a file");
    }
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
