package main

import (
	"bytes"
	"encoding/json"
	"slices"
)

// The part of OpenAPI 3.1 that the document uses. Plain structs, because the
// order of members matters to people who read the document: fields stay in the
// order of the contract.

type document struct {
	OpenAPI    string            `json:"openapi"`
	Info       info              `json:"info"`
	Servers    []server          `json:"servers"`
	Tags       []tag             `json:"tags"`
	Paths      object[*pathItem] `json:"paths"`
	Components components        `json:"components"`
}

type info struct {
	Title          string  `json:"title"`
	Summary        string  `json:"summary"`
	Description    string  `json:"description"`
	TermsOfService string  `json:"termsOfService"`
	Contact        contact `json:"contact"`
	License        license `json:"license"`
	Version        string  `json:"version"`
	// Asked for by the interoperability guidelines of AgID.
	XSummary string `json:"x-summary"`
	XAPIID   string `json:"x-api-id"`
}

type contact struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

type license struct {
	Name       string `json:"name"`
	Identifier string `json:"identifier"`
}

type server struct {
	URL         string `json:"url"`
	Description string `json:"description"`
}

type tag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

type pathItem struct {
	Get    *operation `json:"get,omitempty"`
	Post   *operation `json:"post,omitempty"`
	Put    *operation `json:"put,omitempty"`
	Patch  *operation `json:"patch,omitempty"`
	Delete *operation `json:"delete,omitempty"`
}

type operation struct {
	OperationID string            `json:"operationId"`
	Tags        []string          `json:"tags"`
	Summary     string            `json:"summary"`
	Description string            `json:"description"`
	Parameters  []*parameter      `json:"parameters,omitempty"`
	RequestBody *requestBody      `json:"requestBody,omitempty"`
	Responses   object[*response] `json:"responses"`
}

type parameter struct {
	Ref         string  `json:"$ref,omitempty"`
	Name        string  `json:"name,omitempty"`
	In          string  `json:"in,omitempty"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Style       string  `json:"style,omitempty"`
	Explode     *bool   `json:"explode,omitempty"`
	Schema      *schema `json:"schema,omitempty"`
	Example     any     `json:"example,omitempty"`
}

type requestBody struct {
	Description string             `json:"description"`
	Required    bool               `json:"required"`
	Content     object[*mediaType] `json:"content"`
}

type response struct {
	Ref         string             `json:"$ref,omitempty"`
	Description string             `json:"description,omitempty"`
	Headers     object[*header]    `json:"headers,omitzero"`
	Content     object[*mediaType] `json:"content,omitzero"`
}

type mediaType struct {
	Schema  *schema `json:"schema,omitempty"`
	Example any     `json:"example,omitempty"`
}

type header struct {
	Ref         string  `json:"$ref,omitempty"`
	Description string  `json:"description,omitempty"`
	Schema      *schema `json:"schema,omitempty"`
}

type components struct {
	Schemas    object[*schema]    `json:"schemas"`
	Responses  object[*response]  `json:"responses"`
	Parameters object[*parameter] `json:"parameters"`
	Headers    object[*header]    `json:"headers"`
}

type schema struct {
	Ref                  string          `json:"$ref,omitempty"`
	Type                 string          `json:"type,omitempty"`
	Format               string          `json:"format,omitempty"`
	Description          string          `json:"description,omitempty"`
	ReadOnly             bool            `json:"readOnly,omitempty"`
	Enum                 []any           `json:"enum,omitempty"`
	Const                any             `json:"const,omitempty"`
	MinLength            *uint64         `json:"minLength,omitempty"`
	MaxLength            *uint64         `json:"maxLength,omitempty"`
	Pattern              string          `json:"pattern,omitempty"`
	Minimum              any             `json:"minimum,omitempty"`
	ExclusiveMinimum     any             `json:"exclusiveMinimum,omitempty"`
	Maximum              any             `json:"maximum,omitempty"`
	ExclusiveMaximum     any             `json:"exclusiveMaximum,omitempty"`
	MinItems             *uint64         `json:"minItems,omitempty"`
	MaxItems             *uint64         `json:"maxItems,omitempty"`
	UniqueItems          bool            `json:"uniqueItems,omitempty"`
	Items                *schema         `json:"items,omitempty"`
	Required             []string        `json:"required,omitempty"`
	Properties           object[*schema] `json:"properties,omitzero"`
	MinProperties        *uint64         `json:"minProperties,omitempty"`
	MaxProperties        *uint64         `json:"maxProperties,omitempty"`
	PropertyNames        *schema         `json:"propertyNames,omitempty"`
	AdditionalProperties *schema         `json:"additionalProperties,omitempty"`
	ContentEncoding      string          `json:"contentEncoding,omitempty"`
	Examples             []any           `json:"examples,omitempty"`
}

// An object is a JSON object whose members stay in the order in which they were
// first set.
type object[T any] struct {
	names   []string
	members map[string]T
}

func (o *object[T]) set(name string, member T) {
	if o.members == nil {
		o.members = map[string]T{}
	}
	if _, has := o.members[name]; !has {
		o.names = append(o.names, name)
	}
	o.members[name] = member
}

func (o *object[T]) sort() { slices.Sort(o.names) }

// IsZero makes omitzero leave empty objects out.
func (o object[T]) IsZero() bool { return len(o.names) == 0 }

// MarshalJSON writes the members in order.
func (o object[T]) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, name := range o.names {
		if i > 0 {
			out = append(out, ',')
		}
		for j, part := range []any{name, o.members[name]} {
			if j > 0 {
				out = append(out, ':')
			}
			text, err := encode(part)
			if err != nil {
				return nil, err
			}
			out = append(out, bytes.TrimSpace(text)...)
		}
	}
	return append(out, '}'), nil
}

var _ json.Marshaler = object[any]{}

func ref(kind, name string) string { return "#/components/" + kind + "/" + name }

func to[T any](v T) *T { return &v }
