// Package references takes references out of records that lead nowhere.
package references

import (
	"slices"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Keep takes those references out of a record, in place, whose target is not to
// be kept, and returns the targets that went. A part of the record that needs
// its reference goes with it.
func Keep(record proto.Message, keep func(target string) bool) []string {
	var dropped []string
	prune(record.ProtoReflect(), keep, &dropped)
	return dropped
}

// prune tells whether the message has lost what it needs.
func prune(m protoreflect.Message, keep func(string) bool, dropped *[]string) (broken bool) {
	var fields []protoreflect.FieldDescriptor
	m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		fields = append(fields, fd)
		return true
	})
	for _, fd := range fields {
		gone := false
		switch {
		case fd.IsMap():
		case refers(fd) && fd.IsList():
			list := m.Mutable(fd).List()
			kept := 0
			for i := range list.Len() {
				if target := list.Get(i).String(); target == "" || keep(target) {
					list.Set(kept, list.Get(i))
					kept++
				} else {
					*dropped = append(*dropped, target)
				}
			}
			list.Truncate(kept)
			gone = kept == 0
		case refers(fd):
			if target := m.Get(fd).String(); target != "" && !keep(target) {
				*dropped = append(*dropped, target)
				m.Clear(fd)
				gone = true
			}
		case fd.Message() == nil:
		case fd.IsList():
			list := m.Mutable(fd).List()
			kept := 0
			for i := range list.Len() {
				if !prune(list.Get(i).Message(), keep, dropped) {
					list.Set(kept, list.Get(i))
					kept++
				}
			}
			list.Truncate(kept)
			gone = kept == 0
		default:
			if prune(m.Mutable(fd).Message(), keep, dropped) {
				m.Clear(fd)
				gone = true
			}
		}
		broken = broken || gone && required(fd)
	}
	return broken
}

func refers(fd protoreflect.FieldDescriptor) bool {
	if fd.Kind() != protoreflect.StringKind || !proto.HasExtension(fd.Options(), annotations.E_ResourceReference) {
		return false
	}
	return true
}

func required(fd protoreflect.FieldDescriptor) bool {
	behaviours, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviours, annotations.FieldBehavior_REQUIRED)
}
