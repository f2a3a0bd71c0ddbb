package aiprules

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Whatever callers send has a bound, so that no request and no record can grow
// without one. Fields that only the server writes are not taken from callers.
func TestWhatComesInIsBounded(t *testing.T) {
	for _, md := range incoming() {
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			if behaves(fd, annotations.FieldBehavior_OUTPUT_ONLY) || behaves(fd, annotations.FieldBehavior_IDENTIFIER) {
				continue
			}
			for _, problem := range unbounded(fd) {
				t.Errorf("%s: %s", fd.FullName(), problem)
			}
		}
	}
}

func unbounded(fd protoreflect.FieldDescriptor) (problems []string) {
	r := rules(fd)
	switch {
	case fd.IsMap():
		if r.GetMap().GetMaxPairs() == 0 {
			problems = append(problems, "a map without max_pairs")
		}
		problems = append(problems, unboundedValue(fd.MapKey().Kind(), r.GetMap().GetKeys(), "keys")...)
		problems = append(problems, unboundedValue(fd.MapValue().Kind(), r.GetMap().GetValues(), "values")...)
	case fd.IsList():
		if r.GetRepeated().GetMaxItems() == 0 {
			problems = append(problems, "a list without max_items")
		}
		problems = append(problems, unboundedValue(fd.Kind(), r.GetRepeated().GetItems(), "items")...)
	default:
		problems = unboundedValue(fd.Kind(), r, "value")
	}
	return problems
}

func unboundedValue(kind protoreflect.Kind, r *validate.FieldRules, what string) []string {
	switch kind {
	case protoreflect.StringKind:
		s := r.GetString()
		if s == nil || s.MaxLen == nil && s.MaxBytes == nil && s.Len == nil && !s.GetUuid() && (s.Pattern == nil || !finite(s.GetPattern())) {
			return []string{what + " of any length"}
		}
	case protoreflect.BytesKind:
		b := r.GetBytes()
		if b == nil || b.MaxLen == nil && b.Len == nil {
			return []string{what + " of any length"}
		}
	}
	return nil
}

// finite tells whether only texts of a bounded length match a whole pattern.
func finite(pattern string) bool {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || pattern[0] != '^' || pattern[len(pattern)-1] != '$' {
		return false
	}
	var endless func(re *syntax.Regexp) bool
	endless = func(re *syntax.Regexp) bool {
		return re.Op == syntax.OpStar || re.Op == syntax.OpPlus || (re.Op == syntax.OpRepeat && re.Max < 0) || slices.ContainsFunc(re.Sub, endless)
	}
	return !endless(parsed)
}

// What is said to be required is required, and what is refused when it is
// missing is said to be required.
func TestRequiredFields(t *testing.T) {
	for fd := range fields() {
		said, is := behaves(fd, annotations.FieldBehavior_REQUIRED), refusedWhenMissing(fd)
		if said == is || rules(fd).GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
			continue
		}
		t.Errorf("%s: said to be required: %t, refused when it is missing: %t", fd.FullName(), said, is)
	}
}

func refusedWhenMissing(fd protoreflect.FieldDescriptor) bool {
	r := rules(fd)
	switch {
	case r.GetIgnore() != validate.Ignore_IGNORE_UNSPECIFIED:
		return false
	case r.GetRequired():
		return true
	case fd.HasPresence():
		return false
	case fd.IsList():
		return r.GetRepeated().GetMinItems() > 0
	case fd.IsMap():
		return r.GetMap().GetMinPairs() > 0
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		s := r.GetString()
		return s.GetMinLen() > 0 || (s.GetPattern() != "" && !regexp.MustCompile(s.GetPattern()).MatchString("")) || s.GetUuid() || s.GetUri()
	case protoreflect.BytesKind:
		return r.GetBytes().GetMinLen() > 0 || r.GetBytes().GetLen() > 0
	case protoreflect.EnumKind:
		return slices.Contains(r.GetEnum().GetNotIn(), 0)
	case protoreflect.Int32Kind:
		n := r.GetInt32()
		return n.GetGte() > 0 || (len(n.GetIn()) > 0 && !slices.Contains(n.GetIn(), 0))
	case protoreflect.Int64Kind:
		return r.GetInt64().GetGte() > 0
	default:
		return false
	}
}
