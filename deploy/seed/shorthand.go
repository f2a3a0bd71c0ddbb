package seed

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/gen/registryv1"
)

// shorthand reads plain text where the contract has a message. Most values of
// the data can be written so; the long form is always possible too.
func (r *reader) shorthand(md protoreflect.MessageDescriptor, text string) (proto.Message, error) {
	switch md.Name() {
	case "LocalizedText":
		return &registryv1.LocalizedText{It: text}, nil
	case "Translation":
		return &registryv1.Translation{Text: text}, nil
	case "PartialDate":
		return partialDate(text)
	case "Period":
		return period(text)
	case "TimeRange":
		opens, closes, ok := strings.Cut(text, "-")
		if !ok {
			return nil, fmt.Errorf("%q is no stretch of a day; write it as 09:00-12:00", text)
		}
		return &registryv1.TimeRange{Opens: opens, Closes: closes}, nil
	case "CodedValue":
		list, code, ok := strings.Cut(text, "/")
		if !ok {
			return nil, fmt.Errorf("%q is no code; write list/code, such as inps-prestazioni-isee/A1.16", text)
		}
		return r.lists.code(list, code)
	case "Area":
		return r.lists.area(text)
	case "LegalReference":
		return r.lists.act(text)
	case "Provenance":
		source, ok := r.sources[text]
		if !ok {
			return nil, fmt.Errorf("unknown source %q; add it to sources at the head of the file", text)
		}
		return proto.Clone(source), nil
	default:
		return nil, fmt.Errorf("%q stands where the fields of %s are expected", text, md.Name())
	}
}

// partialDate reads "2016", "2016-03" or "2016-03-27".
func partialDate(text string) (*registryv1.PartialDate, error) {
	widths := []int{4, 2, 2}
	parts := strings.Split(text, "-")
	var numbers [3]int32
	for i, part := range parts {
		if i >= len(widths) || len(part) != widths[i] {
			return nil, fmt.Errorf("%q is no date; write it as 2016, 2016-03 or 2016-03-27", text)
		}
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("%q is no date; write it as 2016, 2016-03 or 2016-03-27", text)
		}
		numbers[i] = int32(n)
	}
	return &registryv1.PartialDate{Year: numbers[0], Month: numbers[1], Day: numbers[2]}, nil
}

// period reads "2019/2020", "2019-01/" or "/2025-09-13": first and last day.
func period(text string) (*registryv1.Period, error) {
	start, end, ok := strings.Cut(text, "/")
	if !ok || (start == "" && end == "") {
		return nil, fmt.Errorf("%q is no period; write it as 2019/2020, with one side empty when it is open", text)
	}
	p := &registryv1.Period{}
	var err error
	if start != "" {
		if p.Start, err = partialDate(start); err != nil {
			return nil, err
		}
	}
	if end != "" {
		if p.End, err = partialDate(end); err != nil {
			return nil, err
		}
	}
	return p, nil
}
