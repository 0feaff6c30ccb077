//! `shutdown_on_signals`

use super::*;

#[tokio::test]
async fn a_signal_ends_the_service_where_the_file_says_so() {
    let place = Place::new("signals", "", "").await;
    let guard = place.guard("shutdown_on_signals = true", "").await;
    let mut ends = std::pin::pin!(guard.shutting_down());
    let early = tokio::time::timeout(Duration::from_millis(50), ends.as_mut()).await;
    assert!(early.is_err(), "nobody has said so yet");
    // This process, which goes on: from here on the signal ends it no more.
    let kill = format!("kill -TERM {}", std::process::id());
    let sent = std::process::Command::new("sh")
        .args(["-c", &kill])
        .status();
    assert!(sent.expect("sent").success());
    let told = tokio::time::timeout(support::PATIENCE, ends).await;
    assert!(told.is_ok(), "the guard shuts down");
}
