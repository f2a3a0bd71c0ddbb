package boltkit_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	bolt "go.etcd.io/bbolt"

	"cidsistem.example/services/internal/boltkit"
)

var bucket = []byte("b")

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func options() boltkit.Options { return boltkit.Options{NoSync: true, Logger: quiet()} }

// open opens a file with one bucket; it is closed with the test.
func open(t testing.TB, path string, o boltkit.Options) *boltkit.DB {
	t.Helper()
	db, err := boltkit.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func fresh(t testing.TB, o boltkit.Options) *boltkit.DB {
	t.Helper()
	db := open(t, filepath.Join(t.TempDir(), "data.db"), o)
	must(t, db.Write(t.Context(), change(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})))
	return db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// change is a plan that decides nothing.
func change(apply boltkit.Apply) boltkit.Plan {
	return func(*bolt.Tx) (boltkit.Apply, error) { return apply, nil }
}

func put(key, value string) boltkit.Apply {
	return func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), []byte(value)) }
}

func get(tx *bolt.Tx, key string) string { return string(tx.Bucket(bucket).Get([]byte(key))) }

// content reads all keys with their values.
func content(t testing.TB, db *boltkit.DB) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, v []byte) error { all[string(k)] = string(v); return nil })
	}))
	return all
}

// hold occupies the writer until the returned function is called.
func hold(t testing.TB, db *boltkit.DB) (release func()) {
	t.Helper()
	gate, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- db.Write(context.Background(), func(*bolt.Tx) (boltkit.Apply, error) { <-gate; return nil, nil })
	}()
	synctest.Wait()
	return func() {
		close(gate)
		must(t, <-done)
	}
}

// queued starts a write and returns once it waits in the queue.
func queued(ctx context.Context, db *boltkit.DB, plan boltkit.Plan) <-chan error {
	done := make(chan error, 1)
	go func() { done <- db.Write(ctx, plan) }()
	synctest.Wait()
	return done
}

func TestWritesOfOneCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := fresh(t, options())
		release := hold(t, db)

		var transactions []int
		seen := ""
		noted := func(plan boltkit.Plan) boltkit.Plan {
			return func(tx *bolt.Tx) (boltkit.Apply, error) {
				transactions = append(transactions, tx.ID())
				return plan(tx)
			}
		}
		refusal := errors.New("refused")
		gone, leave := context.WithCancel(t.Context())
		planned := false

		first := queued(t.Context(), db, noted(change(put("a", "1"))))
		refused := queued(t.Context(), db, noted(func(*bolt.Tx) (boltkit.Apply, error) { return put("refused", "x"), refusal }))
		panicked := queued(t.Context(), db, noted(func(*bolt.Tx) (boltkit.Apply, error) { panic("a defect") }))
		left := queued(gone, db, func(*bolt.Tx) (boltkit.Apply, error) { planned = true; return put("left", "x"), nil })
		idle := queued(t.Context(), db, noted(func(*bolt.Tx) (boltkit.Apply, error) { return nil, nil }))
		second := queued(t.Context(), db, noted(func(tx *bolt.Tx) (boltkit.Apply, error) {
			seen = get(tx, "a")
			return put("a", seen+"2"), nil
		}))
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who gave up got %v", err)
		}
		release()

		for what, done := range map[string]<-chan error{"first": first, "idle": idle, "second": second} {
			if err := <-done; err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := <-refused; !errors.Is(err, refusal) {
			t.Errorf("the refused plan got %v", err)
		}
		if err := <-panicked; !errors.Is(err, boltkit.ErrPanic) || !strings.Contains(err.Error(), "a defect") {
			t.Errorf("the plan with a defect got %v", err)
		}
		if planned {
			t.Error("the plan of a caller who gave up was run")
		}
		if seen != "1" {
			t.Errorf("the later plan saw %q, not what the earlier write of its commit did", seen)
		}
		if len(slices.Compact(transactions)) != 1 {
			t.Errorf("the writes that waited were committed in transactions %v, not in one", transactions)
		}
		if got := content(t, db); fmt.Sprint(got) != "map[a:12]" {
			t.Errorf("the store has %v", got)
		}
		if err := db.Err(); err != nil {
			t.Errorf("fenced by refusals: %v", err)
		}
	})
}

func TestContextThatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := fresh(t, options())
		ctx, cancel := context.WithCancel(t.Context())
		planning, goOn := make(chan struct{}), make(chan struct{})
		done := make(chan error, 1)
		go func() {
			done <- db.Write(ctx, func(*bolt.Tx) (boltkit.Apply, error) {
				close(planning)
				<-goOn
				return put("late", "x"), nil
			})
		}()
		<-planning
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who gave up during the plan got %v", err)
		}
		close(goOn)
		synctest.Wait()
		if got := content(t, db); got["late"] != "x" {
			t.Errorf("the write that had begun was not made: %v", got)
		}
		err := db.Write(ctx, func(*bolt.Tx) (boltkit.Apply, error) { t.Error("planned"); return nil, nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a context that had ended before the write: %v", err)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := fresh(t, options())
		release := hold(t, db)
		var waiting []<-chan error
		var busy error
		for i := 0; busy == nil && i < 5000; i++ {
			done := queued(t.Context(), db, change(put(fmt.Sprint(i), "x")))
			select {
			case busy = <-done:
			default:
				waiting = append(waiting, done)
			}
		}
		if !errors.Is(busy, boltkit.ErrBusy) {
			t.Fatalf("%d writes may wait, the next got %v", len(waiting), busy)
		}
		release()
		for _, done := range waiting {
			must(t, <-done)
		}
		if got := len(content(t, db)); got != len(waiting) {
			t.Errorf("%d writes waited, %d were made", len(waiting), got)
		}
	})
}

func TestFence(t *testing.T) {
	broken := errors.New("the disk broke")
	for name, test := range map[string]struct {
		apply  boltkit.Apply
		commit error
		want   error
	}{
		"commit fails":  {apply: put("k", "new"), commit: broken, want: broken},
		"apply fails":   {apply: func(*bolt.Tx) error { return broken }, want: broken},
		"apply panics":  {apply: func(*bolt.Tx) error { panic("a defect") }, want: boltkit.ErrPanic},
		"apply is lost": {apply: func(tx *bolt.Tx) error { return tx.Bucket([]byte("no such bucket")).Put(nil, nil) }, want: boltkit.ErrPanic},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var commit error
				o := options()
				o.BeforeCommit = func() error { return commit }
				db := fresh(t, o)
				must(t, db.Write(t.Context(), change(put("k", "old"))))

				release := hold(t, db)
				refusal := errors.New("refused")
				refused := queued(t.Context(), db, func(*bolt.Tx) (boltkit.Apply, error) { return nil, refusal })
				neighbour := queued(t.Context(), db, change(put("neighbour", "x")))
				bad := queued(t.Context(), db, change(test.apply))
				commit = test.commit
				release()

				if err := <-bad; !errors.Is(err, boltkit.ErrFenced) || !errors.Is(err, test.want) {
					t.Errorf("the write got %v", err)
				}
				if err := <-neighbour; !errors.Is(err, boltkit.ErrFenced) {
					t.Errorf("its neighbour got %v", err)
				}
				if err := <-refused; !errors.Is(err, refusal) {
					t.Errorf("a refused neighbour got %v", err)
				}
				select {
				case <-db.Fenced():
				default:
					t.Error("nobody is told")
				}
				commit = nil
				for what, err := range map[string]error{
					"Err":   db.Err(),
					"Write": db.Write(t.Context(), change(put("k", "newer"))),
					"View":  db.View(func(*bolt.Tx) error { return nil }),
				} {
					if !errors.Is(err, boltkit.ErrFenced) || !errors.Is(err, test.want) {
						t.Errorf("%s after the fence: %v", what, err)
					}
				}
				must(t, db.Close())
				if got := content(t, open(t, db.Path(), options())); fmt.Sprint(got) != "map[k:old]" {
					t.Errorf("after opening again: %v", got)
				}
			})
		})
	}
}

