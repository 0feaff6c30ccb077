//! Why it is not regorus' register VM that evaluates.

use std::time::Duration;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use ztl_authz::rego::{Interpreter, RegoEngine};

use super::*;

fn by_the_vm(source: &str, input: &Value) -> regorus::Value {
    let mut engine = regorus::Engine::new();
    (engine.add_policy("p.rego".to_owned(), source.to_owned())).expect("a module");
    let compiled = (engine.compile_with_entrypoint(&"data.p.allow".into())).expect("a policy");
    let program = Compiler::compile_from_policy(&compiled, &["data.p.allow"]).expect("a program");
    let mut vm = RegoVM::new();
    vm.load_program(program);
    vm.set_input(regorus::Value::from(input.clone()));
    vm.execute().expect("an answer")
}

/// `every` with a body that is undefined for one of the elements is false. Where the VM no longer says otherwise this test
/// fails, and the VM is worth another look.
#[test]
fn law_1_the_vm_opens_where_the_interpreter_denies() {
    let source = "package p\ndefault allow := false\nallow if every v in [0, 1, 2] { input.segs[v] != \"\" }";
    let compile = || {
        Interpreter::compile(
            [("p.rego", source)],
            json!({}),
            "p/allow",
            Duration::from_secs(1),
        )
    };
    let ours = compile().expect("a policy");
    for (segments, holds) in [(json!(["a", "b", "c"]), true), (json!(["a", "b"]), false)] {
        let input = json!({ "segs": segments });
        let answer = ours.evaluate(&input.to_string());
        assert_eq!(answer, Ok(Some(json!(holds))), "{input}");
        assert_eq!(
            by_the_vm(source, &input),
            regorus::Value::from(true),
            "{input}"
        );
    }
}
