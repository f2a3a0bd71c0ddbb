package catalog_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"cidsistem.example/proto/catalog"
)

func TestParseName(t *testing.T) {
	for text, want := range map[string]struct {
		collection string
		ids        []string
	}{
		"comuni/marsala":                         {"comuni", []string{"marsala"}},
		"comuni/mazara-del-vallo/services/s1":    {"services", []string{"mazara-del-vallo", "s1"}},
		"comuni/marsala/plans/pz/actions/a1":     {"actions", []string{"marsala", "pz", "a1"}},
		"comuni/services/services/services":      {"services", []string{"services", "services"}},
		"comuni/" + strings.Repeat("a", 63):      {"comuni", []string{strings.Repeat("a", 63)}},
		"":                                       {},
		"comuni":                                 {},
		"comuni/":                                {},
		"/comuni/marsala":                        {},
		"comuni/marsala/":                        {},
		"comuni/-":                               {},
		"comuni/m":                               {},
		"comuni/Marsala":                         {},
		"comuni/1marsala":                        {},
		"comuni/marsala\x00":                     {},
		"comuni/marsala/services":                {},
		"comuni/marsala/services/-":              {},
		"comuni/marsala/wonders/w1":              {},
		"services/s1":                            {},
		"comuni/marsala/actions/a1":              {},
		"comuni/marsala/services/s1/actions/a1":  {},
		"comuni/marsala/plans/pz/services/s1":    {},
		"comuni/marsala/comuni/marsala":          {},
		"nodes/marsala":                          {},
		"comuni/" + strings.Repeat("a", 64):      {},
		"comuni/marsala/plans/pz/actions/a1/x/y": {},
	} {
		name, err := catalog.ParseName(text)
		if want.collection == "" {
			if err == nil {
				t.Errorf("%q is read as a name of %s", text, name.Kind.Collection)
			}
			continue
		}
		if err != nil || name.Kind.Collection != want.collection || !slices.Equal(name.IDs, want.ids) || name.String() != text {
			t.Errorf("%q is read as %v, %v", text, name.IDs, err)
			continue
		}
		if name.Comune() != want.ids[0] || name.ID() != want.ids[len(want.ids)-1] {
			t.Errorf("%q is of %s, with id %s", text, name.Comune(), name.ID())
		}
	}
}

func TestParentsAndChildren(t *testing.T) {
	action, err := catalog.ParseName("comuni/marsala/plans/pz/actions/a1")
	if err != nil {
		t.Fatal(err)
	}
	plan, ok := action.Parent()
	if !ok || plan.String() != "comuni/marsala/plans/pz" {
		t.Errorf("its parent is %s", plan)
	}
	back, err := plan.Child(action.Kind, "a1")
	if err != nil || back.String() != action.String() {
		t.Errorf("its child is %s, %v", back, err)
	}
	if _, err := plan.Child(plan.Kind, "pz"); err == nil {
		t.Error("a plan inside a plan")
	}
	if _, err := plan.Child(action.Kind, "A1"); err == nil {
		t.Error("a child without a valid id")
	}
	comune, ok := plan.Parent()
	if _, root := comune.Parent(); !ok || root {
		t.Error("a comune is inside something")
	}
	// Children of one parent do not share memory.
	first, _ := plan.Child(action.Kind, "a1")
	second, _ := plan.Child(action.Kind, "a2")
	if first.ID() != "a1" || second.ID() != "a2" {
		t.Errorf("%s and %s", first, second)
	}
}

func TestParseParent(t *testing.T) {
	for _, test := range []struct {
		collection, parent string
		want               []string // nil: refused
	}{
		{"services", "comuni/marsala", []string{"marsala"}},
		{"services", "comuni/-", []string{"-"}},
		{"actions", "comuni/marsala/plans/pz", []string{"marsala", "pz"}},
		{"actions", "comuni/-/plans/-", []string{"-", "-"}},
		{"actions", "comuni/-/plans/pz", []string{"-", "pz"}},
		{"services", "", nil},
		{"services", "comuni/", nil},
		{"services", "comuni/marsala/", nil},
		{"services", "comuni/--", nil},
		{"services", "comuni/marsala/plans/pz", nil},
		{"actions", "comuni/marsala", nil},
		{"actions", "comuni/marsala/services/s1", nil},
		{"services", "plans/marsala", nil},
	} {
		got, err := catalog.ByCollection(test.collection).ParseParent(test.parent)
		if (err == nil) != (test.want != nil) || !slices.Equal(got, test.want) {
			t.Errorf("%s in %q: %v, %v", test.collection, test.parent, got, err)
		}
	}
	if _, err := catalog.ByCollection("comuni").ParseParent("comuni/marsala"); !errors.Is(err, catalog.ErrNoParent) {
		t.Errorf("the parent of a comune: %v", err)
	}
}

func FuzzParseName(f *testing.F) {
	for _, text := range []string{"comuni/marsala", "comuni/marsala/services/s1", "comuni/marsala/plans/pz/actions/a1", "comuni/-", "//////", "\xff/\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := catalog.ParseName(text)
		if err != nil {
			return
		}
		if name.String() != text || len(name.IDs) != name.Kind.Depth() || slices.ContainsFunc(name.IDs, func(id string) bool { return !catalog.ValidID(id) }) {
			t.Errorf("%q is read as %s", text, name)
		}
		if parent, ok := name.Parent(); ok {
			back, err := parent.Child(name.Kind, name.ID())
			if err != nil || back.String() != text {
				t.Errorf("%q inside its parent is %s, %v", text, back, err)
			}
		}
	})
}

func FuzzParseParent(f *testing.F) {
	for _, text := range []string{"comuni/marsala", "comuni/-", "comuni/marsala/plans/pz", "comuni/-/plans/-", "\x00/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range catalog.Kinds() {
			ids, err := kind.ParseParent(text)
			if err != nil {
				continue
			}
			if len(ids) != kind.Depth()-1 {
				t.Errorf("%s in %q: %v", kind.Collection, text, ids)
			}
			if name, err := catalog.ParseName(text); err == nil && (name.Kind != kind.Parent || !slices.Equal(name.IDs, ids)) {
				t.Errorf("%q is the parent %v of %s, and the name %s", text, ids, kind.Collection, name)
			}
			if !slices.Contains(ids, catalog.Wildcard) {
				if _, err := catalog.ParseName(text); err != nil {
					t.Errorf("%q is a parent of %s and no name: %v", text, kind.Collection, err)
				}
			}
		}
	})
}
