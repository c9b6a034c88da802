// Package wasi has requests that come through wasi:http answered by a handler of net/http. Nothing here needs an edit.
package wasi

import "net/http"

var handler http.Handler = http.NotFoundHandler()

// Handle sets what answers requests. Call it in an init function: a component has no main.
func Handle(h http.Handler) {
	handler = h
}
