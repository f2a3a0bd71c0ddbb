package guide

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

// A need is what people come with, in everyday words, and the search that answers it.
type need struct{ ID, Query string }

// needs of the home page. The queries are everyday words: the search knows what they mean.
var needs = []need{
	{"need.transport", "trasporto accompagnamento"},
	{"need.school", "assistenza scuola"},
	{"need.home", "assistenza domiciliare"},
	{"need.money", "contributo assegno di cura"},
	{"need.certificate", "legge 104 invalidità"},
	{"need.day", "centro diurno"},
	{"need.work", "lavoro inserimento"},
	{"need.therapy", "riabilitazione"},
	{"need.later", "dopo di noi"},
	{"need.rights", "sportello informazioni diritti"},
}

// latest is how many new records the home page shows.
const latest = 4

type home struct {
	Needs []need
	News  []news
}

// news is a record that changed lately.
type news struct {
	Path, Title, Kind, Comune string
	Changed                   *timestamppb.Timestamp
}

func (g *Guide) home(r *site.Request) (*site.Page, error) {
	// The page is whole without news.
	answer, _ := g.news.Search(r.Upstream(), &registryv1.SearchRequest{
		Kinds: record.Collections(), PageSize: latest, Order: registryv1.SearchRequest_NEWEST_FIRST,
	})
	data := home{Needs: needs}
	for _, hit := range answer.GetHits() {
		data.News = append(data.News, news{
			record.Path(hit.GetName()), hit.GetTitle(), hit.GetKind(), r.Comuni().Name(hit.GetComune()), hit.GetUpdateTime(),
		})
	}
	return &site.Page{
		Template: "home", Title: r.Say("home.title"), Description: r.Say("home.about"),
		Data: data, Scripts: []string{"suggest.js"},
	}, nil
}
