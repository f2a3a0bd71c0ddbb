package main

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// describe writes the document of a contract.
func describe(c *contract) (*document, error) {
	g := &generator{contract: c, described: map[string]protoreflect.FullName{}}
	g.doc.OpenAPI = "3.1.0"
	g.doc.Info = about
	g.doc.Servers = []server{{URL: "/", Description: "Questo nodo"}}
	if err := g.shared(); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, m := range c.methods {
		path, op, err := g.operation(m)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Desc.FullName(), err)
		}
		if err := g.add(path, m.verb, op); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Desc.FullName(), err)
		}
		tags[op.Tags[0]] = g.prose(m.Parent.Comments)
	}
	if err := g.add(status(tags)); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		g.doc.Tags = append(g.doc.Tags, tag{Name: name, Description: tags[name]})
	}
	g.doc.Paths.sort()
	g.doc.Components.Schemas.sort()
	return &g.doc, nil
}

// add puts an operation at its path.
func (g *generator) add(path, verb string, op *operation) error {
	item := g.doc.Paths.members[path]
	if item == nil {
		item = &pathItem{}
		g.doc.Paths.set(path, item)
	}
	slot := map[string]**operation{"GET": &item.Get, "POST": &item.Post, "PUT": &item.Put, "PATCH": &item.Patch, "DELETE": &item.Delete}[verb]
	if slot == nil {
		return fmt.Errorf("%s: the document has no place for the verb %s", path, verb)
	}
	if *slot != nil {
		return fmt.Errorf("%s %s is both %s and %s", verb, path, (*slot).OperationID, op.OperationID)
	}
	*slot = op
	return nil
}

// status is the operation that the interoperability guidelines of AgID ask of
// every API; it belongs to the edge, not to the contract. It adds its tag.
func status(tags map[string]string) (path, verb string, op *operation) {
	const name = "Stato"
	tags[name] = "Whether the API can serve."
	op = &operation{
		OperationID: "getStatus",
		Tags:        []string{name},
		Summary:     "Tells whether the API can serve",
		Description: "Tells whether the API can serve. The answer has the form of a problem also when there is none.",
	}
	op.Responses.set("200", &response{Description: "It can.", Headers: rated(), Content: problemContent()})
	op.Responses.set("429", &response{Ref: ref("responses", "TooManyRequests")})
	op.Responses.set("503", &response{Ref: ref("responses", "ServiceUnavailable")})
	op.Responses.set("default", &response{Ref: ref("responses", "Problem")})
	return "/status", "GET", op
}
