package audit

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/store"
)

const (
	// maxScan bounds what one read looks at, so that none lasts.
	maxScan = 5000
	// maxBytes is how many bytes of entries make a message full.
	maxBytes = 1 << 20
	// clockSlack is by how much the server's clock may have been put back: entries
	// stand in the order in which they were made, not of their times.
	clockSlack = 24 * time.Hour
)

// Server serves AuditService.
type Server struct {
	auditv1.UnimplementedAuditServiceServer
	store *store.Store
	node  string
}

// NewServer serves the log of a server, "nodes/{id}", from its store.
func NewServer(s *store.Store, node string) *Server { return &Server{store: s, node: node} }

func (s *Server) owns(parent string) error {
	if parent == s.node {
		return nil
	}
	return apierror.New(registryv1.ErrorReason_NOT_THE_OWNER,
		fmt.Sprintf("this is %s, which keeps its own audit log alone; ask the server %s itself", s.node, parent),
		apierror.With("node", parent))
}

// ListAuditEntries lists entries, the newest first.
func (s *Server) ListAuditEntries(_ context.Context, request *auditv1.ListAuditEntriesRequest) (*auditv1.ListAuditEntriesResponse, error) {
	if err := s.owns(request.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(request, request.GetPageToken())
	if err != nil {
		return nil, err
	}
	before := int64(math.MaxInt64)
	if len(token.Key) == 8 {
		before = int64(min(binary.BigEndian.Uint64(token.Key), math.MaxInt64))
	}
	size := pagetoken.Size(request.GetPageSize(), 50, 1000)
	answer := &auditv1.ListAuditEntriesResponse{}
	err = s.store.View(func(r store.Reader) error {
		scanned, bytes := 0, 0
		for entry, err := range r.AuditEntries(before, true) {
			if err != nil {
				return err
			}
			if len(answer.GetEntries()) == size || scanned == maxScan || bytes >= maxBytes {
				key := binary.BigEndian.AppendUint64(nil, uint64(before))
				answer.NextPageToken = pagetoken.Encode(request, pagetoken.Token{Key: key})
				return nil
			}
			if start := request.GetStartTime(); start != nil && entry.GetTime().AsTime().Before(start.AsTime().Add(-clockSlack)) {
				return nil
			}
			scanned, before = scanned+1, entry.GetSequence()
			if wanted(request, entry) {
				answer.Entries = append(answer.Entries, entry)
				bytes += proto.Size(entry)
			}
		}
		return nil
	})
	return answer, err
}

// wanted tells whether an entry is in a list.
func wanted(request *auditv1.ListAuditEntriesRequest, entry *auditv1.AuditEntry) bool {
	at := entry.GetTime().AsTime()
	switch {
	case request.GetActor() != "" && entry.GetActor() != request.GetActor(),
		request.GetResource() != "" && entry.GetResource() != request.GetResource() && !strings.HasPrefix(entry.GetResource(), request.GetResource()+"/"),
		!strings.Contains(entry.GetAction(), request.GetAction()),
		request.GetOutcome() != 0 && entry.GetOutcome() != request.GetOutcome(),
		request.GetStartTime() != nil && at.Before(request.GetStartTime().AsTime()),
		request.GetEndTime() != nil && !at.Before(request.GetEndTime().AsTime()):
		return false
	}
	return true
}

// ExportAuditEntries streams the entries of a time as they are when it begins,
// the oldest first, and at last the newest signed head. Nothing is read while a
// message is sent.
func (s *Server) ExportAuditEntries(request *auditv1.ExportAuditEntriesRequest, stream grpc.ServerStreamingServer[auditv1.ExportAuditEntriesResponse]) error {
	if err := s.owns(request.GetParent()); err != nil {
		return err
	}
	last := &auditv1.ExportAuditEntriesResponse{}
	var end store.AuditPlace
	err := s.store.View(func(r store.Reader) (err error) {
		if last.Head, err = r.LastAuditHead(); err != nil {
			return err
		}
		end, err = r.AuditEnd()
		return err
	})
	if err != nil {
		return err
	}
	span := &auditv1.ListAuditEntriesRequest{StartTime: request.GetStartTime(), EndTime: request.GetEndTime()}
	for from := int64(1); from <= end.Sequence; {
		if err := stream.Context().Err(); err != nil {
			return err
		}
		var piece []*auditv1.AuditEntry
		if piece, from, err = s.read(span, from, end.Sequence); err != nil {
			return err
		}
		if len(piece) == 0 {
			continue
		}
		if err := stream.Send(&auditv1.ExportAuditEntriesResponse{Entries: piece}); err != nil {
			return err
		}
	}
	return stream.Send(last)
}

// read returns the wanted entries of one read, and where the next one goes on.
func (s *Server) read(span *auditv1.ListAuditEntriesRequest, from, end int64) (piece []*auditv1.AuditEntry, next int64, err error) {
	next = end + 1
	err = s.store.View(func(r store.Reader) error {
		scanned, bytes := 0, 0
		for entry, err := range r.AuditEntries(from, false) {
			if err != nil {
				return err
			}
			if entry.GetSequence() > end {
				return nil
			}
			if scanned == maxScan || bytes >= maxBytes {
				next = entry.GetSequence()
				return nil
			}
			scanned++
			if wanted(span, entry) {
				piece = append(piece, entry)
				bytes += proto.Size(entry)
			}
		}
		return nil
	})
	return piece, next, err
}

// GetAuditHead gets the newest signed head.
func (s *Server) GetAuditHead(_ context.Context, request *auditv1.GetAuditHeadRequest) (*auditv1.AuditHead, error) {
	if err := s.owns(request.GetParent()); err != nil {
		return nil, err
	}
	var head *auditv1.AuditHead
	err := s.store.View(func(r store.Reader) (err error) { head, err = r.LastAuditHead(); return err })
	if err == nil && head == nil {
		return nil, apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND,
			s.node+" has not signed its audit log yet; it does so every minute in which something happens", apierror.With("name", s.node))
	}
	return head, err
}
