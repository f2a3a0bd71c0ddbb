package exporting

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
)

// recordJSON is a record as JSON, always with the same bytes: protojson alone
// puts spaces as it likes.
func recordJSON(record proto.Message) ([]byte, error) {
	text, err := protojson.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", catalog.RecordOf(record).Name(), err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, fmt.Errorf("write %s: %w", catalog.RecordOf(record).Name(), err)
	}
	return compact.Bytes(), nil
}

// writeLines writes records as JSON, one a line.
func writeLines(ctx context.Context, _ *Server, shot *snapshot, _ []string, out io.Writer) error {
	for _, record := range shot.all() {
		if err := ctx.Err(); err != nil {
			return err
		}
		text, err := recordJSON(record)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(text, '\n')); err != nil {
			return err
		}
	}
	return nil
}
