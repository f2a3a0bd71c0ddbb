package e2e

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
)

// attempt makes a call; a failure is an error.
func attempt(ctx context.Context, over transport, call string, request proto.Message) (answer, error) {
	m, err := methodOf(call)
	if err != nil {
		return answer{}, err
	}
	got, err := over.call(ctx, m, request, nil)
	if err == nil && got.failure != nil {
		err = fmt.Errorf("%s: %+v", call, *got.failure)
	}
	return got, err
}

// succeeds makes a call that must succeed.
func succeeds(t *testing.T, over transport, call string, request proto.Message) answer {
	t.Helper()
	got, err := attempt(t.Context(), over, call, request)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// unreachable makes a call that must fail because the owner of the records is
// away.
func unreachable(t *testing.T, over transport, call string, request proto.Message) answer {
	t.Helper()
	m, err := methodOf(call)
	if err != nil {
		t.Fatal(err)
	}
	got, err := over.call(t.Context(), m, request, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.failure == nil {
		t.Fatalf("%s succeeded: %v", call, got.body)
	}
	want := expectation{reason: "OWNER_UNREACHABLE", code: "UNAVAILABLE", http: 503}
	if err := got.failure.compare(want, nil); err != nil || !got.failure.retry {
		t.Fatalf("%s: %v; says when to try again: %t", call, err, got.failure.retry)
	}
	return got
}
