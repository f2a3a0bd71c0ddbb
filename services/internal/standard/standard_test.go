package standard_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/standard"
)

func TestIDsSortByTime(t *testing.T) {
	for _, kind := range catalog.Kinds() {
		last := ""
		for range 200 {
			id := standard.NewID(kind.Singular)
			if !catalog.ValidID(id) || id[0] != kind.Singular[0] || id <= last {
				t.Fatalf("the id %s of %s comes after %s", id, kind.Collection, last)
			}
			last = id
		}
	}
}

func TestCoverageOfASingleRecord(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 123, time.UTC)
	for _, test := range []struct {
		header metadata.MD
		want   *registryv1.Coverage
	}{
		{metadata.Pairs("cid-coverage", "current", "cid-as-of", at.Format(time.RFC3339Nano)), &registryv1.Coverage{State: registryv1.Coverage_CURRENT, AsOfTime: timestamppb.New(at)}},
		{metadata.Pairs("cid-coverage", "stale"), &registryv1.Coverage{State: registryv1.Coverage_STALE}},
		{metadata.Pairs("cid-coverage", "stale", "cid-as-of", "sometime"), &registryv1.Coverage{State: registryv1.Coverage_STALE}},
		{metadata.Pairs("cid-coverage", "nonsense"), &registryv1.Coverage{}},
		{metadata.MD{}, nil},
	} {
		got := standard.CoverageOf(test.header)
		if (got == nil) != (test.want == nil) || !proto.Equal(got, test.want) {
			t.Errorf("%v says %v", test.header, got)
		}
	}
}

// A request that was passed on with an id of the office's own stays what it was.
func TestRequestIDs(t *testing.T) {
	method, _ := catalog.ByCollection("services").Method(catalog.Create)
	request := standard.Request{Method: method, Message: &registryv1.CreateServiceRequest{Parent: "comuni/marsala", Service: &registryv1.Service{}}}
	if got, err := request.Repeatable(); got.ID != nil || err != nil {
		t.Errorf("without an id it is repeatable by %x, %v", got.ID, err)
	}
	with := request.WithRequestID()
	first, err := with.Repeatable()
	if err != nil || len(first.ID) != 16 || with.WithRequestID().RequestID() != with.RequestID() || request.RequestID() != "" {
		t.Errorf("repeatable by %x, %v", first.ID, err)
	}
	// Whatever else differs makes another request.
	other := request.WithRequestID()
	second, _ := other.Repeatable()
	if first.Digest != second.Digest || string(first.ID) == string(second.ID) {
		t.Error("the id is part of what tells requests apart")
	}
	changed := standard.Request{Method: method, Message: &registryv1.CreateServiceRequest{Parent: "comuni/marsala", Service: &registryv1.Service{}, ValidateOnly: true, RequestId: with.RequestID()}}
	if third, _ := changed.Repeatable(); third.Digest == first.Digest {
		t.Error("another request is taken for the same")
	}
}
