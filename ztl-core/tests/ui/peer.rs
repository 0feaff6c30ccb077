use ztl_core::Peer;

fn main() {
    let _peer = Peer(std::sync::Arc::new(()));
    let _default: Peer = Default::default();
}
