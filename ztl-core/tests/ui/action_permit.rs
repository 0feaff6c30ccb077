use ztl_core::{ActionPermit, Timestamp};

fn forge(id: ztl_core::DecisionId) -> ActionPermit {
    ActionPermit { engine: 0, epoch: 0, trust_generation: 0, id, rule: "mine".into(), expires_at: Timestamp::MAX }
}

fn main() {
    let _ = forge;
}
