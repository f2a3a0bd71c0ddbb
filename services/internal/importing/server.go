// Package importing takes records over from files into a comune's node:
// spreadsheets, HSDS, and the exports of another node. What becomes of each line
// is kept in a report; what is written goes the way of all changes of records.
package importing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
)

// mostImports bounds the imports that a node keeps.
const mostImports = 500

// Options of New.
type Options struct {
	// Store of the node, and the Vault of its local data.
	Store *store.Store
	Vault *vault.Vault
	// Records of the comune, and the Rules of the contract.
	Records *records.Records
	Rules   records.Rules
	// Files that were uploaded.
	Files *files.Folder
	// Comune is the id of the comune that the node owns.
	Comune string
	// Logger; nil means slog.Default.
	Logger *slog.Logger
}

// Server serves ImportService for one comune. It is safe for concurrent use.
type Server struct {
	exchangev1.UnimplementedImportServiceServer
	Options
	parent string
	wake   chan struct{}
}

// New makes the server. Run must run for imports to go on.
func New(options Options) *Server {
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	return &Server{Options: options, parent: "comuni/" + options.Comune, wake: make(chan struct{}, 1)}
}

// Register registers the service.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	rpc.Register(registrar, &exchangev1.ImportService_ServiceDesc, s)
}

// mayWork refuses another comune's.
func (s *Server) mayWork(ctx context.Context, name string) (*policy.Caller, error) {
	comune, _, _ := strings.Cut(strings.TrimPrefix(name, "comuni/"), "/")
	if comune != s.Comune {
		return nil, apierror.New(registryv1.ErrorReason_NOT_THE_OWNER,
			fmt.Sprintf("this node imports for %s, not for comuni/%s; ask the node of that comune", s.parent, comune), apierror.With("comune", comune))
	}
	return policy.Of(ctx), nil
}

func idOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// CreateImport looks at a file.
func (s *Server) CreateImport(ctx context.Context, call *exchangev1.CreateImportRequest) (*exchangev1.Import, error) {
	caller, err := s.mayWork(ctx, call.GetParent())
	if err != nil {
		return nil, err
	}
	asked := call.GetImport()
	made := &exchangev1.Import{
		File: asked.GetFile(), FileName: asked.GetFileName(), Source: asked.GetSource(), Collection: asked.GetCollection(), Format: asked.GetFormat(),
		Table: asked.GetTable(), HeadingLine: asked.GetHeadingLine(), Columns: asked.GetColumns(), AllOrNothing: asked.GetAllOrNothing(),
		Visibility: asked.GetVisibility(), State: exchangev1.Import_READY,
	}
	if err := s.inspect(made, len(asked.GetColumns()) == 0); err != nil {
		return nil, err
	}
	random := make([]byte, 3)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	_, err = s.Store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		n := 0
		for range r.LocalKeys(areaImports) {
			n++
		}
		if n >= mostImports {
			return store.Outcome{}, apierror.New(registryv1.ErrorReason_TOO_LARGE, "there are too many imports; delete old ones", apierror.With("limit", strconv.Itoa(mostImports)))
		}
		made.Name = s.parent + "/imports/" + fmt.Sprintf("i%016x%x", max(stamp.Time.UnixNano(), 0), random)
		made.CreateTime = timestamppb.New(stamp.Time)
		puts := s.writer()
		puts.save(made, stamp)
		return puts.outcome(caller.Entry(exchangev1.ImportService_CreateImport_FullMethodName, made.GetName(), auditv1.AuditEntry_DONE))
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// load reads an import that is there.
func (s *Server) load(r store.Reader, name string) (*exchangev1.Import, error) {
	found := &exchangev1.Import{}
	ok, err := s.open(r, store.LocalKey{Area: areaImports, ID: idOf(name)}, found)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, apierror.NotFound(name)
	}
	return found, nil
}

// GetImport reads how an import stands.
func (s *Server) GetImport(ctx context.Context, call *exchangev1.GetImportRequest) (*exchangev1.Import, error) {
	if _, err := s.mayWork(ctx, call.GetName()); err != nil {
		return nil, err
	}
	var found *exchangev1.Import
	err := s.Store.View(func(r store.Reader) (err error) {
		found, err = s.load(r, call.GetName())
		return err
	})
	return found, err
}

// ListImports lists imports, the newest first.
func (s *Server) ListImports(ctx context.Context, call *exchangev1.ListImportsRequest) (*exchangev1.ListImportsResponse, error) {
	if _, err := s.mayWork(ctx, call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	size, before := pagetoken.Size(call.GetPageSize(), 50, 1000), string(token.Key)
	answer := &exchangev1.ListImportsResponse{}
	err = s.Store.View(func(r store.Reader) error {
		for key := range r.LocalEntriesDown(areaImports, before) {
			if len(answer.GetImports()) == size {
				answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(before)})
				return nil
			}
			one, err := s.load(r, key.ID)
			if err != nil {
				return err
			}
			one.Columns, one.Targets, one.VanishedRecords = nil, nil, nil
			answer.Imports, before = append(answer.Imports, one), key.ID
		}
		return nil
	})
	return answer, err
}

