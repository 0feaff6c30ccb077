;; A module with OPA's WebAssembly ABI, by hand: what a host has to bear, in a page of text.
;;
;; Its values are their JSON text, ended by a zero: parsing copies, dumping gives the text back. The heap is a pointer that only
;; goes up. `BUILTINS` is filled in by who reads this file.
(module
  (import "env" "memory" (memory 2))
  (import "env" "opa_abort" (func $abort (param i32)))
  (import "env" "opa_println" (func $println (param i32)))
  (import "env" "opa_builtin0" (func $builtin0 (param i32 i32) (result i32)))
  (import "env" "opa_builtin1" (func $builtin1 (param i32 i32 i32) (result i32)))

  (export "memory" (memory 0))
  (global (export "opa_wasm_abi_version") i32 (i32.const 1))
  (global (export "opa_wasm_abi_minor_version") i32 (i32.const 3))

  (global $heap (mut i32) (i32.const 8192))
  (global $evaluations (mut i32) (i32.const 0))

  ;; What an evaluation is about, as `opa_eval_ctx_*` set it.
  (global $input (mut i32) (i32.const 0))
  (global $data (mut i32) (i32.const 0))
  (global $entrypoint (mut i32) (i32.const 0))
  (global $result (mut i32) (i32.const 0))

  (data (i32.const 16) "BUILTINS\00")
  (data (i32.const 1024) "{\"policy/readers\":0,\"policy/echo\":1,\"policy/data\":2,\"policy/undefined\":3,\"policy/two\":4,\"policy/no_set\":5,\"policy/garbage\":6,\"policy/unended\":7,\"policy/nowhere\":8,\"policy/forever\":9,\"policy/grows\":10,\"policy/deep\":11,\"policy/aborts\":12,\"policy/prints\":13,\"policy/calls\":14,\"policy/calls_wrongly\":15,\"policy/null\":16,\"policy/fails\":17,\"policy/now\":18,\"policy/other_key\":19,\"policy/counts\":20}\00")
  (data (i32.const 2048) "[{\"result\":true}]\00")
  (data (i32.const 2080) "[{\"result\":false}]\00")
  (data (i32.const 2112) "[]\00")
  (data (i32.const 2128) "[{\"result\":true},{\"result\":true}]\00")
  (data (i32.const 2176) "{\"result\":true}\00")
  (data (i32.const 2208) "[{\"result\":\00")
  (data (i32.const 2224) "}]\00")
  (data (i32.const 2240) "policy.rego:7: two rules say otherwise\00")
  (data (i32.const 2304) "\"method\":\"GET\"\00")
  (data (i32.const 2336) "[{\"result\":true,\"allow\":true}]\00")

  (func (export "builtins") (result i32) (i32.const 16))
  (func (export "entrypoints") (result i32) (i32.const 1024))
  (func (export "opa_json_dump") (param i32) (result i32) (local.get 0))
  (func (export "opa_heap_ptr_get") (result i32) (global.get $heap))
  (func (export "opa_heap_ptr_set") (param i32) (global.set $heap (local.get 0)))

  (func $malloc (export "opa_malloc") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap (i32.add (global.get $heap) (local.get $size)))
    (block $enough
      (loop $more
        (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
        (drop (memory.grow (i32.const 1)))
        (br $more)))
    (local.get $at))

  (func (export "opa_free") (param i32))

  (func $parse (export "opa_json_parse") (param $text i32) (param $length i32) (result i32)
    (local $at i32)
    (local.set $at (call $malloc (i32.add (local.get $length) (i32.const 1))))
    (memory.copy (local.get $at) (local.get $text) (local.get $length))
    (i32.store8 (i32.add (local.get $at) (local.get $length)) (i32.const 0))
    (local.get $at))

  (func (export "opa_eval_ctx_new") (result i32) (i32.const 4))
  (func (export "opa_eval_ctx_set_input") (param i32 i32) (global.set $input (local.get 1)))
  (func (export "opa_eval_ctx_set_data") (param i32 i32) (global.set $data (local.get 1)))
  (func (export "opa_eval_ctx_set_entrypoint") (param i32 i32) (global.set $entrypoint (local.get 1)))
  (func (export "opa_eval_ctx_get_result") (param i32) (result i32) (global.get $result))

  (func $length (param $text i32) (result i32)
    (local $at i32)
    (local.set $at (local.get $text))
    (block $end
      (loop $more
        (br_if $end (i32.eqz (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $more)))
    (i32.sub (local.get $at) (local.get $text)))

  ;; Puts a text at the end of what is being written.
  (func $write (param $text i32)
    (local $length i32)
    (local.set $length (call $length (local.get $text)))
    (memory.copy (call $malloc (local.get $length)) (local.get $text) (local.get $length)))

  ;; `[{"result": value}]`
  (func $set_of (param $value i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (call $write (i32.const 2208))
    (call $write (local.get $value))
    (call $write (i32.const 2224))
    (i32.store8 (call $malloc (i32.const 1)) (i32.const 0))
    (local.get $at))

  ;; Whether the input says `"method":"GET"`.
  (func $reads (result i32)
    (local $at i32) (local $same i32)
    (local.set $at (global.get $input))
    (loop $next
      (local.set $same (i32.const 0))
      (loop $compare
        (if (i32.eqz (i32.load8_u (i32.add (i32.const 2304) (local.get $same))))
          (then (return (i32.const 2048))))
        (if (i32.eq (i32.load8_u (i32.add (local.get $at) (local.get $same)))
                    (i32.load8_u (i32.add (i32.const 2304) (local.get $same))))
          (then
            (local.set $same (i32.add (local.get $same) (i32.const 1)))
            (br $compare))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.load8_u (local.get $at))))
    (i32.const 2080))

  (func $forever (loop $again (br $again)))
  (func $grows (loop $again (drop (memory.grow (i32.const 16))) (br $again)))
  (func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))
  ;; Fills all memory from the heap on, so that no text there ends.
  (func $fill
    (memory.fill (global.get $heap) (i32.const 97)
      (i32.sub (i32.mul (memory.size) (i32.const 65536)) (global.get $heap))))

  (func $answer (result i32)
    (block $counts (block $other_key (block $now (block $fails (block $null (block $calls_wrongly (block $calls (block $prints
    (block $aborts (block $deep (block $grows (block $forever (block $nowhere (block $unended (block $garbage
    (block $no_set (block $two (block $undefined (block $data (block $echo (block $readers
      (br_table $readers $echo $data $undefined $two $no_set $garbage $unended $nowhere $forever $grows $deep $aborts
        $prints $calls $calls_wrongly $null $fails $now $other_key $counts (global.get $entrypoint)))
    (return (call $reads)))
    (return (call $set_of (global.get $input))))
    (return (call $set_of (global.get $data))))
    (return (i32.const 2112)))
    (return (i32.const 2128)))
    (return (i32.const 2176)))
    (return (i32.const 2225)))
    (call $fill) (return (global.get $heap)))
    (return (i32.const -16)))
    (call $forever) (return (i32.const 0)))
    (call $grows) (return (i32.const 0)))
    (return (call $deep (i32.const 0))))
    (call $abort (i32.const 2240)) (return (i32.const 2048)))
    (call $println (i32.const 2240)) (return (i32.const 2048)))
    (return (call $set_of (call $builtin1 (i32.const 0) (i32.const 4) (global.get $input)))))
    (return (call $builtin0 (i32.const 7) (i32.const 4))))
    (return (i32.const 0)))
    (return (i32.const 2048)))
    (return (call $set_of (call $builtin0 (i32.const 0) (i32.const 4)))))
    (return (i32.const 2336)))
    ;; Which evaluation of this instance it is, from 1 to 9, once the builtin has answered.
    (drop (call $builtin1 (i32.const 0) (i32.const 4) (global.get $input)))
    (i32.store8 (i32.const 2432) (i32.add (i32.const 48) (global.get $evaluations)))
    (call $set_of (i32.const 2432)))

  ;; All of it in one call, as the ABI has it from 1.2 on.
  (func (export "opa_eval")
    (param $reserved i32) (param $entrypoint i32) (param $data i32)
    (param $input i32) (param $length i32) (param $heap i32) (param $format i32) (result i32)
    (global.set $heap (local.get $heap))
    (global.set $input (call $parse (local.get $input) (local.get $length)))
    (global.set $data (local.get $data))
    (global.set $entrypoint (local.get $entrypoint))
    (if (call $eval (i32.const 4)) (then unreachable))
    (global.get $result))

  (func $eval (export "eval") (param i32) (result i32)
    (global.set $evaluations (i32.add (global.get $evaluations) (i32.const 1)))
    (global.set $result (call $answer))
    ;; `policy/fails`
    (i32.eq (global.get $entrypoint) (i32.const 17))))
