// Package duplicates finds records that may describe the same thing, remembers
// what people decide about them, and makes one record of two: within a comune on
// its node, and across comuni, without merging, on an ufficio comune.
package duplicates

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
)

// Options of New.
type Options struct {
	// Store of the server, and the Vault of its local data.
	Store *store.Store
	Vault *vault.Vault
	// Records of the comune that the node owns; nil on an ufficio comune.
	Records *records.Records
}

// Server serves DuplicateService. It is safe for concurrent use.
type Server struct {
	editorialv1.UnimplementedDuplicateServiceServer
	store   *store.Store
	vault   *vault.Vault
	records *records.Records

	working chan struct{} // has one place: who compares
	mu      sync.Mutex
	found   []pair
	at      store.Position
}

// New makes the service of a server.
func New(options Options) *Server {
	return &Server{store: options.Store, vault: options.Vault, records: options.Records, working: make(chan struct{}, 1)}
}

// Register registers the service.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	rpc.Register(registrar, &editorialv1.DuplicateService_ServiceDesc, s)
}

// pairs are those among all records as they are now. They are found from one
// read of the store, and kept until a record changes.
func (s *Server) pairs(ctx context.Context) ([]pair, error) {
	select {
	case s.working <- struct{}{}:
		defer func() { <-s.working }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	head := s.store.Head()
	s.mu.Lock()
	found, at := s.found, s.at
	s.mu.Unlock()
	if at.Revision == head.Revision && string(at.Epoch) == string(head.Epoch) && at.Epoch != nil {
		return found, nil
	}
	var all []*features
	err := s.store.View(func(r store.Reader) (err error) {
		if head, err = r.Head(); err != nil {
			return err
		}
		_, err = r.Walk(nil, -1, func(name catalog.Name, record proto.Message, _ []string) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if f := featuresOf(name, record); f != nil {
				all = append(all, f)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the records to compare: %w", err)
	}
	found = find(all, s.records == nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found, s.at = found, head
	return found, nil
}

// inside refuses a comune that the server has not.
func (s *Server) inside(parent string) error {
	comune := strings.TrimPrefix(parent, "comuni/")
	if s.records == nil || comune == "-" {
		return nil
	}
	return s.records.Owns(comune)
}

// ListDuplicates lists pairs that look alike.
func (s *Server) ListDuplicates(ctx context.Context, call *editorialv1.ListDuplicatesRequest) (*editorialv1.ListDuplicatesResponse, error) {
	if err := s.inside(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	from, err := offsetOf(token)
	if err != nil {
		return nil, err
	}
	found, err := s.pairs(ctx)
	if err != nil {
		return nil, err
	}
	decided, err := s.decided()
	if err != nil {
		return nil, err
	}
	sees := policy.Of(ctx).Reads()
	comune := strings.TrimPrefix(call.GetParent(), "comuni/")
	size := pagetoken.Size(call.GetPageSize(), 50, 1000)
	answer := &editorialv1.ListDuplicatesResponse{}
	for _, p := range found {
		different := decided[pairID(p.first.name, p.second.name)]
		switch {
		case different && !call.GetShowDecided(),
			p.first.visibility > sees || p.second.visibility > sees,
			comune != "-" && p.first.comune != comune && p.second.comune != comune,
			call.GetRecord() != "" && p.first.name != call.GetRecord() && p.second.name != call.GetRecord():
			continue
		}
		if n := int(answer.GetTotalSize()); n >= from && n < from+size {
			answer.Duplicates = append(answer.Duplicates, p.shown(different, sees))
		}
		answer.TotalSize++
	}
	if from+size < int(answer.GetTotalSize()) {
		answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: fmt.Appendf(nil, "%d", from+size)})
	}
	return answer, nil
}

func offsetOf(token pagetoken.Token) (from int, err error) {
	if len(token.Key) == 0 {
		return 0, nil
	}
	if _, err := fmt.Sscanf(string(token.Key), "%d", &from); err != nil || from < 0 {
		return 0, apierror.Invalid("pageToken", "is not one of this list")
	}
	return from, nil
}

// shown is a pair as a reader sees it: who does not see everything here is not
// told at which telephone, address or door both are reached.
func (p pair) shown(different bool, sees registryv1.Visibility) *editorialv1.Duplicate {
	shown := &editorialv1.Duplicate{
		First: p.first.name, Second: p.second.name, FirstTitle: p.first.title, SecondTitle: p.second.title,
		Reasons: p.reasons, Score: p.score, DecidedDifferent: different,
	}
	if sees == registryv1.Visibility_LOCAL {
		return shown
	}
	shown = proto.CloneOf(shown)
	for _, reason := range shown.GetReasons() {
		switch reason.GetKind() {
		case editorialv1.Duplicate_Reason_SAME_PHONE, editorialv1.Duplicate_Reason_SAME_CONTACT, editorialv1.Duplicate_Reason_SAME_ADDRESS:
			reason.Value = ""
		}
	}
	return shown
}

// areaDecided: digest of two names -> the two names, of pairs that are different.
const areaDecided = "duplicates-different"

func pairID(first, second string) string {
	sum := sha256.Sum256([]byte(min(first, second) + "\x00" + max(first, second)))
	return hex.EncodeToString(sum[:16])
}

// decided are the pairs that were said to be different.
func (s *Server) decided() (map[string]bool, error) {
	all := map[string]bool{}
	err := s.store.View(func(r store.Reader) error {
		for key := range r.LocalEntries(areaDecided, "") {
			all[key.ID] = true
		}
		return nil
	})
	return all, err
}

// DecideDuplicate remembers that two records are not the same, or forgets it.
func (s *Server) DecideDuplicate(ctx context.Context, call *editorialv1.DecideDuplicateRequest) (*editorialv1.DecideDuplicateResponse, error) {
	if err := s.inside(call.GetParent()); err != nil {
		return nil, err
	}
	first, second, err := s.two(call.GetParent(), call.GetFirst(), call.GetSecond(), "first", "second")
	if err != nil {
		return nil, err
	}
	caller := policy.Of(ctx)
	_, err = s.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, _ store.Stamp) (store.Outcome, error) {
		for _, name := range []catalog.Name{first, second} {
			record, err := r.Get(name)
			if err != nil {
				return store.Outcome{}, err
			}
			if record == nil || caller.Sight().Of(record) == nil {
				return store.Outcome{}, apierror.NotFound(name.String())
			}
			// Who keeps the cards of one organisation decides about those alone.
			if err := caller.MayChange(record, record); err != nil {
				return store.Outcome{}, err
			}
		}
		key := store.LocalKey{Area: areaDecided, ID: pairID(first.String(), second.String())}
		if (r.Local(key) != nil) == call.GetDifferent() {
			return store.Outcome{}, nil
		}
		put := store.LocalPut{Key: key}
		if call.GetDifferent() {
			if put.Value, err = s.vault.Seal(key, []byte(first.String()+"\n"+second.String())); err != nil {
				return store.Outcome{}, err
			}
		}
		entry := caller.Entry(editorialv1.DuplicateService_DecideDuplicate_FullMethodName, first.String(), auditv1.AuditEntry_DONE)
		return store.Outcome{Local: []store.LocalPut{put}, Audit: []*auditv1.AuditEntry{entry}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &editorialv1.DecideDuplicateResponse{}, nil
}

// two reads the names of two records of the same kind, of which one at least is
// of the parent.
func (s *Server) two(parent, one, other, oneField, otherField string) (first, second catalog.Name, err error) {
	if first, err = catalog.ParseName(one); err != nil {
		return first, second, apierror.Invalid(oneField, "is not the name of a record")
	}
	if second, err = catalog.ParseName(other); err != nil {
		return first, second, apierror.Invalid(otherField, "is not the name of a record")
	}
	switch {
	case first.Kind != second.Kind:
		err = apierror.Invalid(otherField, fmt.Sprintf("is one of the %s, the other is one of the %s", second.Kind.Collection, first.Kind.Collection))
	case one == other:
		err = apierror.Invalid(otherField, "is the same record")
	case catalog.ComuneName(first.Comune()) != parent && catalog.ComuneName(second.Comune()) != parent:
		err = apierror.Invalid("parent", "is the comune of neither")
	case s.records != nil && first.Comune() != second.Comune():
		err = apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "the two are of different comuni; decide about them at the ufficio comune")
	}
	return first, second, err
}
