package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"cidsistem.example/proto/gen/registryv1"
)

const (
	// uploadPattern is the address of uploads.
	uploadPattern = "/v1/{parent=comuni/*}/files"
	// pieceBytes is how much of a file is in memory at a time.
	pieceBytes = 256 << 10
	// pieceWithin is how long a client may take to send one piece.
	pieceWithin = 30 * time.Second
)

// serveUpload passes the body on as a file, piece by piece.
func (a *API) serveUpload(w http.ResponseWriter, r *http.Request) {
	c := callOf(r.Context())
	file, err := a.upload(w, r, c)
	allowWriting(w)
	if err != nil {
		a.fail(w, r, c, err)
		return
	}
	body, err := marshaler.Marshal(file)
	if err != nil {
		a.fail(w, r, c, fmt.Errorf("write the answer: %w", err))
		return
	}
	header := w.Header()
	header.Set("Content-Type", typeJSON)
	header.Set("Cache-Control", "no-store")
	header.Set("Location", "/v1/"+file.GetName())
	write(w, http.StatusCreated, body)
}

func (a *API) upload(w http.ResponseWriter, r *http.Request, c *call) (*registryv1.File, error) {
	if _, err := chooseType(r, typeJSON); err != nil {
		return nil, err
	}
	if r.ContentLength > a.limits.FileBytes {
		return nil, tooLarge(a.limits.FileBytes)
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.limits.FileTimeout)
	defer cancel() // also drops an upload that was broken off
	stream, err := a.files.UploadFile(ctx)
	if err != nil {
		return nil, err
	}
	header := &registryv1.UploadFileRequest_Header{}
	if err := c.route.readQuery(r.URL.RawQuery, header); err != nil {
		return nil, err
	}
	header.Parent = c.variables["parent"]
	err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Header_{Header: header}})
	if err == nil {
		err = a.sendPieces(w, r, stream)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return stream.CloseAndRecv() // after io.EOF it tells why the server wants no more
}

// sendPieces sends the body. The error is io.EOF when the server has ended the call early.
func (a *API) sendPieces(w http.ResponseWriter, r *http.Request, stream registryv1.FileService_UploadFileClient) error {
	connection := http.NewResponseController(w)
	body := http.MaxBytesReader(w, r.Body, a.limits.FileBytes)
	for {
		piece := make([]byte, pieceBytes)                           // a new one each time: gRPC may keep what it was given
		_ = connection.SetReadDeadline(time.Now().Add(pieceWithin)) // not every connection can; FileTimeout holds anyway
		n, err := fill(body, piece)
		if err != nil && !errors.Is(err, io.EOF) {
			return bodyProblem(err, a.limits.FileBytes)
		}
		if n > 0 {
			if err := stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: piece[:n]}}); err != nil {
				return err
			}
		}
		if err != nil {
			_ = connection.SetReadDeadline(time.Time{})
			return nil
		}
	}
}

// fill reads until the piece is full or the reader ends; unlike io.ReadFull it keeps a body's own early end apart from its end.
func fill(from io.Reader, piece []byte) (n int, err error) {
	for n < len(piece) && err == nil {
		var read int
		read, err = from.Read(piece[n:])
		n += read
	}
	return n, err
}
