package main

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"cidsistem.example/proto/gen/registryv1"
)

const problemJSON = "application/problem+json"

// shared describes what all operations refer to.
func (g *generator) shared() error {
	reasons, err := g.reasons()
	if err != nil {
		return err
	}
	g.doc.Components.Schemas.set("ErrorReason", reasonSchema(reasons))
	g.doc.Components.Schemas.set("Problem", problemSchema())
	g.doc.Components.Responses = sharedResponses(reasons)
	g.doc.Components.Parameters = sharedParameters()
	g.doc.Components.Headers = sharedHeaders()
	return nil
}

// sharedResponses are the errors, and the answer to a client that is up to date.
func sharedResponses(reasons []reason) object[*response] {
	var all object[*response]
	for _, status := range slices.Sorted(maps.Keys(problems)) {
		p := problems[status]
		r := &response{
			Description: sentences(p.description, listReasons(reasons, func(of int) bool { return of == status })),
			Content:     problemContent(),
		}
		if status == http.StatusTooManyRequests {
			r.Headers = rated()
		}
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			r.Headers.set("Retry-After", &header{Ref: ref("headers", "Retry-After")})
		}
		all.set(p.name, r)
	}
	all.set("Problem", &response{
		Description: sentences("Any other error.", listReasons(reasons, func(of int) bool {
			_, listed := problems[of]
			return !listed
		})),
		Content: problemContent(),
	})
	all.set("NotModified", &response{Description: "Not changed since; no body.", Headers: headers("ETag")})
	all.sort()
	return all
}

// sharedParameters are the headers that make a request conditional or safe to
// repeat.
func sharedParameters() object[*parameter] {
	var all object[*parameter]
	for _, p := range []*parameter{
		{
			Name:        "Idempotency-Key",
			Description: "A UUID of version 4 that makes a retry safe: the same key returns the first answer for 7 days. The same as `requestId`.",
			Schema:      &schema{Type: "string", Format: "uuid"},
		},
		{
			Name:        "If-Match",
			Description: "The `ETag` of the record as it was read: a record that changed since is left alone. `*`: the record must exist. The same as `etag`.",
			Schema:      &schema{Type: "string", Pattern: `^(\*|"[^"]{0,64}")$`},
		},
		{
			Name:        "If-None-Match",
			Description: "The `ETag` of the copy that the client has: the answer is 304 while it is still the same.",
			Schema:      &schema{Type: "string", MaxLength: to[uint64](1000)},
		},
		{
			Name:        "Range",
			Description: "Only the bytes from this one on, to go on with a download that broke off; for example `bytes=1000-`. Other ranges are answered with the whole file.",
			Schema:      &schema{Type: "string", Pattern: `^bytes=[0-9]{1,19}-$`},
		},
	} {
		p.In = "header"
		boundText(p.Schema)
		all.set(p.Name, p)
	}
	return all
}

func sharedHeaders() object[*header] {
	requests := whole(0, 1<<31-1)
	seconds := whole(0, 86400)
	var all object[*header]
	for name, h := range map[string]*header{
		"Cid-As-Of":             {Description: "The record is complete up to this moment.", Schema: wellKnown("google.protobuf.Timestamp", nil)},
		"Cid-Coverage":          {Description: "How fresh the record is: a value of `Coverage.State` in lower case.", Schema: coverageSchema()},
		"Content-Range":         {Description: "Which bytes these are, and how many there are in all.", Schema: &schema{Type: "string", Pattern: `^bytes [0-9]{1,19}-[0-9]{1,19}/[0-9]{1,19}$`}},
		"ETag":                  {Description: "Validator of the answer, for `If-None-Match`; of a record also for `If-Match`.", Schema: &schema{Type: "string", Pattern: `^(W/)?"[^"]{0,64}"$`}},
		"Location":              {Description: "Address of what was created.", Schema: &schema{Type: "string", Format: "uri-reference", MaxLength: to[uint64](300)}},
		"Retry-After":           {Description: "Try again after so many seconds.", Schema: seconds},
		"X-RateLimit-Limit":     {Description: "Requests allowed in the current window.", Schema: requests},
		"X-RateLimit-Remaining": {Description: "Requests left in the current window.", Schema: requests},
		"X-RateLimit-Reset":     {Description: "Seconds until the window starts again.", Schema: seconds},
	} {
		if h.Schema.Type == "string" {
			boundText(h.Schema)
		}
		all.set(name, h)
	}
	all.sort()
	return all
}

