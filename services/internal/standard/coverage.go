package standard

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/registryv1"
)

// Metadata keys that tell how fresh a single record is.
const (
	coverageKey = "cid-coverage"
	asOfKey     = "cid-as-of"
)

// CoverageOf reads how fresh the single record of an answer is, nil when the
// answer does not say.
func CoverageOf(header metadata.MD) *registryv1.Coverage {
	state := header.Get(coverageKey)
	if len(state) == 0 {
		return nil
	}
	c := &registryv1.Coverage{State: registryv1.Coverage_State(registryv1.Coverage_State_value[strings.ToUpper(state[0])])}
	for _, asOf := range header.Get(asOfKey) {
		if t, err := time.Parse(time.RFC3339Nano, asOf); err == nil {
			c.AsOfTime = timestamppb.New(t)
		}
	}
	return c
}

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
