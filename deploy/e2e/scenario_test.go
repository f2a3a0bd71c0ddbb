package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cidsistem.example/proto/catalog"
	"go.yaml.in/yaml/v3"
)

// A scenario is a list of steps that a server of the contract must take, over
// any transport.
type scenario struct {
	Name string `yaml:"scenario"`
	// Each "kind" runs the scenario for every kind of record that can be created.
	Each string `yaml:"each"`
	// Over limits it to some of the runs, by name; empty: all of them.
	Over []string `yaml:"over"`
	// Vars are set before the first step.
	Vars  map[string]any `yaml:"vars"`
	Steps []step         `yaml:"steps"`
}

// A step is one call and what is wanted of it.
type step struct {
	Call    string `yaml:"call"`
	Request any    `yaml:"request"`
	// Content is what a file upload sends.
	Content string `yaml:"content"`

	Want     any               `yaml:"want"`
	WantMeta map[string]string `yaml:"wantMeta"`

	WantReason   string   `yaml:"wantReason"`
	WantCode     string   `yaml:"wantCode"`
	WantHTTP     int      `yaml:"wantHTTP"`
	WantFields   []string `yaml:"wantFields"`
	WantBlockers []string `yaml:"wantBlockers"`

	// Eventually repeats a read until it is as wanted.
	Eventually bool `yaml:"eventually"`
	// Save keeps parts of the answer: variable to path.
	Save map[string]string `yaml:"save"`
}

// readYAML reads a file strictly.
func readYAML(path string, into any) error {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// An example is the least that a record of a kind needs, and the steps that must
// come before.
type example struct {
	Given  []step         `yaml:"given"`
	Parent string         `yaml:"parent"`
	Record map[string]any `yaml:"record"`
}

// examples has one for each kind.
func examples(t *testing.T) map[string]example {
	t.Helper()
	all := map[string]example{}
	if err := readYAML(filepath.Join("acceptance", "records.yaml"), &all); err != nil {
		t.Fatal(err)
	}
	for _, kind := range catalog.Kinds() {
		if _, there := all[kind.Collection]; !there && !kind.Singleton {
			t.Errorf("records.yaml has no example of the %s: every kind must prove its life", kind.Collection)
		}
	}
	return all
}

// A run is one pass of the scenarios over one transport.
type run struct {
	name      string
	comune    string
	transport transport
	vars      variables
	failed    func(format string, args ...any) // ends the scenario
}

// play runs the steps of a scenario.
func (r *run) play(ctx context.Context, steps []step) {
	for i, s := range steps {
		if err := r.take(ctx, s); err != nil {
			r.failed("step %d, %s: %v", i+1, s.Call, err)
		}
	}
}

// take makes the call of a step and compares.
func (r *run) take(ctx context.Context, s step) error {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	err := r.try(ctx, s)
	if err == nil || !s.Eventually {
		return err
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err = r.try(ctx, s); err == nil {
				return nil
			}
		case <-deadline.C:
			return fmt.Errorf("not within %s: %w", patience, err)
		}
	}
}

func (r *run) try(ctx context.Context, s step) error {
	call, err := r.vars.expandText(s.Call)
	if err != nil {
		return err
	}
	m, err := methodOf(call)
	if err != nil {
		return err
	}
	document, err := r.vars.expand(s.Request)
	if err != nil {
		return err
	}
	request, err := m.request(document)
	if err != nil {
		return err
	}
	content, err := r.vars.expandText(s.Content)
	if err != nil {
		return err
	}
	got, err := r.transport.call(ctx, m, request, []byte(content))
	if err != nil {
		return err
	}
	if s.WantReason != "" || got.failure != nil {
		return r.compareFailure(m, s, got)
	}
	if err := covered(m, got); err != nil {
		return err
	}
	return r.compare(s, got)
}

// covered checks that an answer says how complete and fresh it is.
func covered(m method, got answer) error {
	if m.output.Descriptor().Fields().ByName("coverage") != nil {
		if problems := match("coverage", []any{map[string]any{"comune": "<any>", "state": "<any>"}}, firstOf(got.body, "coverage")); len(problems) > 0 {
			return fmt.Errorf("the answer does not say what it covers: %s", strings.Join(problems, "; "))
		}
	}
	if catalog.Of(m.output.New().Interface()) != nil && strings.HasPrefix(string(m.descriptor.Name()), "Get") {
		if got.meta["cid-coverage"] == "" || got.meta["cid-as-of"] == "" {
			return fmt.Errorf("the answer does not say how fresh it is: %v", got.meta)
		}
	}
	return nil
}

// firstOf is a list with the first element only of a list in a document.
func firstOf(document any, name string) any {
	object, _ := document.(map[string]any)
	list, _ := object[name].([]any)
	return list[:min(1, len(list))]
}

func (r *run) compare(s step, got answer) error {
	want, err := r.vars.expand(s.Want)
	if err != nil {
		return err
	}
	var problems []string
	if s.Want != nil {
		problems = match("", want, got.body)
	}
	for name, pattern := range s.WantMeta {
		expanded, err := r.vars.expandText(pattern)
		if err != nil {
			return err
		}
		var have any
		if text, there := got.meta[name]; there {
			have = text
		}
		problems = append(problems, match(name, expanded, have)...)
	}
	if len(problems) > 0 {
		text, _ := json.MarshalIndent(got.body, "", "  ")
		return fmt.Errorf("%s\nthe answer was %s", strings.Join(problems, "\n"), text)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Save)) {
		value := find(got.body, s.Save[name])
		if value == nil {
			return fmt.Errorf("save %s: the answer has no %s", name, s.Save[name])
		}
		r.vars[name] = value
	}
	return nil
}

// find follows a path of names in a document.
func find(document any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		object, _ := document.(map[string]any)
		document = object[name]
	}
	return document
}

func (r *run) compareFailure(m method, s step, got answer) error {
	if got.failure == nil {
		return fmt.Errorf("succeeded, want %s: %v", s.WantReason, got.body)
	}
	if s.WantReason == "" {
		return fmt.Errorf("failed: %+v", *got.failure)
	}
	want := r.transport.expect(m, expectation{reason: s.WantReason, code: s.WantCode, http: s.WantHTTP, fields: r.expandAll(s.WantFields)})
	return got.failure.compare(want, r.expandAll(s.WantBlockers))
}

func (r *run) expandAll(texts []string) []string {
	var all []string
	for _, text := range texts {
		expanded, err := r.vars.expandText(text)
		if err != nil {
			expanded = err.Error()
		}
		all = append(all, expanded)
	}
	return all
}

// compare tells how a failure differs from the one that is wanted.
func (f *failure) compare(want expectation, blockers []string) error {
	switch {
	case f.reason != want.reason:
		return fmt.Errorf("reason %s, want %s: %+v", f.reason, want.reason, *f)
	case want.code != "" && f.code != "" && f.code != want.code:
		return fmt.Errorf("code %s, want %s: %+v", f.code, want.code, *f)
	case want.http != 0 && f.http != 0 && f.http != want.http:
		return fmt.Errorf("status %d, want %d: %+v", f.http, want.http, *f)
	case want.fields != nil && !slices.Equal(f.fields, want.fields):
		return fmt.Errorf("fields %q, want %q: %+v", f.fields, want.fields, *f)
	case blockers != nil && !slices.Equal(f.blockers, blockers):
		return fmt.Errorf("blockers %q, want %q: %+v", f.blockers, blockers, *f)
	}
	return nil
}
