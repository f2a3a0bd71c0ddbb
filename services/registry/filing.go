package registry

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// fileServer serves FileService of a node.
type fileServer struct {
	registryv1.UnimplementedFileServiceServer
	node *Node
}

// sum finds the sha256 in the name of a file of this node.
func (s fileServer) sum(name string) (string, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[1] != s.node.settings.Comune.ID {
		return "", apierror.NotFound(name)
	}
	return parts[3], nil
}

// maxReferring is how many documents with the same file are looked at.
const maxReferring = 100

// visible is sum for a caller who may see a document with the file, or may see
// everything here: a file is never more public than its documents.
func (s fileServer) visible(ctx context.Context, name string) (string, error) {
	sum, err := s.sum(name)
	sight := policy.Of(ctx).Sight()
	if err != nil || sight.Reads == registryv1.Visibility_LOCAL {
		return sum, err
	}
	err = s.node.store.View(func(reader store.Reader) error {
		documents, err := reader.Referrers(name, maxReferring)
		if err != nil {
			return err
		}
		for _, document := range documents {
			parsed, err := catalog.ParseName(document)
			if err != nil {
				return err
			}
			if record, err := visible(reader, parsed, sight); err != nil || record != nil {
				return err
			}
		}
		return apierror.NotFound(name)
	})
	return sum, err
}

func (s fileServer) message(info files.Info) *registryv1.File {
	return &registryv1.File{
		Name:   "comuni/" + s.node.settings.Comune.ID + "/files/" + info.SHA256,
		Sha256: info.SHA256, SizeBytes: info.Size, CreateTime: timestamppb.New(info.Time),
	}
}

// GetFile tells whether a file is there.
func (s fileServer) GetFile(ctx context.Context, request *registryv1.GetFileRequest) (*registryv1.File, error) {
	sum, err := s.visible(ctx, request.GetName())
	if err != nil {
		return nil, err
	}
	info, err := s.node.files.Stat(sum)
	if errors.Is(err, files.ErrNotFound) {
		return nil, apierror.NotFound(request.GetName())
	}
	if err != nil {
		return nil, err
	}
	return s.message(info), nil
}

// pieceBytes is how much of a file one message carries.
const pieceBytes = 256 << 10

// DownloadFile sends the bytes of a file.
func (s fileServer) DownloadFile(request *registryv1.DownloadFileRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	sum, err := s.visible(stream.Context(), request.GetName())
	if err != nil {
		return err
	}
	file, err := s.node.files.Read(sum, request.GetOffset())
	if errors.Is(err, files.ErrNotFound) {
		return apierror.NotFound(request.GetName())
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for piece := make([]byte, pieceBytes); ; {
		n, err := io.ReadFull(file, piece)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		if n > 0 {
			if err := stream.Send(&httpbody.HttpBody{ContentType: "application/octet-stream", Data: piece[:n]}); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}

// UploadFile takes the bytes of a file.
func (s fileServer) UploadFile(stream grpc.ClientStreamingServer[registryv1.UploadFileRequest, registryv1.File]) error {
	first, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	header := first.GetHeader()
	if header == nil {
		return apierror.Invalid("header", "comes first")
	}
	if err := s.node.records.Owns(strings.TrimPrefix(header.GetParent(), "comuni/")); err != nil {
		return err
	}
	info, err := s.node.files.Put(stream.Context(), &uploadReader{stream: stream}, header.GetSha256())
	switch {
	case errors.Is(err, files.ErrTooLarge):
		return apierror.New(registryv1.ErrorReason_TOO_LARGE, err.Error(), apierror.With("limit_bytes", strconv.Itoa(files.MaxBytes)))
	case errors.Is(err, files.ErrOtherContent):
		return apierror.Invalid("header.sha256", err.Error())
	case err != nil:
		return err
	}
	return stream.SendAndClose(s.message(info))
}

// uploadReader reads the pieces of an upload as one.
type uploadReader struct {
	stream grpc.ClientStreamingServer[registryv1.UploadFileRequest, registryv1.File]
	rest   []byte
}

func (r *uploadReader) Read(into []byte) (int, error) {
	for len(r.rest) == 0 {
		message, err := r.stream.Recv()
		if err != nil {
			return 0, err
		}
		if message.GetHeader() != nil {
			return 0, apierror.Invalid("header", "comes only once")
		}
		r.rest = message.GetData()
	}
	n := copy(into, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
