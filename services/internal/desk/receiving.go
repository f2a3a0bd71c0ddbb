package desk

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// ReceiveRequest takes a request over from the node of another comune.
func (d *Desk) ReceiveRequest(stream grpc.ClientStreamingServer[deskv1.ReceiveRequestRequest, deskv1.ReceiveRequestResponse]) error {
	header, files, err := d.receive(stream)
	if err != nil {
		return err
	}
	came := header.GetRequest()
	digest, err := digestOf(travelling(came), files)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	var name string
	_, err = d.store.Commit(stream.Context(), store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		before, err := d.receivedAs(r, came.GetName())
		if err != nil {
			return store.Outcome{}, err
		}
		p := puts{desk: d, reader: r}
		if before != nil {
			name = before.GetName()
			if bytes.Equal(before.origin.Digest, digest[:]) {
				return store.Outcome{}, nil
			}
			if before.GetState() != received || len(before.GetNotes()) > 0 || before.GetAssignee() != "" || !before.GetUpdateTime().AsTime().Equal(before.GetCreateTime().AsTime()) {
				return store.Outcome{}, before.refuse("it was received before, and something was done about it here; it is not taken over anew")
			}
			p.erase(before)
		}
		if err := d.checkRoom(files); err != nil {
			return store.Outcome{}, err
		}
		fresh := &held{Request: contentOf(came), origin: &origin{Name: came.GetName(), Code: header.GetCode(), Digest: digest[:]}}
		if before != nil {
			id = before.id()
		}
		fresh.Name, fresh.State, fresh.CreateTime = d.parent+"/requests/"+id, received, timestamppb.New(stamp.Time)
		fresh.Entry = &deskv1.Entry{Way: deskv1.Entry_OTHER_COMUNE, Comune: comuneOf(came.GetName())}
		d.complete(fresh)
		renamed := map[string]string{}
		for i, made := range p.attach(fresh, files, stamp.Time) {
			renamed[came.GetAttachments()[i].GetName()] = made
		}
		for _, m := range came.GetMessages() {
			message := &deskv1.Message{Side: m.GetSide(), Text: m.GetText(), CreateTime: m.GetCreateTime()}
			for _, old := range m.GetAttachments() {
				message.Attachments = append(message.Attachments, renamed[old])
			}
			fresh.Messages = append(fresh.Messages, message)
		}
		if err := fresh.fits(); err != nil {
			return store.Outcome{}, err
		}
		body, err := json.Marshal(fresh.origin)
		if err != nil {
			return store.Outcome{}, err
		}
		p.put(store.LocalKey{Area: areaOrigins, ID: id}, body)
		p.put(receiptKey(came.GetName()), []byte(id))
		p.begin(fresh, header.GetCode(), stamp.Time)
		name = fresh.GetName()
		return d.outcome(p)
	})
	if err != nil {
		return err
	}
	d.kept.Add(bytesOf(files))
	return stream.SendAndClose(&deskv1.ReceiveRequestResponse{Name: name})
}

// receivedAs finds the request that was taken over under a name of another
// node; nil for none.
func (d *Desk) receivedAs(r store.Reader, name string) (*held, error) {
	sealed := r.Local(receiptKey(name))
	if sealed == nil {
		return nil, nil
	}
	id, err := d.vault.Open(receiptKey(name), sealed)
	if err != nil {
		return nil, err
	}
	return d.read(r, string(id))
}

// comuneOf is the comune in the name of a request.
func comuneOf(name string) string {
	comune, _, _ := strings.Cut(name, "/requests/")
	return comune
}

// receive reads and checks what another node sends.
func (d *Desk) receive(stream grpc.ClientStreamingServer[deskv1.ReceiveRequestRequest, deskv1.ReceiveRequestResponse]) (*deskv1.ReceiveRequestRequest_Header, []file, error) {
	first, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	header := first.GetHeader()
	if header == nil {
		return nil, nil, apierror.Invalid("header", "comes first")
	}
	if err := d.owns(header.GetParent()); err != nil {
		return nil, nil, err
	}
	came := header.GetRequest()
	from := comuneOf(came.GetName())
	if id := came.GetName(); !strings.HasPrefix(id, "comuni/") || strings.Count(id, "/") != 3 || from == d.parent || len(id) > 200 || strings.ContainsRune(id, 0) {
		return nil, nil, apierror.Invalid("header.request.name", "is not the name of a request of another comune")
	}
	if server := policy.Of(stream.Context()).Server; server != nil && "comuni/"+server.Name != from {
		return nil, nil, apierror.New(registryv1.ErrorReason_NOT_ALLOWED, fmt.Sprintf("the node of %s hands over its own requests, not those of %s", server.Name, from))
	}
	if strings.TrimSpace(came.GetText()) == "" {
		return nil, nil, apierror.Invalid("header.request.text", "is empty")
	}
	if len(came.GetAttachments()) > maxAttachments || len(came.GetMessages()) > 2*maxMessages {
		return nil, nil, apierror.Invalid("header.request", "has more attachments or messages than a request can have")
	}
	var files []file
	for i := range came.GetAttachments() {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, nil, apierror.Invalid("attachment", "is missing: the request has more")
		}
		if err != nil {
			return nil, nil, err
		}
		said, got := came.GetAttachments()[i], part.GetAttachment()
		if sum := sha256.Sum256(got.GetData()); got.GetName() != said.GetName() || fmt.Sprintf("%x", sum) != said.GetSha256() {
			return nil, nil, apierror.Invalid("attachment", "is not the one that the request has")
		}
		checked, err := checkFiles([]*deskv1.AttachedFile{{FileName: got.GetFileName(), Data: got.GetData()}})
		if err != nil {
			return nil, nil, err
		}
		files = append(files, checked...)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = apierror.Invalid("attachment", "is one too many")
		}
		return nil, nil, err
	}
	// Only what of each attachment there is a name for is kept.
	for _, m := range came.GetMessages() {
		for _, name := range m.GetAttachments() {
			if !slices.ContainsFunc(came.GetAttachments(), func(a *deskv1.Attachment) bool { return a.GetName() == name }) {
				return nil, nil, apierror.Invalid("header.request.messages", "has an attachment that the request has not")
			}
		}
	}
	header = proto.CloneOf(header)
	return header, files, nil
}
