package desk

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/services/internal/store"
)

// The local entries of a desk. Every value is sealed; the keys say when a
// request was made and when it goes, which the audit log says as well.
const (
	// areaRequests: id of the request -> request id (16), request
	areaRequests = "requests"
	// areaFiles: id of the request, "/", id of the attachment -> its bytes
	areaFiles = "request-files"
	// areaTimes: time of creation, id of the request -> nothing
	areaTimes = "requests-by-time"
	// areaCodes: index of the code -> id of the request
	areaCodes = "request-codes"
	// areaIDs: request id -> digest of the content (32), id of the request
	areaIDs = "request-ids"
	// areaDue: time, "r" and the id of the request to be erased, or "i" and the
	// request id to be forgotten -> nothing
	areaDue = "requests-due"
	// areaOrigins: id of a request that came from another comune -> its origin
	areaOrigins = "request-origins"
	// areaReceipts: name of a request at another comune -> id of the request here
	areaReceipts = "request-receipts"
	// areaTemplates: id of an answer that is kept ready -> the answer
	areaTemplates = "request-templates"
)

// secretKey is the entry of the codes' secret.
var secretKey = store.LocalKey{Area: "request-secret", ID: "codes"}

// A held request is what stands under its id.
type held struct {
	*deskv1.Request
	// requestID with which it was made; zero for none.
	requestID uuid.UUID
	// origin of one that came from another comune; nil for all others.
	origin *origin
}

// An origin is where a request came from.
type origin struct {
	// Name that it had there.
	Name string
	// Code of the person, which was made there.
	Code string
	// Digest of what came.
	Digest []byte
}

func (h held) id() string { return idOf(h.GetName()) }

func idOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// newID makes an id that says nothing.
func newID() (string, error) {
	random := make([]byte, 15)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return "r" + strings.ToLower(base32.StdEncoding.EncodeToString(random)), nil
}

// timed is a key that sorts by time.
func timed(area string, at time.Time, rest string) store.LocalKey {
	return store.LocalKey{Area: area, ID: fmt.Sprintf("%016x", max(at.UnixNano(), 0)) + rest}
}

var errDamaged = errors.New("an entry of the desk is damaged")

// splitTimed takes a timed key apart.
func splitTimed(key store.LocalKey) (at time.Time, rest string, err error) {
	if len(key.ID) < 17 {
		return time.Time{}, "", errDamaged
	}
	nanoseconds, err := strconv.ParseInt(key.ID[:16], 16, 64)
	if err != nil {
		return time.Time{}, "", errDamaged
	}
	return time.Unix(0, nanoseconds), key.ID[16:], nil
}

func requestKey(id string) store.LocalKey { return store.LocalKey{Area: areaRequests, ID: id} }

// fileKey is the entry of an attachment, by its name.
func fileKey(name string) store.LocalKey {
	request, attachment, _ := strings.Cut(name, "/attachments/")
	return store.LocalKey{Area: areaFiles, ID: idOf(request) + "/" + attachment}
}

func idKey(id uuid.UUID) store.LocalKey { return store.LocalKey{Area: areaIDs, ID: id.String()} }

// read opens a request by its id, nil when it is not there.
func (d *Desk) read(r store.Reader, id string) (*held, error) {
	sealed := r.Local(requestKey(id))
	if sealed == nil {
		return nil, nil
	}
	h, err := d.open(requestKey(id), sealed)
	if err != nil || h.GetEntry().GetWay() != deskv1.Entry_OTHER_COMUNE {
		return h, err
	}
	key := store.LocalKey{Area: areaOrigins, ID: id}
	if sealed = r.Local(key); sealed == nil {
		return nil, errDamaged
	}
	body, err := d.vault.Open(key, sealed)
	if err != nil {
		return nil, err
	}
	return h, json.Unmarshal(body, &h.origin)
}

// codeOf is the private code of a request.
func (d *Desk) codeOf(h *held) string {
	if h.origin != nil {
		return h.origin.Code
	}
	return d.codes.of(h.GetName())
}

func (d *Desk) codeKey(code string) store.LocalKey {
	return store.LocalKey{Area: areaCodes, ID: d.codes.index(code)}
}

func receiptKey(name string) store.LocalKey { return store.LocalKey{Area: areaReceipts, ID: name} }

