// Package backups takes backups of a server while it runs, into a folder of its
// settings, and finds out whether they are good: read from end to end, or
// restored beside the server and thrown away. No path of the server leaves it.
package backups

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
)

// Settings of the backups of a server, from its file.
type Settings struct {
	// Dir is the folder of the backups, best on another disk; empty: there are none.
	Dir string `yaml:"dir"`
	// Keep is how many stay: the oldest goes when there is one more; 0: 14.
	Keep int `yaml:"keep"`
}

// Validate tells what is wrong with them.
func (s Settings) Validate() error {
	if s.Keep < 0 {
		return errors.New("keep must not be negative")
	}
	if s.Dir != "" && !filepath.IsAbs(s.Dir) {
		return fmt.Errorf("dir: %q is not a whole path", s.Dir)
	}
	return nil
}

// defaultKeep is how many backups stay when nobody says: two weeks of days.
const defaultKeep = 14

// Options of New.
type Options struct {
	Settings Settings
	// Store of the server, and the options with which it was opened: a rehearsal
	// opens the backup with the same.
	Store        *store.Store
	StoreOptions store.Options
	// Files of documents; nil where the server keeps none.
	Files *files.Folder
	// KeyFile has the master key of the local data.
	KeyFile string
	// Logger; nil means slog.Default.
	Logger *slog.Logger
}

// Server serves BackupService. It is safe for concurrent use.
type Server struct {
	adminv1.UnimplementedBackupServiceServer
	options Options
	parent  string
	busy    sync.Mutex // one backup, verification or rehearsal at a time
}

// New makes the service of a server, and removes what one that was killed left
// behind.
func New(options Options) *Server {
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.Settings.Keep == 0 {
		options.Settings.Keep = defaultKeep
	}
	beside := filepath.Dir(options.StoreOptions.Path)
	patterns := []string{filepath.Join(beside, scratchBackup), filepath.Join(beside, scratchTrial)}
	if options.Settings.Dir != "" {
		patterns = append(patterns, filepath.Join(options.Settings.Dir, scratchNew))
	}
	for _, pattern := range patterns {
		left, _ := filepath.Glob(pattern)
		for _, folder := range left {
			if err := os.RemoveAll(folder); err != nil {
				options.Logger.Warn("what a backup left behind cannot be removed", "error", err)
			}
		}
	}
	return &Server{options: options, parent: "nodes/" + options.Store.ServerID()}
}

// Register registers the service.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	rpc.Register(registrar, &adminv1.BackupService_ServiceDesc, s)
}

// A manifest stands beside the data file of a backup.
type manifest struct {
	ID           string
	Created      time.Time
	Size         int64
	SHA256       string
	Revision     int64
	Records      map[string]int64
	Files        []string // sums of the files of its documents
	Verified     time.Time
	Rehearsed    time.Time
	Problems     []string
	ServerID     string
	StoreVersion int
}

// The names inside a folder of backups.
const (
	dataName     = "data.db"
	manifestName = "backup.json"
	filesName    = "files" // the files of all backups, each once
)

