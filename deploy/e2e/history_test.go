package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/feedv1"
)

// everything is a text that differs whenever anything differs that the servers
// keep: their records byte for byte, where their feeds stand, their files.
func (f *federation) everything(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, id := range []string{"marsala", "mazara-del-vallo", "pantelleria", demo.Office} {
		conn := f.conn(t, id)
		state, err := feedv1.NewFeedServiceClient(conn).GetFeedState(t.Context(), &feedv1.GetFeedStateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		head := state.GetHead()
		fmt.Fprintf(&text, "%s: epoch %x, revision %d, digest %x\n", id, head.GetEpoch(), head.GetRevision(), head.GetDigest())
		records := snapshot(t, conn)
		for _, name := range slices.Sorted(maps.Keys(records)) {
			fmt.Fprintf(&text, "  %s %x\n", name, sha256.Sum256(records[name]))
		}
		err = filepath.WalkDir(filepath.Join(f.DataDir(id), "files"), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				fmt.Fprintf(&text, "  file %s\n", entry.Name())
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return text.String()
}

// snapshot reads all records of a server, by name, as the bytes that it keeps.
func snapshot(t *testing.T, conn *grpc.ClientConn) map[string][]byte {
	t.Helper()
	stream, err := feedv1.NewFeedServiceClient(conn).StreamSnapshot(t.Context(), &feedv1.StreamSnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	records := map[string][]byte{}
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range page.GetRecords() {
			records[change.GetName()] = change.GetRecord().GetValue()
		}
	}
}

// sameCopy fails unless a server has the records of a comune byte for byte as
// its node has them.
func (f *federation) sameCopy(t *testing.T, comune, at string) {
	t.Helper()
	own, copied := snapshot(t, f.conn(t, comune)), snapshot(t, f.conn(t, at))
	prefix := "comuni/" + comune
	maps.DeleteFunc(copied, func(name string, _ []byte) bool { return name != prefix && !strings.HasPrefix(name, prefix+"/") })
	if maps.EqualFunc(own, copied, bytes.Equal) {
		return
	}
	for name := range own {
		if !bytes.Equal(own[name], copied[name]) {
			t.Errorf("%s differs at %s: %d bytes, %d at its node", name, at, len(copied[name]), len(own[name]))
		}
	}
	for name := range copied {
		if _, there := own[name]; !there {
			t.Errorf("%s is at %s, but not at its node", name, at)
		}
	}
}

// sound fails unless the store of a server finds itself in order.
func (f *federation) sound(t *testing.T, id string) *adminv1.CheckStoreResponse {
	t.Helper()
	report, err := adminv1.NewStoreServiceClient(f.local(t, id)).CheckStore(t.Context(), &adminv1.CheckStoreRequest{}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range report.GetProblems() {
		t.Errorf("the store of %s: %s", id, problem)
	}
	return report
}

// A chain follows the feed of a server from its beginning, and checks every
// revision: none is missing, each digest covers all before it.
type chain struct {
	at *feedv1.FeedPosition
}

// follow reads on to the head that the feed has now, and hands each revision to
// each.
func (c *chain) follow(ctx context.Context, conn *grpc.ClientConn, each func(*feedv1.RevisionBody)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := feedv1.NewFeedServiceClient(conn)
	state, err := client.GetFeedState(ctx, &feedv1.GetFeedStateRequest{})
	if err != nil {
		return err
	}
	if c.at == nil {
		c.at = state.GetFloor()
		if c.at.GetRevision() != 0 {
			return fmt.Errorf("the feed begins at %d, not at its beginning", c.at.GetRevision())
		}
	}
	stream, err := client.WatchChanges(ctx, &feedv1.WatchChangesRequest{After: c.at})
	if err != nil {
		return err
	}
	for c.at.GetRevision() < state.GetHead().GetRevision() {
		message, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("after revision %d: %w", c.at.GetRevision(), err)
		}
		for _, revision := range message.GetRevisions() {
			if err := c.take(revision, each); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *chain) take(revision *feedv1.Revision, each func(*feedv1.RevisionBody)) error {
	number := c.at.GetRevision() + 1
	if got := revision.GetPosition().GetRevision(); got != number {
		return fmt.Errorf("revision %d after %d", got, c.at.GetRevision())
	}
	digest := sha256.New()
	digest.Write(c.at.GetDigest())
	digest.Write(binary.BigEndian.AppendUint64(nil, uint64(number)))
	digest.Write(revision.GetBody())
	if !bytes.Equal(digest.Sum(nil), revision.GetPosition().GetDigest()) {
		return fmt.Errorf("the digest of revision %d does not cover what is before it", number)
	}
	body := &feedv1.RevisionBody{}
	if err := proto.Unmarshal(revision.GetBody(), body); err != nil {
		return fmt.Errorf("revision %d: %w", number, err)
	}
	c.at = revision.GetPosition()
	each(body)
	return nil
}
