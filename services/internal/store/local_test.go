package store_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cidsistem.example/services/internal/store"
)

func localKey(area, id string) store.LocalKey { return store.LocalKey{Area: area, ID: id} }

func local(area, id, value string) store.LocalPut {
	return store.LocalPut{Key: localKey(area, id), Value: []byte(value)}
}

// walked are the entries of an area after an id, or of all areas after a key.
func walked(t failer, s *store.Store, area, after string) []string {
	t.Helper()
	var found []string
	must(t, s.View(func(r store.Reader) error {
		for key, value := range r.LocalEntries(area, after) {
			found = append(found, key.Area+"/"+key.ID+"="+string(value))
		}
		return nil
	}))
	return found
}

func walkedAll(t failer, s *store.Store, after store.LocalKey) []string {
	t.Helper()
	var found []string
	must(t, s.View(func(r store.Reader) error {
		for key, value := range r.AllLocalEntries(after) {
			found = append(found, key.Area+"/"+key.ID+"="+string(value))
		}
		return nil
	}))
	return found
}

func TestLocalEntries(t *testing.T) {
	s := marsala(t, newClock())
	put := func(puts ...store.LocalPut) {
		t.Helper()
		_, err := commit(t, s, store.Request{}, store.Outcome{Local: puts})
		must(t, err)
	}
	put(local("b", "2", "two"), local("b", "1", "one"), local("a", "9", "nine"), local("bb", "1", "other"), local("b", "10", "ten"))
	for _, test := range []struct {
		area, after string
		want        []string
	}{
		{"b", "", []string{"b/1=one", "b/10=ten", "b/2=two"}},
		{"b", "1", []string{"b/10=ten", "b/2=two"}},
		{"b", "11", []string{"b/2=two"}}, // one that is not there
		{"b", "2", nil},
		{"bb", "", []string{"bb/1=other"}},
		{"c", "", nil},
	} {
		if got := walked(t, s, test.area, test.after); !slices.Equal(got, test.want) {
			t.Errorf("in %s after %q: %v, want %v", test.area, test.after, got, test.want)
		}
	}
	all := []string{"a/9=nine", "b/1=one", "b/10=ten", "b/2=two", "bb/1=other"}
	if got := walkedAll(t, s, store.LocalKey{}); !slices.Equal(got, all) {
		t.Errorf("all are %v", got)
	}
	if got := walkedAll(t, s, localKey("b", "10")); !slices.Equal(got, all[3:]) {
		t.Errorf("after b/10 are %v", got)
	}
	must(t, s.View(func(r store.Reader) error {
		if b, c := r.LocalBytes("b"), r.LocalBytes("c"); b != 9 || c != 0 {
			t.Errorf("b has %d bytes, c has %d", b, c)
		}
		return nil
	}))
	put(local("b", "1", "anew"), store.LocalPut{Key: localKey("b", "2")}, store.LocalPut{Key: localKey("b", "none")})
	if got := walked(t, s, "b", ""); !slices.Equal(got, []string{"b/1=anew", "b/10=ten"}) {
		t.Errorf("in b are %v", got)
	}
	must(t, s.View(func(r store.Reader) error {
		value := r.Local(localKey("b", "1"))
		value[0] = 'X' // a copy
		if got := string(r.Local(localKey("b", "1"))); got != "anew" {
			t.Errorf("b/1 is %q", got)
		}
		if got := r.Local(localKey("b", "2")); got != nil {
			t.Errorf("b/2 is %q", got)
		}
		return nil
	}))
}

// Local data are no part of the feed: no revision, no snapshot, nothing.
func TestLocalEntriesDoNotTravel(t *testing.T) {
	s := marsala(t, newClock())
	write(t, s, service("s-1"))
	before := s.Head()
	_, err := commit(t, s, store.Request{}, store.Outcome{Local: []store.LocalPut{local("accounts", "a1", "the-secret")}})
	must(t, err)
	if !s.Head().Equal(before) {
		t.Errorf("the feed moved from %s to %s", before, s.Head())
	}
	if where := mentions(t, s, "the-secret"); where != "" {
		t.Errorf("%s has a local entry", where)
	}
	sound(t, s)
}

// Whatever is put and removed, what is read is what was written last.
func TestLocalEntriesAreWhatWasWritten(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "aa", "ab", "b", "a-1"})
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		s := scratch(t, "marsala", "marsala", c)
		want := map[store.LocalKey]string{}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				var puts []store.LocalPut
				for range rapid.IntRange(1, 4).Draw(t, "puts") {
					key := localKey(part.Draw(t, "area"), part.Draw(t, "id"))
					if rapid.Bool().Draw(t, "remove") {
						puts = append(puts, store.LocalPut{Key: key})
						delete(want, key)
						continue
					}
					want[key] = fmt.Sprint(rapid.IntRange(0, 99).Draw(t, "value"))
					puts = append(puts, store.LocalPut{Key: key, Value: []byte(want[key])})
				}
				_, err := s.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
					return store.Outcome{Local: puts}, nil
				})
				must(t, err)
			},
			"": func(t *rapid.T) {
				keys := slices.SortedFunc(maps.Keys(want), func(a, b store.LocalKey) int {
					return strings.Compare(a.Area+"\x00"+a.ID, b.Area+"\x00"+b.ID)
				})
				var lines []string
				for _, key := range keys {
					lines = append(lines, key.Area+"/"+key.ID+"="+want[key])
				}
				if got := walkedAll(t, s, store.LocalKey{}); !slices.Equal(got, lines) {
					t.Fatalf("the store has %v, want %v", got, lines)
				}
				for i, key := range keys {
					if got := walkedAll(t, s, key); !slices.Equal(got, lines[i+1:]) {
						t.Fatalf("after %v are %v, want %v", key, got, lines[i+1:])
					}
				}
			},
		})
	})
}
