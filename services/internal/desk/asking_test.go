package desk_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/desk"
	"cidsistem.example/services/internal/persons"
	"cidsistem.example/services/internal/store"
)

// What a request needs besides text, by the field that is named when it lacks it.
func TestWhatARequestNeeds(t *testing.T) {
	o := open(t)
	for id, record := range map[string]proto.Message{
		"bus":  &registryv1.Service{Name: parent + "/services/bus", Visibility: registryv1.Visibility_PUBLIC},
		"stop": &registryv1.Location{Name: parent + "/locations/stop", Visibility: registryv1.Visibility_PUBLIC},
	} {
		_, err := o.store.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
			return store.Outcome{Put: []proto.Message{record}}, nil
		})
		if err != nil {
			t.Fatal(id, err)
		}
	}
	on := func(year, month, day int32) *registryv1.PartialDate {
		return &registryv1.PartialDate{Year: year, Month: month, Day: day}
	}
	disruption := func(date *registryv1.PartialDate) *deskv1.Request {
		return &deskv1.Request{Kind: deskv1.Request_DISRUPTION, Location: parent + "/locations/stop", Disruption: &deskv1.Disruption{Date: date}}
	}
	forOther := func(expiry *registryv1.PartialDate) *deskv1.Request {
		return &deskv1.Request{Representation: &deskv1.Representation{Role: deskv1.Representation_GUARDIAN, Basis: "decreto", ExpiryDate: expiry}}
	}
	by := func(channel deskv1.Request_Channel, contact *deskv1.Contact) *deskv1.Request {
		return &deskv1.Request{PreferredChannel: channel, Contact: contact}
	}
	phone, mail := &deskv1.Contact{Telephone: "0923 12 34 56"}, &deskv1.Contact{Email: "posta@example.org"}
	for name, test := range map[string]struct {
		request *deskv1.Request
		field   string // empty: taken
	}{
		"a disruption of nothing":              {&deskv1.Request{Kind: deskv1.Request_DISRUPTION}, "request.service"},
		"a disruption of a service":            {&deskv1.Request{Kind: deskv1.Request_DISRUPTION, Service: parent + "/services/bus"}, ""},
		"a disruption at a location":           {disruption(nil), ""},
		"a disruption at no location":          {&deskv1.Request{Location: parent + "/locations/none"}, "request.location"},
		"a service as a location":              {&deskv1.Request{Location: parent + "/services/bus"}, "request.location"},
		"a disruption of today":                {disruption(on(2026, 11, 23)), ""},
		"a disruption of tomorrow":             {disruption(on(2026, 11, 24)), "request.disruption.date"},
		"a disruption of this year":            {disruption(on(2026, 0, 0)), ""},
		"a disruption on a day that is none":   {disruption(on(2026, 2, 30)), "request.disruption.date"},
		"a disruption of a question":           {&deskv1.Request{Disruption: &deskv1.Disruption{}}, "request.disruption"},
		"for another person":                   {forOther(nil), ""},
		"for another person, no longer":        {forOther(on(2026, 11, 22)), "request.representation.expiryDate"},
		"for another person, to the last day":  {forOther(on(2026, 11, 23)), ""},
		"for another person, this month":       {forOther(on(2026, 11, 0)), ""},
		"for another person, till last month":  {forOther(on(2026, 10, 0)), "request.representation.expiryDate"},
		"for another person, till last year":   {forOther(on(2025, 0, 0)), "request.representation.expiryDate"},
		"for another person, till no such day": {forOther(on(2027, 2, 29)), "request.representation.expiryDate"},
		"for another person, as nothing":       {&deskv1.Request{Representation: &deskv1.Representation{}}, "request.representation.role"},
		"by telephone":                         {by(deskv1.Request_PHONE, phone), ""},
		"by telephone, without":                {by(deskv1.Request_PHONE, mail), "request.contact.telephone"},
		"by telephone, too short":              {by(deskv1.Request_PHONE, &deskv1.Contact{Telephone: "12345"}), "request.contact.telephone"},
		"by mail":                              {by(deskv1.Request_EMAIL, mail), ""},
		"by mail, without":                     {by(deskv1.Request_EMAIL, phone), "request.contact.email"},
		"by mail, to nowhere":                  {by(deskv1.Request_EMAIL, &deskv1.Contact{Email: "posta@"}), "request.contact.email"},
		"by a video call":                      {by(deskv1.Request_VIDEO_CALL_SIGN_LANGUAGE, phone), ""},
		"by a video call, without":             {by(deskv1.Request_VIDEO_CALL_SIGN_LANGUAGE, nil), "request.contact.email"},
		"at the desk":                          {by(deskv1.Request_VISIT, nil), ""},
		"a call, without a number":             {&deskv1.Request{Kind: deskv1.Request_CALL_BACK}, "request.contact.telephone"},
		"a call":                               {&deskv1.Request{Kind: deskv1.Request_CALL_BACK, Contact: phone}, ""},
	} {
		test.request.Text = "Chiedo"
		made, err := o.CreateRequest(t.Context(), &deskv1.CreateRequestRequest{Parent: parent, Request: test.request})
		if test.field == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			got, err := o.get(made.GetRequest().GetName())
			must(t, err)
			if !proto.Equal(got.GetRepresentation(), test.request.GetRepresentation()) || !proto.Equal(got.GetDisruption(), test.request.GetDisruption()) ||
				got.GetLocation() != test.request.GetLocation() {
				t.Errorf("%s: the desk reads %v", name, got)
			}
			continue
		}
		if fields := apierror.Fields(err); len(fields) == 0 || fields[0].GetField() != test.field {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func attached(name string, data []byte) *deskv1.AttachedFile {
	return &deskv1.AttachedFile{FileName: name, Data: data}
}

// pictures and documents, by the media type that they shall have.
func samples(t *testing.T) map[string][]byte {
	t.Helper()
	picture := image.NewGray(image.Rect(0, 0, 8, 8))
	var jpg, pic, docx, odt bytes.Buffer
	must(t, jpeg.Encode(&jpg, picture, nil))
	must(t, png.Encode(&pic, picture))
	archive := func(into *bytes.Buffer, files ...[2]string) {
		w := zip.NewWriter(into)
		for _, file := range files {
			out, err := w.CreateHeader(&zip.FileHeader{Name: file[0], Method: zip.Store})
			must(t, err)
			_, err = out.Write([]byte(file[1]))
			must(t, err)
		}
		must(t, w.Close())
	}
	archive(&docx, [2]string{"[Content_Types].xml", "<Types/>"}, [2]string{"_rels/.rels", "<x/>"}, [2]string{"word/document.xml", "<x/>"})
	archive(&odt, [2]string{"mimetype", "application/vnd.oasis.opendocument.text"}, [2]string{"content.xml", "<x/>"})
	return map[string][]byte{
		"application/pdf": []byte("%PDF-1.7\ncertificato-in-chiaro"), "image/jpeg": jpg.Bytes(), "image/png": pic.Bytes(),
		"text/plain": []byte("nome,giorno\nuno,due\ntre,quattro\n"),
		"application/vnd.oasis.opendocument.text":                                 odt.Bytes(),
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document": docx.Bytes(),
	}
}

func TestAttachments(t *testing.T) {
	o := open(t)
	for mediaType, data := range samples(t) {
		made, err := o.CreateRequest(anyone(t), &deskv1.CreateRequestRequest{
			Parent: parent, Request: question(), Attachments: []*deskv1.AttachedFile{attached("il mio file.bin", data)},
		})
		if err != nil {
			t.Errorf("%s: %v", mediaType, err)
			continue
		}
		m := &matter{o, made.GetRequest().GetName(), made.GetCode()}
		got := made.GetRequest().GetAttachments()
		if len(got) != 1 || got[0].GetMediaType() != mediaType || got[0].GetSizeBytes() != int64(len(data)) || got[0].GetData() != nil ||
			got[0].GetName() != m.name+"/attachments/a1" || got[0].GetFileName() != "il mio file.bin" || len(got[0].GetSha256()) != 64 {
			t.Errorf("%s: %v", mediaType, got)
			continue
		}
		atDesk, err := o.GetRequestAttachment(clerk(t), &deskv1.GetRequestAttachmentRequest{Name: got[0].GetName()})
		if err != nil || !bytes.Equal(atDesk.GetData(), data) {
			t.Errorf("%s: the desk reads %d bytes (%v)", mediaType, len(atDesk.GetData()), err)
		}
		byCode := func(code, name string) (*deskv1.Attachment, error) {
			return o.LookUpRequestAttachment(anyone(t), &deskv1.LookUpRequestAttachmentRequest{Parent: parent, Code: code, Attachment: name})
		}
		read, err := byCode(m.code, got[0].GetName())
		if err != nil || !bytes.Equal(read.GetData(), data) {
			t.Errorf("%s: by its code come %d bytes (%v)", mediaType, len(read.GetData()), err)
		}
		_, err = byCode(o.ask(question()).code, got[0].GetName())
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		_, err = byCode("AAAA-AAAA-AAAA-AAAA", got[0].GetName())
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		_, err = o.GetRequestAttachment(clerk(t), &deskv1.GetRequestAttachmentRequest{Name: m.name + "/attachments/a2"})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		_, err = o.GetRequestAttachment(clerk(t), &deskv1.GetRequestAttachmentRequest{Name: "comuni/pantelleria/requests/rx/attachments/a1"})
		refused(t, err, registryv1.ErrorReason_NOT_THE_OWNER)
	}
}

func TestAttachmentsThatAreRefused(t *testing.T) {
	o := open(t)
	text, large := []byte("un testo"), bytes.Repeat([]byte("parole "), 2<<20/7)
	for name, test := range map[string]struct {
		files []*deskv1.AttachedFile
		field string
	}{
		"a program":            {[]*deskv1.AttachedFile{attached("a", text), attached("b", []byte("#!/bin/sh\necho"))}, "attachments[1].data"},
		"a page":               {[]*deskv1.AttachedFile{attached("a.txt", []byte("<!DOCTYPE html><script>x</script>"))}, "attachments[0].data"},
		"a drawing":            {[]*deskv1.AttachedFile{attached("a.png", []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`))}, "attachments[0].data"},
		"an archive":           {[]*deskv1.AttachedFile{attached("a.pdf", []byte("PK\x03\x04xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"))}, "attachments[0].data"},
		"bytes without a type": {[]*deskv1.AttachedFile{attached("a.pdf", []byte{0, 1, 2, 3, 0xff})}, "attachments[0].data"},
		"nothing":              {[]*deskv1.AttachedFile{attached("a.pdf", nil)}, "attachments[0].data"},
		"too much together":    {[]*deskv1.AttachedFile{attached("a", large), attached("b", large)}, "attachments[1].data"},
		"a path":               {[]*deskv1.AttachedFile{attached("../a.txt", text)}, "attachments[0].fileName"},
		"no name":              {[]*deskv1.AttachedFile{attached(" . ", text)}, "attachments[0].fileName"},
		"a name that turns":    {[]*deskv1.AttachedFile{attached("a\u202etxt.exe", text)}, "attachments[0].fileName"},
		"a name with a line":   {[]*deskv1.AttachedFile{attached("a\r\nb", text)}, "attachments[0].fileName"},
	} {
		_, err := o.CreateRequest(anyone(t), &deskv1.CreateRequestRequest{Parent: parent, Request: question(), Attachments: test.files})
		if fields := apierror.Fields(err); len(fields) != 1 || fields[0].GetField() != test.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(o.told()) != 0 {
		t.Errorf("the audit log has %q", o.told())
	}
	m := o.ask(question())
	for i := range 9 {
		got, err := m.write(fmt.Sprint("Ecco il foglio ", i), attached(fmt.Sprint("foglio ", i), text))
		must(t, err)
		if last := got.GetMessages()[i]; len(last.GetAttachments()) != 1 || last.GetAttachments()[0] != got.GetAttachments()[i].GetName() {
			t.Errorf("message %d has %v", i, last)
		}
	}
	if got, err := m.write("Ecco il foglio 8", attached("foglio 8", text)); err != nil || len(got.GetAttachments()) != 9 {
		t.Errorf("a repetition leaves %d attachments (%v)", len(got.GetAttachments()), err)
	}
	_, err := m.write("E ancora", attached("foglio 9", text))
	if fields := apierror.Fields(err); len(fields) != 1 || fields[0].GetField() != "attachments" {
		t.Errorf("a tenth attachment: %v", err)
	}
}

// A repetition with the same files gets the same request and code; with others
// it is another request.
func TestRepetitionWithAttachments(t *testing.T) {
	o := open(t)
	call := func(id, name, text string) (*deskv1.CreateRequestResponse, error) {
		return o.CreateRequest(anyone(t), &deskv1.CreateRequestRequest{
			Parent: parent, Request: question(), RequestId: id, Attachments: []*deskv1.AttachedFile{attached(name, []byte(text))},
		})
	}
	id := uuid.NewString()
	first, err := call(id, "foglio", "un testo")
	must(t, err)
	again, err := call(id, "foglio", "un testo")
	must(t, err)
	if first.GetCode() != again.GetCode() || !proto.Equal(first.GetRequest(), again.GetRequest()) {
		t.Errorf("first %v, then %v", first, again)
	}
	_, err = call(id, "foglio", "un altro testo")
	refused(t, err, registryv1.ErrorReason_REQUEST_ID_REUSED)
	_, err = call(id, "altro foglio", "un testo")
	refused(t, err, registryv1.ErrorReason_REQUEST_ID_REUSED)
	if n := len(o.told()); n != 1 {
		t.Errorf("%d requests were made", n)
	}
}

// Attachments are sealed, given out to the person, and erased with the request.
func TestAttachmentsArePersonal(t *testing.T) {
	o := open(t)
	empty := o.localEntries()
	secret := "segreto-" + rand.Text()
	names := map[string]string{}
	for _, way := range []string{"retention", "erasure"} {
		made, err := o.CreateRequest(anyone(t), &deskv1.CreateRequestRequest{
			Parent: parent, Request: &deskv1.Request{
				Text: "Ecco", ContactHours: secret + "-ore", Representation: &deskv1.Representation{Role: deskv1.Representation_PARENT, Basis: secret + "-base"},
			}, Attachments: []*deskv1.AttachedFile{attached(secret+"-nome.txt", []byte(strings.Repeat(secret+"-byte\n", 5000)))},
		})
		must(t, err)
		names[way] = made.GetRequest().GetName()
		m := &matter{o, names[way], made.GetCode()}
		_, err = m.write(secret + "-messaggio")
		must(t, err)
		_, err = m.answer(m.name, "Ecco", true)
		must(t, err)
		_, err = m.rate(5, secret+"-giudizio")
		must(t, err)
	}
	_, err := o.vault.Rotate(t.Context())
	must(t, err)
	backup := filepath.Join(t.TempDir(), "backup.db")
	must(t, o.store.Backup(backup))
	content, err := os.ReadFile(backup)
	must(t, err)
	if at := bytes.Index(content, []byte(secret)); at >= 0 {
		t.Errorf("a backup has in clear: %q", content[at:at+len(secret)+10])
	}

	holder := o.Persons()
	must(t, o.store.View(func(r store.Reader) error {
		var found []string
		err := holder.Find(r, persons.NewQuery(secret), func(name string, fields []string) bool {
			found = append(found, strings.Join(fields, " "))
			return true
		})
		const everywhere = "contactHours representation.basis rating.text messages[0].text attachments[0].fileName"
		if diff := cmp.Diff([]string{everywhere, everywhere}, found); diff != "" {
			t.Errorf("found:\n%s", diff)
		}
		exported, exportErr := holder.Export(r, names["erasure"])
		given := &deskv1.Request{}
		if err := protojson.Unmarshal(exported, given); err != nil || exportErr != nil {
			t.Fatal(err, exportErr)
		}
		if !bytes.Contains(given.GetAttachments()[0].GetData(), []byte(secret+"-byte")) {
			t.Error("what is given out lacks the attachment")
		}
		if holder.Holds(names["erasure"]+"/attachments/a1") || !holder.Holds(names["erasure"]) {
			t.Error("names are not told apart")
		}
		return err
	}))
	_, err = o.store.Commit(t.Context(), store.Request{}, nil, func(r store.Reader, _ store.Stamp) (store.Outcome, error) {
		puts, err := holder.Erase(r, names["erasure"])
		return store.Outcome{Local: puts}, err
	})
	must(t, err)
	_, err = o.GetRequestAttachment(clerk(t), &deskv1.GetRequestAttachmentRequest{Name: names["erasure"] + "/attachments/a1"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	_, err = o.GetRequestAttachment(clerk(t), &deskv1.GetRequestAttachmentRequest{Name: names["retention"] + "/attachments/a1"})
	must(t, err)
	o.clock.pass(731 * day)
	n, err := o.Purge(t.Context())
	if n != 1 || err != nil {
		t.Errorf("erased %d (%v)", n, err)
	}
	left := o.localEntries()
	delete(left, "vault/keys")
	delete(empty, "vault/keys")
	delete(left, "request-secret/codes") // sealed anew
	delete(empty, "request-secret/codes")
	if diff := cmp.Diff(empty, left); diff != "" {
		t.Errorf("something stays:\n%s", diff)
	}
}

// What is kept has a limit; the last part of it is for requests without files.
func TestRoom(t *testing.T) {
	o := openWith(t, desk.Settings{MaxBytes: 40_000})
	file := func(size int) []*deskv1.AttachedFile {
		return []*deskv1.AttachedFile{attached("foglio", bytes.Repeat([]byte("x"), size))}
	}
	create := func(files []*deskv1.AttachedFile) error {
		_, err := o.CreateRequest(anyone(t), &deskv1.CreateRequestRequest{Parent: parent, Request: question(), Attachments: files})
		return err
	}
	must(t, create(file(20_000)))
	refused(t, create(file(11_000)), registryv1.ErrorReason_STORE_FULL)
	must(t, create(nil))
	must(t, create(file(5_000)))
	for {
		if err := create(nil); err != nil {
			refused(t, err, registryv1.ErrorReason_STORE_FULL)
			break
		}
		if _, err := o.Purge(t.Context()); err != nil { // measures
			t.Fatal(err)
		}
		o.clock.pass(time.Hour)
	}
	o.clock.pass(731 * day)
	_, err := o.Purge(t.Context())
	must(t, err)
	must(t, create(file(20_000)))
}

func TestFlood(t *testing.T) {
	o := openWith(t, desk.Settings{HourlyPerNetwork: 3, Hourly: 5})
	from := func(address string) context.Context {
		return peer.NewContext(anyone(t), &peer.Peer{Addr: &net.TCPAddr{IP: net.ParseIP(address), Port: 1}})
	}
	create := func(ctx context.Context, id string) error {
		_, err := o.CreateRequest(ctx, &deskv1.CreateRequestRequest{Parent: parent, Request: question(), RequestId: id})
		return err
	}
	id := uuid.NewString()
	must(t, create(from("192.0.2.1"), id))
	for range 5 { // what is repeated, or refused, does not count
		must(t, create(from("192.0.2.1"), id))
		_, err := o.CreateRequest(from("192.0.2.1"), &deskv1.CreateRequestRequest{Parent: parent, Request: &deskv1.Request{Text: "x", Service: parent}})
		refused(t, err, registryv1.ErrorReason_DANGLING_REFERENCE)
	}
	must(t, create(from("192.0.2.1"), ""))
	must(t, create(from("192.0.2.1"), ""))
	err := create(from("192.0.2.1"), "")
	refused(t, err, registryv1.ErrorReason_TOO_MANY_REQUESTS)
	if wait := apierror.Retry(err); wait <= 0 || wait > 20*time.Minute {
		t.Errorf("it says to wait for %s", wait)
	}
	o.clock.pass(apierror.Retry(err))
	must(t, create(from("192.0.2.1"), ""))
	must(t, create(from("2001:db8::1"), "")) // all: 5, and some of 20 minutes
	must(t, create(from("2001:db8:0:1::1"), ""))
	refused(t, create(from("192.0.2.9"), ""), registryv1.ErrorReason_TOO_MANY_REQUESTS)
	must(t, create(clerk(t), "")) // the desk writes down what it is told
	must(t, create(t.Context(), ""))
	o.clock.pass(time.Hour)
	must(t, create(from("192.0.2.9"), ""))
	// Networks are forgotten once they count for nothing.
	for i := range 100 {
		o.clock.pass(time.Hour)
		must(t, create(from(fmt.Sprintf("198.51.100.%d", i)), ""))
	}
}

func TestSettings(t *testing.T) {
	for _, wrong := range []desk.Settings{{AnswerDays: -1}, {AnswerDays: 366}, {Patron: "31-12"}, {Hourly: -1}, {HourlyPerNetwork: -1}, {MaxBytes: -1}} {
		if wrong.Validate() == nil {
			t.Errorf("%+v is accepted", wrong)
		}
	}
	if err := desk.DefaultSettings().Validate(); err != nil {
		t.Error(err)
	}
}
