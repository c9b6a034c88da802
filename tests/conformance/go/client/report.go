package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// The outcome of each operation, by its name: null if it passed, else in what it failed.
var outcomes = map[string]*string{}

func attempt(name string, operation func() error) {
	defer func() {
		if failure := recover(); failure != nil {
			said := fmt.Sprint("panic: ", failure)
			outcomes[name] = &said
		}
	}()
	outcomes[name] = nil
	if err := operation(); err != nil {
		said := err.Error()
		outcomes[name] = &said
	}
}

func printOutcomes() {
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		panic(err)
	}
}

func must(holds bool, what any) error {
	if holds {
		return nil
	}
	return fmt.Errorf("not as expected: %v", what)
}

// The first error of several, with what comes before it done.
func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Waits until something holds.
func until(what string, holds func() bool) error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return nil
		}
	}
	return errors.New("in 20 s not: " + what)
}
