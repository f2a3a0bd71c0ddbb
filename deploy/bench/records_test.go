package bench

import (
	"math/rand/v2"
	"testing"

	"buf.build/go/protovalidate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/deploy/seed"
	"cidsistem.example/proto/catalog"
)

func grow(t *testing.T, comune string, count int, rng uint64) *Records {
	t.Helper()
	sample, err := seed.Load(seed.Sample())
	if err != nil {
		t.Fatal(err)
	}
	records, err := Grow(sample, comune, count, rng)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func every(r *Records) []proto.Message {
	var all []proto.Message
	for _, l := range r.levels {
		for i := range l.count {
			all = append(all, r.at(l, i))
		}
	}
	return all
}

func TestRecordsFollowFromTheSeed(t *testing.T) {
	first, again, other := every(grow(t, "marsala", 400, 7)), every(grow(t, "marsala", 400, 7)), every(grow(t, "marsala", 400, 8))
	if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
		t.Errorf("two growths from one seed differ (-first +again):\n%s", diff)
	}
	same := 0
	for i := range first {
		if proto.Equal(first[i], other[i]) {
			same++
		}
	}
	if same > len(first)/10 {
		t.Errorf("%d of %d records are the same under another seed", same, len(first))
	}
}

// Every record could be written to a node in the order of the levels.
func TestRecordsAreGood(t *testing.T) {
	for _, comune := range demo.Comuni {
		t.Run(comune.ID, func(t *testing.T) {
			records := grow(t, comune.ID, 1000, 1)
			there := map[string]int{} // name to level
			kinds := map[*catalog.Kind]int{}
			references := 0
			for at, l := range records.levels {
				for i := range l.count {
					record := records.at(l, i)
					name := catalog.RecordOf(record).Name()
					if _, twice := there[name]; twice {
						t.Errorf("%s is there twice", name)
					}
					there[name] = at
					kinds[l.kind]++
					if err := protovalidate.Validate(record); err != nil {
						t.Errorf("%s: %v", name, err)
					}
					for _, reference := range catalog.References(record) {
						references++
						if level, ok := there[reference.Target]; !ok || level >= at {
							t.Errorf("%s refers to %s in %s, which is not there yet", name, reference.Target, reference.Field)
						}
					}
					parsed, err := catalog.ParseName(name)
					if err != nil {
						t.Fatal(err)
					}
					if parent, _ := parsed.Parent(); !parent.Kind.Singleton {
						if _, ok := there[parent.String()]; !ok {
							t.Errorf("%s is inside %s, which is not there", name, parent)
						}
					}
				}
			}
			if len(there) != 1000 || records.Total() != 1000 {
				t.Errorf("%d records, Total says %d, want 1000", len(there), records.Total())
			}
			if len(kinds) != len(loadOrder) {
				t.Errorf("%d kinds, want %d", len(kinds), len(loadOrder))
			}
			if references < 1000 {
				t.Errorf("only %d references between 1000 records", references)
			}
			random := rand.New(rand.NewPCG(1, 1))
			for range 100 {
				if name := records.Pick(random); !has(there, name) {
					t.Errorf("Pick names %s, which is not there", name)
				}
			}
		})
	}
}

func has(m map[string]int, key string) bool { _, ok := m[key]; return ok }

func TestGrowRefusesWhatItCannotDo(t *testing.T) {
	sample, err := seed.Load(seed.Sample())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Grow(sample, "marsala", 10, 1); err == nil {
		t.Error("ten records cannot have the proportions of the sample, yet Grow made them")
	}
	if _, err := Grow(nil, "marsala", 1000, 1); err == nil {
		t.Error("Grow grew records from nothing")
	}
}
