package asking

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the pages that follow a request.
const (
	fieldCode       = "codice"
	fieldScore      = "voto"
	fieldComment    = "commento"
	fieldAttachment = "allegato"
	// buttonAct is what to do with the request.
	buttonAct = "azione"
)

// What a person does with a request of theirs.
const (
	actOpen, actWrite, actClose, actRate = "apri", "scrivi", "chiudi", "valuta"
)

// maxCode bounds a private code, in characters.
const maxCode = 100

// A following is one request for a page that follows a request.
type following struct {
	checker
	asking *Asking
	comuni site.Comuni
	comune site.Comune
	// act, code, text, score and comment are what was sent.
	act, code, text, score, comment string
}

// followPage is what these pages show.
type followPage struct {
	Problems []Problem
	Alert    *alert
	// Act, Text, Score and Comment are what was typed and not taken.
	Act, Code, Text, Score, Comment string
	Comune                          site.Comune
	// Single: the portal is of one comune.
	Single  bool
	Fields  []Field
	Request *deskv1.Request
	// Done says what has just been done; empty: nothing.
	Done  string
	Steps []progress
	// Subject is the service or place that it is about.
	Subject *registryv1.LocalizedText
	Path    string
	// CanWrite, CanEnd and CanRate are what the state of the request admits; Answered: it has its final answer.
	CanWrite, CanEnd, CanRate, Answered bool
}

// progress is a step on a request's way.
type progress struct {
	Label         string
	Done, Current bool
}

// follow shows a request by its code, and does what the person wants with it.
func (a *Asking) follow(r *site.Request) (*site.Page, error) {
	f := &following{checker: checker{Request: r}, asking: a, comuni: r.Comuni()}
	if len(f.comuni.All) == 0 {
		return nil, errNoComuni
	}
	sent := edge.SentBy(r.Context())
	if sent == nil {
		f.comune, _ = f.comuni.Of(r.URL.Query().Get(fieldComune))
		return f.showForm(nil), nil
	}
	f.read(sent)
	if f.check(); len(f.found) > 0 {
		return f.showForm(nil), nil
	}
	ctx, cancel := context.WithTimeout(r.Upstream(), sendWithin)
	defer cancel()
	request, done, err := f.do(ctx, sent)
	if len(f.found) > 0 { // before anything was sent
		return f.again(ctx, err)
	}
	if err != nil {
		return f.failed(ctx, err)
	}
	return f.show(request, done), nil
}

func (f *following) read(sent *edge.Sent) {
	line := func(name string) string { return strings.Join(strings.Fields(clean(sent.Values.Get(name))), " ") }
	f.comune, _ = f.comuni.Of(line(fieldComune))
	if len(f.comuni.All) == 1 {
		f.comune = f.comuni.All[0]
	}
	f.act, f.code, f.score = line(buttonAct), line(fieldCode), line(fieldScore)
	f.text, f.comment = strings.TrimSpace(clean(sent.Values.Get(fieldText))), strings.TrimSpace(clean(sent.Values.Get(fieldComment)))
}

func (f *following) check() {
	if f.comune.Slug == "" {
		f.add(fieldComune, "comune")
	}
	switch {
	case f.code == "":
		f.add(fieldCode, "codeMissing")
	case len([]rune(f.code)) > maxCode:
		f.add(fieldCode, "code")
	}
}

// do asks the comune's node.
func (f *following) do(ctx context.Context, sent *edge.Sent) (request *deskv1.Request, done string, err error) {
	parent, desk := "comuni/"+f.comune.Slug, f.asking.desk
	switch f.act {
	case actWrite:
		if f.text == "" {
			f.add(fieldText, "message")
		}
		f.length(fieldText, f.text, maxText)
		attached := f.takeFiles(sent)
		if len(f.found) > 0 {
			return nil, "", nil
		}
		request, err = desk.AddMessage(ctx, &deskv1.AddMessageRequest{Parent: parent, Code: f.code, Text: f.text, Attachments: attached})
		return request, "follow.written", err
	case actClose:
		request, err = desk.CloseRequest(ctx, &deskv1.CloseRequestRequest{Parent: parent, Code: f.code})
		return request, "follow.ended", err
	case actRate:
		score, err := strconv.ParseInt(f.score, 10, 32)
		if err != nil || score < 1 || score > 5 {
			f.add(fieldScore, "score")
		}
		f.length(fieldComment, f.comment, maxRatingText)
		if len(f.found) > 0 {
			return nil, "", nil
		}
		request, err = desk.RateRequest(ctx, &deskv1.RateRequestRequest{Parent: parent, Code: f.code, Score: int32(score), Text: f.comment})
		return request, "follow.rated", err
	default:
		request, err = f.lookUp(ctx)
		return request, "", err
	}
}

