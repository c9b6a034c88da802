// A service that greets. Each request is answered by a fresh instance of it.
package main

import (
	"fmt"
	"net/http"

	"example.com/{{name}}/wasi"
)

// Answers a request.
func answer(response http.ResponseWriter, request *http.Request) {
	// What is printed is in `sampan logs`.
	fmt.Println(request.Method, request.URL.Path)
	fmt.Fprintf(response, "Hello from Go! You asked for %s\n", request.URL.Path)
}

func init() {
	wasi.Handle(http.HandlerFunc(answer))
}

// A component has no main; Go wants one.
func main() {}
