// Hello, of `wasi:http/incoming-handler`, with the few functions that it needs bound by hand.
package main

import (
	"runtime"
	"unsafe"
)

//go:wasmimport wasi:http/types@0.2.12 [constructor]fields
func newFields() int32

//go:wasmimport wasi:http/types@0.2.12 [constructor]outgoing-response
func newResponse(headers int32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-response.body
func responseBody(response int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-body.write
func bodyWrite(body int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [static]outgoing-body.finish
func finish(body int32, hasTrailers int32, trailers int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [static]response-outparam.set
func set(outparam int32, isErr int32, response int32, a int32, b int64, c int32, d int32, e int32, f int32)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]incoming-request
func dropRequest(request int32)

//go:wasmimport wasi:io/streams@0.2.12 [method]output-stream.blocking-write-and-flush
func write(stream int32, bytes unsafe.Pointer, length uint32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [resource-drop]output-stream
func dropStream(stream int32)

// What a function of an import answers by a pointer: a tag, then a handle or an error.
type result struct {
	tag    uint32
	handle int32
	rest   [6]uint64
}

//go:wasmexport wasi:http/incoming-handler@0.2.12#handle
func handle(request int32, outparam int32) {
	dropRequest(request)
	response := newResponse(newFields())
	answer := new(result)
	var pinned runtime.Pinner
	pinned.Pin(answer)
	defer pinned.Unpin()
	responseBody(response, unsafe.Pointer(answer))
	body := answer.handle
	set(outparam, 0, response, 0, 0, 0, 0, 0, 0)
	bodyWrite(body, unsafe.Pointer(answer))
	stream := answer.handle
	text := []byte("Hello from Go!\n")
	pinned.Pin(&text[0])
	write(stream, unsafe.Pointer(&text[0]), uint32(len(text)), unsafe.Pointer(answer))
	dropStream(stream)
	finish(body, 0, 0, unsafe.Pointer(answer))
}

// The adapter of preview 1 asks for memory before Go's allocator is there, and once.
//
//go:linkname sbrk runtime.sbrk
func sbrk(bytes uintptr) unsafe.Pointer

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldBytes, align, bytes uintptr) unsafe.Pointer {
	const page = 65536
	return sbrk((bytes + page - 1) / page * page)
}

func main() {}
