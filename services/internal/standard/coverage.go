package standard

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"cidsistem.example/proto/gen/registryv1"
)

// Metadata keys that tell how fresh a single record is.
const (
	coverageKey = "cid-coverage"
	asOfKey     = "cid-as-of"
)

// SetCoverage tells with a single record how fresh it is.
func SetCoverage(ctx context.Context, coverage *registryv1.Coverage) error {
	pairs := []string{coverageKey, strings.ToLower(coverage.GetState().String())}
	if coverage.GetAsOfTime() != nil {
		pairs = append(pairs, asOfKey, coverage.GetAsOfTime().AsTime().Format(time.RFC3339Nano))
	}
	if grpc.ServerTransportStreamFromContext(ctx) == nil {
		return nil
	}
	return grpc.SetHeader(ctx, metadata.Pairs(pairs...))
}
