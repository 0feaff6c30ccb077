//! Modules that are not taken: refused when they are loaded, and the reason says what to do.

use serde_json::json;
use ztl_authz::opa::{Limits, ModuleError, WasmModule, given_builtins};
use ztl_authz::rego::RegoError;

use crate::{bytes, module_of, text};

fn refusal(module: &[u8]) -> ModuleError {
    let compiled = WasmModule::compile(module, Limits::default());
    compiled.map(|module| panic!("{module:?}")).unwrap_err()
}

fn refusal_of(text: &str) -> ModuleError {
    refusal(&bytes(text))
}

#[test]
fn t24_what_is_no_module_is_refused() {
    let good = bytes(&text("{}"));
    for bad in [
        &b""[..],
        b"package policy\nallow := true",
        b"(module)",
        b"\0asm",
        b"\0asm\x01\0\0\0\xff\xff\xff",
        b"\0asm\x0d\0\x01\0",
        &good[..good.len() - 1],
        &good[..good.len() / 2],
        &[good.clone(), vec![0]].concat(),
    ] {
        let error = refusal(bad);
        assert!(matches!(error, ModuleError::Wasm(_)), "{error}");
    }
}

#[test]
fn rule_15_a_large_module_is_refused() {
    let module = bytes(&text("{}"));
    let limits = Limits::default().with_module_bytes(module.len() - 1);
    let error = WasmModule::compile(&module, limits).map(drop);
    let (bytes, most) = (module.len(), module.len() - 1);
    assert_eq!(error, Err(ModuleError::TooLong { bytes, most }));
}

