package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// A federation of real processes, with synthetic records.
type federation struct {
	*demo.Federation
	dir      string
	records  map[string]*Records
	conns    map[string]*grpc.ClientConn // by id of the server
	progress *progress
}

// startFederation starts three nodes, the ufficio comune and the gateway in a
// folder of their own below dir.
func startFederation(ctx context.Context, dir, bin string, records map[string]*Records, p *progress) (*federation, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	started, err := demo.Start(ctx, demo.Options{Dir: dir, HTTP: "127.0.0.1:0", Bin: bin, Empty: true})
	if err != nil {
		return nil, err
	}
	f := &federation{Federation: started, dir: dir, records: records, conns: map[string]*grpc.ClientConn{}, progress: p}
	for _, id := range append(comuni(), demo.Office) {
		if f.conns[id], err = f.Conn(id); err != nil {
			return nil, errors.Join(err, f.Stop(context.WithoutCancel(ctx)))
		}
	}
	return f, nil
}

// stop stops the processes and removes their data.
func (f *federation) stop(ctx context.Context) error {
	return errors.Join(f.Stop(context.WithoutCancel(ctx)), os.RemoveAll(f.dir))
}

func comuni() []string {
	var ids []string
	for _, c := range demo.Comuni {
		ids = append(ids, c.ID)
	}
	return ids
}

// pid of a server, by the name of its settings.
func (f *federation) pid(id string) (int, error) {
	return childWith(filepath.Join(f.dir, "settings", id+".yaml"))
}

func (f *federation) pids(ids ...string) ([]int, error) {
	var all []int
	for _, id := range ids {
		pid, err := f.pid(id)
		if err != nil {
			return nil, err
		}
		all = append(all, pid)
	}
	return all, nil
}

const (
	// loaders is how many clients load a node at the same time.
	loaders = 64
	// loadWithin bounds the loading of one node.
	loadWithin = 20 * time.Minute
)

// load writes the records of comuni to their nodes, all at the same time.
func (f *federation) load(ctx context.Context, comuni ...string) error {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	problems := make([]error, len(comuni))
	var wait sync.WaitGroup
	for i, comune := range comuni {
		wait.Go(func() {
			if err := f.loadOne(ctx, comune); err != nil {
				problems[i] = fmt.Errorf("load the node of %s: %w", comune, err)
				cancel()
			}
		})
	}
	wait.Wait()
	return errors.Join(problems...)
}

func (f *federation) loadOne(ctx context.Context, comune string) error {
	records := f.records[comune]
	began, done := time.Now(), 0
	for _, l := range records.levels {
		if err := f.loadLevel(ctx, f.conns[comune], records, l); err != nil {
			return err
		}
		done += l.count
		f.progress.say("%s has %d of %d records, %.0f/s", comune, done, records.Total(), float64(done)/time.Since(began).Seconds())
	}
	return nil
}

func (f *federation) loadLevel(ctx context.Context, conn *grpc.ClientConn, records *Records, l *level) error {
	var next atomic.Int64
	var once sync.Once
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	for range loaders {
		wait.Go(func() {
			for number := int(next.Add(1)) - 1; number < l.count && ctx.Err() == nil; number = int(next.Add(1)) - 1 {
				if err := create(ctx, conn, records.at(l, number)); err != nil {
					once.Do(func() { failed = err })
					cancel()
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(failed, context.Cause(ctx))
}

// create writes one new record.
func create(ctx context.Context, conn *grpc.ClientConn, record proto.Message) error {
	method, request, err := createRequest(record)
	if err != nil {
		return err
	}
	set(request, protoreflect.Name(method.Kind.Singular+"_id"), lastID(record))
	if err := conn.Invoke(ctx, method.Full, request, method.NewResponse()); err != nil {
		return fmt.Errorf("create %s: %w", catalog.RecordOf(record).Name(), err)
	}
	return nil
}

// createRequest asks to create a record; its id is left to the caller.
func createRequest(record proto.Message) (catalog.Method, proto.Message, error) {
	method, ok := catalog.Of(record).Method(catalog.Create)
	if !ok {
		return method, nil, fmt.Errorf("the contract has no Create for %s", catalog.Of(record).Collection)
	}
	name, err := catalog.ParseName(catalog.RecordOf(record).Name())
	if err != nil {
		return method, nil, err
	}
	parent, _ := name.Parent()
	request := method.NewRequest()
	set(request, "parent", parent.String())
	m := request.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(method.Kind.Singular)), protoreflect.ValueOfMessage(record.ProtoReflect()))
	return method, request, nil
}

func lastID(record proto.Message) string {
	name, err := catalog.ParseName(catalog.RecordOf(record).Name())
	if err != nil {
		return ""
	}
	return name.ID()
}

// set sets a text field.
func set(m proto.Message, field protoreflect.Name, value string) {
	m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName(field), protoreflect.ValueOfString(value))
}

// found is how many records a server finds by searching for nothing in
// particular, out of its own index.
func (f *federation) found(ctx context.Context, id string) (int, error) {
	all, err := registryv1.NewSearchServiceClient(f.conns[id]).Search(ctx, &registryv1.SearchRequest{
		PageSize: 1, ReadPreference: registryv1.ReadPreference_REPLICA_ONLY,
	})
	return int(all.GetTotalSize()), err
}

// total is how many records a node of the federation has: the synthetic ones
// and the comune's own.
func (f *federation) total(comune string) int { return f.records[comune].Total() + 1 }

// finds waits until a server finds so many records.
func (f *federation) finds(ctx context.Context, id string, want int) error {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	for {
		have, err := f.found(ctx, id)
		if err == nil && have == want {
			return nil
		}
		if err := pause(ctx, 25*time.Millisecond); err != nil {
			return fmt.Errorf("%s finds %d records, not %d: %w", id, have, want, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
