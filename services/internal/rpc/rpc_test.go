package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/boltkit"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/tokens"
)

// audit remembers what it was told.
type audit struct {
	mu      sync.Mutex
	entries []*auditv1.AuditEntry
	refused []string
	err     error
}

func (a *audit) Record(_ context.Context, entries ...*auditv1.AuditEntry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, entries...)
	return a.err
}

func (a *audit) Refused(caller *policy.Caller, method, about, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = append(a.refused, caller.Actor()+" "+method+" "+about+" "+reason)
}

// newGuard makes the guard of the node of Marsala.
func newGuard(t *testing.T, log *slog.Logger) (*rpc.Guard, *audit) {
	t.Helper()
	rules, err := policy.New("marsala", "marsala", tokens.NewVerifier("marsala", time.Now))
	if err != nil {
		t.Fatal(err)
	}
	noted := &audit{}
	guard, err := rpc.NewGuard(rules, noted, log)
	if err != nil {
		t.Fatal(err)
	}
	return guard, noted
}

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s stream) Context() context.Context { return s.ctx }

// Whatever a handler returns, the caller gets an error of the contract, and
// nothing of what is inside.
func TestAnswers(t *testing.T) {
	guard, _ := newGuard(t, slog.New(slog.DiscardHandler))
	const secret = "/var/lib/secret"
	for name, test := range map[string]struct {
		err    error
		reason registryv1.ErrorReason
		retry  bool
	}{
		"none":            {nil, 0, false},
		"of the contract": {apierror.NotFound("comuni/x"), registryv1.ErrorReason_RESOURCE_NOT_FOUND, false},
		"wrapped":         {fmt.Errorf("while reading: %w", apierror.NotFound("comuni/x")), registryv1.ErrorReason_RESOURCE_NOT_FOUND, false},
		"fenced":          {fmt.Errorf("%w: %s", boltkit.ErrFenced, secret), registryv1.ErrorReason_STORE_FENCED, true},
		"full":            {fmt.Errorf("%w: %s", boltkit.ErrFull, secret), registryv1.ErrorReason_STORE_FULL, false},
		"busy":            {boltkit.ErrBusy, registryv1.ErrorReason_TOO_MANY_REQUESTS, true},
		"closed":          {boltkit.ErrClosed, registryv1.ErrorReason_NOT_READY, true},
		"late":            {context.DeadlineExceeded, registryv1.ErrorReason_DEADLINE, false},
		"late elsewhere":  {status.Error(codes.DeadlineExceeded, "x"), registryv1.ErrorReason_DEADLINE, false},
		"a defect":        {errors.New("open " + secret), registryv1.ErrorReason_INTERNAL_ERROR, false},
		"a panic":         {fmt.Errorf("%w: %s", boltkit.ErrPanic, secret), registryv1.ErrorReason_INTERNAL_ERROR, false},
		"of another":      {status.Error(codes.Internal, secret), registryv1.ErrorReason_INTERNAL_ERROR, false},
	} {
		_, unary := guard.Unary(context.Background(), &registryv1.SuggestRequest{Q: "x"}, &grpc.UnaryServerInfo{FullMethod: "/x/Y"}, func(context.Context, any) (any, error) { return nil, test.err })
		streaming := guard.Stream(nil, stream{ctx: context.Background()}, &grpc.StreamServerInfo{FullMethod: "/x/Y"}, func(any, grpc.ServerStream) error { return test.err })
		for _, err := range []error{unary, streaming} {
			if got := apierror.Reason(err); got != test.reason || (err == nil) != (test.err == nil) || (apierror.Retry(err) > 0) != test.retry {
				t.Errorf("%s: %v", name, err)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the caller reads %v", name, err)
			}
		}
	}
	_, err := guard.Unary(context.Background(), &registryv1.SuggestRequest{}, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { t.Error("handled"); return nil, nil })
	if apierror.Reason(err) != registryv1.ErrorReason_INVALID_FIELDS {
		t.Errorf("a request that breaks a rule: %v", err)
	}
	_, err = guard.Unary(context.Background(), &registryv1.SuggestRequest{Q: "x"}, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { return nil, context.Canceled })
	if status.Code(err) != codes.Canceled {
		t.Errorf("a caller who left: %v", err)
	}
}

func TestWrongFieldsAreNamedAsOnTheWeb(t *testing.T) {
	guard, _ := newGuard(t, slog.New(slog.DiscardHandler))
	record := &registryv1.Document{
		Title: &registryv1.LocalizedText{It: "x", Translations: map[string]*registryv1.Translation{"ar": {SourceDigest: "none"}}}, Kind: 1,
		Files: []*registryv1.FileReference{{Sha256: strings.Repeat("a", 64), FileName: "a.pdf", MediaType: "nonsense"}},
	}
	var named []string
	for _, field := range apierror.Fields(guard.Validate(record, "document")) {
		named = append(named, field.GetField())
	}
	if got := strings.Join(named, " "); got != `document.title.translations["ar"].sourceDigest document.files[0].mediaType` {
		t.Errorf("named %s", got)
	}
	if err := guard.Validate(&registryv1.Document{Title: &registryv1.LocalizedText{It: "x"}, Kind: 1}, ""); err != nil {
		t.Error(err)
	}
}
