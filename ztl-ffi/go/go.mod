module github.com/ztl-rs/ztl/ztl-ffi/go

go 1.24
