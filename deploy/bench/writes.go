package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
)

const (
	// writers is how many clients write at the same time.
	writers = 64
	// writtenInto is how many records a node has before writes are measured.
	writtenInto = 1000
	// drafts is how many different records are written, each many times under
	// another id.
	drafts = 1000
)

// A draft is a record to be created, all but its id serialised beforehand.
type draft struct {
	method  string
	request []byte
	idField protowire.Number
	// record is what is stored: for the bare stores.
	record []byte
	name   string
}

// writes measures durable writes on one node.
func (b *bench) writes(ctx context.Context) (err error) {
	records, err := b.grow(max(writtenInto, len(b.sample[0].Records)))
	if err != nil {
		return err
	}
	b.progress.say("writes: start")
	f, err := startFederation(ctx, filepath.Join(b.dir, "writes"), b.Bin, records, b.progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop(ctx)) }()
	comune := comuni()[0]
	if err := f.load(ctx, comune); err != nil {
		return err
	}
	all, err := draftsOf(records[comune])
	if err != nil {
		return err
	}
	pids, err := f.pids(comune)
	if err != nil {
		return err
	}
	store, err := openBareStore(filepath.Join(b.dir, "bare.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()

	var ids atomic.Int64 // of new records: none is written twice
	conn := f.conns[comune]
	create := askGRPC(conn, func(number int) question {
		d := all[number%len(all)]
		request := slices.Clone(d.request)
		request = protowire.AppendTag(request, d.idField, protowire.BytesType)
		return question{method: d.method, request: protowire.AppendString(request, "n-"+strconv.FormatInt(ids.Add(1), 36))}
	})
	put := func(number int) (key, value []byte) {
		d := all[number%len(all)]
		return []byte(d.name + strconv.FormatInt(ids.Add(1), 36)), d.record
	}
	const alone, followed, single, grouped = "node", "node, ufficio comune follows", "bare bbolt, Update", "bare bbolt, group commit"
	bare := []string{single, grouped}
	bytes := 0
	for _, d := range all {
		bytes += len(d.record)
	}
	title := fmt.Sprintf("Durable writes on one node (%s bytes as a message, on average)", whole(float64(bytes)/float64(len(all))))
	return b.compare(ctx, title, writers, []target{
		{name: alone, processes: pids, against: bare, client: withLink(f, comune, false, create)},
		{name: followed, processes: pids, against: bare, client: withLink(f, comune, true, create)},
		{name: single, client: store.client(store.alone, put)},
		{name: grouped, client: store.client(store.grouped, put)},
	})
}

// withLink connects a node to the ufficio comune, or cuts it off, before its
// clients begin.
func withLink(f *federation, comune string, connected bool, clients func(context.Context) (func(int) error, func(), error)) func(context.Context) (func(int) error, func(), error) {
	return func(ctx context.Context) (func(int) error, func(), error) {
		if !connected {
			f.Links[comune].Cut()
		} else if err := f.Links[comune].Heal(context.WithoutCancel(ctx)); err != nil {
			return nil, nil, err
		}
		return clients(ctx)
	}
}

// draftsOf prepares records of all kinds. They refer to what the node has.
func draftsOf(records *Records) ([]draft, error) {
	var all []draft
	for _, l := range records.levels {
		for i := range max(1, drafts*l.count/records.Total()) {
			record := records.at(l, i%l.count)
			method, request, err := createRequest(record)
			if err != nil {
				return nil, err
			}
			body, err := proto.Marshal(record)
			if err != nil {
				return nil, err
			}
			whole, err := proto.Marshal(request)
			if err != nil {
				return nil, err
			}
			field := request.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(l.kind.Singular + "_id"))
			if field == nil {
				return nil, fmt.Errorf("%s has no field for the id", method.Full)
			}
			all = append(all, draft{
				method: method.Full, request: whole, idField: field.Number(), record: body, name: catalog.RecordOf(record).Name(),
			})
		}
	}
	return all, nil
}
