package backups

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
)

// VerifyBackup reads a backup from end to end.
func (s *Server) VerifyBackup(ctx context.Context, call *adminv1.VerifyBackupRequest) (*adminv1.Backup, error) {
	return s.try(call.GetName(), func(m *manifest, scratch string) ([]string, error) {
		problems, err := s.digests(ctx, m)
		if err != nil || len(problems) > 0 {
			return problems, err
		}
		checked, err := s.check(ctx, m, filepath.Join(scratch, dataName))
		m.Verified = s.options.Store.Now().UTC()
		return append(problems, checked...), err
	})
}

// RehearseRestore restores a backup beside the server, opens it as a start would,
// and throws it away.
func (s *Server) RehearseRestore(ctx context.Context, call *adminv1.RehearseRestoreRequest) (*adminv1.Backup, error) {
	return s.try(call.GetName(), func(m *manifest, scratch string) ([]string, error) {
		problems, err := s.digests(ctx, m)
		if err != nil || len(problems) > 0 {
			return problems, err
		}
		restored := s.aside(filepath.Join(scratch, dataName))
		if err := store.Restore(ctx, filepath.Join(s.folder(m.ID), dataName), restored); err != nil {
			return []string{s.words(err)}, ctx.Err()
		}
		problems, err = s.start(ctx, m, restored)
		m.Rehearsed = s.options.Store.Now().UTC()
		return problems, err
	})
}

// try finds out whether a backup is good, in a folder beside the data that goes
// afterwards, and writes down what it found.
func (s *Server) try(name string, look func(m *manifest, scratch string) ([]string, error)) (*adminv1.Backup, error) {
	parent, id, _ := strings.Cut(name, "/backups/")
	end, err := s.begin(parent)
	if err != nil {
		return nil, err
	}
	defer end()
	if !idPattern.MatchString(id) || id == filesName {
		return nil, apierror.NotFound(name)
	}
	m, err := s.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, apierror.NotFound(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read a backup: %w", err)
	}
	scratch, err := os.MkdirTemp(filepath.Dir(s.options.StoreOptions.Path), scratchTrial)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	if m.Problems, err = look(m, scratch); err != nil {
		return nil, fmt.Errorf("try a backup: %w", err)
	}
	if err := m.write(s.folder(id)); err != nil {
		return nil, fmt.Errorf("write down what a backup is like: %w", err)
	}
	return s.shown(m), nil
}

// digests compares the bytes of a backup with those that were written.
func (s *Server) digests(ctx context.Context, m *manifest) (problems []string, err error) {
	data, err := os.Open(filepath.Join(s.folder(m.ID), dataName))
	if errors.Is(err, fs.ErrNotExist) {
		return []string{"its data file is missing"}, nil
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, &contextReader{ctx, data})
	if err := errors.Join(err, data.Close()); err != nil {
		return nil, err
	}
	if size != m.Size || hex.EncodeToString(sum.Sum(nil)) != m.SHA256 {
		return []string{"its data file is not the one that was written: other bytes"}, nil
	}
	if len(m.Files) == 0 || s.options.Files == nil {
		return nil, nil
	}
	kept, err := s.keptFiles()
	if err != nil {
		return nil, err
	}
	for _, want := range m.Files {
		file, err := kept.Read(want, 0)
		if errors.Is(err, files.ErrNotFound) {
			problems = append(problems, "the file "+want+" of a document is missing")
			continue
		}
		if err != nil {
			return nil, err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, &contextReader{ctx, file})
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
		if hex.EncodeToString(sum.Sum(nil)) != want {
			problems = append(problems, "the bytes of the file "+want+" of a document have changed")
		}
	}
	return problems, nil
}

// aside are the options with which a copy is opened that goes again.
func (s *Server) aside(path string) store.Options {
	options := s.options.StoreOptions
	options.Path, options.NoSync, options.BeforeCommit, options.Logger = path, true, nil, s.options.Logger
	return options
}

// check looks at everything in a copy of a backup's data file.
func (s *Server) check(ctx context.Context, m *manifest, path string) ([]string, error) {
	if _, _, err := copyFile(ctx, filepath.Join(s.folder(m.ID), dataName), path); err != nil {
		return nil, err
	}
	opened, err := store.Open(s.aside(path))
	if err != nil {
		return []string{s.words(err)}, nil
	}
	report, err := opened.Check(ctx)
	if err := errors.Join(err, opened.Close()); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return append(report.Problems, s.words(err)), nil
	}
	return report.Problems, nil
}

// start does with a restored data file what a start does, and reads some of
// every kind.
func (s *Server) start(ctx context.Context, m *manifest, options store.Options) (problems []string, err error) {
	opened, err := store.Open(options)
	if err != nil {
		return []string{s.words(err)}, nil
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	if _, err := vault.Open(ctx, opened, s.options.KeyFile); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		problems = append(problems, "its local data cannot be opened: "+s.words(err))
	}
	err = opened.View(func(r store.Reader) error {
		counts, err := r.Counts("")
		if err != nil {
			return err
		}
		for collection, want := range m.Records {
			if counts[collection] != want {
				problems = append(problems, fmt.Sprintf("it has %d %s, and should have %d", counts[collection], collection, want))
			}
		}
		return s.readSome(r, &problems)
	})
	if err != nil && ctx.Err() == nil {
		return append(problems, s.words(err)), nil
	}
	return problems, err
}

// someRecords is how many of each kind a rehearsal reads one by one.
const someRecords = 20

// readSome reads some records of every kind, as a caller would.
func (s *Server) readSome(r store.Reader, problems *[]string) error {
	comune := s.options.Store.Comune()
	for _, kind := range catalog.Kinds() {
		if comune == "" || kind.Singleton {
			continue
		}
		listed, _, err := r.List(store.Query{Kind: kind, Within: []string{comune}, Limit: someRecords, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL}})
		if err != nil {
			return err
		}
		for _, record := range listed {
			name, err := catalog.ParseName(catalog.RecordOf(record).Name())
			if err != nil {
				return err
			}
			if got, err := r.Get(name); err != nil || got == nil {
				*problems = append(*problems, name.String()+" cannot be read")
			}
		}
	}
	return nil
}

// words are those of an error, without the paths of this server.
func (s *Server) words(err error) string {
	s.options.Logger.Warn("a backup is not good", "error", err)
	text := err.Error()
	for _, path := range []string{s.options.Settings.Dir, filepath.Dir(s.options.StoreOptions.Path), filepath.Dir(s.options.KeyFile), os.TempDir()} {
		if path != "" && path != "." && path != "/" {
			text = strings.ReplaceAll(text, path, "…")
		}
	}
	return text
}
