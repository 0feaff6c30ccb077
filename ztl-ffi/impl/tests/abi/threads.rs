//! Many threads, one engine.

use std::sync::Barrier;

use ztl_ffi_impl::*;

use crate::harness::*;

const THREADS: usize = 8;
const ROUNDS: usize = 300;

#[test]
fn eight_threads_decide_at_one_engine_and_none_sees_anothers_answer() {
    let engine = Engine::new(POLICY);
    let (flow, router) = (engine.flow(), engine.router());
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (engine, flow, router, start) = (&engine, &flow, &router, &start);
            scope.spawn(move || {
                start.wait();
                for _ in 0..ROUNDS {
                    if thread % 2 == 0 {
                        assert_eq!(
                            engine.authorize(flow, &infer()).is_permitted().rule(),
                            "router-infers"
                        );
                        engine.permit(&from_router(router)).0.is_permitted();
                    } else {
                        engine
                            .authorize(flow, &request("GET", "/admin"))
                            .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
                        let elsewhere = ztl_flow_request {
                            port: 22,
                            ..from_router(router)
                        };
                        engine
                            .permit(&elsewhere)
                            .0
                            .is_denied(ZTL_REASON_NO_FLOW_PERMITTED);
                    }
                }
            });
        }
    });
}

#[test]
fn a_swap_in_the_middle_of_decisions_is_never_half_seen() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let (with, without) = (POLICY.to_owned(), policy_without_permits());
    let start = Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (engine, flow, start) = (&engine, &flow, &start);
            scope.spawn(move || {
                start.wait();
                for _ in 0..ROUNDS {
                    let answer = engine.authorize(flow, &infer());
                    if answer.status == ZTL_OK {
                        assert_eq!(answer.is_permitted().rule(), "router-infers");
                    } else {
                        answer.is_denied(ZTL_REASON_NO_FLOW_PERMITTED);
                    }
                }
            });
        }
        start.wait();
        for policy in [&without, &with].into_iter().cycle().take(21) {
            assert_eq!(engine.swap(policy), (ZTL_OK, None));
        }
    });
    engine
        .authorize(&flow, &infer())
        .is_denied(ZTL_REASON_NO_FLOW_PERMITTED);
}
