package wasi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"unsafe"
)

func init() {
	Client.Transport = transport{}
}

// Sends requests through wasi:http, one after the other.
type transport struct{}

func (transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		defer request.Body.Close()
	}
	outgoing := newRequest(fieldsOf(request.Header))
	setMethod(outgoing, request.Method)
	isHTTPS := int32(0)
	if request.URL.Scheme == "https" {
		isHTTPS = 1
	}
	requestSetScheme(outgoing, 1, isHTTPS, nil, 0)
	host := request.Host
	if host == "" {
		host = request.URL.Host
	}
	requestSetAuthority(outgoing, 1, unsafe.Pointer(unsafe.StringData(host)), uint32(len(host)))
	path := request.URL.RequestURI()
	requestSetPath(outgoing, 1, unsafe.Pointer(unsafe.StringData(path)), uint32(len(path)))
	var r result
	requestBody(outgoing, unsafe.Pointer(&r))
	sent := int32(r.words[0])
	// What follows the tag is a handle or the code of an error, whose alignment is that of a number of 64 bits.
	if sendRequest(outgoing, 0, 0, unsafe.Pointer(&r)); r.tag != 0 {
		return nil, fmt.Errorf("the request is not allowed or cannot be sent: error %d of wasi:http", uint8(r.words[1]))
	}
	coming := int32(r.words[1])
	defer dropFuture(coming)
	if err := send(sent, request.Body); err != nil {
		return nil, err
	}
	ready := futureSubscribe(coming)
	pollableBlock(ready)
	dropPollable(ready)
	// It is there, it is taken for the first time, and it is an answer: each has a tag of its own, in eight bytes.
	if futureGet(coming, unsafe.Pointer(&r)); uint8(r.words[3]) != 0 {
		return nil, fmt.Errorf("no answer: error %d of wasi:http", uint8(r.words[5]))
	}
	return receive(int32(r.words[5]), request), nil
}

func setMethod(outgoing int32, method string) {
	for tag, known := range methods {
		if method == known {
			requestSetMethod(outgoing, int32(tag), nil, 0)
			return
		}
	}
	requestSetMethod(outgoing, int32(len(methods)), unsafe.Pointer(unsafe.StringData(method)), uint32(len(method)))
}

func fieldsOf(header http.Header) int32 {
	entries := make([][2]slice, 0, len(header))
	var kept [][]byte
	for name, values := range header {
		for _, value := range values {
			key, value := []byte(strings.ToLower(name)), []byte(value)
			kept = append(kept, key, value)
			entries = append(entries, [2]slice{sliceOf(key), sliceOf(value)})
		}
	}
	var r result
	fieldsFromList(unsafe.Pointer(unsafe.SliceData(entries)), uint32(len(entries)), unsafe.Pointer(&r))
	runtime.KeepAlive(kept)
	if r.tag != 0 {
		panic("a header cannot be sent")
	}
	return int32(r.words[0])
}

// Sends a body. Who answers without reading it to its end has closed it: that is no error.
func send(sent int32, body io.Reader) error {
	var r result
	bodyWrite(sent, unsafe.Pointer(&r))
	stream := int32(r.words[0])
	var err error
	if body != nil {
		_, err = io.Copy(outputStream(stream), body)
	}
	dropOutput(stream)
	bodyFinish(sent, 0, 0, unsafe.Pointer(&r))
	if errors.Is(err, errClosed) {
		return nil
	}
	return err
}

func receive(incoming int32, request *http.Request) *http.Response {
	status := int(responseStatus(incoming))
	response := &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: headerOf(responseHeaders(incoming)), ContentLength: -1, Request: request,
	}
	body := &body{}
	var r result
	if responseConsume(incoming, unsafe.Pointer(&r)); r.tag == 0 {
		body.incoming = int32(r.words[0])
		incomingBodyStream(body.incoming, unsafe.Pointer(&r))
		body.stream = int32(r.words[0])
	}
	body.of = incoming
	response.Body = body
	return response
}

var errClosed = errors.New("who reads it has gone")

// Takes what is written to it, a chunk at a time.
type outputStream int32

func (stream outputStream) Write(bytes []byte) (int, error) {
	count := 0
	for count < len(bytes) {
		chunk := bytes[count:min(count+chunkBytes, len(bytes))]
		var r result
		streamWrite(int32(stream), unsafe.Pointer(unsafe.SliceData(chunk)), uint32(len(chunk)), unsafe.Pointer(&r))
		if r.tag != 0 {
			if err := streamError(&r); err != nil {
				return count, err
			}
			return count, errClosed
		}
		count += len(chunk)
	}
	return count, nil
}
