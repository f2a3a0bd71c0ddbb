package rpc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/boltkit"
	"cidsistem.example/services/internal/rpc"
)

// from is the context of a call by whoever has a certificate; no role: the local
// socket.
func from(role string, reader ...string) context.Context {
	ctx := context.Background()
	if role != "" {
		id := &url.URL{Scheme: "spiffe", Host: "cidsistem.example", Path: "/" + role + "/somebody"}
		state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{{URIs: []*url.URL{id}}}}
		ctx = peer.NewContext(ctx, &peer.Peer{AuthInfo: credentials.TLSInfo{State: state}})
	}
	var pairs []string
	for _, r := range reader {
		pairs = append(pairs, "cid-reader", r)
	}
	return metadata.NewIncomingContext(ctx, metadata.Pairs(pairs...))
}

func TestReader(t *testing.T) {
	for _, test := range []struct {
		role  string
		asks  []string
		reads registryv1.Visibility
	}{
		{"", nil, registryv1.Visibility_LOCAL},
		{"admin", nil, registryv1.Visibility_LOCAL},
		{"comune", nil, registryv1.Visibility_NETWORK},
		{"ufficio", nil, registryv1.Visibility_NETWORK},
		{"gateway", nil, registryv1.Visibility_PUBLIC},
		// Asking for somebody else can only mean less.
		{"", []string{"NETWORK"}, registryv1.Visibility_NETWORK},
		{"", []string{"PUBLIC"}, registryv1.Visibility_PUBLIC},
		{"ufficio", []string{"PUBLIC"}, registryv1.Visibility_PUBLIC},
		{"ufficio", []string{"LOCAL"}, registryv1.Visibility_NETWORK},
		{"gateway", []string{"LOCAL"}, registryv1.Visibility_PUBLIC},
		{"gateway", []string{"NETWORK"}, registryv1.Visibility_PUBLIC},
		{"ufficio", []string{"LOCAL", "PUBLIC"}, registryv1.Visibility_PUBLIC},
		{"ufficio", []string{"PUBLIC", "LOCAL"}, registryv1.Visibility_PUBLIC},
		{"ufficio", []string{"VISIBILITY_UNSPECIFIED"}, registryv1.Visibility_NETWORK},
		{"ufficio", []string{"nonsense", ""}, registryv1.Visibility_NETWORK},
	} {
		ctx := from(test.role, test.asks...)
		if got := rpc.Reader(ctx); got != test.reads {
			t.Errorf("%s asking for %v reads as %s, not as %s", test.role, test.asks, got, test.reads)
		}
		outgoing, _ := metadata.FromOutgoingContext(rpc.OnBehalf(ctx))
		if got := outgoing.Get("cid-reader"); len(got) != 1 || got[0] != test.reads.String() {
			t.Errorf("a call is passed on as for %v", got)
		}
	}
}

func TestAccess(t *testing.T) {
	const (
		feed    = "/cidsistem.feed.v1.FeedService/WatchChanges"
		admin   = "/cidsistem.admin.v1.StoreService/StreamBackup"
		records = "/cidsistem.registry.v1.ServiceService/GetService"
	)
	for _, test := range []struct {
		method, role string
		may          bool
	}{
		{feed, "ufficio", true},
		{feed, "admin", true},
		{feed, "comune", false},
		{feed, "gateway", false},
		{feed, "", true},
		{admin, "", true}, // the local socket
		{admin, "admin", false},
		{admin, "ufficio", false},
		{admin, "comune", false},
		{admin, "gateway", false},
		{records, "gateway", true},
		{records, "comune", true},
		{records, "ufficio", true},
		{records, "", true},
	} {
		called := 0
		_, unary := rpc.Access(from(test.role), nil, &grpc.UnaryServerInfo{FullMethod: test.method}, func(context.Context, any) (any, error) { called++; return nil, nil })
		streaming := rpc.AccessStream(nil, stream{ctx: from(test.role)}, &grpc.StreamServerInfo{FullMethod: test.method}, func(any, grpc.ServerStream) error { called++; return nil })
		for _, err := range []error{unary, streaming} {
			if (err == nil) != test.may || (err != nil && apierror.Reason(err) != registryv1.ErrorReason_NOT_ALLOWED) {
				t.Errorf("%s by %q: %v", test.method, test.role, err)
			}
		}
		if (called == 2) != test.may || (called == 0) == test.may {
			t.Errorf("%s by %q was called %d times", test.method, test.role, called)
		}
	}
}

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s stream) Context() context.Context { return s.ctx }

// Whatever a handler returns, the caller gets an error of the contract, and
// nothing of what is inside.
func TestAnswers(t *testing.T) {
	guard, err := rpc.NewGuard(slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
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
	_, err = guard.Unary(context.Background(), &registryv1.SuggestRequest{}, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { t.Error("handled"); return nil, nil })
	if apierror.Reason(err) != registryv1.ErrorReason_INVALID_FIELDS {
		t.Errorf("a request that breaks a rule: %v", err)
	}
	_, err = guard.Unary(context.Background(), &registryv1.SuggestRequest{Q: "x"}, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { return nil, context.Canceled })
	if status.Code(err) != codes.Canceled {
		t.Errorf("a caller who left: %v", err)
	}
}

func TestWrongFieldsAreNamedAsOnTheWeb(t *testing.T) {
	guard, err := rpc.NewGuard(slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
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
