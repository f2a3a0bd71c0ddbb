package ufficiocomune

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
)

// fileServer passes files on: they stay on the node of their comune.
type fileServer struct {
	registryv1.UnimplementedFileServiceServer
	office *Office
}

// client connects to the owner of a file or of a comune, by name.
func (s fileServer) client(name string) (registryv1.FileServiceClient, *member, string, error) {
	comune := strings.Split(name, "/")[1]
	m, err := s.office.holder(comune)
	if err != nil {
		return nil, nil, "", err
	}
	return registryv1.NewFileServiceClient(m.conn), m, comune, nil
}

// owned turns the silence of an owner into the contract's words.
func owned(err error, comune string) error {
	if err != nil && silent(err) {
		return unreachable(comune)
	}
	return err
}

// GetFile asks the owner whether a file is there.
func (s fileServer) GetFile(ctx context.Context, request *registryv1.GetFileRequest) (*registryv1.File, error) {
	client, m, comune, err := s.client(request.GetName())
	if err != nil {
		return nil, err
	}
	file, err := client.GetFile(policy.OnBehalf(ctx, m.ID), request)
	return file, owned(err, comune)
}

// DownloadFile passes the bytes of a file on.
func (s fileServer) DownloadFile(request *registryv1.DownloadFileRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	client, m, comune, err := s.client(request.GetName())
	if err != nil {
		return err
	}
	from, err := client.DownloadFile(policy.OnBehalf(stream.Context(), m.ID), request)
	if err != nil {
		return owned(err, comune)
	}
	for {
		piece, err := from.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return owned(err, comune)
		}
		if err := stream.Send(piece); err != nil {
			return err
		}
	}
}

// UploadFile passes the bytes of a file on to the owner.
func (s fileServer) UploadFile(stream grpc.ClientStreamingServer[registryv1.UploadFileRequest, registryv1.File]) error {
	message, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if message.GetHeader() == nil {
		return apierror.Invalid("header", "comes first")
	}
	client, m, comune, err := s.client(message.GetHeader().GetParent())
	if err != nil {
		return err
	}
	to, err := client.UploadFile(policy.OnBehalf(stream.Context(), m.ID))
	if err != nil {
		return owned(err, comune)
	}
	for {
		// A refusal of the owner ends the sending; CloseAndRecv has its reason.
		if err := to.Send(message); err != nil {
			break
		}
		if message, err = stream.Recv(); errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	file, err := to.CloseAndRecv()
	if err != nil {
		return owned(err, comune)
	}
	return stream.SendAndClose(file)
}
