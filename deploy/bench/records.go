package bench

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/deploy/seed"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// Records are the synthetic records of one comune, grown from its sample data:
// kinds in the same proportions, references between them, words varied. Every
// record follows from seed, kind and number alone, so none has to be kept. Safe
// for concurrent use.
type Records struct {
	comune string
	seed   uint64
	levels []*level
	byKind map[*catalog.Kind]*level
	// place tells where in its kind a record of the sample stands.
	place map[string]int
	texts *texts
	total int
}

// A level is the records of one kind; it refers to earlier levels only.
type level struct {
	kind      *catalog.Kind
	rank      int
	templates []proto.Message
	count     int
}

// loadOrder has each kind after those that it refers to most.
var loadOrder = []string{"organizations", "locations", "documents", "services", "operators", "plans", "actions", "practices", "events"}

// Grow makes the records of a comune, count of them beside its own record. A
// comune that the sample lacks grows from another's data.
func Grow(sample []seed.Comune, comune string, count int, rng uint64) (*Records, error) {
	from := slices.IndexFunc(sample, func(c seed.Comune) bool { return c.Slug == comune })
	if from < 0 {
		if from = 0; len(sample) == 0 {
			return nil, fmt.Errorf("grow records of %s: there is no sample data", comune)
		}
	}
	r := &Records{
		comune: comune, seed: rng, total: count,
		byKind: map[*catalog.Kind]*level{}, place: map[string]int{}, texts: newTexts(sample),
	}
	for _, record := range sample[from].Records {
		kind := catalog.Of(record.Message)
		if kind.Singleton {
			continue
		}
		l := r.byKind[kind]
		if l == nil {
			l = &level{kind: kind, rank: slices.Index(loadOrder, kind.Collection)}
			if l.rank < 0 {
				return nil, fmt.Errorf("grow records of %s: the place of %s in the order of loading is not known; add it", comune, kind.Collection)
			}
			r.byKind[kind] = l
		}
		r.place[catalog.RecordOf(record.Message).Name()] = len(l.templates)
		l.templates = append(l.templates, record.Message)
	}
	r.levels = slices.SortedFunc(maps.Values(r.byKind), func(a, b *level) int { return a.rank - b.rank })
	if count < len(r.place) {
		return nil, fmt.Errorf("grow records of %s: %d are too few, its sample alone has %d", comune, count, len(r.place))
	}
	r.share(count)
	return r, nil
}

// share gives each kind its part of the count.
func (r *Records) share(count int) {
	left := count
	for _, l := range r.levels {
		l.count = count * len(l.templates) / len(r.place)
		left -= l.count
	}
	for i := range left { // fewer than there are kinds
		r.levels[i].count++
	}
}

// Total is how many records there are.
func (r *Records) Total() int { return r.total }

// Pick names a random record of any kind.
func (r *Records) Pick(random *rand.Rand) string {
	n := random.IntN(r.total)
	for _, l := range r.levels {
		if n < l.count {
			return r.name(l, n).String()
		}
		n -= l.count
	}
	panic("unreachable: the levels add up to the total")
}

// name of the number-th record of a kind. It says which record of the sample it
// grew from, so that names look like those that people give.
func (r *Records) name(l *level, number int) catalog.Name {
	template, _ := catalog.ParseName(catalog.RecordOf(l.templates[number%len(l.templates)]).Name())
	ids := []string{r.comune}
	if len(template.IDs) > 2 {
		parent, _ := template.Parent()
		at := r.byKind[parent.Kind]
		ids = r.name(at, r.beside(at, r.place[parent.String()], number/len(l.templates))).IDs
	}
	id := template.ID()
	return catalog.Name{Kind: l.kind, IDs: append(slices.Clone(ids), id[:min(len(id), 50)]+"-"+strconv.Itoa(number))}
}

// beside is the number of the record that grew from a template in a block: a
// block has each record of the sample once. The last block may lack some.
func (r *Records) beside(l *level, template, block int) int {
	number := block*len(l.templates) + template
	if number >= l.count {
		number = template
	}
	return number
}

// At makes the number-th record of a level.
func (r *Records) at(l *level, number int) proto.Message {
	record := proto.Clone(l.templates[number%len(l.templates)])
	random := r.random(l.kind.Collection, number)
	is := catalog.RecordOf(record)
	is.SetName(r.name(l, number).String())
	r.refer(record.ProtoReflect(), l, number/len(l.templates))
	r.texts.vary(record, random)
	r.varyGroups(record, l, random)
	if p := is.Provenance(); p != nil {
		p.VerifyByTime = timestamppb.New(p.GetVerifyByTime().AsTime().Add(time.Duration(random.IntN(365*24)) * time.Hour))
	}
	if document, ok := record.(*registryv1.Document); ok {
		document.Files = nil // files are no part of what is measured
	}
	return record
}

// random is a source of its own for each record.
func (r *Records) random(collection string, number int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.comune + "/" + collection)) // never fails
	return rand.New(rand.NewPCG(r.seed^h.Sum64(), uint64(number)))
}

// varyGroups gives half of the records the target groups of another one, so
// that facets do not follow from the rest.
func (r *Records) varyGroups(record proto.Message, l *level, random *rand.Rand) {
	donor := l.templates[random.IntN(len(l.templates))].ProtoReflect()
	fd := donor.Descriptor().Fields().ByName("target_groups")
	if random.IntN(2) == 0 && fd != nil && donor.Has(fd) {
		to := record.ProtoReflect()
		to.Clear(fd)
		for i := range donor.Get(fd).List().Len() {
			to.Mutable(fd).List().Append(donor.Get(fd).List().Get(i))
		}
	}
}

// refer turns references to records of the sample into references to those that
// grew from them. What points to its own level or a later one is left out: all
// records of a level are loaded at the same time.
func (r *Records) refer(m protoreflect.Message, l *level, block int) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		reference, _ := proto.GetExtension(fd.Options(), annotations.E_ResourceReference).(*annotations.ResourceReference)
		switch {
		case reference != nil && fd.IsList():
			list, kept := v.List(), 0
			for i := range list.Len() {
				if name := r.grown(list.Get(i).String(), l, block); name != "" {
					list.Set(kept, protoreflect.ValueOfString(name))
					kept++
				}
			}
			list.Truncate(kept)
		case reference != nil:
			m.Set(fd, protoreflect.ValueOfString(r.grown(v.String(), l, block)))
		case fd.Message() == nil || fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				r.refer(v.List().Get(i).Message(), l, block)
			}
		default:
			r.refer(v.Message(), l, block)
		}
		return true
	})
}

// grown names what grew from a record of the sample, nothing when it comes too
// late.
func (r *Records) grown(target string, l *level, block int) string {
	name, err := catalog.ParseName(target)
	if err != nil {
		return ""
	}
	at := r.byKind[name.Kind]
	if at == nil || at.rank >= l.rank {
		return ""
	}
	return r.name(at, r.beside(at, r.place[target], block)).String()
}
