package apidoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// curl writes a command that calls an operation, for a POSIX shell in which CID
// is the address of this site.
func (d *document) curl(method, path string, op *operation) string {
	address := path
	var query []string
	var options []string
	for _, p := range op.Parameters {
		p = d.parameter(p)
		switch {
		case p.In == "path":
			address = strings.ReplaceAll(address, "{"+p.Name+"}", fmt.Sprint(p.Example))
		case p.In == "query" && p.Required:
			query = append(query, p.Name+"="+url.QueryEscape(fmt.Sprint(p.Example)))
		case p.Name == "Idempotency-Key":
			options = append(options, `-H "Idempotency-Key: $(uuidgen -r)"`)
		case p.Name == "If-Match":
			options = append(options, `-H "If-Match: $ETAG"`)
		}
	}
	if len(query) > 0 {
		address += "?" + strings.Join(query, "&")
	}
	if method != "GET" {
		options = slices.Insert(options, 0, "-X "+method)
	}
	if ok := d.success(op); ok != nil {
		switch media := ok.Content.names; {
		case slices.Contains(media, "text/event-stream"):
			options = append(options, "-N", "-H 'Accept: text/event-stream'")
		case slices.Contains(media, octets):
			options = append(options, "-o file")
		}
	}
	options = append(options, bodyOptions(op.Body)...)
	parts := append([]string{`curl "$CID` + address + `"`}, options...)
	return strings.Join(parts, " \\\n  ")
}

const octets = "application/octet-stream"

func bodyOptions(body *requestBody) []string {
	if body == nil {
		return nil
	}
	for name, media := range body.Content.all {
		options := []string{"-H 'Content-Type: " + name + "'"}
		if name == octets {
			return append(options, "--data-binary @file")
		}
		return append(options, "--data '"+strings.ReplaceAll(compact(media.Example), "'", `'\''`)+"'")
	}
	return nil
}

func compact(example json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Compact(&out, example); err != nil {
		return "{}"
	}
	return out.String()
}

// success is the first answer of an operation that is no error.
func (d *document) success(op *operation) *response {
	for status, answer := range op.Responses.all {
		if strings.HasPrefix(status, "2") {
			return answer
		}
	}
	return nil
}

// parameter follows a reference.
func (d *document) parameter(p *parameter) *parameter {
	if p.Ref != "" {
		return d.Components.Parameters.members[target(p.Ref)]
	}
	return p
}
