package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	// changes is how many are followed.
	changes = 200
	// askCopyEvery and askSearchEvery are the pauses between two questions about a
	// change: short, yet leaving the processor to the servers.
	askCopyEvery, askSearchEvery = 200 * time.Microsecond, time.Millisecond
	// seenWithin is the longest that a change may take.
	seenWithin = 20 * time.Second
)

// visible measures how long a change takes from a node to the ufficio comune.
func (b *bench) visible(ctx context.Context, f *federation) error {
	random := rand.New(rand.NewPCG(Seed, 3))
	comune := comuni()[len(demo.Comuni)-1]
	names := map[string]bool{}
	for len(names) < min(changes, f.total(comune)/2) {
		names[f.records[comune].Pick(random)] = true
	}
	var acknowledged, copied, found []time.Duration
	for _, name := range slices.Sorted(slices.Values(keys(names))) {
		c, err := f.change(ctx, comune, name, word(random, 6))
		if err != nil {
			return fmt.Errorf("change %s: %w", name, err)
		}
		acknowledged, copied, found = append(acknowledged, c.acknowledged), append(copied, c.copied), append(found, c.found)
		if len(found)%50 == 0 {
			b.progress.say("%d changes followed", len(found))
		}
	}
	row := func(name string, all []time.Duration) []string {
		slices.Sort(all)
		return []string{name, milliseconds(percentile(all, 0.5)), milliseconds(percentile(all, 0.99)), milliseconds(all[len(all)-1])}
	}
	return errors.Join(
		b.document.heading(3, "From a change on a node to the ufficio comune"),
		b.document.table([]string{fmt.Sprintf("%d changes, one after another", len(found)), "p50 ms", "p99 ms", "longest ms"}, [][]string{
			row("sent, until acknowledged by the node", acknowledged),
			row("acknowledged, until Get from the copy has it", copied),
			row("acknowledged, until Search finds it by a new word", found),
		}),
		b.document.paragraph("Asked with REPLICA_ONLY, with a pause of %s between two Gets and of %s between two Searches; the times include the answer that had it.", askCopyEvery, askSearchEvery),
	)
}

func keys(m map[string]bool) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

// A changeSeen tells when a change was where.
type changeSeen struct{ acknowledged, copied, found time.Duration }

// change puts a new word into the title of a record and waits until the ufficio
// comune has it.
func (f *federation) change(ctx context.Context, comune, name, word string) (changeSeen, error) {
	ctx, cancel := context.WithTimeout(ctx, seenWithin)
	defer cancel()
	record, err := read(ctx, f.conns[comune], name)
	if err != nil {
		return changeSeen{}, err
	}
	m := record.ProtoReflect()
	title := m.Mutable(m.Descriptor().Fields().ByName("title")).Message().Interface().(*registryv1.LocalizedText)
	title.It += " " + word
	began := time.Now()
	etag, err := update(ctx, f.conns[comune], record, "title")
	if err != nil {
		return changeSeen{}, err
	}
	var seen changeSeen
	acknowledged := time.Now()
	seen.acknowledged = acknowledged.Sub(began)

	var wait sync.WaitGroup
	var copyErr, searchErr error
	wait.Go(func() {
		copyErr = until(ctx, askCopyEvery, func() (bool, error) {
			copied, err := read(ctx, f.conns[demo.Office], name)
			return err == nil && catalog.RecordOf(copied).Etag() == etag, err
		})
		seen.copied = time.Since(acknowledged)
	})
	wait.Go(func() {
		client := registryv1.NewSearchServiceClient(f.conns[demo.Office])
		request := &registryv1.SearchRequest{Q: word, PageSize: 5, ReadPreference: registryv1.ReadPreference_REPLICA_ONLY}
		searchErr = until(ctx, askSearchEvery, func() (bool, error) {
			hits, err := client.Search(ctx, request)
			return slices.ContainsFunc(hits.GetHits(), func(h *registryv1.SearchHit) bool { return h.GetName() == name }), err
		})
		seen.found = time.Since(acknowledged)
	})
	wait.Wait()
	return seen, errors.Join(copyErr, searchErr)
}

// until asks, with pauses, until the answer is yes.
func until(ctx context.Context, every time.Duration, ask func() (bool, error)) error {
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
}

// read gets a record as the server has it, without asking others.
func read(ctx context.Context, conn *grpc.ClientConn, name string) (proto.Message, error) {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return nil, err
	}
	method, ok := parsed.Kind.Method(catalog.Get)
	if !ok {
		return nil, fmt.Errorf("the contract has no Get for %s", parsed.Kind.Collection)
	}
	request, record := method.NewRequest(), method.NewResponse()
	set(request, "name", name)
	m := request.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName("read_preference"), protoreflect.ValueOfEnum(registryv1.ReadPreference_REPLICA_ONLY.Number()))
	return record, conn.Invoke(ctx, method.Full, request, record)
}

// update changes a field of a record and returns its new etag.
func update(ctx context.Context, conn *grpc.ClientConn, record proto.Message, field string) (etag string, err error) {
	kind := catalog.Of(record)
	method, ok := kind.Method(catalog.Update)
	if !ok {
		return "", fmt.Errorf("the contract has no Update for %s", kind.Collection)
	}
	request, after := method.NewRequest(), method.NewResponse()
	m := request.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(kind.Singular)), protoreflect.ValueOfMessage(record.ProtoReflect()))
	m.Set(m.Descriptor().Fields().ByName("update_mask"), protoreflect.ValueOfMessage((&fieldmaskpb.FieldMask{Paths: []string{field}}).ProtoReflect()))
	if err := conn.Invoke(ctx, method.Full, request, after); err != nil {
		return "", err
	}
	return catalog.RecordOf(after).Etag(), nil
}
