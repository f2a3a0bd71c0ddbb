package catalog

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A Name is a resource name taken apart: comuni/marsala/services/trasporto.
type Name struct {
	// Kind of the record.
	Kind *Kind
	// IDs from the comune inwards; one for each level of the kind.
	IDs []string
}

// Wildcard stands for any id in the parent of a list (AIP-159).
const Wildcard = "-"

var idPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{1,62}$`)

// ValidID tells whether an id can stand in a name: 2 to 63 lower-case letters,
// digits and hyphens, beginning with a letter.
func ValidID(id string) bool { return idPattern.MatchString(id) }

// ParseName takes a name apart. Wildcards are not names.
func ParseName(name string) (Name, error) {
	segments := strings.Split(name, "/")
	if len(segments)%2 != 0 || len(segments) > 6 {
		return Name{}, fmt.Errorf("%.100q is not a resource name", name)
	}
	kind := byCollection[segments[len(segments)-2]]
	if kind == nil || kind.Depth() != len(segments)/2 {
		return Name{}, fmt.Errorf("%.100q names no kind of record", name)
	}
	parsed := Name{Kind: kind, IDs: make([]string, 0, kind.Depth())}
	for i := 0; i < len(segments); i += 2 {
		if segments[i] != kind.pattern[i/2] {
			return Name{}, fmt.Errorf("%.100q: %q where %q should be", name, segments[i], kind.pattern[i/2])
		}
		if !ValidID(segments[i+1]) {
			return Name{}, fmt.Errorf("%.100q: %q is not an id", name, segments[i+1])
		}
		parsed.IDs = append(parsed.IDs, segments[i+1])
	}
	return parsed, nil
}

// Comune is the slug of the owner.
func (n Name) Comune() string { return n.IDs[0] }

// ID is the last id.
func (n Name) ID() string { return n.IDs[len(n.IDs)-1] }

// String puts the name together again.
func (n Name) String() string {
	var out strings.Builder
	for i, id := range n.IDs {
		if i > 0 {
			out.WriteByte('/')
		}
		out.WriteString(n.Kind.pattern[i])
		out.WriteByte('/')
		out.WriteString(id)
	}
	return out.String()
}

// Parent names the record that contains this one; ok is false for a comune.
func (n Name) Parent() (parent Name, ok bool) {
	if n.Kind.Parent == nil {
		return Name{}, false
	}
	return Name{Kind: n.Kind.Parent, IDs: n.IDs[:len(n.IDs)-1]}, true
}

// Child names a record of a kind inside this one.
func (n Name) Child(kind *Kind, id string) (Name, error) {
	if kind.Parent != n.Kind {
		return Name{}, fmt.Errorf("%s are not inside %s", kind.Collection, n.Kind.Collection)
	}
	if !ValidID(id) {
		return Name{}, fmt.Errorf("%q is not an id", id)
	}
	return Name{Kind: kind, IDs: append(append([]string{}, n.IDs...), id)}, nil
}

// ErrNoParent says that records of a kind are inside nothing.
var ErrNoParent = errors.New("records of this kind have no parent")

// ParseParent takes the parent of a list or a new record of a kind apart. Ids
// may be the Wildcard.
func (k *Kind) ParseParent(parent string) ([]string, error) {
	if k.Parent == nil {
		return nil, ErrNoParent
	}
	segments := strings.Split(parent, "/")
	if len(segments) != 2*k.Parent.Depth() {
		return nil, fmt.Errorf("%.100q is no parent of %s", parent, k.Collection)
	}
	var ids []string
	for i := 0; i < len(segments); i += 2 {
		id := segments[i+1]
		if segments[i] != k.pattern[i/2] || (id != Wildcard && !ValidID(id)) {
			return nil, fmt.Errorf("%.100q is no parent of %s", parent, k.Collection)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// AnyParent is the parent that stands for all places where records of a kind can
// be, for example "comuni/-"; empty for a kind without a parent.
func (k *Kind) AnyParent() string {
	var segments []string
	for _, collection := range k.pattern[:len(k.pattern)-1] {
		segments = append(segments, collection, Wildcard)
	}
	return strings.Join(segments, "/")
}

// ComuneName is the name of a comune's own record.
func ComuneName(slug string) string { return "comuni/" + slug }
