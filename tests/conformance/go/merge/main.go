// Tells stories of managers that apply and update one object, with what Kubernetes' library makes of each step, a line of JSON for
// each story: `go run . SEED COUNT`.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strconv"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/merge"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// The same as in kube-api/tests/merge.rs, as this library writes schemas.
const schema = `types:
- name: thing
  map:
    fields:
    - {name: number, type: {scalar: numeric}}
    - {name: text, type: {scalar: string}}
    - {name: labels, type: {map: {elementType: {scalar: string}}}}
    - {name: chosen, type: {map: {elementType: {scalar: string}, elementRelationship: atomic}}}
    - {name: inner, type: {namedType: inner}}
    - {name: names, type: {list: {elementType: {scalar: string}, elementRelationship: associative}}}
    - {name: order, type: {list: {elementType: {scalar: string}, elementRelationship: atomic}}}
    - {name: parts, type: {list: {elementType: {namedType: part}, elementRelationship: associative, keys: [name, kind]}}}
- name: inner
  map:
    fields:
    - {name: a, type: {scalar: string}}
    - {name: b, type: {scalar: numeric}}
    - {name: deep, type: {map: {elementType: {scalar: string}}}}
- name: part
  map:
    fields:
    - {name: name, type: {scalar: string}, default: ""}
    - {name: kind, type: {scalar: string}, default: x}
    - {name: value, type: {scalar: numeric}}
    - {name: names, type: {list: {elementType: {scalar: string}, elementRelationship: associative}}}
    - {name: inner, type: {namedType: inner}}
`

const version = "v1"

type converter struct{}

func (converter) Convert(object *typed.TypedValue, _ fieldpath.APIVersion) (*typed.TypedValue, error) {
	return object, nil
}
func (converter) IsMissingVersionError(error) bool { return false }

type step struct {
	Apply     bool                       `json:"apply"`
	Manager   string                     `json:"manager"`
	Force     bool                       `json:"force"`
	Object    any                        `json:"object"`
	Becomes   any                        `json:"becomes,omitempty"`
	Owners    map[string]json.RawMessage `json:"owners,omitempty"`
	Conflicts []string                   `json:"conflicts,omitempty"`
}

type source struct{ *rand.Rand }

func (r source) some() bool         { return r.Intn(2) == 0 }
func (r source) word(of int) string { return string(rune('a' + r.Intn(of))) }

func (r source) words() map[string]any {
	words := map[string]any{}
	for range r.Intn(3) {
		words[r.word(4)] = r.word(3)
	}
	return words
}

func (r source) list(of int) []any {
	list := []any{}
	for _, at := range r.Perm(of)[:r.Intn(of+1)] {
		list = append(list, string(rune('a'+at)))
	}
	return list
}

func (r source) inner() map[string]any {
	inner := map[string]any{}
	if r.some() {
		inner["a"] = r.word(3)
	}
	if r.some() {
		inner["b"] = int64(r.Intn(3))
	}
	if r.some() {
		inner["deep"] = r.words()
	}
	return inner
}

func (r source) parts() []any {
	parts := []any{}
	for _, at := range r.Perm(4)[:r.Intn(4)] {
		part := map[string]any{"name": string(rune('a' + at))}
		if r.Intn(3) == 0 {
			part["kind"] = []string{"x", "y"}[r.Intn(2)]
		}
		if r.some() {
			part["value"] = int64(r.Intn(3))
		}
		if r.some() {
			part["names"] = r.list(3)
		}
		if r.some() {
			part["inner"] = r.inner()
		}
		parts = append(parts, part)
	}
	return parts
}

func (r source) thing() map[string]any {
	thing := map[string]any{}
	fields := map[string]func() any{
		"number": func() any { return int64(r.Intn(4)) }, "text": func() any { return r.word(3) },
		"labels": func() any { return r.words() }, "chosen": func() any { return r.words() },
		"inner": func() any { return r.inner() }, "names": func() any { return r.list(4) },
		"order": func() any { return r.list(3) }, "parts": func() any { return r.parts() },
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if r.Intn(5) < 2 {
			thing[name] = fields[name]()
		}
	}
	return thing
}