func TestFull(t *testing.T) {
	o := options()
	o.MaxBytes = 2 << 20
	db := fresh(t, o)
	value := strings.Repeat("x", 10_000)
	acknowledged := 0
	var err error
	for ; acknowledged < 1000; acknowledged++ {
		if err = db.Write(t.Context(), change(put(fmt.Sprintf("%04d", acknowledged), value))); err != nil {
			break
		}
	}
	if !errors.Is(err, boltkit.ErrFull) {
		t.Fatalf("after %d writes: %v", acknowledged, err)
	}
	if acknowledged < 100 {
		t.Errorf("only %d writes of 10 kB fit into 2 MiB", acknowledged)
	}
	if err := db.Err(); err != nil {
		t.Fatalf("a full store is fenced: %v", err)
	}
	all := content(t, db)
	if len(all) != acknowledged {
		t.Errorf("%d writes were acknowledged, the store has %d", acknowledged, len(all))
	}
	for key, got := range all {
		if got != value {
			t.Errorf("the value of %s was damaged", key)
		}
	}
	sizes, err := db.Sizes()
	must(t, err)
	if sizes.File > int64(o.MaxBytes) {
		t.Errorf("the file has %d bytes, it may have %d", sizes.File, o.MaxBytes)
	}
	// Room that is made can be used again.
	must(t, db.Write(t.Context(), change(func(tx *bolt.Tx) error {
		for i := range 20 {
			if err := tx.Bucket(bucket).Delete(fmt.Appendf(nil, "%04d", i)); err != nil {
				return err
			}
		}
		return nil
	})))
	for i := range 10 {
		must(t, db.Write(t.Context(), change(put(fmt.Sprintf("again %d", i), value))))
	}
	problems, err := db.CheckPages(t.Context())
	if err != nil || len(problems) > 0 {
		t.Errorf("check: %v %v", problems, err)
	}
}

func TestCloseAnswersEveryWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := fresh(t, options())
		release := hold(t, db)
		var waiting []<-chan error
		for i := range 20 {
			waiting = append(waiting, queued(t.Context(), db, change(put(fmt.Sprint(i), "x"))))
		}
		closed := make(chan error, 1)
		go func() { closed <- db.Close() }()
		synctest.Wait()
		release()
		must(t, <-closed)

		path := db.Path()
		for what, err := range map[string]error{
			"Write": db.Write(t.Context(), change(put("k", "v"))),
			"View":  db.View(func(*bolt.Tx) error { return nil }),
		} {
			if !errors.Is(err, boltkit.ErrClosed) {
				t.Errorf("%s of a closed store: %v", what, err)
			}
		}
		if _, err := db.CheckPages(t.Context()); !errors.Is(err, boltkit.ErrClosed) {
			t.Errorf("check of a closed store: %v", err)
		}
		must(t, db.Close())
		got := content(t, open(t, path, options()))
		for i, done := range waiting {
			err := <-done
			_, made := got[fmt.Sprint(i)]
			if err == nil != made || (err != nil && !errors.Is(err, boltkit.ErrClosed)) {
				t.Errorf("write %d was answered %v, and is there: %t", i, err, made)
			}
		}
	})
}

// 64 writers count up two numbers: each plan must see all that was done before.
func TestManyWriters(t *testing.T) {
	const writers, each = 64, 40
	db := fresh(t, options())
	var mu sync.Mutex
	var order []uint64
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for range each {
				var mine uint64
				err := db.Write(t.Context(), func(tx *bolt.Tx) (boltkit.Apply, error) {
					if v := tx.Bucket(bucket).Get([]byte("n")); v != nil {
						mine = binary.BigEndian.Uint64(v)
					}
					mine++
					return func(tx *bolt.Tx) error {
						return tx.Bucket(bucket).Put([]byte("n"), binary.BigEndian.AppendUint64(nil, mine))
					}, nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, mine)
				mu.Unlock()
			}
		})
	}
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		for range 5 {
			if problems, err := db.CheckPages(t.Context()); err != nil || len(problems) > 0 {
				t.Errorf("check under writes: %v %v", problems, err)
			}
		}
	}()
	running.Wait()
	<-checked
	slices.Sort(order)
	for i, n := range order {
		if n != uint64(i)+1 {
			t.Fatalf("the %d. write took number %d", i+1, n)
		}
	}
	if len(order) != writers*each {
		t.Errorf("%d writes were acknowledged", len(order))
	}
}

func TestAcknowledgedMeansReadable(t *testing.T) {
	db := fresh(t, options())
	for i := range 50 {
		key, value := fmt.Sprint(i), bytes.Repeat([]byte{byte(i)}, i)
		must(t, db.Write(t.Context(), change(put(key, string(value)))))
		must(t, db.View(func(tx *bolt.Tx) error {
			if got := get(tx, key); got != string(value) {
				t.Errorf("%s reads %q after it was acknowledged", key, got)
			}
			return nil
		}))
	}
}
