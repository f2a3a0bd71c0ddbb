// Package storeadmin serves StoreService on a server's local socket: statistics,
// check and backup of its store, and new keys for its local data.
package storeadmin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
)

// Server serves StoreService.
type Server struct {
	adminv1.UnimplementedStoreServiceServer
	store *store.Store
	path  string
	files *files.Folder
	vault *vault.Vault
}

// NewServer looks after a store whose data file is at path; files is nil where
// the server keeps none.
func NewServer(s *store.Store, path string, folder *files.Folder) *Server {
	return &Server{store: s, path: path, files: folder}
}

// WithVault lets RotateKeys rotate the keys of the store's local data.
func (s *Server) WithVault(v *vault.Vault) *Server {
	s.vault = v
	return s
}

// GetStoreStats tells how the store is.
func (s *Server) GetStoreStats(context.Context, *adminv1.GetStoreStatsRequest) (*adminv1.GetStoreStatsResponse, error) {
	sizes, err := s.store.Sizes()
	if err != nil {
		return nil, err
	}
	floor, err := s.store.Floor()
	if err != nil {
		return nil, err
	}
	head := s.store.Head()
	stats := &adminv1.GetStoreStatsResponse{
		ServerId: s.store.ServerID(), SchemaVersion: int32(store.SchemaVersion()),
		HeadRevision: head.Revision, FloorRevision: floor.Revision,
		FileBytes: sizes.File, FreeBytes: sizes.Free, Epoch: hex.EncodeToString(head.Epoch),
	}
	err = s.store.View(func(r store.Reader) (err error) { stats.Records, err = r.Counts(""); return err })
	return stats, err
}

// CheckStore looks at everything.
func (s *Server) CheckStore(ctx context.Context, _ *adminv1.CheckStoreRequest) (*adminv1.CheckStoreResponse, error) {
	report, err := s.store.Check(ctx)
	if err != nil {
		return nil, err
	}
	if s.files != nil {
		damaged, err := s.files.Check(ctx)
		if err != nil {
			return nil, err
		}
		for _, sum := range damaged {
			report.Problems = append(report.Problems, "the bytes of file "+sum+" have changed")
		}
	}
	return &adminv1.CheckStoreResponse{Problems: report.Problems, Records: report.Records, Revisions: report.Revisions}, nil
}

// StreamBackup copies the data file aside in one short read, then streams the
// copy: a slow reader must not hold the store's pages.
func (s *Server) StreamBackup(request *adminv1.StreamBackupRequest, stream grpc.ServerStreamingServer[adminv1.StreamBackupResponse]) error {
	scratch, err := os.CreateTemp(filepath.Dir(s.path), "backup-*")
	if err != nil {
		return err
	}
	path := scratch.Name()
	defer func() { _ = os.Remove(path) }()
	taken := s.store.Now()
	if err := errors.Join(scratch.Close(), s.store.Backup(path)); err != nil {
		return err
	}
	copied, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = copied.Close() }()
	size := int(request.GetPieceBytes())
	if size == 0 {
		size = 256 << 10
	}
	sum := sha256.New()
	for piece := make([]byte, size); ; {
		n, err := io.ReadFull(copied, piece)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		sum.Write(piece[:n])
		message := &adminv1.StreamBackupResponse{Data: piece[:n]}
		if last {
			message.Sha256, message.BackupTime = sum.Sum(nil), timestamppb.New(taken)
		}
		if err := stream.Send(message); err != nil || last {
			return err
		}
	}
}

// RotateKeys makes new keys and seals the local data anew. It has an audit entry
// when it begins and another when it is done: in between both keys open the data.
func (s *Server) RotateKeys(ctx context.Context, _ *adminv1.RotateKeysRequest) (*adminv1.RotateKeysResponse, error) {
	if s.vault == nil {
		return nil, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "this server keeps no local data under a key")
	}
	if err := s.note(ctx, "begun"); err != nil {
		return nil, err
	}
	sealed, err := s.vault.Rotate(ctx)
	if err != nil {
		return nil, err
	}
	return &adminv1.RotateKeysResponse{Entries: int64(sealed)}, s.note(ctx, "done")
}

func (s *Server) note(ctx context.Context, stage string) error {
	entry := policy.Of(ctx).Entry(adminv1.StoreService_RotateKeys_FullMethodName, "nodes/"+s.store.ServerID(), auditv1.AuditEntry_DONE)
	entry.Reason = stage
	_, err := s.store.Commit(ctx, store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		return store.Outcome{Audit: []*auditv1.AuditEntry{entry}}, nil
	})
	return err
}
