package verifying

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/contact"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the form of a new link.
const (
	fieldBody, fieldEmail, fieldAnother, fieldSearch = "ente", "email", "altra", "cerca"
	// another is an address that is not on the card.
	another       = "altra"
	hiddenRequest = "richiesta"
	// offeredBodies is how many bodies a search offers.
	offeredBodies = 20
)

// A sentLink is a link that was sent to a body.
type sentLink struct {
	*editorialv1.Confirmation
	Body *record.Link
}

type linksPage struct {
	Links []sentLink
	Next  string
	Later bool
	// Words that look for a body, and the Bodies that have them.
	Words  string
	Bodies []*registryv1.SearchHit
	// Body to which a link is to be sent; nil: none is chosen.
	Body *record.Link
	// Emails on its card.
	Emails         []string
	Email, Another string
	Request        string
}

// links shows what was sent to bodies, and sends a new link.
func (c *Verifying) links(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	asked, sent := v.URL.Query(), v.Sent()
	if sent != nil {
		asked = sent.Values
	}
	data := linksPage{
		Words: line(asked.Get(fieldSearch)), Email: line(asked.Get(fieldEmail)), Another: line(asked.Get(fieldAnother)), Request: asked.Get(hiddenRequest),
		Later: v.URL.Query().Get(fieldPage) != "",
	}
	if id, err := uuid.Parse(data.Request); err != nil || id.Version() != 4 {
		data.Request = uuid.NewString()
	}
	if body := line(asked.Get(fieldBody)); body != "" {
		if err := c.chosen(ctx, v, &data, body); err != nil {
			return nil, err
		}
	}
	if sent != nil {
		if page := c.send(ctx, v, &data); page != nil {
			return page, nil
		}
	} else if data.Words != "" {
		found, err := c.search.Search(ctx, &registryv1.SearchRequest{
			Q: data.Words, Comuni: []string{v.Slug()}, Kinds: []string{"organizations"}, PageSize: offeredBodies,
		})
		if err != nil {
			return nil, err
		}
		data.Bodies = found.GetHits()
	}
	list, err := c.corrections.ListConfirmations(ctx, &editorialv1.ListConfirmationsRequest{
		Parent: v.Comune, PageSize: listed, PageToken: v.URL.Query().Get(fieldPage),
	})
	if err != nil && sent == nil {
		return nil, err
	}
	var names []string
	for _, one := range list.GetConfirmations() {
		names = append(names, one.GetOrganization())
	}
	bodies := c.records.All(v.Upstream(), names...)
	for _, one := range list.GetConfirmations() {
		data.Links = append(data.Links, sentLink{one, keeperOf(one.GetOrganization(), bodies)})
	}
	if next := list.GetNextPageToken(); next != "" {
		data.Next = linksRoot + "?" + url.Values{fieldPage: {next}}.Encode()
	}
	return &site.Page{Template: "links", Title: v.Say("verifying.links.title"), Data: data, Crumbs: crumbs(v, dueRoot, "verifying.title")}, nil
}

// chosen reads the body to which a link is to be sent, and the addresses on its card. Without an answer the address is typed.
func (c *Verifying) chosen(ctx context.Context, v *workbench.Visit, data *linksPage, name string) error {
	if !strings.HasPrefix(name, v.Comune+"/organizations/") {
		return site.ErrNoPage
	}
	body, err := c.organizations.GetOrganization(ctx, &registryv1.GetOrganizationRequest{Name: name})
	if err != nil && v.Sent() == nil {
		return err
	}
	data.Body = keeperOf(name, nil)
	if body != nil {
		data.Body.Title = body.GetTitle()
	}
	for _, one := range body.GetContacts() {
		kind := one.GetKind()
		mail := kind == registryv1.ContactPoint_EMAIL || kind == registryv1.ContactPoint_PEC
		if mail && contact.IsEmail(one.GetValue()) && !slices.Contains(data.Emails, one.GetValue()) {
			data.Emails = append(data.Emails, one.GetValue())
		}
	}
	if data.Email == "" && len(data.Emails) > 0 {
		data.Email = data.Emails[0]
	}
	if !slices.Contains(data.Emails, data.Email) {
		if data.Email != another && data.Another == "" {
			data.Another = data.Email // the card has changed, or cannot be read
		}
		data.Email = another
	}
	return nil
}

// send makes a link; nil when it was not taken, and the page says why.
func (c *Verifying) send(ctx context.Context, v *workbench.Visit, data *linksPage) *site.Page {
	if data.Body == nil {
		v.Add(fieldSearch, v.Say("verifying.problem.body"))
		return nil
	}
	address := data.Email
	if address == another {
		address = data.Another
	}
	if !contact.IsEmail(address) {
		v.Add(fieldAnother, v.Say("verifying.problem.email"))
		return nil
	}
	_, err := c.corrections.CreateConfirmation(ctx, &editorialv1.CreateConfirmationRequest{
		Parent: v.Comune, RequestId: data.Request, Confirmation: &editorialv1.Confirmation{Organization: data.Body.Name, Email: address},
	})
	if err != nil {
		v.Refused(err, map[string]string{"confirmation.email": fieldAnother})
		return nil
	}
	return v.Go(linksRoot, "conferma")
}

func crumbs(v *workbench.Visit, path, id string) []site.Link {
	return []site.Link{{Path: workbench.Root, Text: v.Say("lavoro.nav.home")}, {Path: path, Text: v.Say(id)}}
}

func plainText(italian string) *registryv1.LocalizedText {
	return &registryv1.LocalizedText{It: italian}
}
