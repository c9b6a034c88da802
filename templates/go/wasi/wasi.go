// Package wasi has requests that come through wasi:http answered by a handler of net/http, and sends others. Nothing here needs an edit.
package wasi

import "net/http"

var handler http.Handler = http.NotFoundHandler()

// Client asks other services: `http://NAME/` is one of this cluster. `sampan.dev/outbound` in the Deployment says which hosts
// may be asked.
var Client = &http.Client{}

// Handle sets what answers requests. Call it in an init function: a component has no main.
func Handle(h http.Handler) {
	handler = h
}
