package opendata

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/exchangev1"
)

const (
	// keep is how long a file is given out again before it is made anew: what changes is in it after that time at the latest.
	keep = 30 * time.Second
	// fileBytes bounds a file, keptBytes all that are kept at the same time.
	fileBytes = 512 << 20
	keptBytes = 1 << 30
	// atOnce is how many files are made at the same time.
	atOnce = 2
)

// A key says which file: the slug of a comune or the wildcard, and the file's name.
type key struct{ comune, file string }

// An export is a file that is all there, on disk, without a name: it is gone when it is closed, however the process ends.
type export struct {
	content *os.File
	size    int64
	digest  string
	made    time.Time
	// users are those who are reading it, and the list of kept ones.
	users int
}

// reader reads it from the beginning, beside others.
func (e *export) reader() io.Reader { return io.NewSectionReader(e.content, 0, e.size) }

// exports makes files and keeps them for a moment, so that many who ask for the same one cost no more than one.
type exports struct {
	client exchangev1.ExportServiceClient
	flight singleflight.Group
	slots  chan struct{}

	mu   sync.Mutex
	kept map[key]*export
}

func newExports(client exchangev1.ExportServiceClient) *exports {
	return &exports{client: client, slots: make(chan struct{}, atOnce), kept: map[key]*export{}}
}

// open finds a file, or has it made. Who opened it closes it.
func (e *exports) open(ctx context.Context, wanted key) (*export, error) {
	for {
		if found := e.take(wanted); found != nil {
			return found, nil
		}
		// Who leaves does not end what others wait for.
		making := e.flight.DoChan(wanted.comune+"/"+wanted.file, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), downloadWithin)
			defer cancel()
			made, err := e.make(ctx, wanted)
			if err == nil {
				e.put(wanted, made)
			}
			return nil, err
		})
		select {
		case result := <-making:
			if result.Err != nil {
				return nil, result.Err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take finds a kept file that is fresh.
func (e *exports) take(wanted key) *export {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.kept[wanted]
	if found == nil || time.Since(found.made) > keep {
		return nil
	}
	found.users++
	return found
}

// put keeps a file, and lets go of those that are old, or too many.
func (e *exports) put(wanted key, made *export) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.kept[wanted]; old != nil {
		e.drop(wanted, old)
	}
	made.users++
	e.kept[wanted] = made
	for {
		var total int64
		var oldest key
		for at, one := range e.kept {
			if time.Since(one.made) > keep {
				e.drop(at, one)
				continue
			}
			total += one.size
			if found := e.kept[oldest]; at != wanted && (found == nil || one.made.Before(found.made)) {
				oldest = at
			}
		}
		if total <= keptBytes || oldest == (key{}) {
			return
		}
		e.drop(oldest, e.kept[oldest])
	}
}

// drop keeps a file no longer.
func (e *exports) drop(at key, one *export) {
	delete(e.kept, at)
	e.release(one)
}

// close says that a file is no longer read.
func (e *exports) close(one *export) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.release(one)
}

func (e *exports) release(one *export) {
	if one.users--; one.users == 0 {
		_ = one.content.Close() // nothing of it is needed any more
	}
}

// make asks for a file and keeps all of it on disk before anything is given out.
func (e *exports) make(ctx context.Context, wanted key) (made *export, err error) {
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return nil, status.Error(codes.ResourceExhausted, "too many files are being made")
	}
	offered, _ := offeredAs(wanted.file)
	stream, err := e.client.ExportRecords(edge.Anonymous(ctx), &exchangev1.ExportRecordsRequest{
		Parent: catalog.ComuneName(wanted.comune), Format: offered.format, Collections: offered.collections,
	})
	if err != nil {
		return nil, err
	}
	content, err := os.CreateTemp("", "cid-dati-*")
	if err != nil {
		return nil, fmt.Errorf("file for an export: %w", err)
	}
	defer func() {
		if err != nil {
			_ = content.Close()
		}
	}()
	if err := os.Remove(content.Name()); err != nil {
		return nil, fmt.Errorf("file for an export: %w", err)
	}
	digest := sha256.New()
	made = &export{content: content}
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if made.size += int64(len(piece.GetData())); made.size > fileBytes {
			return nil, fmt.Errorf("%s of %s is larger than %d bytes", wanted.file, wanted.comune, fileBytes)
		}
		_, _ = digest.Write(piece.GetData()) // never fails
		if _, err := content.Write(piece.GetData()); err != nil {
			return nil, fmt.Errorf("file for an export: %w", err)
		}
	}
	made.digest, made.made = hex.EncodeToString(digest.Sum(nil)), time.Now()
	return made, nil
}
