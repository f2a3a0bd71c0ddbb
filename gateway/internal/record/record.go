// Package record shows records of the registry on the pages of the portal: where each has its page, what it refers to and what
// refers to it, how it is found, where it comes from, when it is open.
package record

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	// linkWithin is how long a page waits for the titles of what it links to.
	linkWithin = 3 * time.Second
	// atOnce is how many records are read at the same time.
	atOnce = 16
	// listed is how many referring records a page lists.
	listed = 50
)

// sections of the portal by the collection that they show.
var sections = map[string]string{
	"services":      "/servizi/",
	"organizations": "/enti/",
	"locations":     "/luoghi/",
	"operators":     "/operatori/",
	"documents":     "/documenti/",
	"practices":     "/buone-pratiche/",
	"plans":         "/programmazione/",
	"events":        "/agenda/",
}

// Path is where the portal shows a record, without language; empty for a record that has no page.
func Path(name string) string {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return ""
	}
	switch collection := parsed.Kind.Collection; collection {
	case "comuni":
		return "/contatti/#" + parsed.ID()
	case "actions":
		return "/programmazione/" + parsed.IDs[0] + "/" + parsed.IDs[1] + "#" + parsed.ID()
	default:
		section := sections[collection]
		if section == "" {
			return ""
		}
		return section + parsed.Comune() + "/" + parsed.ID()
	}
}

// Collections that have pages, sorted.
func Collections() []string {
	all := make([]string, 0, len(sections))
	for collection := range sections {
		all = append(all, collection)
	}
	slices.Sort(all)
	return all
}

// A Link leads to the page of a record.
type Link struct {
	Name, Path string
	Title      *registryv1.LocalizedText
}

// Links of one kind; More tells that there are others, which are found by searching.
type Links struct {
	All  []Link
	More bool
}

// Reader reads records of any kind from the server behind the gateway.
type Reader struct{ conn grpc.ClientConnInterface }

// NewReader makes a reader over a connection.
func NewReader(conn grpc.ClientConnInterface) Reader { return Reader{conn} }

// Get reads one record.
func (r Reader) Get(ctx context.Context, name string) (proto.Message, error) {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return nil, fmt.Errorf("read a record: %w", err)
	}
	method, ok := parsed.Kind.Method(catalog.Get)
	if !ok {
		return nil, fmt.Errorf("read a record: %s cannot be read", parsed.Kind.Collection)
	}
	request, answer := method.NewRequest(), method.NewResponse()
	set(request, "name", protoreflect.ValueOfString(name))
	if err := r.conn.Invoke(ctx, method.Full, request, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// All reads records side by side, each once. What cannot be read is left out: a page says what it knows.
func (r Reader) All(ctx context.Context, names ...string) map[string]proto.Message {
	ctx, cancel := context.WithTimeout(ctx, linkWithin)
	defer cancel()
	wanted := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	records := make([]proto.Message, len(wanted))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, name := range wanted {
		group.Go(func() error {
			if record, err := r.Get(ctx, name); err == nil {
				records[i] = record
			}
			return nil
		})
	}
	_ = group.Wait() // no function fails
	found := map[string]proto.Message{}
	for i, record := range records {
		if record != nil {
			found[wanted[i]] = record
		}
	}
	return found
}

// InOrder reads records side by side, and returns them in the order of their names' list; those that cannot be read are left out.
func (r Reader) InOrder(ctx context.Context, names ...string) []proto.Message {
	found := r.All(ctx, names...)
	var records []proto.Message
	for _, name := range names {
		if record := found[name]; record != nil {
			records = append(records, record)
		}
	}
	return records
}

// Read reads records of one kind side by side, as All does.
func Read[T proto.Message](ctx context.Context, r Reader, names ...string) map[string]T {
	found := map[string]T{}
	for name, record := range r.All(ctx, names...) {
		if record, ok := record.(T); ok {
			found[name] = record
		}
	}
	return found
}

// Links leads to records by their names, in that order; those that cannot be read are left out.
func (r Reader) Links(ctx context.Context, names ...string) []Link {
	var links []Link
	for _, record := range r.InOrder(ctx, names...) {
		links = append(links, linkTo(record))
	}
	return links
}

// Referring leads to the records of a collection, in the same comune, that refer to a record. Without an answer there are none.
func (r Reader) Referring(ctx context.Context, collection, name string) Links {
	ctx, cancel := context.WithTimeout(ctx, linkWithin)
	defer cancel()
	comune := strings.Split(name, "/")[1]
	parent := strings.Replace(catalog.ByCollection(collection).AnyParent(), catalog.Wildcard, comune, 1)
	page, more, err := r.list(ctx, collection, parent, name, "", listed)
	if err != nil {
		return Links{}
	}
	links := Links{More: more != ""}
	for _, record := range page {
		links.All = append(links.All, linkTo(record))
	}
	return links
}

// ReferringAll is Referring for several collections, side by side.
func (r Reader) ReferringAll(ctx context.Context, name string, collections ...string) map[string]Links {
	lists := make([]Links, len(collections))
	var group errgroup.Group
	for i, collection := range collections {
		group.Go(func() error {
			lists[i] = r.Referring(ctx, collection, name)
			return nil
		})
	}
	_ = group.Wait() // no function fails
	all := map[string]Links{}
	for i, collection := range collections {
		all[collection] = lists[i]
	}
	return all
}

// Walk reads a collection page by page, and stops after a number of pages.
func (r Reader) Walk(ctx context.Context, collection, parent string, pages int, each func(proto.Message)) error {
	token := ""
	for range pages {
		page, next, err := r.list(ctx, collection, parent, "", token, 1000)
		if err != nil {
			return fmt.Errorf("list %s: %w", collection, err)
		}
		for _, record := range page {
			each(record)
		}
		if token = next; token == "" {
			return nil
		}
	}
	return nil
}

func (r Reader) list(ctx context.Context, collection, parent, refersTo, token string, size int32) ([]proto.Message, string, error) {
	method, ok := catalog.ByCollection(collection).Method(catalog.List)
	if !ok {
		return nil, "", fmt.Errorf("%s cannot be listed", collection)
	}
	request, answer := method.NewRequest(), method.NewResponse()
	set(request, "parent", protoreflect.ValueOfString(parent))
	set(request, "refers_to", protoreflect.ValueOfString(refersTo))
	set(request, "page_token", protoreflect.ValueOfString(token))
	set(request, "page_size", protoreflect.ValueOfInt32(size))
	if err := r.conn.Invoke(ctx, method.Full, request, answer); err != nil {
		return nil, "", err
	}
	m := answer.ProtoReflect()
	fields := m.Descriptor().Fields()
	list := m.Get(fields.ByName(protoreflect.Name(collection))).List()
	records := make([]proto.Message, list.Len())
	for i := range records {
		records[i] = list.Get(i).Message().Interface()
	}
	return records, m.Get(fields.ByName("next_page_token")).String(), nil
}

func set(request proto.Message, field protoreflect.Name, value protoreflect.Value) {
	m := request.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName(field), value)
}

func linkTo(record proto.Message) Link {
	name := catalog.RecordOf(record).Name()
	return Link{Name: name, Path: Path(name), Title: Text(record, "title")}
}

// Text is a localised text of a record, nil when it has none of that name.
func Text(record proto.Message, field protoreflect.Name) *registryv1.LocalizedText {
	m := record.ProtoReflect()
	fd := m.Descriptor().Fields().ByName(field)
	if fd == nil {
		return nil
	}
	text, _ := m.Get(fd).Message().Interface().(*registryv1.LocalizedText)
	return text
}
