package record

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cidsistem.example/proto/gen/registryv1"
)

// pieceBytes is how much of a file one message carries.
const pieceBytes = 256 << 10

// SendFile gives a comune a file to keep.
func SendFile(ctx context.Context, files registryv1.FileServiceClient, comune string, from io.Reader) (*registryv1.File, error) {
	stream, err := files.UploadFile(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Header_{Header: &registryv1.UploadFileRequest_Header{Parent: comune}}})
	for piece := make([]byte, pieceBytes); err == nil; {
		n, ended := io.ReadFull(from, piece)
		if n > 0 {
			err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: piece[:n]}})
		}
		if errors.Is(ended, io.EOF) || errors.Is(ended, io.ErrUnexpectedEOF) {
			break
		}
		if ended != nil {
			return nil, fmt.Errorf("send a file: %w", ended)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) { // after io.EOF the answer says why the node wants no more
		return nil, err
	}
	return stream.CloseAndRecv()
}
