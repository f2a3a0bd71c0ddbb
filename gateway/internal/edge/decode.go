package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// decodeBody reads a JSON body strictly into a message: unknown fields, wrong types and anything after the object are errors
// that name the field. An empty body leaves the message empty.
func decodeBody(body []byte, into proto.Message) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if !utf8.Valid(body) {
		return invalid(fieldError{"", "the body is not in UTF-8"})
	}
	var document json.RawMessage
	if err := json.Unmarshal(body, &document); err != nil {
		return invalid(fieldError{"", "the body is not JSON: " + syntaxProblem(body, err)})
	}
	if err := protojson.Unmarshal(body, into); err != nil {
		return invalid(explainDecoding(body, into.ProtoReflect().Descriptor(), err.Error()))
	}
	return nil
}

// syntaxProblem says where a document stops being JSON.
func syntaxProblem(body []byte, err error) string {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return "it cannot be read"
	}
	read := body[:min(int(syntax.Offset), len(body))]
	if len(read) == len(body) && strings.Contains(syntax.Error(), "end of JSON input") {
		return "it ends too early"
	}
	line := bytes.Count(read, []byte("\n")) + 1
	column := utf8.RuneCount(read[bytes.LastIndexByte(read, '\n')+1:])
	return fmt.Sprintf("something is wrong in line %d, column %d", line, column)
}

// decoderPosition is how the protobuf decoder tells a place; columns count characters.
var decoderPosition = regexp.MustCompile(`\(line (\d+):(\d+)\)`)

// explainDecoding finds the field that the protobuf decoder stumbled over, and says what it takes. The decoder's own words are
// for programmers and change from build to build.
func explainDecoding(body []byte, md protoreflect.MessageDescriptor, message string) fieldError {
	at := decoderPosition.FindStringSubmatch(message)
	if at == nil {
		return fieldError{"", "the body does not fit: it may be nested too deeply"}
	}
	path := locate(body, offsetOf(body, at[1], at[2]))
	fd, known := descend(md, path)
	e := fieldError{Field: shown(renderPath(path))}
	switch {
	case !known:
		e.Message = "is not a field of this request"
	case strings.Contains(message, "duplicate"):
		e.Message = "is given twice"
	case strings.Contains(message, "already set"):
		e.Message = "excludes another field that is set too"
	case fd == nil:
		e.Message = "the body must be a JSON object"
	case fd.IsMap() && path[len(path)-1].name != fd.JSONName() && path[len(path)-1].name != string(fd.Name()):
		e.Message = wanted(fd.MapValue())
	case fd.IsMap():
		e.Message = "must be an object"
	case fd.IsList() && !path[len(path)-1].inList:
		e.Message = "must be a list"
	default:
		e.Message = wanted(fd)
	}
	return e
}

// offsetOf turns a line and a column, both from 1, into an offset.
func offsetOf(body []byte, line, column string) int {
	lines, _ := strconv.Atoi(line)
	columns, _ := strconv.Atoi(column)
	offset := 0
	for ; lines > 1; lines-- {
		next := bytes.IndexByte(body[offset:], '\n')
		if next < 0 {
			return len(body)
		}
		offset += next + 1
	}
	for ; columns > 1 && offset < len(body); columns-- {
		_, size := utf8.DecodeRune(body[offset:])
		offset += size
	}
	return offset
}

// A pathStep leads to a member of an object or to an element of a list.
type pathStep struct {
	name   string
	index  int
	inList bool
}

// locate tells what an offset of a JSON document belongs to: the path to the innermost member or element there.
func locate(document []byte, offset int) []pathStep {
	decoder := json.NewDecoder(bytes.NewReader(document))
	var path []pathStep   // to the value that comes next
	var objects []bool    // of the containers around it: object or list
	awaitingName := false // whether the next token names a member
	for {
		token, err := decoder.Token()
		if err == io.EOF || err != nil {
			return path
		}
		delimiter, isDelimiter := token.(json.Delim)
		closing := isDelimiter && (delimiter == '}' || delimiter == ']')
		if awaitingName && !closing {
			path[len(path)-1].name = token.(string)
			awaitingName = false
			if decoder.InputOffset() > int64(offset) {
				return path
			}
			continue
		}
		if closing {
			path, objects, awaitingName = path[:len(path)-1], objects[:len(objects)-1], false
		}
		if decoder.InputOffset() > int64(offset) {
			return path
		}
		if isDelimiter && !closing {
			objects = append(objects, delimiter == '{')
			path = append(path, pathStep{inList: delimiter == '['})
			awaitingName = delimiter == '{'
			continue
		}
		if len(objects) == 0 {
			return nil
		}
		last := &path[len(path)-1]
		if objects[len(objects)-1] {
			awaitingName = true
		} else {
			last.index++
		}
	}
}

// descend finds the field at the end of a path. It is nil for the message itself; known is false when the path leads out of the
// message.
func descend(md protoreflect.MessageDescriptor, path []pathStep) (fd protoreflect.FieldDescriptor, known bool) {
	inMap := false
	for _, step := range path {
		switch {
		case step.inList || inMap:
			inMap = false
			continue // an element or a value: of the same field
		case md == nil:
			return fd, fd != nil && fd.Message() != nil
		}
		next := md.Fields().ByJSONName(step.name)
		if next == nil {
			next = md.Fields().ByName(protoreflect.Name(step.name))
		}
		if next == nil {
			return nil, false
		}
		fd, md = next, next.Message()
		if fd.IsMap() {
			inMap, md = true, fd.MapValue().Message()
		} else if md != nil && isWellKnown(md) {
			md = nil
		}
	}
	return fd, true
}

// renderPath writes a path as a.b[0].c.
func renderPath(path []pathStep) string {
	var text strings.Builder
	for _, step := range path {
		switch {
		case step.inList:
			text.WriteString("[" + strconv.Itoa(step.index) + "]")
		case text.Len() > 0:
			text.WriteString("." + step.name)
		default:
			text.WriteString(step.name)
		}
	}
	return text.String()
}
