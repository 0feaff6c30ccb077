//go:build !cgo

package ztl

// The C library is called through cgo. Build with CGO_ENABLED=1 and a C compiler.
var _ = ztl_needs_cgo__build_with_CGO_ENABLED_1_and_a_C_compiler
