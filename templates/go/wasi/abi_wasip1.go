package wasi

import "unsafe"

// The functions of WASI that are called here, as the canonical ABI has them: resources are numbers, and what is larger than a
// number is written to where the last argument points.

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-request.method
func requestMethod(request int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-request.path-with-query
func requestPath(request int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-request.authority
func requestAuthority(request int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-request.headers
func requestHeaders(request int32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-request.consume
func requestConsume(request int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [constructor]outgoing-request
func newRequest(fields int32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-method
func requestSetMethod(request int32, method int32, other unsafe.Pointer, length uint32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-scheme
func requestSetScheme(request int32, isSome int32, scheme int32, other unsafe.Pointer, length uint32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-authority
func requestSetAuthority(request int32, isSome int32, text unsafe.Pointer, length uint32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-path-with-query
func requestSetPath(request int32, isSome int32, text unsafe.Pointer, length uint32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.body
func requestBody(request int32, result unsafe.Pointer)

//go:wasmimport wasi:http/outgoing-handler@0.2.12 handle
func sendRequest(request int32, hasOptions int32, options int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [method]future-incoming-response.subscribe
func futureSubscribe(future int32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]future-incoming-response.get
func futureGet(future int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]future-incoming-response
func dropFuture(future int32)

//go:wasmimport wasi:io/poll@0.2.12 [method]pollable.block
func pollableBlock(pollable int32)

//go:wasmimport wasi:io/poll@0.2.12 [resource-drop]pollable
func dropPollable(pollable int32)

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-response.status
func responseStatus(response int32) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-response.headers
func responseHeaders(response int32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-response.consume
func responseConsume(response int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]incoming-response
func dropResponse(response int32)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]incoming-request
func dropRequest(request int32)

//go:wasmimport wasi:http/types@0.2.12 [method]fields.entries
func fieldsEntries(fields int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [static]fields.from-list
func fieldsFromList(entries unsafe.Pointer, length uint32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]fields
func dropFields(fields int32)

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-body.stream
func incomingBodyStream(body int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]incoming-body
func dropIncomingBody(body int32)

//go:wasmimport wasi:http/types@0.2.12 [constructor]outgoing-response
func newResponse(fields int32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-response.set-status-code
func setStatusCode(response int32, status uint32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-response.body
func responseBody(response int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-body.write
func bodyWrite(body int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [static]outgoing-body.finish
func bodyFinish(body int32, hasTrailers int32, trailers int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [static]response-outparam.set
func outparamSet(out int32, isError int32, response int32, a int32, b int64, c int32, d int32, e int32, f int32)

//go:wasmimport wasi:io/streams@0.2.12 [method]input-stream.blocking-read
func streamRead(stream int32, length uint64, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [resource-drop]input-stream
func dropInput(stream int32)

//go:wasmimport wasi:io/streams@0.2.12 [method]output-stream.blocking-write-and-flush
func streamWrite(stream int32, bytes unsafe.Pointer, length uint32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [resource-drop]output-stream
func dropOutput(stream int32)

//go:wasmimport wasi:io/error@0.2.12 [resource-drop]error
func dropError(err int32)

// What a function answers: a tag, and words that the function gives a meaning to. Errors of HTTP are the largest.
type result struct {
	_     [0]uint64 // its alignment
	tag   uint8
	words [15]uint32
}

// A string or a list: the addresses of components have 32 bits, while a pointer of Go has 64.
type slice struct {
	at     uint32
	length uint32
}

func (s slice) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(s.at))), s.length)
}

func (s slice) String() string {
	return string(s.bytes())
}

// The string or list that begins at the word of this number.
func (r *result) slice(word int) slice {
	return slice{r.words[word], r.words[word+1]}
}

// Who passes this to the host keeps the bytes until then.
func sliceOf(bytes []byte) slice {
	return slice{uint32(uintptr(unsafe.Pointer(unsafe.SliceData(bytes)))), uint32(len(bytes))}
}

// What the host has written here for the call at hand, so that it is kept.
var written [][]uint64

var isStarted bool

func init() {
	isStarted = true
}

// Where the host writes strings and lists. What translates WASI of preview 1 asks before Go has memory, and once.
//
//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldBytes, align, bytes uintptr) unsafe.Pointer {
	if !isStarted {
		const page = 65536
		return sbrk((bytes + page - 1) / page * page)
	}
	words := make([]uint64, (bytes+7)/8+1)
	written = append(written, words)
	return unsafe.Pointer(unsafe.SliceData(words))
}

//go:linkname sbrk runtime.sbrk
func sbrk(bytes uintptr) unsafe.Pointer