// change changes an import in one commit.
func (s *Server) change(ctx context.Context, method, name string, edit func(*exchangev1.Import, *writer) error) (*exchangev1.Import, error) {
	caller, err := s.mayWork(ctx, name)
	if err != nil {
		return nil, err
	}
	var changed *exchangev1.Import
	_, err = s.Store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		one, err := s.load(r, name)
		if err != nil {
			return store.Outcome{}, err
		}
		puts := s.writer()
		puts.reader = r
		if err := edit(one, puts); err != nil {
			return store.Outcome{}, err
		}
		puts.save(one, stamp)
		changed = one
		return puts.outcome(caller.Entry(method, name, auditv1.AuditEntry_DONE))
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

func running(one *exchangev1.Import) error {
	if one.GetState() != exchangev1.Import_RUNNING {
		return nil
	}
	return apierror.Invalid("import.state", "the import is running; cancel it first")
}

// UpdateImport changes what the columns mean.
func (s *Server) UpdateImport(ctx context.Context, call *exchangev1.UpdateImportRequest) (*exchangev1.Import, error) {
	asked := call.GetImport()
	if _, err := s.mayWork(ctx, asked.GetName()); err != nil {
		return nil, err
	}
	before, err := s.GetImport(ctx, &exchangev1.GetImportRequest{Name: asked.GetName()})
	if err != nil {
		return nil, err
	}
	// The file is read outside the transaction.
	after := proto.CloneOf(before)
	after.FileName, after.AllOrNothing, after.Visibility = asked.GetFileName(), asked.GetAllOrNothing(), asked.GetVisibility()
	guess := asked.GetCollection() != before.GetCollection() || asked.GetTable() != before.GetTable() || asked.GetHeadingLine() != before.GetHeadingLine()
	after.Source, after.Collection, after.Table, after.HeadingLine = asked.GetSource(), asked.GetCollection(), asked.GetTable(), asked.GetHeadingLine()
	if !guess && len(asked.GetColumns()) > 0 {
		after.Columns = asked.GetColumns()
	}
	if err := s.inspect(after, guess); err != nil {
		return nil, err
	}
	return s.change(ctx, exchangev1.ImportService_UpdateImport_FullMethodName, asked.GetName(), func(one *exchangev1.Import, puts *writer) error {
		if etag := asked.GetEtag(); etag != "" && etag != one.GetEtag() || one.GetEtag() != before.GetEtag() {
			return records.Mismatch(one.GetName(), one.GetEtag())
		}
		if err := running(one); err != nil {
			return err
		}
		proto.Reset(one)
		proto.Merge(one, after)
		// What it was told before is over.
		one.State, one.Counts, one.LinesDone, one.Error, one.VanishedRecords = exchangev1.Import_READY, nil, 0, "", nil
		puts.forgetRows(one.GetName())
		puts.remember(one)
		return nil
	})
}

// RunImport starts an import, or goes on with one.
func (s *Server) RunImport(ctx context.Context, call *exchangev1.RunImportRequest) (*exchangev1.Import, error) {
	caller, err := s.mayWork(ctx, call.GetName())
	if err != nil {
		return nil, err
	}
	var kinds []string
	for _, kind := range catalog.Kinds() {
		about := catalog.Name{Kind: kind, IDs: []string{s.Comune}}
		for len(about.IDs) < kind.Depth() {
			about.IDs = append(about.IDs, "any")
		}
		if _, err := s.Records.Rights(caller, catalog.Update, about); err == nil {
			kinds = append(kinds, kind.Collection)
		}
	}
	started, err := s.change(ctx, exchangev1.ImportService_RunImport_FullMethodName, call.GetName(), func(one *exchangev1.Import, puts *writer) error {
		if err := running(one); err != nil {
			return err
		}
		if spreadsheet(one.GetFormat()) {
			if err := mapped(one); err != nil {
				return err
			}
		}
		visibility := one.GetVisibility()
		if visibility == registryv1.Visibility_VISIBILITY_UNSPECIFIED {
			visibility = registryv1.Visibility_LOCAL
		}
		if caller.MayPublish(&registryv1.Service{Name: s.parent + "/services/any", Visibility: visibility}) != nil {
			visibility = registryv1.Visibility_LOCAL
		}
		work := job{Visibility: visibility, Actor: records.Actor(caller), Kinds: kinds, DryRun: call.GetDryRun(), Phase: phaseWrite}
		var before job
		known, err := s.openJob(puts.reader, one.GetName(), &before)
		if err != nil {
			return err
		}
		stopped := one.GetState() == exchangev1.Import_CANCELLED || one.GetState() == exchangev1.Import_FAILED
		if known && stopped && before.DryRun == call.GetDryRun() {
			work.Phase, work.Cursor, work.Links = before.Phase, before.Cursor, before.Links
		} else {
			if one.GetAllOrNothing() && !call.GetDryRun() {
				work.Phase = phaseCheck
			}
			one.Counts, one.LinesDone, one.VanishedRecords = &exchangev1.Import_Counts{}, 0, nil
			puts.forgetRows(one.GetName())
		}
		one.State, one.DryRun, one.Error = exchangev1.Import_RUNNING, call.GetDryRun(), ""
		puts.saveJob(one.GetName(), work)
		puts.remember(one)
		return nil
	})
	if err != nil {
		return nil, err
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return started, nil
}

// mapped refuses an import that cannot make a record.
func mapped(one *exchangev1.Import) error {
	for _, t := range targets[one.GetCollection()] {
		found := !t.required
		for _, column := range one.GetColumns() {
			found = found || column.GetTarget() == t.name
		}
		if !found {
			return apierror.Invalid("import.columns", "no column fills "+t.name+", which every record needs")
		}
	}
	return nil
}

// CancelImport stops an import.
func (s *Server) CancelImport(ctx context.Context, call *exchangev1.CancelImportRequest) (*exchangev1.Import, error) {
	return s.change(ctx, exchangev1.ImportService_CancelImport_FullMethodName, call.GetName(), func(one *exchangev1.Import, _ *writer) error {
		if one.GetState() != exchangev1.Import_RUNNING {
			return apierror.Invalid("import.state", "the import is not running")
		}
		one.State = exchangev1.Import_CANCELLED
		return nil
	})
}

// DeleteImport forgets an import and its report.
func (s *Server) DeleteImport(ctx context.Context, call *exchangev1.DeleteImportRequest) (*exchangev1.DeleteImportResponse, error) {
	caller, err := s.mayWork(ctx, call.GetName())
	if err != nil {
		return nil, err
	}
	_, err = s.Store.Commit(ctx, store.Request{}, nil, func(r store.Reader, _ store.Stamp) (store.Outcome, error) {
		one, err := s.load(r, call.GetName())
		if err != nil {
			return store.Outcome{}, err
		}
		if err := running(one); err != nil {
			return store.Outcome{}, err
		}
		puts := s.writer()
		puts.reader = r
		puts.forgetRows(call.GetName())
		puts.remove(store.LocalKey{Area: areaImports, ID: idOf(call.GetName())})
		puts.remove(store.LocalKey{Area: areaJobs, ID: idOf(call.GetName())})
		return puts.outcome(caller.Entry(exchangev1.ImportService_DeleteImport_FullMethodName, call.GetName(), auditv1.AuditEntry_DONE))
	})
	if err != nil {
		return nil, err
	}
	return &exchangev1.DeleteImportResponse{}, nil
}

// ListImportRows lists what became of the rows.
func (s *Server) ListImportRows(ctx context.Context, call *exchangev1.ListImportRowsRequest) (*exchangev1.ListImportRowsResponse, error) {
	if _, err := s.mayWork(ctx, call.GetName()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pagetoken.Size(call.GetPageSize(), 50, 1000)
	after := int64(-1)
	first := "" // the piece of the report in which the page begins
	if place, line, ok := strings.Cut(string(token.Key), ":"); ok {
		if after, err = strconv.ParseInt(line, 10, 64); err != nil {
			return nil, apierror.Invalid("pageToken", "is not from an earlier page")
		}
		first = place
	}
	answer := &exchangev1.ListImportRowsResponse{}
	last := "" // the place of the last row on the page
	err = s.Store.View(func(r store.Reader) error {
		if _, err := s.load(r, call.GetName()); err != nil {
			return err
		}
		for key := range r.LocalKeys(areaRows(call.GetName())) {
			if key.ID < first {
				continue
			}
			piece := &exchangev1.ListImportRowsResponse{}
			if _, err := s.open(r, key, piece); err != nil {
				return err
			}
			for _, row := range piece.GetRows() {
				if row.GetLine() <= after && key.ID == first {
					continue
				}
				if call.GetOutcome() != 0 && row.GetOutcome() != call.GetOutcome() || call.GetRemarked() && len(row.GetRemarks()) == 0 {
					continue
				}
				if len(answer.GetRows()) == size {
					answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(last)})
					return nil
				}
				answer.Rows, last = append(answer.Rows, row), key.ID+":"+strconv.FormatInt(row.GetLine(), 10)
			}
		}
		return nil
	})
	return answer, err
}

// read reads the file of an import.
func (s *Server) read(one *exchangev1.Import) ([]byte, error) {
	if !strings.HasPrefix(one.GetFile(), s.parent+"/files/") {
		return nil, apierror.Invalid("import.file", "is the file of another comune")
	}
	file, err := s.Files.Read(idOf(one.GetFile()), 0)
	if errors.Is(err, files.ErrNotFound) {
		return nil, apierror.Invalid("import.file", "upload the file to the comune first")
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}

// UsedFiles are the sums of the files that imports need.
func (s *Server) UsedFiles() (used []string, err error) {
	err = s.Store.View(func(r store.Reader) error {
		for key := range r.LocalKeys(areaImports) {
			one, err := s.load(r, key.ID)
			if err != nil {
				return err
			}
			used = append(used, idOf(one.GetFile()))
		}
		return nil
	})
	return used, err
}

func etagOf(one *exchangev1.Import) (string, error) {
	one.Etag = ""
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(one)
	digest := sha256.Sum256(body)
	return `"` + hex.EncodeToString(digest[:12]) + `"`, err
}