func (f *following) lookUp(ctx context.Context) (*deskv1.Request, error) {
	return f.asking.desk.LookUpRequest(ctx, &deskv1.LookUpRequestRequest{Parent: "comuni/" + f.comune.Slug, Code: f.code})
}

// again shows the request with what is wrong and what was typed.
func (f *following) again(ctx context.Context, err error) (*site.Page, error) {
	request, lookErr := f.lookUp(ctx)
	if lookErr != nil {
		f.found = nil
		return f.failed(ctx, lookErr)
	}
	page := f.show(request, "")
	if err != nil && page.Status == 0 {
		page.Status = http.StatusBadRequest
	}
	return page, nil
}

// failed tells what became of what was sent.
func (f *following) failed(ctx context.Context, err error) (*site.Page, error) {
	var wrong *alert
	switch reason := apierror.Reason(err); {
	case status.Code(err) == codes.NotFound:
		f.add(fieldCode, "code")
		return f.showForm(nil), nil
	case reason == registryv1.ErrorReason_INVALID_FIELDS && len(apierror.Fields(err)) > 0:
		for _, violation := range apierror.Fields(err) {
			switch path, _, _ := strings.Cut(violation.GetField(), "["); path {
			case "text":
				f.add(map[bool]string{true: fieldComment, false: fieldText}[f.act == actRate], "refused")
			case "attachments":
				f.add(fieldFiles, "fileRefused")
			case "code":
				f.add(fieldCode, "code")
				return f.showForm(nil), nil
			}
		}
		if len(f.found) == 0 {
			return nil, err
		}
		return f.again(ctx, err)
	case reason == registryv1.ErrorReason_NOT_SUPPORTED_HERE:
		wrong = &alert{Title: f.Say("follow.overTitle"), Text: f.Say("follow.over"), status: http.StatusConflict}
		if request, err := f.lookUp(ctx); err == nil {
			page := f.show(request, "")
			data := page.Data.(followPage)
			data.Alert = wrong
			page.Data, page.Status = data, wrong.status
			return page, nil
		}
	case reason == registryv1.ErrorReason_TOO_MANY_REQUESTS:
		wrong = &alert{Title: f.Say("ask.busyTitle"), Text: f.Say("ask.busy"), status: http.StatusTooManyRequests}
	case reason == registryv1.ErrorReason_STORE_FULL:
		wrong = &alert{Title: f.Say("ask.fullTitle"), Text: f.Say("ask.full"), status: http.StatusServiceUnavailable}
	case isAway(err):
		edge.Cause(f.Request.Request, err)
		wrong = &alert{
			Title: f.Say("ask.away.title", "Comune", f.comune.Title), Text: f.Say("follow.away", "Comune", f.comune.Title),
			status: http.StatusServiceUnavailable,
		}
	default:
		return nil, err
	}
	wrong.Phone = f.comune.Phone()
	return f.showForm(wrong), nil
}

// showForm asks for the comune and the code; what was typed for a request that cannot be read now stays.
func (f *following) showForm(wrong *alert) *site.Page {
	page := followPage{
		Problems: f.found, Alert: wrong, Act: f.act, Code: f.code, Text: f.text, Score: f.score, Comment: f.comment, Comune: f.comune,
		Single: len(f.comuni.All) == 1,
	}
	if !page.Single {
		field := Field{Name: fieldComune, Type: "radio", Label: f.Say("ask.field.comune"), Hint: f.Say("follow.comuneHint"), Problem: f.of(fieldComune)}
		for _, comune := range f.comuni.All {
			choice := Choice{Value: comune.Slug, Label: comune.Title, Language: f.Language, Chosen: comune.Slug == f.comune.Slug}
			if comune.Away() {
				choice.Hint, choice.Phone = f.Say("ask.away.choice"), comune.Phone()
			}
			field.Choices = append(field.Choices, choice)
		}
		page.Fields = append(page.Fields, field)
	}
	page.Fields = append(page.Fields, Field{
		Name: fieldCode, Type: "code", Label: f.Say("follow.code"), Hint: f.Say("follow.codeHint"), Value: f.code, Problem: f.of(fieldCode),
	})
	return f.finish("follow", f.Say("follow.title"), page)
}

