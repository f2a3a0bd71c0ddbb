// Package openapi has the description of the REST edge, as generated from the
// contract.
package openapi

import _ "embed"

// JSON is the OpenAPI 3.1 document, UTF-8.
//
//go:embed openapi.json
var JSON []byte
