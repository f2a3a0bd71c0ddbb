package apidoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// A document is the part of an OpenAPI 3.1 document that the page shows, in the
// order in which it is written.
type document struct {
	Info struct {
		Title          string `json:"title"`
		Description    string `json:"description"`
		Version        string `json:"version"`
		TermsOfService string `json:"termsOfService"`
		Contact        struct {
			Name string `json:"name"`
			URL  string `json:"url"`
		} `json:"contact"`
		License struct {
			Name string `json:"name"`
		} `json:"license"`
	} `json:"info"`
	Tags []struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	} `json:"tags"`
	Paths      object[object[*operation]] `json:"paths"`
	Components struct {
		Schemas    object[*schema]    `json:"schemas"`
		Responses  object[*response]  `json:"responses"`
		Parameters object[*parameter] `json:"parameters"`
		Headers    object[*header]    `json:"headers"`
	} `json:"components"`
}

type operation struct {
	ID          string            `json:"operationId"`
	Tags        []string          `json:"tags"`
	Summary     string            `json:"summary"`
	Description string            `json:"description"`
	Parameters  []*parameter      `json:"parameters"`
	Body        *requestBody      `json:"requestBody"`
	Responses   object[*response] `json:"responses"`
}

type parameter struct {
	Ref         string  `json:"$ref"`
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Description string  `json:"description"`
	Required    bool    `json:"required"`
	Schema      *schema `json:"schema"`
	Example     any     `json:"example"`
}

type requestBody struct {
	Description string             `json:"description"`
	Required    bool               `json:"required"`
	Content     object[*mediaType] `json:"content"`
}

type response struct {
	Ref         string             `json:"$ref"`
	Description string             `json:"description"`
	Headers     object[*header]    `json:"headers"`
	Content     object[*mediaType] `json:"content"`
}

type mediaType struct {
	Schema  *schema         `json:"schema"`
	Example json.RawMessage `json:"example"`
}

type header struct {
	Ref         string  `json:"$ref"`
	Description string  `json:"description"`
	Schema      *schema `json:"schema"`
}

type schema struct {
	Ref                  string          `json:"$ref"`
	Type                 string          `json:"type"`
	Format               string          `json:"format"`
	Description          string          `json:"description"`
	ReadOnly             bool            `json:"readOnly"`
	Enum                 []any           `json:"enum"`
	MinLength            *json.Number    `json:"minLength"`
	MaxLength            *json.Number    `json:"maxLength"`
	Pattern              string          `json:"pattern"`
	Minimum              *json.Number    `json:"minimum"`
	ExclusiveMinimum     *json.Number    `json:"exclusiveMinimum"`
	Maximum              *json.Number    `json:"maximum"`
	ExclusiveMaximum     *json.Number    `json:"exclusiveMaximum"`
	MinItems             *json.Number    `json:"minItems"`
	MaxItems             *json.Number    `json:"maxItems"`
	UniqueItems          bool            `json:"uniqueItems"`
	Items                *schema         `json:"items"`
	Required             []string        `json:"required"`
	Properties           object[*schema] `json:"properties"`
	MaxProperties        *json.Number    `json:"maxProperties"`
	AdditionalProperties *schema         `json:"additionalProperties"`
	Examples             []any           `json:"examples"`
}

func read(text []byte) (*document, error) {
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	return &doc, nil
}

// An object is a JSON object whose members stay in the order of the text.
type object[T any] struct {
	names   []string
	members map[string]T
}

// UnmarshalJSON reads the members in order.
func (o *object[T]) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &o.members); err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil { // {
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		o.names = append(o.names, name.(string))
		var skipped json.RawMessage
		if err := decoder.Decode(&skipped); err != nil {
			return err
		}
	}
	return nil
}

// all yields the members in order.
func (o object[T]) all(yield func(string, T) bool) {
	for _, name := range o.names {
		if !yield(name, o.members[name]) {
			return
		}
	}
}

// target is the name of the component that a reference points to.
func target(ref string) string {
	return ref[strings.LastIndexByte(ref, '/')+1:]
}
