package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
)

// grpcTransport speaks gRPC to a server.
type grpcTransport struct {
	conn *grpc.ClientConn
	// people sign in; nil: calls are made by who has the connection's certificate.
	people people
}

func (t grpcTransport) expect(_ method, want expectation) expectation {
	want.http = 0
	return want
}

func (t grpcTransport) call(ctx context.Context, m method, request proto.Message, content []byte) (answer, error) {
	token, err := authorization(ctx, t.people, m, request)
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", token)
	}
	switch {
	case m.descriptor.IsStreamingClient():
		return t.upload(ctx, request, content)
	case m.descriptor.IsStreamingServer():
		return t.stream(ctx, m, request)
	}
	var header metadata.MD
	response := m.output.New().Interface()
	if err := t.conn.Invoke(ctx, m.full(), request, response, grpc.Header(&header)); err != nil {
		return failed(err)
	}
	body, err := documentOf(response)
	meta := map[string]string{}
	for name, values := range header {
		meta[name] = values[0]
	}
	return answer{body: body, meta: meta}, err
}

func (t grpcTransport) stream(ctx context.Context, m method, request proto.Message) (answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := t.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, m.full())
	if err != nil {
		return failed(err)
	}
	if err := errors.Join(stream.SendMsg(request), stream.CloseSend()); err != nil {
		return answer{}, err
	}
	var file []byte
	for {
		message := m.output.New().Interface()
		err := stream.RecvMsg(message)
		if errors.Is(err, io.EOF) {
			return answer{body: fileDocument(file)}, nil
		}
		if err != nil {
			return failed(err)
		}
		piece, isFile := message.(*httpbody.HttpBody)
		if !isFile {
			body, err := documentOf(message)
			return answer{body: body}, err
		}
		file = append(file, piece.GetData()...)
	}
}

// fileDocument describes the bytes of a file, so that a case can expect them.
func fileDocument(content []byte) map[string]any {
	sum := sha256.Sum256(content)
	return map[string]any{"sizeBytes": strconv.Itoa(len(content)), "sha256": hex.EncodeToString(sum[:]), "text": string(content)}
}

func (t grpcTransport) upload(ctx context.Context, request proto.Message, content []byte) (answer, error) {
	stream, err := registryv1.NewFileServiceClient(t.conn).UploadFile(ctx)
	if err != nil {
		return failed(err)
	}
	err = stream.Send(request.(*registryv1.UploadFileRequest))
	for len(content) > 0 && err == nil {
		piece := content[:min(len(content), 100_000)]
		content = content[len(piece):]
		err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: piece}})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return answer{}, err
	}
	file, err := stream.CloseAndRecv()
	if err != nil {
		return failed(err)
	}
	body, err := documentOf(file)
	return answer{body: body}, err
}

// failed reads a failure off an error; what is no status is an error of the
// test.
func failed(err error) (answer, error) {
	st, ok := status.FromError(err)
	if !ok {
		return answer{}, fmt.Errorf("no gRPC status: %w", err)
	}
	f := &failure{
		code: codeName(st.Code()), reason: apierror.Info(err).GetReason(), retry: apierror.Retry(err) > 0, message: st.Message(),
	}
	for _, field := range apierror.Fields(err) {
		f.fields = append(f.fields, field.GetField())
	}
	for _, blocker := range apierror.Blockers(err) {
		f.blockers = append(f.blockers, blocker.GetSubject())
	}
	return answer{failure: f}, nil
}

// codeName writes a code as google.rpc.Code does.
func codeName(code codes.Code) string {
	if code == codes.Canceled {
		return "CANCELLED"
	}
	var name strings.Builder
	for i, r := range code.String() {
		if i > 0 && r >= 'A' && r <= 'Z' && code != codes.OK {
			name.WriteByte('_')
		}
		name.WriteRune(r)
	}
	return strings.ToUpper(name.String())
}
