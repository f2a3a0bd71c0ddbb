// Package persons serves the rights of persons over what a server keeps of them,
// on its local socket: to know it, to have it, to have it erased (GDPR, articles
// 15 and 17). Every call leaves an audit entry, which never says what was looked
// for.
package persons

import (
	"context"
	"slices"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// maxFound bounds an answer.
const maxFound = 1000

// A Holder keeps data of persons under names of its own. What it reads comes
// from the reader that it is given, so that one moment is seen.
type Holder interface {
	// Kind says what its data are: "request", "account".
	Kind() string
	// Holds tells whether a name is one of the holder's, there or not.
	Holds(name string) bool
	// Find calls found for each name under which the query matches, with the JSON
	// paths of the fields that it is in, until found returns false.
	Find(r store.Reader, query Query, found func(name string, fields []string) bool) error
	// Export returns all that is kept under a name as JSON, nil when it is not
	// there.
	Export(r store.Reader, name string) ([]byte, error)
	// Erase returns what removes all that is kept under a name, nil when it is not
	// there.
	Erase(r store.Reader, name string) ([]store.LocalPut, error)
}

// Server serves PersonService.
type Server struct {
	adminv1.UnimplementedPersonServiceServer
	store   *store.Store
	holders []Holder
}

// NewServer serves the rights over what the holders keep in a store.
func NewServer(s *store.Store, holders ...Holder) *Server { return &Server{store: s, holders: holders} }

// FindPersonalData finds where data of a person are kept. What is not in the
// audit log is not answered.
func (s *Server) FindPersonalData(ctx context.Context, request *adminv1.FindPersonalDataRequest) (*adminv1.FindPersonalDataResponse, error) {
	query := NewQuery(request.GetQuery())
	if query.empty() {
		return nil, apierror.Invalid("query", "has no letters or digits to look for")
	}
	answer := &adminv1.FindPersonalDataResponse{}
	err := s.store.View(func(r store.Reader) error {
		for _, holder := range s.holders {
			err := holder.Find(r, query, func(name string, fields []string) bool {
				if answer.More = len(answer.GetFound()) == maxFound; answer.GetMore() {
					return false
				}
				answer.Found = append(answer.Found, &adminv1.PersonalData{Name: name, Kind: holder.Kind(), Fields: fields})
				return true
			})
			if err != nil || answer.GetMore() {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer, s.note(ctx, adminv1.PersonService_FindPersonalData_FullMethodName, "nodes/"+s.store.ServerID())
}

// note writes an audit entry for each resource that was read.
func (s *Server) note(ctx context.Context, method string, resources ...string) error {
	entries := entriesOf(ctx, method, resources)
	_, err := s.store.Commit(ctx, store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		return store.Outcome{Audit: entries}, nil
	})
	return err
}

func entriesOf(ctx context.Context, method string, resources []string) []*auditv1.AuditEntry {
	var entries []*auditv1.AuditEntry
	for _, resource := range resources {
		entries = append(entries, policy.Of(ctx).Entry(method, resource, auditv1.AuditEntry_DONE))
	}
	return entries
}

// holderOf finds who keeps a name.
func (s *Server) holderOf(name string) (Holder, error) {
	at := slices.IndexFunc(s.holders, func(h Holder) bool { return h.Holds(name) })
	if at < 0 {
		return nil, apierror.NotFound(name)
	}
	return s.holders[at], nil
}

// ExportPersonalData gives out what is kept under names.
func (s *Server) ExportPersonalData(ctx context.Context, request *adminv1.ExportPersonalDataRequest) (*adminv1.ExportPersonalDataResponse, error) {
	answer := &adminv1.ExportPersonalDataResponse{}
	err := s.store.View(func(r store.Reader) error {
		for _, name := range request.GetNames() {
			holder, err := s.holderOf(name)
			if err != nil {
				return err
			}
			text, err := holder.Export(r, name)
			if err != nil {
				return err
			}
			if text == nil {
				return apierror.NotFound(name)
			}
			answer.Documents = append(answer.Documents, &adminv1.ExportPersonalDataResponse_Document{Name: name, Kind: holder.Kind(), Json: string(text)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer, s.note(ctx, adminv1.PersonService_ExportPersonalData_FullMethodName, request.GetNames()...)
}

// ErasePersonalData erases what is kept under names, all of it or nothing.
func (s *Server) ErasePersonalData(ctx context.Context, request *adminv1.ErasePersonalDataRequest) (*adminv1.ErasePersonalDataResponse, error) {
	entries := entriesOf(ctx, adminv1.PersonService_ErasePersonalData_FullMethodName, request.GetNames())
	_, err := s.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, _ store.Stamp) (store.Outcome, error) {
		outcome := store.Outcome{Audit: entries}
		for _, name := range request.GetNames() {
			holder, err := s.holderOf(name)
			if err != nil {
				return store.Outcome{}, err
			}
			puts, err := holder.Erase(r, name)
			if err != nil {
				return store.Outcome{}, err
			}
			if puts == nil {
				return store.Outcome{}, apierror.NotFound(name)
			}
			outcome.Local = append(outcome.Local, puts...)
		}
		return outcome, nil
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.ErasePersonalDataResponse{Erased: int32(len(request.GetNames()))}, nil
}
