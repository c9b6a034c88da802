package main

import (
	"net/http/httptest"
	"testing"
)

func TestTheGreetingNamesThePath(t *testing.T) {
	response := httptest.NewRecorder()
	answer(response, httptest.NewRequest("GET", "/world", nil))
	if want := "Hello from Go! You asked for /world\n"; response.Body.String() != want {
		t.Errorf("it says %q, not %q", response.Body.String(), want)
	}
}