// The folders of work that is not done yet, beside the data and among the
// backups.
const (
	scratchBackup = ".backup-*"
	scratchTrial  = ".rehearsal-*"
	scratchNew    = ".new-*"
)

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,62}$`)

// begin refuses calls that are for another server, or one that has no folder of
// backups, and waits for nobody: one thing is done at a time.
func (s *Server) begin(parent string) (end func(), err error) {
	if err := s.owns(parent); err != nil {
		return nil, err
	}
	if !s.busy.TryLock() {
		return nil, apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, "a backup is being taken or tried already", apierror.RetryAfter(30*time.Second))
	}
	return s.busy.Unlock, nil
}

func (s *Server) owns(parent string) error {
	switch {
	case parent != s.parent:
		return apierror.NotFound(parent)
	case s.options.Settings.Dir == "":
		return apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "this server has no folder for backups; name one in its settings (backups.dir)")
	}
	return nil
}

func (s *Server) folder(id string) string { return filepath.Join(s.options.Settings.Dir, id) }

// CreateBackup takes a backup, and lets the oldest go that are too many.
func (s *Server) CreateBackup(ctx context.Context, call *adminv1.CreateBackupRequest) (*adminv1.Backup, error) {
	end, err := s.begin(call.GetParent())
	if err != nil {
		return nil, err
	}
	defer end()
	made, err := s.create(ctx)
	if err != nil {
		return nil, fmt.Errorf("take a backup: %w", err)
	}
	if err := s.prune(ctx); err != nil {
		s.options.Logger.Error("old backups cannot be removed", "error", err)
	}
	return s.shown(made), nil
}

func (s *Server) create(ctx context.Context) (made *manifest, err error) {
	dir := s.options.Settings.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	now := s.options.Store.Now().UTC()
	random := make([]byte, 3)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	made = &manifest{ID: now.Format("20060102-150405-") + hex.EncodeToString(random), Created: now, ServerID: s.options.Store.ServerID(), StoreVersion: store.SchemaVersion()}
	fresh, err := os.MkdirTemp(dir, scratchNew)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(fresh) }()

	// First to the disk of the data: what reads the store must not wait for
	// another one.
	scratch, err := os.MkdirTemp(filepath.Dir(s.options.StoreOptions.Path), scratchBackup)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	copied, data := filepath.Join(scratch, dataName), filepath.Join(fresh, dataName)
	if err := s.options.Store.Backup(copied); err != nil {
		return nil, err
	}
	if made.Size, made.SHA256, err = copyFile(ctx, copied, data); err != nil {
		return nil, err
	}
	if err := made.read(copied); err != nil {
		return nil, err
	}
	if err := s.keepFiles(ctx, made.Files); err != nil {
		return nil, err
	}
	if err := made.write(fresh); err != nil {
		return nil, err
	}
	if err := os.Rename(fresh, s.folder(made.ID)); err != nil {
		return nil, err
	}
	return made, syncFolder(dir)
}

// read finds out what a copy of the data file has.
func (m *manifest) read(path string) error {
	return store.ViewFile(path, func(_ string, r store.Reader) error {
		head, err := r.Head()
		if err != nil {
			return err
		}
		m.Revision, m.Records = head.Revision, map[string]int64{}
		used := map[string]bool{}
		_, err = r.Walk(nil, -1, func(name catalog.Name, record proto.Message, _ []string) error {
			if !catalog.RecordOf(record).Deleted() {
				m.Records[name.Kind.Collection]++
			}
			if document, ok := record.(*registryv1.Document); ok {
				for _, file := range document.GetFiles() {
					used[file.GetSha256()] = true
				}
			}
			return nil
		})
		for sum := range used {
			m.Files = append(m.Files, sum)
		}
		slices.Sort(m.Files)
		return err
	})
}

// keepFiles copies the files of a backup's documents that no backup has yet. One
// that the server itself has lost is left to the verification.
func (s *Server) keepFiles(ctx context.Context, sums []string) error {
	if s.options.Files == nil || len(sums) == 0 {
		return nil
	}
	kept, err := s.keptFiles()
	if err != nil {
		return err
	}
	for _, sum := range sums {
		if _, err := kept.Stat(sum); !errors.Is(err, files.ErrNotFound) {
			if err != nil {
				return err
			}
			continue
		}
		file, err := s.options.Files.Read(sum, 0)
		if errors.Is(err, files.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = kept.Put(ctx, file, sum)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) keptFiles() (*files.Folder, error) {
	return files.Open(filepath.Join(s.options.Settings.Dir, filesName))
}

// all reads the manifests of the backups that are there, the newest first.
func (s *Server) all() ([]*manifest, error) {
	entries, err := os.ReadDir(s.options.Settings.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []*manifest
	for _, entry := range entries {
		if !entry.IsDir() || entry.Name() == filesName || !idPattern.MatchString(entry.Name()) {
			continue
		}
		m, err := s.read(entry.Name())
		if err != nil {
			s.options.Logger.Warn("a folder among the backups is none", "name", entry.Name(), "error", err)
			continue
		}
		found = append(found, m)
	}
	slices.SortFunc(found, func(a, b *manifest) int { return strings.Compare(b.ID, a.ID) })
	return found, nil
}

func (s *Server) read(id string) (*manifest, error) {
	text, err := os.ReadFile(filepath.Join(s.folder(id), manifestName))
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, err
	}
	m.ID = id
	return m, nil
}

func (m *manifest) write(folder string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	fresh := filepath.Join(folder, manifestName+".new")
	if err := writeFile(fresh, text); err != nil {
		return err
	}
	if err := os.Rename(fresh, filepath.Join(folder, manifestName)); err != nil {
		return err
	}
	return syncFolder(folder)
}

// prune removes the oldest backups that are too many, and the files of documents
// that none of the others has.
func (s *Server) prune(ctx context.Context) error {
	found, err := s.all()
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for i, m := range found {
		if i < s.options.Settings.Keep {
			for _, sum := range m.Files {
				used[sum] = true
			}
			continue
		}
		if err := os.RemoveAll(s.folder(m.ID)); err != nil {
			return err
		}
		s.options.Logger.Info("an old backup was removed", "backup", m.ID)
	}
	if len(found) <= s.options.Settings.Keep || s.options.Files == nil {
		return nil
	}
	kept, err := s.keptFiles()
	if err != nil {
		return err
	}
	_, err = kept.Sweep(ctx, time.Now().Add(time.Hour), func(sum string) bool { return used[sum] })
	return err
}

// ListBackups lists the backups that are there, the newest first.
func (s *Server) ListBackups(_ context.Context, call *adminv1.ListBackupsRequest) (*adminv1.ListBackupsResponse, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	found, err := s.all()
	if err != nil {
		return nil, fmt.Errorf("list the backups: %w", err)
	}
	size := pagetoken.Size(call.GetPageSize(), 50, 1000)
	answer := &adminv1.ListBackupsResponse{}
	for _, m := range found {
		if len(token.Key) > 0 && m.ID >= string(token.Key) {
			continue
		}
		if n := len(answer.GetBackups()); n == size {
			last := answer.GetBackups()[n-1].GetName()
			answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(last[strings.LastIndexByte(last, '/')+1:])})
			break
		}
		answer.Backups = append(answer.Backups, s.shown(m))
	}
	return answer, nil
}

func (s *Server) shown(m *manifest) *adminv1.Backup {
	return &adminv1.Backup{
		Name: s.parent + "/backups/" + m.ID, SizeBytes: m.Size, Sha256: m.SHA256, Revision: m.Revision, Records: m.Records,
		VerifyTime: timestamp(m.Verified), RehearseTime: timestamp(m.Rehearsed), Problems: m.Problems, CreateTime: timestamp(m.Created),
	}
}

func timestamp(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}