#[test]
fn a_module_from_before_the_abi_is_refused() {
    let text = text("{}");
    let old = text.replace(r#"(export "opa_wasm_abi_version")"#, "");
    let error = refusal_of(&old);
    assert_eq!(error, ModuleError::NoAbi);
    assert!(error.to_string().contains("build it again"), "{error}");
    let newer = text.replace(
        r#""opa_wasm_abi_minor_version") i32 (i32.const 3)"#,
        r#""opa_wasm_abi_minor_version") i32 (i32.const 4)"#,
    );
    assert_eq!(refusal_of(&newer), ModuleError::Abi { major: 1, minor: 4 });
    let two = text.replace(
        r#""opa_wasm_abi_version") i32 (i32.const 1)"#,
        r#""opa_wasm_abi_version") i32 (i32.const 2)"#,
    );
    assert_eq!(refusal_of(&two), ModuleError::Abi { major: 2, minor: 3 });
}

#[test]
fn a_module_may_import_nothing_but_the_abi() {
    let text = text("{}");
    let import = r#"(import "env" "opa_println""#;
    for (import_other, name) in [
        (
            r#"(import "wasi_snapshot_preview1" "random_get""#,
            "wasi_snapshot_preview1.random_get",
        ),
        (r#"(import "env" "getenv""#, "env.getenv"),
    ] {
        let error = refusal_of(&text.replace(import, import_other));
        assert_eq!(error, ModuleError::Import(name.into()));
    }
    let global = text.replace(
        r#"(import "env" "memory""#,
        r#"(import "env" "secret" (global i32)) (import "env" "memory""#,
    );
    assert_eq!(
        refusal_of(&global),
        ModuleError::Import("env.secret".into())
    );
    // The right name for the wrong thing.
    let wrong = text.replace(
        r#""opa_println" (func $println (param i32))"#,
        r#""opa_println" (func $println (param i32) (result i32))"#,
    );
    let wrong = wrong.replace(
        "(call $println (i32.const 2240))",
        "(drop (call $println (i32.const 2240)))",
    );
    let error = refusal_of(&wrong);
    assert!(
        matches!(error, ModuleError::Start(RegoError::Trapped(_))),
        "{error}"
    );
}

#[test]
fn a_module_without_an_export_is_refused() {
    let text = text("{}");
    for name in [
        "memory",
        "eval",
        "builtins",
        "entrypoints",
        "opa_malloc",
        "opa_json_parse",
        "opa_json_dump",
        "opa_heap_ptr_get",
        "opa_heap_ptr_set",
        "opa_eval_ctx_new",
        "opa_eval_ctx_set_input",
        "opa_eval_ctx_set_data",
        "opa_eval_ctx_set_entrypoint",
        "opa_eval_ctx_get_result",
    ] {
        let without = text.replace(
            &format!(r#"(export "{name}""#),
            &format!(r#"(export "x_{name}""#),
        );
        assert_eq!(refusal_of(&without), ModuleError::Export(name), "{name}");
    }
    let other = text.replace(
        r#"(export "opa_json_dump") (param i32) (result i32) (local.get 0)"#,
        r#"(export "opa_json_dump") (param i64) (result i32) (i32.const 16)"#,
    );
    assert_eq!(refusal_of(&other), ModuleError::Export("opa_json_dump"));
}

#[test]
fn a_builtin_that_is_not_given_refuses_the_module_and_names_it() {
    for (name, mend) in [
        ("opa.runtime", "environment"),
        ("http.send", "data document"),
        ("net.lookup_ip_addr", "data document"),
        ("rand.intn", "chance"),
        ("uuid.rfc4122", "chance"),
        ("io.jwt.decode_verify", "input.claims"),
        ("io.jwt.decode", "input.claims"),
        ("crypto.md5", "crypto.sha256"),
        ("crypto.x509.parse_certificates", "input.attributes.source"),
        ("yaml.unmarshal", "docs/opa.md"),
        ("custom.func", "docs/opa.md"),
        ("", "docs/opa.md"),
    ] {
        let error = refusal_of(&text(&format!(r#"{{"{name}":0}}"#)));
        let text = error.to_string();
        assert!(matches!(error, ModuleError::Builtin { .. }), "{text}");
        assert!(
            text.contains(&format!("`{name}`")) && text.contains(mend),
            "{text}"
        );
        assert!(given_builtins().all(|given| given != name));
    }
}

#[test]
fn names_that_cannot_be_read_refuse_the_module() {
    for builtins in [
        "",
        "[]",
        "{",
        r#"{"sprintf":"0"}"#,
        r#"{"sprintf":-1}"#,
        r#"{"sprintf":1.5}"#,
        r#"{"sprintf":4294967296}"#,
        r#"{"sprintf":100000}"#,
    ] {
        let error = refusal_of(&text(builtins));
        assert!(
            matches!(error, ModuleError::Start(RegoError::Answer(_))),
            "{builtins}: {error}"
        );
    }
}

#[test]
fn an_entrypoint_has_to_be_there() {
    let module = module_of("{}", Limits::default());
    assert!(module.entrypoints().any(|name| name == "policy/readers"));
    for name in ["", "policy", "policy/reader", "no/such", "policy/readers/"] {
        let error = module.policy(name, &json!({})).map(drop).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("`{name}`")) && text.contains("policy/aborts"),
            "{text}"
        );
    }
}

#[test]
fn a_start_that_does_not_end_refuses_the_module() {
    let text = text("{}");
    let started = text.replace("(func $forever", "(start $forever) (func $forever");
    let mut limits = Limits::default();
    limits.load_time = std::time::Duration::from_millis(20);
    let error = WasmModule::compile(&bytes(&started), limits).map(drop);
    assert_eq!(error, Err(ModuleError::Start(RegoError::Timeout)));
}

#[test]
fn what_opa_makes_no_use_of_is_off() {
    for other in [
        "(module (memory i64 1))",
        "(module (memory 1) (memory 1))",
        "(module (func (result v128) (v128.const i64x2 0 0)))",
        "(module (memory 1 1 shared))",
        "(module (tag))",
        "(module (type (struct)))",
    ] {
        let error = refusal_of(other);
        assert!(matches!(error, ModuleError::Wasm(_)), "{other}: {error}");
    }
}
