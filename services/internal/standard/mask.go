package standard

import (
	"fmt"
	"slices"
	"strings"

	"go.einride.tech/aip/fieldmask"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
)

// Mask reads the mask of an update: JSON or snake_case names, fields that only
// the server writes dropped. nil means the fields that are set in the record.
func Mask(r Request) (*fieldmaskpb.FieldMask, error) {
	return MaskOf(r.Method.Kind, r.UpdateMask())
}

// MaskOf is Mask for the records of a kind.
func MaskOf(kind *catalog.Kind, asked *fieldmaskpb.FieldMask) (*fieldmaskpb.FieldMask, error) {
	if len(asked.GetPaths()) == 0 {
		return nil, nil
	}
	mask := &fieldmaskpb.FieldMask{}
	for _, path := range asked.GetPaths() {
		if path == "*" {
			if len(asked.GetPaths()) > 1 {
				return nil, apierror.Invalid("updateMask", `"*" stands alone`)
			}
			return &fieldmaskpb.FieldMask{Paths: []string{"*"}}, nil
		}
		canonical, serverOnly, err := canonicalPath(kind, path)
		if err != nil {
			return nil, apierror.Invalid("updateMask", err.Error())
		}
		if !serverOnly {
			mask.Paths = append(mask.Paths, canonical)
		}
	}
	if len(mask.GetPaths()) == 0 {
		// Only fields of the server were named: change nothing.
		mask.Paths = []string{"name"}
	}
	return mask, nil
}

// canonicalPath turns a path into snake_case, and tells whether it begins at a
// field that callers do not write.
func canonicalPath(kind *catalog.Kind, path string) (canonical string, serverOnly bool, err error) {
	var out []string
	md := kind.Descriptor()
	segments := strings.Split(path, ".")
	for i, segment := range segments {
		if md == nil {
			return "", false, fmt.Errorf("%.100q goes deeper than the record does", path)
		}
		fd := md.Fields().ByJSONName(segment)
		if fd == nil {
			fd = md.Fields().ByName(protoreflect.Name(segment))
		}
		if fd == nil {
			return "", false, fmt.Errorf("%.100q is not a field of the record", path)
		}
		if i == 0 {
			serverOnly = slices.Contains(kind.ServerFields(), fd)
		}
		out = append(out, string(fd.Name()))
		if md = fd.Message(); fd.IsList() || fd.IsMap() {
			if i < len(segments)-1 {
				return "", false, fmt.Errorf("%.100q: a list changes as a whole", path)
			}
			md = nil
		}
	}
	return strings.Join(out, "."), serverOnly, nil
}

// ApplyMask changes the fields of a mask in a record to those of another.
func ApplyMask(mask *fieldmaskpb.FieldMask, to, from proto.Message) {
	fieldmask.Update(mask, to, proto.Clone(from))
}
