package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/deploy/pki"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/identity"
)

// A badRow is a request that must be refused, and how.
type badRow struct {
	It string `yaml:"it"`
	// Over limits it to "node" or "office"; empty: both.
	Over []string `yaml:"over"`

	REST *restRow `yaml:"rest"`
	GRPC *grpcRow `yaml:"grpc"`

	Status int      `yaml:"status"` // of HTTP
	Code   string   `yaml:"code"`   // of gRPC
	Reason string   `yaml:"reason"`
	Fields []string `yaml:"fields"`
}

// A grpcRow is a call with a message, or with bytes that are none.
type grpcRow struct {
	Call    string `yaml:"call"`
	Request any    `yaml:"request"`
	Hex     string `yaml:"hex"`
	// Method is a name on the wire, in place of Call.
	Method string `yaml:"method"`
	// As is the role of the caller; empty: an administrator.
	As string `yaml:"as"`
	// Upload are the messages of an upload.
	Upload []any `yaml:"upload"`
}

// TestBadInput proves that a request which is wrong is refused with its reason,
// the wrong field and a status of the 4xx, and that none of them changes
// anything.
func TestBadInput(t *testing.T) {
	f, nodeGateway := sharedFederation(t)
	var given []step
	if err := readYAML(filepath.Join("badinput", "given.yaml"), &given); err != nil {
		t.Fatal(err)
	}
	r := run{
		transport: grpcTransport{f.conn(t, demo.Office), f}, failed: t.Fatalf,
		vars: variables{"comune": "marsala", "id": unique("cattivo")},
	}
	r.play(t.Context(), given)
	f.settle(t)
	before := f.everything(t)

	files, err := filepath.Glob(filepath.Join("badinput", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	servers := map[string]badServer{
		"node":   {id: "marsala", gateway: nodeGateway},
		"office": {id: demo.Office, gateway: f.HTTP()},
	}
	requests := 0
	for _, path := range files {
		if filepath.Base(path) == "given.yaml" {
			continue
		}
		var rows []badRow
		if err := readYAML(path, &rows); err != nil {
			t.Fatal(err)
		}
		for _, over := range slices.Sorted(maps.Keys(servers)) {
			for _, row := range rows {
				if len(row.Over) > 0 && !slices.Contains(row.Over, over) {
					continue
				}
				requests++
				t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml")+"/"+over+"/"+row.It, func(t *testing.T) {
					row.refused(t, f, servers[over], r.vars)
				})
			}
		}
	}
	t.Logf("%d bad requests", requests)
	f.settle(t)
	if after := f.everything(t); after != before {
		t.Errorf("a request that was refused changed something; before:\n%s\nafter:\n%s", before, after)
	}
}

// A badServer is what bad requests are sent to.
type badServer struct{ id, gateway string }

func (row badRow) refused(t *testing.T, f *federation, server badServer, vars variables) {
	vars = maps.Clone(vars)
	var got answer
	var err error
	if row.REST != nil {
		vars["token"], err = f.Token(t.Context(), "marsala")
		if err != nil {
			t.Fatal(err)
		}
		got, err = row.REST.send(t.Context(), server.gateway, vars)
	} else {
		got, err = row.GRPC.send(t.Context(), f, server.id, vars)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got.failure == nil {
		t.Fatalf("succeeded: %v", got.body)
	}
	if status := got.failure.http; status >= http.StatusInternalServerError && status != row.Status {
		t.Errorf("the gateway took the blame: %+v", *got.failure)
	}
	want := expectation{reason: row.Reason, code: row.Code, http: row.Status, fields: row.Fields}
	if err := got.failure.compare(want, nil); err != nil {
		t.Error(err)
	}
	if row.REST != nil && row.Status == 0 || row.GRPC != nil && row.Code == "" {
		t.Error("the row does not say what is expected")
	}
}

func (row *grpcRow) send(ctx context.Context, f *federation, server string, vars variables) (answer, error) {
	conn, err := f.connAs(row.As, server)
	if err != nil {
		return answer{}, err
	}
	if row.As == "" && server == demo.Office && !strings.Contains(row.Call, "Feed") && !strings.Contains(row.Call, "Federation") {
		// The office changes nothing of a comune but for somebody.
		token, err := f.Token(ctx, "marsala")
		if err != nil {
			return answer{}, err
		}
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	defer func() { _ = conn.Close() }()
	if row.Upload != nil {
		return row.upload(ctx, conn, vars)
	}
	full := row.Method
	if full == "" {
		m, err := methodOf(row.Call)
		if err != nil {
			return answer{}, err
		}
		if row.Hex == "" {
			document, err := vars.expand(row.Request)
			if err != nil {
				return answer{}, err
			}
			request, err := m.request(document)
			if err != nil {
				return answer{}, err
			}
			return grpcTransport{conn: conn}.call(ctx, m, request, nil)
		}
		full = m.full()
	}
	text, err := vars.expandText(row.Hex)
	if err != nil {
		return answer{}, err
	}
	request, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		return answer{}, err
	}
	var response []byte
	if err := conn.Invoke(ctx, full, &request, &response, grpc.ForceCodec(bytesCodec{})); err != nil {
		return failed(err)
	}
	return answer{body: hex.EncodeToString(response)}, nil
}

// upload sends the messages of an upload as they are.
func (row *grpcRow) upload(ctx context.Context, conn *grpc.ClientConn, vars variables) (answer, error) {
	m, err := methodOf("FileService.UploadFile")
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, m.full())
	if err != nil {
		return failed(err)
	}
	for _, one := range row.Upload {
		document, err := vars.expand(one)
		if err != nil {
			return answer{}, err
		}
		message, err := m.request(document)
		if err != nil {
			return answer{}, err
		}
		if stream.SendMsg(message) != nil {
			break // the answer tells why
		}
	}
	if err := stream.CloseSend(); err != nil {
		return answer{}, err
	}
	response := m.output.New().Interface()
	if err := stream.RecvMsg(response); err != nil {
		return failed(err)
	}
	body, err := documentOf(response)
	return answer{body: body}, err
}

// bytesCodec sends bytes that need not be a message.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = slices.Clone(data)
	return nil
}

// connAs connects to a server in a role. The caller closes it.
func (f *federation) connAs(role, server string) (*grpc.ClientConn, error) {
	if role == "" {
		role = identity.RoleAdmin
	}
	files, err := f.Authority().Issue(pki.Request{Role: role, Name: "prova", Out: filepath.Join(f.dir, "prova-"+role)})
	if err != nil {
		return nil, err
	}
	source, err := identity.Load(files)
	if err != nil {
		return nil, err
	}
	want := identity.ID{TrustDomain: demo.TrustDomain, Role: identity.RoleComune, Name: server}
	if server == demo.Office {
		want.Role = identity.RoleUfficio
	}
	conn, err := grpcclient.Dial(f.Address(server), grpcclient.Options{TLS: source.ClientTLS(want), MaxMessageBytes: 64 << 20})
	if err != nil {
		return nil, fmt.Errorf("connect to %s as %s: %w", server, role, err)
	}
	return conn, nil
}
