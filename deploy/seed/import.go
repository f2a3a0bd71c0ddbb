package seed

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// callTimeout is the longest time that one call of the import may take.
const callTimeout = 30 * time.Second

// A Report counts what an import did.
type Report struct {
	// Created, Changed and Unchanged records.
	Created, Changed, Unchanged int
	// Kept counts the records left alone because the comune has made them its
	// own: they are not marked as sample data any more.
	Kept int
	// FilesSent counts the files that the node did not have.
	FilesSent int
}

// String sums the report up in a line.
func (r Report) String() string {
	return fmt.Sprintf("%d created, %d changed, %d unchanged, %d kept as the comune has them, %d files sent",
		r.Created, r.Changed, r.Unchanged, r.Kept, r.FilesSent)
}

// Import writes the sample data of a comune to its node: files first, then the
// records in an order in which none refers to one that is not there yet. It may
// be repeated: what is already there changes nothing, and what the comune made
// its own is left alone. progress gets a line for each file and record that
// changed. On an error the report tells what was done up to it; a further run
// goes on from there.
func Import(ctx context.Context, conn grpc.ClientConnInterface, comune Comune, progress io.Writer) (Report, error) {
	i := importer{conn: conn, comune: comune, progress: progress, outcomes: map[string]outcome{}}
	err := i.run(ctx)
	return i.report(), err
}

// Empty tells whether a node has no services of a comune, not even deleted
// ones; so an import into it overwrites nothing that people entered.
func Empty(ctx context.Context, conn grpc.ClientConnInterface, comune string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := registryv1.NewServiceServiceClient(conn).ListServices(ctx, &registryv1.ListServicesRequest{
		Parent:         catalog.ComuneName(comune),
		PageSize:       1,
		ShowDeleted:    true,
		ReadPreference: registryv1.ReadPreference_LIVE_ONLY,
	})
	if err != nil {
		return false, fmt.Errorf("listing the services of %s: %w", comune, err)
	}
	if len(answer.GetUnreachable()) > 0 {
		return false, fmt.Errorf("listing the services of %s: its node does not answer; try again when it does", comune)
	}
	return len(answer.GetServices()) == 0, nil
}

type outcome int

const (
	unchanged outcome = iota + 1
	changed
	created
	kept
)

func (o outcome) String() string {
	return map[outcome]string{unchanged: "unchanged", changed: "changed", created: "created", kept: "kept"}[o]
}

type importer struct {
	conn      grpc.ClientConnInterface
	comune    Comune
	progress  io.Writer
	outcomes  map[string]outcome
	filesSent int
}

func (i *importer) report() Report {
	r := Report{FilesSent: i.filesSent}
	for _, o := range i.outcomes {
		switch o {
		case unchanged:
			r.Unchanged++
		case changed:
			r.Changed++
		case created:
			r.Created++
		case kept:
			r.Kept++
		}
	}
	return r
}

func (i *importer) run(ctx context.Context) error {
	for _, file := range i.comune.Files {
		sent, err := i.sendFile(ctx, file)
		if err != nil {
			return fmt.Errorf("sending the file %s: %w", file.Name, err)
		}
		if sent {
			i.filesSent++
			i.tell("sent", filesFolder+"/"+file.Name)
		}
	}
	steps := inOrder(i.comune.Records)
	for _, s := range steps {
		if err := i.write(ctx, s.first(), len(s.ahead) > 0); err != nil {
			return err
		}
	}
	for _, s := range steps {
		if len(s.ahead) > 0 {
			if err := i.write(ctx, s.record, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// write brings one record to the node. A record that is only the first half of
// a ring is written when it is new; else what is there would lose fields.
func (i *importer) write(ctx context.Context, record proto.Message, onlyNew bool) error {
	name := catalog.RecordOf(record).Name()
	before, err := i.get(ctx, name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if before != nil {
		is := catalog.RecordOf(before)
		switch {
		case is.Deleted():
			return fmt.Errorf("%s is deleted on the node; undelete it there, or take it out of the sample data", name)
		case is.Provenance() != nil && !is.Provenance().GetSample():
			i.note(name, kept)
			return nil
		case onlyNew:
			return nil
		}
	}
	after, err := i.update(ctx, record, before)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	switch {
	case before == nil:
		i.note(name, created)
	case catalog.RecordOf(after).Revision() > catalog.RecordOf(before).Revision():
		i.note(name, changed)
	default:
		i.note(name, unchanged)
	}
	return nil
}

// note remembers what happened to a record; what happened to its first half
// weighs more.
func (i *importer) note(name string, o outcome) {
	if i.outcomes[name] == created {
		return
	}
	i.outcomes[name] = o
	if o != unchanged {
		i.tell(o.String(), name)
	}
}

func (i *importer) tell(what, name string) {
	_, _ = fmt.Fprintf(i.progress, "%-9s %s\n", what, name) // progress is for the eye; the report is returned
}

// get reads a record from its owner; nil when there is none.
func (i *importer) get(ctx context.Context, name string) (proto.Message, error) {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return nil, err
	}
	method, ok := parsed.Kind.Method(catalog.Get)
	if !ok {
		return nil, fmt.Errorf("the contract has no Get for %s", parsed.Kind.Collection)
	}
	request := method.NewRequest()
	set(request, "name", protoreflect.ValueOfString(name))
	set(request, "read_preference", protoreflect.ValueOfEnum(registryv1.ReadPreference_LIVE_ONLY.Number()))
	record, err := i.invoke(ctx, method, request)
	if status.Code(err) == codes.NotFound {
		return nil, nil
	}
	return record, err
}

// update makes the node's record what the data say, on the condition that it is
// still what was read before.
func (i *importer) update(ctx context.Context, record, before proto.Message) (proto.Message, error) {
	kind := catalog.Of(record)
	method, ok := kind.Method(catalog.Update)
	if !ok {
		return nil, fmt.Errorf("the contract has no Update for %s", kind.Collection)
	}
	record = proto.Clone(record)
	if before != nil {
		catalog.RecordOf(record).SetEtag(catalog.RecordOf(before).Etag())
	}
	id, err := requestID(record)
	if err != nil {
		return nil, err
	}
	request := method.NewRequest()
	set(request, protoreflect.Name(kind.Singular), protoreflect.ValueOfMessage(record.ProtoReflect()))
	set(request, "update_mask", protoreflect.ValueOfMessage((&fieldmaskpb.FieldMask{Paths: []string{"*"}}).ProtoReflect()))
	set(request, "request_id", protoreflect.ValueOfString(id))
	if !kind.Singleton {
		set(request, "allow_missing", protoreflect.ValueOfBool(true))
	}
	return i.invoke(ctx, method, request)
}

// requestID is the same for the same record with the same etag, so that a
// repeated call is one call.
func requestID(record proto.Message) (string, error) {
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(record)
	if err != nil {
		return "", fmt.Errorf("encoding the record: %w", err)
	}
	return uuid.NewHash(sha256.New(), uuid.NameSpaceURL, content, 4).String(), nil
}

func (i *importer) invoke(ctx context.Context, method catalog.Method, request proto.Message) (proto.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response := method.NewResponse()
	if err := i.conn.Invoke(ctx, method.Full, request, response); err != nil {
		return nil, err
	}
	return response, nil
}

func set(m proto.Message, field protoreflect.Name, value protoreflect.Value) {
	m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName(field), value)
}