// What somebody makes of an object: some of its fields are others.
func (r source) changed(live map[string]any) map[string]any {
	changed := map[string]any{}
	for name, value := range live {
		changed[name] = value
	}
	other := r.thing()
	for name := range other {
		changed[name] = other[name]
	}
	if r.some() {
		for name := range live {
			if r.Intn(4) == 0 {
				delete(changed, name)
			}
		}
	}
	return changed
}

// What Kubernetes makes of nulls when it reads an object into its types.
func withoutNulls(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, of := range value {
			if of == nil {
				delete(value, name)
			} else {
				value[name] = withoutNulls(of)
			}
		}
	case []any:
		for at, of := range value {
			value[at] = withoutNulls(of)
		}
	}
	return value
}

func story(r source) ([]step, error) {
	parser, err := typed.NewParser(schema)
	if err != nil {
		return nil, err
	}
	kind := parser.Type("thing")
	updater := (&merge.UpdaterBuilder{Converter: converter{}}).BuildUpdater()
	live := map[string]any{}
	managers := fieldpath.ManagedFields{}
	var steps []step
	for range 2 + r.Intn(7) {
		if len(steps) > 0 && len(managers) == 0 {
			return steps, nil
		}
		now := step{Apply: r.Intn(3) > 0, Force: r.Intn(3) == 0}
		before, err := kind.FromUnstructured(live, typed.AllowDuplicates)
		if err != nil {
			return nil, err
		}
		if now.Apply {
			now.Manager = "applier-" + strconv.Itoa(r.Intn(3))
			object := r.thing()
			now.Object = object
			applied, err := kind.FromUnstructured(object)
			if err != nil {
				return nil, err
			}
			after, owners, err := updater.Apply(before, applied, version, managers.Copy(), now.Manager, now.Force)
			if conflicts, ok := err.(merge.Conflicts); ok {
				for _, conflict := range conflicts {
					now.Conflicts = append(now.Conflicts, conflict.Manager+" "+conflict.Path.String())
				}
				sort.Strings(now.Conflicts)
				steps = append(steps, now)
				continue
			} else if err != nil {
				return nil, err
			}
			managers = owners
			if after != nil {
				live, _ = withoutNulls(after.AsValue().Unstructured()).(map[string]any)
				if live == nil {
					live = map[string]any{}
				}
			}
		} else {
			now.Manager = "writer-" + strconv.Itoa(r.Intn(2))
			object := r.changed(live)
			now.Object = object
			after, err := kind.FromUnstructured(object, typed.AllowDuplicates)
			if err != nil {
				return nil, err
			}
			_, owners, err := updater.Update(before, after, version, managers.Copy(), now.Manager)
			if err != nil {
				return nil, err
			}
			managers, live = owners, object
		}
		for manager, set := range managers {
			if set.Set().Empty() {
				delete(managers, manager)
			}
		}
		now.Becomes = live
		now.Owners = map[string]json.RawMessage{}
		for manager, set := range managers {
			text, err := set.Set().ToJSON()
			if err != nil {
				return nil, err
			}
			now.Owners[manager] = text
		}
		steps = append(steps, now)
	}
	return steps, nil
}

func main() {
	seed, _ := strconv.ParseInt(os.Args[1], 10, 64)
	count, _ := strconv.Atoi(os.Args[2])
	for number := range count {
		steps, err := story(source{rand.New(rand.NewSource(seed + int64(number)))})
		if err != nil {
			fmt.Fprintln(os.Stderr, "story", seed+int64(number), err)
			os.Exit(1)
		}
		line, err := json.Marshal(steps)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(string(line))
	}
}
