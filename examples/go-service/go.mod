module go-service

go 1.24

require github.com/ztl-rs/ztl/ztl-ffi/go v0.0.0

replace github.com/ztl-rs/ztl/ztl-ffi/go => ../../ztl-ffi/go
