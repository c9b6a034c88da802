package wasi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"unsafe"
)

// A stream takes so many bytes at once.
const chunkBytes = 4096

var methods = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

//go:wasmexport wasi:http/incoming-handler@0.2.12#handle
func handle(incoming int32, out int32) {
	request := read(incoming)
	writer := &responseWriter{out: out, header: http.Header{}}
	serve(writer, request)
	request.Body.Close()
	dropRequest(incoming)
	writer.finish()
	written = nil
}

func serve(writer *responseWriter, request *http.Request) {
	defer func() {
		if reason := recover(); reason != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n%s", reason, debug.Stack())
			if writer.isBegun {
				panic(reason)
			}
			http.Error(writer, "the service panicked", http.StatusInternalServerError)
		}
	}()
	handler.ServeHTTP(writer, request)
}

func read(incoming int32) *http.Request {
	var r result
	requestMethod(incoming, unsafe.Pointer(&r))
	method := ""
	if int(r.tag) < len(methods) {
		method = methods[r.tag]
	} else {
		method = r.slice(0).String()
	}
	path, host := "/", "localhost"
	if requestPath(incoming, unsafe.Pointer(&r)); r.tag == 1 {
		path = r.slice(0).String()
	}
	if requestAuthority(incoming, unsafe.Pointer(&r)); r.tag == 1 {
		host = r.slice(0).String()
	}
	body := &body{}
	if requestConsume(incoming, unsafe.Pointer(&r)); r.tag == 0 {
		body.incoming = int32(r.words[0])
		incomingBodyStream(body.incoming, unsafe.Pointer(&r))
		body.stream = int32(r.words[0])
	}
	request, err := http.NewRequest(method, "http://"+host+path, body)
	if err != nil {
		panic(err)
	}
	request.RequestURI = path
	request.Header = headerOf(requestHeaders(incoming))
	return request
}

// Reads fields, and drops them.
func headerOf(fields int32) http.Header {
	var r result
	fieldsEntries(fields, unsafe.Pointer(&r))
	// It has no tag, so the list begins where that is.
	list := *(*slice)(unsafe.Pointer(&r))
	header := http.Header{}
	for _, entry := range unsafe.Slice((*[2]slice)(unsafe.Pointer(uintptr(list.at))), list.length) {
		header.Add(entry[0].String(), entry[1].String())
	}
	dropFields(fields)
	return header
}

// The body of a request, or of the response `of`, which is dropped with it.
type body struct {
	incoming, stream int32
	of               int32
	left             []byte
	isClosed         bool
}

func (b *body) Read(buffer []byte) (int, error) {
	if b.isClosed || b.incoming == 0 {
		return 0, io.EOF
	}
	if len(b.left) == 0 {
		var r result
		streamRead(b.stream, chunkBytes, unsafe.Pointer(&r))
		if r.tag == 0 {
			b.left = r.slice(0).bytes()
		} else if err := streamError(&r); err == nil {
			return 0, io.EOF
		} else {
			return 0, err
		}
	}
	count := copy(buffer, b.left)
	b.left = b.left[count:]
	return count, nil
}

func (b *body) Close() error {
	if !b.isClosed && b.incoming != 0 {
		dropInput(b.stream)
		dropIncomingBody(b.incoming)
	}
	if !b.isClosed && b.of != 0 {
		dropResponse(b.of)
	}
	b.isClosed = true
	return nil
}

// The error of a stream, or nil where it has ended.
func streamError(r *result) error {
	if uint8(r.words[0]) == 1 {
		return nil
	}
	dropError(int32(r.words[1]))
	return errors.New("the stream failed")
}

type responseWriter struct {
	out, body, stream int32
	header            http.Header
	isBegun           bool
}

func (w *responseWriter) Header() http.Header { return w.header }

// Flush does nothing: all that is written is on its way.
func (w *responseWriter) Flush() {}

func (w *responseWriter) WriteHeader(status int) {
	if w.isBegun || status < 200 {
		return
	}
	w.isBegun = true
	response := newResponse(fieldsOf(w.header))
	setStatusCode(response, uint32(status))
	var r result
	responseBody(response, unsafe.Pointer(&r))
	w.body = int32(r.words[0])
	outparamSet(w.out, 0, response, 0, 0, 0, 0, 0, 0)
	bodyWrite(w.body, unsafe.Pointer(&r))
	w.stream = int32(r.words[0])
}

func (w *responseWriter) Write(bytes []byte) (int, error) {
	if !w.isBegun {
		if w.header.Get("Content-Type") == "" {
			w.header.Set("Content-Type", http.DetectContentType(bytes))
		}
		w.WriteHeader(http.StatusOK)
	}
	return outputStream(w.stream).Write(bytes)
}

func (w *responseWriter) finish() {
	w.WriteHeader(http.StatusOK)
	dropOutput(w.stream)
	var r result
	bodyFinish(w.body, 0, 0, unsafe.Pointer(&r))
}
