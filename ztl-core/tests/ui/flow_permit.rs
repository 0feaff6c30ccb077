use ztl_core::FlowPermit;

fn main() {
    let _permit = FlowPermit(std::sync::Arc::new(()));
    let _default: FlowPermit = Default::default();
}
