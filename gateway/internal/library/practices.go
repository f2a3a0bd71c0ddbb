package library

import (
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

func (l *Library) findPractices(r *site.Request) (*site.Page, error) {
	return l.find(r, l.practices, "practices", "/v1/comuni/-/practices?pageSize=1000", atom(r, practicesHome, "library.newPractices"))
}

type practice struct {
	*registryv1.Practice
	Mark                              site.Mark
	Source                            record.Source
	Parts                             []part
	Organization, Services, Documents []record.Link
}

// A part of the story of a practice.
type part struct {
	// ID of the message that heads it.
	ID   string
	Text *registryv1.LocalizedText
}

func (l *Library) practice(r *site.Request) (*site.Page, error) {
	p, err := l.practiceService.GetPractice(r.Upstream(), &registryv1.GetPracticeRequest{Name: name(r, "practices")})
	if err != nil {
		return nil, err
	}
	if other := p.GetReplacedBy(); other != "" {
		return &site.Page{Redirect: record.Path(other), Moved: true}, nil
	}
	ctx := r.Upstream()
	data := practice{
		Practice: p, Source: record.SourceOf(p.GetName(), p.GetProvenance(), p.GetUpdateTime(), l.now()),
		Organization: l.reader.Links(ctx, p.GetOrganization()), Services: l.reader.Links(ctx, p.GetServices()...), Documents: l.reader.Links(ctx, p.GetDocuments()...),
	}
	shown := []*registryv1.LocalizedText{p.GetTitle(), p.GetSummary()}
	for _, one := range []part{
		{"problem", p.GetProblem()},
		{"context", p.GetContext()},
		{"done", p.GetActionsTaken()},
		{"results", p.GetResults()},
		{"transfer", p.GetTransferConditions()},
		{"lessons", p.GetLessons()},
	} {
		if one.Text.GetIt() != "" {
			data.Parts, shown = append(data.Parts, one), append(shown, one.Text)
		}
	}
	data.Mark = site.Translated(r.Language, shown...)
	return &site.Page{
		Template: "practice", Title: site.In(r.Language, p.GetTitle()).Text, Description: site.In(r.Language, p.GetSummary()).Text,
		Crumbs: crumbs(r, practicesHome, "nav.practices"), Data: data, Feeds: []site.Feed{atom(r, practicesHome, "library.newPractices")},
	}, nil
}
