package store_test

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

func TestDrawingOfTheLayout(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "schema.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	must(t, err)
	var drawn []string
	for line := range strings.Lines(file.Doc.Text()) {
		if rest, drawing := strings.CutPrefix(line, "\t"); drawing {
			drawn = append(drawn, strings.Fields(rest)[0])
		}
	}
	if !slices.Equal(drawn, store.Buckets()) {
		t.Errorf("the package comment draws %v\nthe program has    %v", drawn, store.Buckets())
	}

	s := marsala(t, newClock())
	write(t, s, service("one"))
	path := filepath.Join(t.TempDir(), "copy.db")
	must(t, s.Backup(path))
	inspect(t, path, func(tx *bolt.Tx) error {
		var made []string
		must(t, tx.ForEach(func(name []byte, _ *bolt.Bucket) error { made = append(made, string(name)); return nil }))
		if want := slices.Sorted(slices.Values(store.Buckets())); !slices.Equal(made, want) {
			t.Errorf("the file has %v", made)
		}
		var meta []string
		must(t, tx.Bucket([]byte("meta")).ForEach(func(k, _ []byte) error { meta = append(meta, string(k)); return nil }))
		for line := range strings.Lines(file.Doc.Text()) {
			if words := strings.Fields(strings.ReplaceAll(line, ",", "")); len(words) > 0 && words[0] == "meta" {
				if got := slices.Sorted(slices.Values(words[1:])); !slices.Equal(got, meta) {
					t.Errorf("the drawing of meta says %v, the file has %v", got, meta)
				}
			}
		}
		return nil
	})
}

// inspect opens a closed data file past the store.
func inspect(t testing.TB, path string, look func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true})
	must(t, err)
	must(t, errors.Join(db.Update(look), db.Close()))
}

// kept unpacks a data file of testdata.
func kept(t *testing.T, name string) string {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", name+".gz"))
	must(t, err)
	defer func() { _ = packed.Close() }()
	from, err := gzip.NewReader(packed)
	must(t, err)
	bytes, err := io.ReadAll(from)
	must(t, err)
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, bytes, 0o600))
	return path
}

// The files of layout 1 were written by the first version of this package.
// Whatever the layout is today, they must open with all that is in them.
func TestLayout1OfANode(t *testing.T) {
	c := newClock()
	s := open(t, options(kept(t, "layout-1-node.db"), "marsala", "marsala", c))
	if report := sound(t, s); report.Records != 6 || report.Revisions != 8 {
		t.Errorf("%+v", report)
	}
	if got, want := s.Head().String(), "c0ffee00@8/"; !strings.HasPrefix(got, want) {
		t.Errorf("the head is %s, not %s", got, want)
	}
	var names []string
	must(t, s.View(func(r store.Reader) error {
		for _, collection := range []string{"organizations", "services"} {
			records, _, err := r.List(store.Query{
				Kind: kind(collection), Within: []string{"marsala"}, Limit: 10, ShowDeleted: true, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL},
			})
			must(t, err)
			for _, record := range records {
				names = append(names, nameOf(record))
			}
		}
		referrers, err := r.Referrers("comuni/marsala/organizations/aias", 10)
		if !slices.Equal(referrers, []string{"comuni/marsala/services/trasporto"}) {
			t.Errorf("referrers %v", referrers)
		}
		due, _, _ := r.List(store.Query{
			Kind: kind("services"), Within: []string{"marsala"}, Limit: 10, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL},
			DueBefore: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		})
		if len(due) != 1 || nameOf(due[0]) != "comuni/marsala/services/trasporto" {
			t.Errorf("due %v", due)
		}
		return err
	}))
	want := []string{
		"comuni/marsala/organizations/aias", "comuni/marsala/services/chiuso",
		"comuni/marsala/services/riservato", "comuni/marsala/services/rete", "comuni/marsala/services/trasporto",
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("records %v", names)
	}
	trasporto := read(t, s, "comuni/marsala/services/trasporto").(*registryv1.Service)
	if trasporto.GetTitle().GetIt() != "Trasporto" || len(trasporto.GetContacts()) != 2 || trasporto.GetRevision() != 4 {
		t.Errorf("read %v", trasporto)
	}
	if got := slices.Sorted(maps.Keys(replayed(t, s))); !slices.Equal(got, slices.Sorted(maps.Keys(holdings(t, s)))) || len(got) != 5 {
		t.Errorf("the feed has %v", got)
	}
	request := store.Request{ID: []byte("0123456789abcdef"), Digest: sha256.Sum256([]byte("one"))}
	answer, err := s.Commit(context.Background(), request, &registryv1.Service{}, func(store.Reader, store.Stamp) (store.Outcome, error) {
		return store.Outcome{}, errors.New("the request was forgotten")
	})
	must(t, err)
	if got := nameOf(answer); got != "comuni/marsala/services/rete" {
		t.Errorf("the repetition was answered with %s", got)
	}
	c.pass(100 * 24 * time.Hour)
	if n, err := s.Purge(t.Context()); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	write(t, s, service("new"))
	sound(t, s)
}

