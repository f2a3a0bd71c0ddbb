package edge

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// marshaler is how the contract looks as JSON: fields that are not set are left out, unknown fields are errors.
var marshaler = &runtime.JSONPb{
	MarshalOptions:   protojson.MarshalOptions{EmitUnpopulated: false},
	UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
}

// newMux makes the mux of the generated handlers. It gets requests that a route was found for, and hands answers and errors back
// through the call.
func newMux() *runtime.ServeMux {
	return runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, marshaler),
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingHeaderMatcher(outgoingHeader),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptReserved),
		runtime.WithStrictDeepWildcardMatching(),
		runtime.WithErrorHandler(func(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, _ *http.Request, err error) {
			callOf(ctx).err = err
		}),
		runtime.WithRoutingErrorHandler(func(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, _ *http.Request, code int) {
			callOf(ctx).err = status.Error(codes.Internal, "the generated handlers answered "+strconv.Itoa(code)+" on a route of the contract")
		}),
		runtime.WithForwardResponseOption(func(ctx context.Context, _ http.ResponseWriter, reply proto.Message) error {
			callOf(ctx).received(reply)
			return nil
		}),
	)
}

// outgoingHeader lists the metadata of an answer that become headers: how complete and how fresh it is.
func outgoingHeader(key string) (string, bool) {
	switch key {
	case "cid-coverage":
		return "Cid-Coverage", true
	case "cid-as-of":
		return "Cid-As-Of", true
	}
	return "", false
}

// An answer is what the generated handlers wrote.
type answer struct {
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header            { return a.header }
func (a *answer) Write(data []byte) (int, error) { return a.body.Write(data) }
func (a *answer) WriteHeader(int)                {}
