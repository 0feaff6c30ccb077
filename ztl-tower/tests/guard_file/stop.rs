//! `shutdown_on_signals`

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use super::*;

/// Set for a program of its own, which ends by its signal.
const ALONE: &str = "ZTL_TEST_SIGNALLED";

fn end_this() {
    let kill = format!("kill -TERM {}", std::process::id());
    let sent = Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.expect("sent").success());
}

#[tokio::test]
async fn a_signal_ends_the_service_where_the_file_says_so() {
    let place = Place::new("signals", "", "").await;
    let guard = place.guard("shutdown_on_signals = true", "").await;
    let mut ends = std::pin::pin!(guard.shutting_down());
    let early = tokio::time::timeout(Duration::from_millis(50), ends.as_mut()).await;
    assert!(early.is_err(), "nobody has said so yet");
    // This process, which goes on: from here on the signal ends it no more.
    end_this();
    let told = tokio::time::timeout(support::PATIENCE, ends).await;
    assert!(told.is_ok(), "the guard shuts down");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says which of two programs this is"
)]
async fn a_signal_ends_the_process_where_no_guard_was_built() {
    if std::env::var_os(ALONE).is_some() {
        let place = Place::new("signalled", "serial = 1", "").await;
        let keys = "shutdown_on_signals = true\npolicy_state = \"nowhere/serial\"";
        let refused = place.refused(keys, "").await;
        assert!(refused.contains("nowhere/serial"), "{refused}");
        drop(place);
        println!("no guard");
        end_this();
        tokio::time::sleep(support::PATIENCE).await;
        return;
    }
    let mut alone = Command::new(std::env::current_exe().expect("this program"));
    alone
        .args(["--exact", "--nocapture"])
        .arg("stop::a_signal_ends_the_process_where_no_guard_was_built")
        .env(ALONE, "1");
    let ended = tokio::task::spawn_blocking(move || alone.output());
    let ended = ended.await.expect("joined").expect("begun");
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("no guard"), "{said}");
    // SIGTERM.
    assert_eq!(ended.status.signal(), Some(15), "{said}");
}
