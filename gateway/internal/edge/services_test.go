package edge

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"cidsistem.example/proto/gen/registryv1"
	// Linked so that their HTTP annotations would be noticed, if they had any.
	_ "cidsistem.example/proto/gen/adminv1"
	_ "cidsistem.example/proto/gen/feedv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryServiceWithHTTPIsServed(t *testing.T) {
	var annotated, listed []string
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "cidsistem.") {
			return true
		}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				if httpRules(service.Methods().Get(j)) != nil {
					annotated = append(annotated, string(service.FullName()))
					break
				}
			}
		}
		return true
	})
	for _, s := range services {
		listed = append(listed, s.name)
	}
	slices.Sort(annotated)
	slices.Sort(listed)
	if !slices.Equal(annotated, listed) {
		t.Errorf("the contract has HTTP annotations on\n%v\nthe edge serves\n%v", annotated, listed)
	}
	if len(annotated) < 10 {
		t.Errorf("only %d services were found", len(annotated))
	}
}

// unimplemented is a registry that implements nothing, and tells which method it was asked for.
func unimplemented(t *testing.T) (*grpc.ClientConn, <-chan string) {
	t.Helper()
	asked := make(chan string, 1)
	listener := bufconn.Listen(64 << 10)
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		select {
		case asked <- method:
		default:
		}
		return status.Error(codes.Unimplemented, "nothing is here")
	}))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///registry", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
	})
	return conn, asked
}

func TestEveryRouteReachesItsMethod(t *testing.T) {
	conn, asked := unimplemented(t)
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	api, err := NewAPI(conn, NewSessions(conn), DefaultLimits(), metrics)
	if err != nil {
		t.Fatal(err)
	}
	handler := Observe(slog.New(slog.DiscardHandler), metrics, api)
	for _, r := range api.routes {
		t.Run(r.httpMethod+" "+r.pattern, func(t *testing.T) {
			path := "/" + strings.ReplaceAll(strings.Join(r.template.segments, "/"), "*", "marsala")
			if r.template.verb != "" {
				path += ":" + r.template.verb
			}
			body := ""
			if r.body != "" {
				body = "{}"
			}
			request := httptest.NewRequestWithContext(t.Context(), r.httpMethod, path, strings.NewReader(body))
			request.Header.Set("Content-Type", typeJSON)
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != http.StatusNotImplemented {
				t.Errorf("answered %d: %s", answer.Code, answer.Body)
			}
			want := r.grpcMethod
			if r.answer == answerDownload { // asks for the size first
				want = registryv1.FileService_GetFile_FullMethodName
			}
			select {
			case got := <-asked:
				if got != want {
					t.Errorf("reached %s, want %s", got, want)
				}
			case <-time.After(5 * time.Second):
				t.Error("reached no method")
			}
		})
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	for number, name := range registryv1.ErrorReason_name {
		if number == 0 {
			continue
		}
		if _, known := reasons[name]; !known {
			t.Errorf("%s is not among the reasons", name)
		}
	}
	for _, r := range Reasons() {
		if r.Status < 400 || r.Title == "" || r.Meaning == "" || r.Remedy == "" || typeOf(r.Name) != "/problems/"+r.Slug {
			t.Errorf("%s is not explained: %+v", r.Name, r)
		}
	}
}
