package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Bounds where the contract sets none: nothing on the web is without end.
const (
	longestText = 20000
	mostItems   = 10000
	mostPairs   = 10000
)

// rulesOf returns the validation rules of a field, nil when it has none or they
// are switched off.
func rulesOf(field *protogen.Field) *validate.FieldRules {
	rules, _ := proto.GetExtension(field.Desc.Options(), validate.E_Field).(*validate.FieldRules)
	if rules.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
		return nil
	}
	return rules
}

func behaves(field *protogen.Field, as annotations.FieldBehavior) bool {
	behavior, _ := proto.GetExtension(field.Desc.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behavior, as)
}

// required tells whether a field must be there: the contract says so, or the
// value that stands for its absence breaks a rule.
func required(field *protogen.Field) bool {
	rules := rulesOf(field)
	switch {
	case behaves(field, annotations.FieldBehavior_REQUIRED), rules.GetRequired():
		return true
	case rules == nil, rules.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE, field.Desc.HasPresence():
		return false
	case field.Desc.IsList():
		return rules.GetRepeated().GetMinItems() > 0
	case field.Desc.IsMap():
		return rules.GetMap().GetMinPairs() > 0
	case field.Enum != nil:
		return slices.Contains(rules.GetEnum().GetNotIn(), 0)
	case field.Desc.Kind() == protoreflect.StringKind:
		return refusesEmpty(rules.GetString())
	default:
		return refusesZero(typeRules(rules))
	}
}

func refusesEmpty(rules *validate.StringRules) bool {
	pattern, err := regexp.Compile(rules.GetPattern())
	return rules.GetMinLen() > 0 || err == nil && !pattern.MatchString("") ||
		rules.GetUuid() || rules.GetEmail() || rules.GetUri()
}

func refusesZero(rules protoreflect.Message) bool {
	if rules == nil {
		return false
	}
	refused := false
	rules.Range(func(rule protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch rule.Name() {
		case "gte":
			refused = refused || number(value) > 0
		case "gt":
			refused = refused || number(value) >= 0
		case "lte":
			refused = refused || number(value) < 0
		case "lt":
			refused = refused || number(value) <= 0
		case "in":
			zero := false
			for i := range value.List().Len() {
				zero = zero || number(value.List().Get(i)) == 0
			}
			refused = refused || !zero
		}
		return true
	})
	return refused
}

// typeRules returns the rules that belong to the type of a field, nil for none.
func typeRules(rules *validate.FieldRules) protoreflect.Message {
	if rules == nil {
		return nil
	}
	m := rules.ProtoReflect()
	set := m.WhichOneof(m.Descriptor().Oneofs().ByName("type"))
	if set == nil {
		return nil
	}
	return m.Get(set).Message()
}

// bind puts the rules of a string or number into its schema. A rule without a
// counterpart in JSON Schema is an error, so that none is lost unseen.
func bind(s *schema, rules protoreflect.Message) error {
	var err error
	if rules == nil {
		return nil
	}
	fields := rules.Descriptor().Fields()
	for i := range fields.Len() {
		rule := fields.Get(i)
		if !rules.Has(rule) {
			continue
		}
		value := rules.Get(rule)
		switch rule.Name() {
		case "min_len":
			s.MinLength = to(value.Uint())
		case "max_len":
			s.MaxLength = to(value.Uint())
		case "len":
			s.MinLength, s.MaxLength = to(value.Uint()), to(value.Uint())
		case "pattern":
			s.Pattern = value.String()
		case "uri":
			s.Format = "uri"
		case "uuid":
			s.Format = "uuid"
		case "email":
			s.Format = "email"
		case "gte":
			s.Minimum = value.Interface()
		case "gt":
			s.ExclusiveMinimum = value.Interface()
		case "lte":
			s.Maximum = value.Interface()
		case "lt":
			s.ExclusiveMaximum = value.Interface()
		case "const":
			s.Const = value.Interface()
		case "in":
			for j := range value.List().Len() {
				s.Enum = append(s.Enum, value.List().Get(j).Interface())
			}
		case "finite", "defined_only": // JSON and the enum's own schema say so
		default:
			err = fmt.Errorf("rule %s has no counterpart in JSON Schema here", rule.FullName())
		}
	}
	return err
}

// boundText gives a string its longest length: what its rules say, what follows
// from its format or pattern, or the default.
func boundText(s *schema) {
	if s.MaxLength != nil || len(s.Enum) > 0 || s.Const != nil {
		return
	}
	length, bounded := longest(s.Pattern)
	switch {
	case s.Pattern != "" && bounded:
		s.MaxLength = to(length)
	case s.Format == "uuid":
		s.MinLength, s.MaxLength = to[uint64](36), to[uint64](36)
	case s.Format == "email":
		s.MaxLength = to[uint64](254)
	default:
		s.MaxLength = to[uint64](longestText)
	}
}

// boundWhole gives a 32-bit integer the ends of its type where it has no others.
func boundWhole(s *schema) {
	if s.Minimum == nil && s.ExclusiveMinimum == nil && len(s.Enum) == 0 {
		s.Minimum = -1 << 31
	}
	if s.Maximum == nil && s.ExclusiveMaximum == nil && len(s.Enum) == 0 {
		s.Maximum = 1<<31 - 1
	}
}

// asText turns the schema of a 64-bit integer into that of a string, as JSON
// has it: a number would lose digits in a browser. It returns the range in
// words, since a string has no minimum.
func asText(s *schema) string {
	low, high := s.Minimum, s.Maximum
	s.Type, s.Format, s.Pattern = "string", "int64", "^-?[0-9]{1,19}$"
	s.Minimum, s.Maximum = nil, nil
	if low != nil && number(protoreflect.ValueOf(low)) >= 0 {
		s.Pattern = "^[0-9]{1,19}$"
	}
	switch {
	case low != nil && high != nil:
		if number(protoreflect.ValueOf(low)) >= 0 {
			s.Pattern = "^[0-9]{1," + strconv.Itoa(len(fmt.Sprint(high))) + "}$"
		}
		return fmt.Sprintf("From %v to %v.", low, high)
	case low != nil:
		return fmt.Sprintf("At least %v.", low)
	case high != nil:
		return fmt.Sprintf("At most %v.", high)
	default:
		return ""
	}
}

func number(v protoreflect.Value) float64 {
	switch n := v.Interface().(type) {
	case int32:
		return float64(n)
	case int64:
		return float64(n)
	case uint32:
		return float64(n)
	case uint64:
		return float64(n)
	case float32:
		return float64(n)
	case float64:
		return n
	default:
		return 0
	}
}
