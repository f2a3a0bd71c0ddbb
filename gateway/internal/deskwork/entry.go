package deskwork

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of what is taken down for somebody.
const (
	fieldWay     = "via"
	fieldChannel = "canale"
	fieldName    = "nome"
	fieldPhone   = "telefono"
	fieldEmail   = "email"
	fieldHours   = "orari"
	fieldRole    = "ruolo"
	fieldBasis   = "base"
	fieldID      = "richiesta"
)

// An entry is what the desk takes down.
type entry struct {
	// ID makes a second sending the same request.
	ID                                                  string
	Way, Kind, Text, Channel, Name, Phone, Email, Hours string
	Role, Basis                                         string
	// Find is what a service is looked for by, Found what there is, Service the one that it is about.
	Find     string
	Found    []*registryv1.SearchHit
	Service  *registryv1.SearchHit
	Ways     []deskv1.Entry_Way
	Kinds    []deskv1.Request_Kind
	Channels []deskv1.Request_Channel
	Roles    []deskv1.Representation_Role
}

// given is what is handed to the person: shown once.
type given struct {
	Request *deskv1.Request
	Code    string
	Comune  site.Comune
	Path    string
	// Follow is the whole address where the person reads the answer.
	Follow string
}

// ways in which something comes in that the desk takes down.
var ways = []deskv1.Entry_Way{deskv1.Entry_TELEPHONE, deskv1.Entry_AT_THE_DESK, deskv1.Entry_IN_WRITING}

// enter takes down at the desk or on the telephone what a person asks.
func (d *Desk) enter(v *workbench.Visit) (*site.Page, error) {
	e := entry{
		ID: uuid.NewString(), Ways: ways, Kinds: kinds, Channels: numbered(deskv1.Request_Channel_name, deskv1.Request_Channel(0)),
		Roles: numbered(deskv1.Representation_Role_name, deskv1.Representation_Role(0)),
	}
	sent := v.Sent()
	if sent == nil {
		return show(v, "entry", v.Say("deskwork.enter.title"), e), nil
	}
	e.read(sent)
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	if name := sent.Values.Get(fieldService); name != "" {
		e.Service = &registryv1.SearchHit{Name: name, Title: d.titleOf(ctx, name)}
	}
	if sent.Values.Get(buttonAct) == fieldFind {
		if answer, err := d.search.Search(ctx, &registryv1.SearchRequest{Q: e.Find, Comuni: []string{v.Slug()}, Kinds: []string{"services"}, PageSize: offered}); err == nil {
			e.Found = answer.GetHits()
		}
		return show(v, "entry", v.Say("deskwork.enter.title"), e), nil
	}
	if e.Way == "" {
		wrong(v, fieldWay, "way")
	}
	needed(v, fieldText, e.Text, maxNote)
	if len(v.Found) == 0 {
		made, err := d.requests.EnterRequest(ctx, e.call(v.Comune))
		if err == nil {
			comune, _ := v.Comuni().Of(v.Slug())
			return show(v, "given", v.Say("deskwork.enter.done"), given{
				made.GetRequest(), made.GetCode(), comune, pathOf(made.GetRequest().GetName()), v.Address("/segui/"),
			}), nil
		}
		v.Refused(err, map[string]string{
			"way": fieldWay, "request.text": fieldText, "request.contact.telephone": fieldPhone, "request.contact.email": fieldEmail,
			"request.contact.full_name": fieldName, "request.contact_hours": fieldHours, "request.representation": fieldBasis,
			"request.kind": fieldKind, "request.preferred_channel": fieldChannel, "request.service": fieldFind, "request.location": fieldFind,
		})
	}
	return show(v, "entry", v.Say("deskwork.enter.title"), e), nil
}

func (e *entry) read(sent *edge.Sent) {
	line := func(name string) string { return strings.Join(strings.Fields(sent.Values.Get(name)), " ") }
	e.Way, e.Kind, e.Channel, e.Name, e.Phone = line(fieldWay), line(fieldKind), line(fieldChannel), line(fieldName), line(fieldPhone)
	e.Find, e.Email, e.Hours, e.Role, e.Basis = line(fieldFind), line(fieldEmail), line(fieldHours), line(fieldRole), line(fieldBasis)
	e.Text = strings.TrimSpace(strings.ReplaceAll(sent.Values.Get(fieldText), "\r\n", "\n"))
	if id, err := uuid.Parse(line(fieldID)); err == nil {
		e.ID = id.String()
	}
}

// call is the request as the contract has it.
func (e *entry) call(comune string) *deskv1.EnterRequestRequest {
	request := &deskv1.Request{
		Text: e.Text, ContactHours: e.Hours, Kind: deskv1.Request_Kind(deskv1.Request_Kind_value[strings.ToUpper(e.Kind)]),
		PreferredChannel: deskv1.Request_Channel(deskv1.Request_Channel_value[strings.ToUpper(e.Channel)]),
	}
	request.Service = e.Service.GetName()
	if e.Name+e.Phone+e.Email != "" {
		request.Contact = &deskv1.Contact{FullName: e.Name, Telephone: e.Phone, Email: e.Email}
	}
	if role := deskv1.Representation_Role(deskv1.Representation_Role_value[strings.ToUpper(e.Role)]); role != 0 {
		request.Representation = &deskv1.Representation{Role: role, Basis: e.Basis}
	}
	return &deskv1.EnterRequestRequest{
		Parent: comune, Request: request, Way: deskv1.Entry_Way(deskv1.Entry_Way_value[strings.ToUpper(e.Way)]), RequestId: e.ID,
	}
}
