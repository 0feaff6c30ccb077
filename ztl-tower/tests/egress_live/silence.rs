//! A name that is not answered.

use super::*;

#[test]
fn t35_the_look_up_of_a_name_is_within_the_deadline() {
    // Names are looked up on the blocking pool, which here has one thread, and that one is busy.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .expect("runtime");
    let (free, busy) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        let mesh = Mesh::new(POLICY);
        let guard = mesh
            .builder("caller", "/caller", &Arc::new(MemorySink::new(100)))
            .connect_timeout(Duration::from_millis(50))
            .build()
            .await
            .expect("guard");
        tokio::task::spawn_blocking(move || busy.recv());
        let error = ask(&guard, get("/v1/x")).await.expect_err("no answer");
        assert!(
            matches!(&error, EgressError::TimedOut { address, .. } if address == "db:8443"),
            "{error}"
        );
    });
    drop(free);
}