// coverageSchema lists the states of a copy as the header has them.
func coverageSchema() *schema {
	s := &schema{Type: "string"}
	states := registryv1.Coverage_State(0).Descriptor().Values()
	for i := range states.Len() {
		if states.Get(i).Number() != 0 {
			s.Enum = append(s.Enum, strings.ToLower(string(states.Get(i).Name())))
		}
	}
	return s
}

// headers refers to shared headers.
func headers(names ...string) object[*header] {
	var all object[*header]
	for _, name := range names {
		all.set(name, &header{Ref: ref("headers", name)})
	}
	return all
}

func whole(low, high int) *schema {
	return &schema{Type: "integer", Format: "int32", Minimum: low, Maximum: high}
}

func problemContent() object[*mediaType] {
	return content(problemJSON, &mediaType{Schema: &schema{Ref: ref("schemas", "Problem")}})
}

// problemSchema describes the one shape of all errors.
func problemSchema() *schema {
	return objectOf("What went wrong (RFC 9457).",
		property{"type", &schema{Type: "string", Format: "uri-reference", Description: "Address of a page about the reason.", MaxLength: to[uint64](300)}, true},
		property{"title", textOf("What went wrong, whatever the details; in Italian.", 300), true},
		property{"status", &schema{Type: "integer", Format: "int32", Description: "The HTTP status.", Minimum: 100, Maximum: 599}, true},
		property{"detail", textOf("What was wrong, where, and what to do.", 4000), false},
		property{"instance", &schema{Type: "string", Format: "uri", Description: "Id of this request, to be told to the desk.", MaxLength: to[uint64](300)}, false},
		property{"reason", &schema{Ref: ref("schemas", "ErrorReason"), Description: "Why, for programs."}, false},
		property{"metadata", &schema{
			Type: "object", Description: "What the reason is about, by the names that its description gives.", MaxProperties: to[uint64](20),
			PropertyNames: &schema{Type: "string", MaxLength: to[uint64](64)}, AdditionalProperties: textOf("", 1000),
		}, false},
		property{"errors", &schema{Type: "array", Description: "Every wrong field.", MaxItems: to[uint64](1000), Items: objectOf("",
			property{"field", textOf("Path of the field with JSON names, or the parameter or header; empty: the body as a whole.", 500), true},
			property{"message", textOf("What is wrong with it.", 2000), true},
		)}, false},
		property{"blockers", &schema{Type: "array", Description: "The records that stand in the way.", MaxItems: to[uint64](1000), Items: objectOf("",
			property{"name", textOf("Name of the record.", 300), true},
			property{"message", textOf("Why it stands in the way.", 2000), true},
		)}, false},
		property{"traceId", &schema{Type: "string", Description: "The trace that the client named in `Traceparent`.", Pattern: "^[0-9a-f]{32}$", MaxLength: to[uint64](32)}, false},
	)
}

type property struct {
	name     string
	schema   *schema
	required bool
}

func objectOf(description string, properties ...property) *schema {
	s := &schema{Type: "object", Description: description}
	for _, p := range properties {
		s.Properties.set(p.name, p.schema)
		if p.required {
			s.Required = append(s.Required, p.name)
		}
	}
	return s
}

func textOf(description string, longest uint64) *schema {
	return &schema{Type: "string", Description: description, MaxLength: to(longest)}
}

// rated are the headers of every answer that is not an error.
func rated() object[*header] {
	return headers("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
}

// statusKey is the name of an answer.
func statusKey(status int) string { return strconv.Itoa(status) }
