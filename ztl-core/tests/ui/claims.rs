use ztl_core::Claims;

fn main() {
    let _claims = Claims(std::sync::Arc::new(()));
}
