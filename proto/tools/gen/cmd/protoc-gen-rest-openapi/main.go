// Command protoc-gen-rest-openapi is a protoc plugin that writes openapi.json:
// the OpenAPI 3.1 description of the REST edge, with every path, limit and
// sentence taken from the contract. All files of the contract must come in one
// request (buf: strategy all).
package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	protogen.Options{}.Run(generate)
}

func generate(plugin *protogen.Plugin) error {
	plugin.SupportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL)
	c, err := read(plugin)
	if err != nil {
		return err
	}
	doc, err := describe(c)
	if err != nil {
		return err
	}
	text, err := encode(doc)
	if err != nil {
		return fmt.Errorf("encode the document: %w", err)
	}
	_, err = plugin.NewGeneratedFile("openapi.json", "").Write(text)
	return err
}

// encode writes indented JSON without HTML escapes.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
