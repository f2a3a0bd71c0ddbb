package importing

import (
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

// The local entries of imports. Every value is sealed.
const (
	// areaImports: id, which sorts by time -> import
	areaImports = "imports"
	// areaJobs: id of an import that was run -> what only the node knows of it
	areaJobs = "import-jobs"
	// areaMappings: source, collection, signature of the headings -> what the columns
	// mean
	areaMappings = "import-mappings"
)

// areaRows is that of the report of one import: first line of the piece -> rows.
func areaRows(name string) string { return "import-rows-" + idOf(name) }

// The phases of an import.
const (
	phaseCheck = "check" // all or nothing: nothing is written yet
	phaseWrite = "write"
	phaseLinks = "links" // references that pointed ahead
)

// A job is what the node must know to go on with an import.
type job struct {
	Phase string
	// Cursor is the last line that is accounted for in this phase.
	Cursor     int64
	DryRun     bool
	Links      bool
	Visibility registryv1.Visibility
	Actor      string
	// Kinds are the collections that who started it may write.
	Kinds []string
}

var errDamaged = errors.New("an entry of an import is damaged")

// open opens an entry; ok is false when it is not there.
func (s *Server) open(r store.Reader, key store.LocalKey, into proto.Message) (ok bool, err error) {
	sealed := r.Local(key)
	if sealed == nil {
		return false, nil
	}
	body, err := s.Vault.Open(key, sealed)
	if err != nil {
		return false, err
	}
	if err := proto.Unmarshal(body, into); err != nil {
		return false, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return true, nil
}

func (s *Server) openJob(r store.Reader, name string, into *job) (ok bool, err error) {
	key := store.LocalKey{Area: areaJobs, ID: idOf(name)}
	sealed := r.Local(key)
	if sealed == nil {
		return false, nil
	}
	body, err := s.Vault.Open(key, sealed)
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return false, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return true, nil
}

// A writer collects sealed entries for one commit.
type writer struct {
	server *Server
	reader store.Reader
	local  []store.LocalPut
	err    error
}

func (s *Server) writer() *writer { return &writer{server: s} }

func (w *writer) put(key store.LocalKey, body []byte, err error) {
	sealed, sealErr := w.server.Vault.Seal(key, body)
	w.err = errors.Join(w.err, err, sealErr)
	w.local = append(w.local, store.LocalPut{Key: key, Value: sealed})
}

func (w *writer) remove(key store.LocalKey) { w.local = append(w.local, store.LocalPut{Key: key}) }

func (w *writer) message(key store.LocalKey, message proto.Message) {
	body, err := proto.Marshal(message)
	w.put(key, body, err)
}

// save stamps and keeps an import.
func (w *writer) save(one *exchangev1.Import, stamp store.Stamp) {
	one.UpdateTime = timestamppb.New(stamp.Time)
	etag, err := etagOf(one)
	one.Etag = etag
	w.err = errors.Join(w.err, err)
	w.message(store.LocalKey{Area: areaImports, ID: idOf(one.GetName())}, one)
}

func (w *writer) saveJob(name string, work job) {
	body, err := json.Marshal(work)
	w.put(store.LocalKey{Area: areaJobs, ID: idOf(name)}, body, err)
}

// forgetRows removes a report.
func (w *writer) forgetRows(name string) {
	for key := range w.reader.LocalKeys(areaRows(name)) {
		w.remove(key)
	}
}

func mappingKey(one *exchangev1.Import) store.LocalKey {
	return store.LocalKey{Area: areaMappings, ID: one.GetSource() + "/" + one.GetCollection() + "/" + signature(one.GetColumns())}
}

// remember keeps what the columns mean for the next file of the source.
func (w *writer) remember(one *exchangev1.Import) {
	if !spreadsheet(one.GetFormat()) || len(one.GetColumns()) == 0 {
		return
	}
	kept := &exchangev1.Import{}
	for _, column := range one.GetColumns() {
		kept.Columns = append(kept.Columns, &exchangev1.Import_Column{Index: column.GetIndex(), Heading: column.GetHeading(), Target: column.GetTarget()})
	}
	w.message(mappingKey(one), kept)
}

// outcome is what a commit writes.
func (w *writer) outcome(entries ...*auditv1.AuditEntry) (store.Outcome, error) {
	for _, entry := range entries {
		entry.Reason = ""
	}
	return store.Outcome{Local: w.local, Audit: entries}, w.err
}
