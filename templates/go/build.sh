#!/bin/sh
# Makes .build/service.wasm. Go compiles a module that speaks preview 1 of WASI; wasm-tools makes a component of it.
set -eu
mkdir -p .build
# The flag, since `wasi/` reaches into Go's runtime for memory.
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w -checklinkname=0' -o .build/module.wasm .
.venv/bin/wasm-tools component embed wit .build/module.wasm --world service -o .build/embedded.wasm
.venv/bin/wasm-tools component new .build/embedded.wasm --adapt wasi_snapshot_preview1=wasi/preview1.wasm -o .build/service.wasm
