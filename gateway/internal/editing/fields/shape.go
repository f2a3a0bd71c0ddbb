// Package fields turns the contract's messages into forms and back: which control a field has follows from its descriptor and its
// constraints alone, so that a field that the contract gains has its place in the form without a line of code.
//
// A form's fields are called by paths of JSON names, "contacts[0].value". Rows of a list have a number; what rows there are is known
// from the names that a form has.
package fields

import (
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
)

// A shape is the kind of control that a field has.
type shape string

const (
	localized shape = "localized" // an Italian text, its easy version and its translations
	text      shape = "text"      // one line
	area      shape = "area"      // several lines
	choice    shape = "choice"    // one of a closed list
	checks    shape = "checks"    // several of a closed list
	flag      shape = "flag"      // yes or not
	tri       shape = "tri"       // yes, no, not known
	date      shape = "date"      // a day, a month or a year
	moment    shape = "moment"    // a minute
	whole     shape = "whole"     // a whole number
	decimal   shape = "decimal"   // a number
	hundredth shape = "hundredth" // hundredths of something: cents of a euro, parts of a full-time place
	reference shape = "reference" // another record
	lines     shape = "lines"     // texts, one a line
	group     shape = "group"     // fields that belong together
	rows      shape = "rows"      // any number of the same
)

const (
	localizedText = "cidsistem.registry.v1.LocalizedText"
	partialDate   = "cidsistem.registry.v1.PartialDate"
	timestamp     = "google.protobuf.Timestamp"
)

// areaFrom is how many characters a text may have for which a line is too short.
const areaFrom = 300

// shapeOf a field; of one of its elements when the field is a list and one is asked for.
func shapeOf(fd protoreflect.FieldDescriptor, element bool) shape {
	if fd.IsList() && !element {
		switch {
		case fd.Kind() == protoreflect.EnumKind:
			return checks
		case fd.Kind() == protoreflect.StringKind && Refers(fd) == "":
			return lines
		}
		return rows
	}
	switch fd.Kind() {
	case protoreflect.MessageKind:
		switch fd.Message().FullName() {
		case localizedText:
			return localized
		case partialDate:
			return date
		case timestamp:
			return moment
		}
		return group
	case protoreflect.EnumKind:
		return choice
	case protoreflect.BoolKind:
		if fd.HasOptionalKeyword() {
			return tri
		}
		return flag
	case protoreflect.DoubleKind:
		return decimal
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		if name := string(fd.Name()); strings.HasSuffix(name, "_cents") || strings.HasSuffix(name, "_hundredths") {
			return hundredth
		}
		return whole
	}
	switch {
	case Refers(fd) != "":
		return reference
	case constraints(fd).GetString().GetMaxLen() > areaFrom && !constraints(fd).GetString().GetUri():
		return area
	}
	return text
}

// Refers is the collection of the records that a field names, "*" for those of any kind; empty: it names none.
func Refers(fd protoreflect.FieldDescriptor) string {
	to, _ := proto.GetExtension(fd.Options(), annotations.E_ResourceReference).(*annotations.ResourceReference)
	if to.GetType() == "*" {
		return "*"
	}
	if kind := catalog.ByType(to.GetType()); kind != nil {
		return kind.Collection
	}
	return ""
}

// Kept tells that nobody types a field in: the server writes it, or the record is called by it.
func Kept(fd protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	for _, behavior := range behaviors {
		if behavior == annotations.FieldBehavior_OUTPUT_ONLY || behavior == annotations.FieldBehavior_IDENTIFIER {
			return true
		}
	}
	return fd.Number() == etagNumber && fd.Name() == "etag"
}

// etagNumber is that of the validator of every kind.
const etagNumber = 95

// required tells that a record is not whole without a field.
func required(fd protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	for _, behavior := range behaviors {
		if behavior == annotations.FieldBehavior_REQUIRED {
			return true
		}
	}
	return false
}

func constraints(fd protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// sibling is the real oneof that a field is a case of, nil for none.
func sibling(fd protoreflect.FieldDescriptor) protoreflect.OneofDescriptor {
	if one := fd.ContainingOneof(); one != nil && !one.IsSynthetic() {
		return one
	}
	return nil
}