func (d *Desk) open(key store.LocalKey, sealed []byte) (*held, error) {
	value, err := d.vault.Open(key, sealed)
	if err != nil {
		return nil, err
	}
	if len(value) < len(uuid.UUID{}) {
		return nil, errDamaged
	}
	h := &held{Request: &deskv1.Request{}, requestID: uuid.UUID(value[:16])}
	if err := proto.Unmarshal(value[16:], h.Request); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	// Requests that were kept before there were threads have answers.
	for _, a := range h.GetAnswers() {
		h.Messages = append(h.Messages, &deskv1.Message{Side: deskv1.Message_DESK, Text: a.GetText(), Author: a.GetAuthor(), CreateTime: a.GetCreateTime()})
	}
	h.Answers = nil
	d.complete(h)
	return h, nil
}

// complete gives a request what follows from the rest, where it is missing.
func (d *Desk) complete(h *held) {
	if h.GetState() == transferred {
		return
	}
	if h.GetKind() == deskv1.Request_KIND_UNSPECIFIED {
		h.Kind = deskv1.Request_INFORMATION
	}
	if h.GetPreferredChannel() == deskv1.Request_CHANNEL_UNSPECIFIED {
		h.PreferredChannel = deskv1.Request_CODE_ONLY
	}
	if h.GetEntry() == nil {
		h.Entry = &deskv1.Entry{Way: deskv1.Entry_PORTAL}
	}
	if h.GetDueDate() == nil && h.GetState() != waiting && h.suspended() == nil {
		h.DueDate = partial(d.calendar.After(d.calendar.On(h.GetCreateTime().AsTime()), d.settings.AnswerDays))
	}
}

// puts collects sealed entries: also where the key is all that matters, for an
// entry without a value is one that is removed.
type puts struct {
	desk   *Desk
	reader store.Reader
	all    []store.LocalPut
	err    error
}

func (p *puts) put(key store.LocalKey, value []byte) {
	sealed, err := p.desk.vault.Seal(key, value)
	p.err = errors.Join(p.err, err)
	p.all = append(p.all, store.LocalPut{Key: key, Value: sealed})
}

func (p *puts) remove(key store.LocalKey) { p.all = append(p.all, store.LocalPut{Key: key}) }

// save writes a request that changed now, and when it goes.
func (p *puts) save(h *held, now time.Time) {
	if due := h.GetPurgeTime(); due != nil {
		p.remove(timed(areaDue, due.AsTime(), "r"+h.id()))
	}
	h.UpdateTime, h.PurgeTime = timestamppb.New(now), timestamppb.New(now.Add(p.desk.retention))
	p.put(timed(areaDue, h.GetPurgeTime().AsTime(), "r"+h.id()), nil)
	body, err := proto.Marshal(h.Request)
	p.err = errors.Join(p.err, err)
	p.put(requestKey(h.id()), append(h.requestID[:], body...))
}

// begin writes a request for the first time, with what leads to it.
func (p *puts) begin(h *held, code string, now time.Time) {
	p.save(h, now)
	p.put(timed(areaTimes, now, h.id()), nil)
	p.put(p.desk.codeKey(code), []byte(h.id()))
}

// erase removes a request and everything that leads to it.
func (p *puts) erase(h *held) {
	p.strip(h)
	p.remove(requestKey(h.id()))
	p.remove(timed(areaTimes, h.GetCreateTime().AsTime(), h.id()))
	p.remove(timed(areaDue, h.GetPurgeTime().AsTime(), "r"+h.id()))
	if h.origin != nil {
		p.remove(store.LocalKey{Area: areaOrigins, ID: h.id()})
		p.remove(receiptKey(h.origin.Name))
	}
	// One that was handed over may have come back, as another request with the
	// same code.
	key := p.desk.codeKey(p.desk.codeOf(h))
	if sealed := p.reader.Local(key); sealed != nil {
		id, err := p.desk.vault.Open(key, sealed)
		p.err = errors.Join(p.err, err)
		if string(id) == h.id() {
			p.remove(key)
		}
	}
}

// strip removes what stands beside a request: the bytes of its attachments, and
// what its content was.
func (p *puts) strip(h *held) {
	for _, a := range h.GetAttachments() {
		p.remove(fileKey(a.GetName()))
	}
	if h.requestID != uuid.Nil {
		p.remove(idKey(h.requestID))
		p.remove(timed(areaDue, h.GetCreateTime().AsTime().Add(idsKept), "i"+h.requestID.String()))
		h.requestID = uuid.Nil
	}
}
