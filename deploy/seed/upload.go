package seed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// pieceBytes is the size of the pieces in which a file is sent; the contract
// allows 1 MiB.
const pieceBytes = 256 << 10

// sendFile sends a file unless the node has it already.
func (i *importer) sendFile(ctx context.Context, file File) (sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	client := registryv1.NewFileServiceClient(i.conn)
	parent := catalog.ComuneName(i.comune.Slug)
	_, err = client.GetFile(ctx, &registryv1.GetFileRequest{Name: parent + "/files/" + file.SHA256})
	if status.Code(err) != codes.NotFound {
		return false, err // nil when it is there
	}
	stream, err := client.UploadFile(ctx)
	if err != nil {
		return false, err
	}
	err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Header_{
		Header: &registryv1.UploadFileRequest_Header{Parent: parent, Sha256: file.SHA256},
	}})
	for piece := range slices.Chunk(file.Data, pieceBytes) {
		if err != nil {
			break
		}
		err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: piece}})
	}
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the server answered early, with its reason
		return false, err
	}
	stored, err := stream.CloseAndRecv()
	if err != nil {
		return false, err
	}
	if stored.GetSha256() != file.SHA256 {
		return false, fmt.Errorf("the node stored something else: SHA-256 %q instead of %q", stored.GetSha256(), file.SHA256)
	}
	return true, nil
}
