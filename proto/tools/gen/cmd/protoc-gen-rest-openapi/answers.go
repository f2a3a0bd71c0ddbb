package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// problems are the errors that an operation lists by status; all others are its
// default answer.
var problems = map[int]struct{ name, description string }{
	http.StatusBadRequest:         {"BadRequest", "The request is wrong; `errors` names each field."},
	http.StatusNotFound:           {"NotFound", "There is no such record."},
	http.StatusConflict:           {"Conflict", "The state of the record does not allow it."},
	http.StatusPreconditionFailed: {"PreconditionFailed", "The record changed since it was read: `If-Match` does not hold. Reason: `ETAG_MISMATCH`."},
	http.StatusTooManyRequests:    {"TooManyRequests", "Too many requests."},
	http.StatusServiceUnavailable: {"ServiceUnavailable", "The service or the node of the comune does not answer now."},
}

// answers describes what a method answers.
func (g *generator) answers(op *operation, m method, path string) error {
	if err := g.success(op, m); err != nil {
		return err
	}
	if m.cached() {
		op.Responses.set(statusKey(http.StatusNotModified), &response{Ref: ref("responses", "NotModified")})
	}
	for _, status := range slices.Sorted(maps.Keys(problems)) {
		switch {
		case status == http.StatusNotFound && !strings.Contains(path, "{"):
		case status == http.StatusConflict && m.reads:
		case status == http.StatusPreconditionFailed && !m.conditional():
		default:
			op.Responses.set(statusKey(status), &response{Ref: ref("responses", problems[status].name)})
		}
	}
	op.Responses.set("default", &response{Ref: ref("responses", "Problem")})
	return nil
}

// success describes the answers of a method that went well.
func (g *generator) success(op *operation, m method) error {
	ok, err := g.successBody(m)
	if err != nil {
		return err
	}
	ok.Headers = rated()
	add := func(names ...string) {
		for _, name := range names {
			ok.Headers.set(name, &header{Ref: ref("headers", name)})
		}
	}
	if m.cached() || has(m.Output, "etag") {
		add("ETag")
	}
	if has(m.input, "read_preference") && has(m.Output, "etag") {
		add("Cid-Coverage", "Cid-As-Of")
	}
	switch {
	case m.creates():
		if has(m.input, "validate_only") {
			op.Responses.set(statusKey(http.StatusOK), &response{Description: "What would be created: `validateOnly` was set.", Headers: rated(), Content: ok.Content})
		}
		add("Location")
		op.Responses.set(statusKey(http.StatusCreated), ok)
	case m.sendsBytes():
		op.Responses.set(statusKey(http.StatusOK), ok)
		part := headers(append(slices.Clone(ok.Headers.names), "Content-Range")...)
		op.Responses.set(statusKey(http.StatusPartialContent), &response{Description: "The bytes that were asked for.", Headers: part, Content: ok.Content})
	default:
		op.Responses.set(statusKey(http.StatusOK), ok)
	}
	return nil
}

// successBody describes the body of the answer of a method that went well.
func (g *generator) successBody(m method) (*response, error) {
	if m.sendsBytes() {
		return &response{Description: "The bytes.", Content: content(octets, &mediaType{})}, nil
	}
	s, err := g.message(m.Output)
	if err != nil {
		return nil, err
	}
	if m.Desc.IsStreamingServer() {
		ok := &response{Content: content("text/event-stream", &mediaType{Schema: s})}
		ok.Content.set("application/x-ndjson", &mediaType{Schema: s})
		ok.Description = "Messages for as long as the connection stays open: each is the data of one event, or one line. " +
			"An error that comes later ends the stream: as the data of an event `error`, or as a line with nothing but the member `error`; it is a Problem."
		return ok, nil
	}
	ok := &response{Description: "The answer.", Content: content("application/json", &mediaType{Schema: s})}
	if resourceOf(m.Output) != nil || m.creates() {
		ok.Description = "The " + strings.ToLower(string(m.Output.Desc.Name())) + "."
	}
	return ok, nil
}

// cached tells whether a client can ask for changes only.
func (m method) cached() bool {
	return m.verb == "GET" && (m.sendsBytes() || !m.Desc.IsStreamingServer())
}

// octets is the media type of bytes as such.
const octets = "application/octet-stream"

// sendsBytes tells whether the answer is a file, not JSON.
func (m method) sendsBytes() bool { return m.Output.Desc.FullName() == "google.api.HttpBody" }

// conditions are the parameters that the edge itself takes: headers that make a
// request conditional or safe to repeat, and those of a download.
func conditions(m method) []*parameter {
	var params []*parameter
	if m.sendsBytes() {
		params = append(params, &parameter{Name: "filename", In: "query", Description: "The name to save the file under.", Schema: textOf("", 200)})
	}
	add := func(name string) { params = append(params, &parameter{Ref: ref("parameters", name)}) }
	if m.cached() {
		add("If-None-Match")
	}
	if m.sendsBytes() {
		add("Range")
	}
	if m.conditional() {
		add("If-Match")
	}
	if !m.reads && has(m.input, "request_id") {
		add("Idempotency-Key")
	}
	return params
}

func content(mediaTypeName string, m *mediaType) object[*mediaType] {
	var c object[*mediaType]
	c.set(mediaTypeName, m)
	return c
}