func TestLayout1OfAnOffice(t *testing.T) {
	c := newClock()
	s := open(t, options(kept(t, "layout-1-office.db"), "cid-trapani", "", c))
	if report := sound(t, s); report.Records != 2 {
		t.Errorf("%+v", report)
	}
	u, err := s.Upstream("marsala")
	must(t, err)
	if u.Position.Revision != 2 || u.Snapshots != 1 || !u.AsOf.Equal(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)) {
		t.Errorf("upstream %+v", u)
	}
	pantelleria, err := s.Upstream("pantelleria")
	must(t, err)
	if pantelleria.Snapshot == nil || hex.EncodeToString(pantelleria.Snapshot.LastKey) == "" {
		t.Errorf("the snapshot under way is forgotten: %+v", pantelleria)
	}
	holders, err := s.Holders()
	must(t, err)
	if !maps.Equal(holders, map[string]string{"marsala": "marsala", "pantelleria": "pantelleria"}) {
		t.Errorf("holders %v", holders)
	}
	must(t, s.StagePage(t.Context(), "pantelleria", store.Scope{}, nil, nil, pantelleria.Snapshot.Began))
	must(t, s.FinishSnapshot(t.Context(), "pantelleria", c.Now()))
	if got := len(holdings(t, s)); got != 3 {
		t.Errorf("%d records after the snapshot was finished", got)
	}
	sound(t, s)
}

func TestNewerLayoutIsRefused(t *testing.T) {
	c := newClock()
	path := kept(t, "layout-1-node.db")
	inspect(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte{0, 0, 0, 0, 0, 0, 0, 99})
	})
	before, err := os.ReadFile(path)
	must(t, err)
	if _, err := store.Open(options(path, "marsala", "marsala", c)); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("opened a file of layout 99: %v", err)
	}
	after, err := os.ReadFile(path)
	must(t, err)
	if string(before) != string(after) {
		t.Error("the refused file was changed")
	}
}

func TestFileOfAnotherServer(t *testing.T) {
	if _, err := store.Open(options(kept(t, "layout-1-node.db"), "pantelleria", "pantelleria", newClock())); !errors.Is(err, store.ErrWrongServer) {
		t.Errorf("pantelleria opened the file of marsala: %v", err)
	}
}

// Copies are taken anew by a program that knows more kinds than the one before:
// that one passed over their records.
func TestNewKindsMakeCopiesAnew(t *testing.T) {
	path := kept(t, "layout-1-office.db")
	inspect(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("kinds"), []byte("comuni,services"))
	})
	s := open(t, options(path, "cid-trapani", "", newClock()))
	u, err := s.Upstream("marsala")
	must(t, err)
	if !u.Position.Zero() || u.AsOf.IsZero() {
		t.Errorf("upstream %+v", u)
	}
	if got := len(holdings(t, s)); got != 2 {
		t.Errorf("the old copy has %d records", got)
	}
}
