// Package exporting gives the catalogue out as files, to everybody and as
// everybody may see it. A file shows one moment, and the same records make the
// same bytes.
package exporting

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
)

// pieceBytes is how much of a file one message carries.
const pieceBytes = 256 << 10

// everybody is whose sight every export has.
var everybody = catalog.Sight{Reads: registryv1.Visibility_PUBLIC}

// Server serves ExportService. It is safe for concurrent use.
type Server struct {
	exchangev1.UnimplementedExportServiceServer
	store *store.Store
	files *files.Folder
	// turn bounds how many exports are made at a time: each holds its records.
	turn chan struct{}
}

// mostAtOnce is how many exports are made at a time.
const mostAtOnce = 2

// New makes the server over a store, and over the files of documents: nil where
// the server has none.
func New(records *store.Store, documents *files.Folder) *Server {
	return &Server{store: records, files: documents, turn: make(chan struct{}, mostAtOnce)}
}

// Register registers the service.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	rpc.Register(registrar, &exchangev1.ExportService_ServiceDesc, s)
}

// A format is how a file is written, and of what.
type format struct {
	contentType string
	// collections that it knows.
	collections []string
	write       func(ctx context.Context, s *Server, shot *snapshot, asked []string, out io.Writer) error
}

func every() (collections []string) {
	for _, kind := range catalog.Kinds() {
		collections = append(collections, kind.Collection)
	}
	return collections
}

var (
	csvType = "text/csv; charset=utf-8"
	zipType = "application/zip"
	formats = map[exchangev1.ExportFormat]format{
		exchangev1.ExportFormat_CSV:          {csvType, every(), writeCSV},
		exchangev1.ExportFormat_XLSX:         {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", every(), writeXLSX},
		exchangev1.ExportFormat_HSDS_JSON:    {"application/json", []string{"locations", "organizations", "services"}, writeHSDS},
		exchangev1.ExportFormat_HSDS_TABULAR: {zipType, []string{"locations", "organizations", "services"}, writeTabular},
		exchangev1.ExportFormat_JSON_LINES:   {"application/jsonl", every(), writeLines},
		exchangev1.ExportFormat_PACKAGE:      {zipType, every(), writePackage},
		exchangev1.ExportFormat_SIOSS:        {csvType, []string{"operators", "organizations"}, writeSIOSS},
		exchangev1.ExportFormat_ISTAT:        {csvType, []string{"services"}, writeISTAT},
	}
)

// ExportRecords sends a file in pieces.
func (s *Server) ExportRecords(call *exchangev1.ExportRecordsRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	ctx := stream.Context()
	made, known := formats[call.GetFormat()]
	if !known {
		return apierror.Invalid("format", "is not known here")
	}
	comune := strings.TrimPrefix(call.GetParent(), "comuni/")
	if comune == catalog.Wildcard {
		comune = ""
	} else if err := s.knows(comune); err != nil {
		return err
	}
	asked := slices.Sorted(slices.Values(call.GetCollections()))
	for _, collection := range asked {
		if !slices.Contains(made.collections, collection) {
			return apierror.Invalid("collections", collection+" are not in files of this format")
		}
	}
	if call.GetFormat() == exchangev1.ExportFormat_CSV && len(asked) != 1 {
		return apierror.Invalid("collections", "a CSV file is of one collection")
	}
	read := asked
	if len(asked) == 0 || len(made.collections) < len(every()) || call.GetFormat() == exchangev1.ExportFormat_CSV {
		read = made.collections
	}
	if len(asked) == 0 {
		asked = made.collections
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	shot, err := take(ctx, s.store, comune, read, everybody)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(pieces{stream: stream, contentType: made.contentType}, pieceBytes)
	if err := made.write(ctx, s, shot, asked, out); err != nil {
		return err
	}
	return out.Flush()
}

// knows refuses a comune of which the server has nothing.
func (s *Server) knows(comune string) error {
	return s.store.View(func(r store.Reader) error {
		if !r.Has(catalog.Name{Kind: catalog.ByCollection("comuni"), IDs: []string{comune}}) {
			return apierror.NotFound(catalog.ComuneName(comune))
		}
		return nil
	})
}

// pieces sends what is written.
type pieces struct {
	stream      grpc.ServerStreamingServer[httpbody.HttpBody]
	contentType string
}

func (p pieces) Write(data []byte) (int, error) {
	for rest := data; len(rest) > 0; {
		n := min(len(rest), pieceBytes)
		if err := p.stream.Send(&httpbody.HttpBody{ContentType: p.contentType, Data: rest[:n]}); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(data), nil
}