// show shows the request.
func (f *following) show(request *deskv1.Request, done string) *site.Page {
	state := request.GetState()
	page := followPage{
		Problems: f.found, Code: f.code, Text: f.text, Score: f.score, Comment: f.comment, Comune: f.comune,
		Single: len(f.comuni.All) == 1, Request: request, Steps: f.steps(request),
		Answered: state == deskv1.Request_ANSWERED || state == deskv1.Request_CLOSED,
		CanWrite: state != deskv1.Request_CLOSED && state != deskv1.Request_WITHDRAWN,
		CanEnd:   state != deskv1.Request_CLOSED && state != deskv1.Request_WITHDRAWN,
		CanRate:  state == deskv1.Request_ANSWERED || state == deskv1.Request_CLOSED && request.GetRating() == nil,
	}
	if done != "" {
		page.Done, page.Text, page.Comment, page.Score = f.Say(done), "", "", ""
	}
	if page.Score == "" && request.GetRating() != nil {
		page.Score, page.Comment = strconv.Itoa(int(request.GetRating().GetScore())), request.GetRating().GetText()
	}
	subject := request.GetService()
	if subject == "" {
		subject = request.GetLocation()
	}
	page.Subject, page.Path = f.subject(subject)
	page.Fields = []Field{
		{Name: fieldText, Type: "textarea", Label: f.Say("follow.message"), Value: page.Text, Problem: f.of(fieldText)},
		{Name: fieldFiles, Type: "file", Label: f.Say("ask.field.allegati"), Hint: f.Say("ask.hint.allegati"), Problem: f.of(fieldFiles), Optional: true},
		{Name: fieldComment, Type: "textarea", Label: f.Say("follow.comment"), Value: page.Comment, Problem: f.of(fieldComment), Optional: true},
	}
	return f.finish("request", f.Say("follow.heading"), page)
}

// subject is the title of a record and where it has its page.
func (f *following) subject(name string) (*registryv1.LocalizedText, string) {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return nil, ""
	}
	return f.asking.titleOf(f.Request, parsed), record.Path(name)
}

// steps of a request's way: the last one is how it ended.
func (f *following) steps(request *deskv1.Request) []progress {
	way := []deskv1.Request_State{deskv1.Request_RECEIVED, deskv1.Request_TAKEN, deskv1.Request_ANSWERED, deskv1.Request_CLOSED}
	switch state := request.GetState(); state {
	case deskv1.Request_WAITING_FOR_PERSON:
		way = slices.Insert(way, 2, state)
	case deskv1.Request_WITHDRAWN:
		way = []deskv1.Request_State{deskv1.Request_RECEIVED, state}
	}
	at := slices.Index(way, request.GetState())
	all := make([]progress, len(way))
	for i, state := range way {
		all[i] = progress{Label: f.Code("request_states", slug(state)), Done: i <= at, Current: i == at}
	}
	return all
}

func (f *following) finish(template, title string, data followPage) *site.Page {
	page := &site.Page{
		Template: template, Title: title, Data: data, Hidden: f.Method == http.MethodPost, Scripts: []string{"copy.js"}, Description: f.Say("follow.about"),
	}
	if template == "request" {
		page.Crumbs = []site.Link{{Path: "/segui/", Text: f.Say("follow.title")}}
	}
	if data.Alert != nil {
		page.Status = data.Alert.status
	}
	if len(f.found) > 0 {
		page.Title, page.Status = f.Say("ask.errorTitle", "Title", title), max(page.Status, http.StatusBadRequest)
	}
	return page
}

// attachment hands out a file of a request.
func (a *Asking) attachment(r *site.Request) (*site.Document, error) {
	sent := edge.SentBy(r.Context())
	if sent == nil {
		return nil, site.ErrNoPage
	}
	ctx, cancel := context.WithTimeout(r.Upstream(), sendWithin)
	defer cancel()
	file, err := a.desk.LookUpRequestAttachment(ctx, &deskv1.LookUpRequestAttachmentRequest{
		Parent: "comuni/" + sent.Values.Get(fieldComune), Code: sent.Values.Get(fieldCode), Attachment: sent.Values.Get(fieldAttachment),
	})
	if err != nil {
		return nil, err
	}
	return &site.Document{MediaType: file.GetMediaType(), FileName: file.GetFileName(), Body: file.GetData()}, nil
}
