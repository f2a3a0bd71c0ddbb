package guide

import (
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
	News  []*registryv1.SearchHit
}

func (g *Guide) home(r *site.Request) (*site.Page, error) {
	return &site.Page{
		Template: "home", Title: r.Say("home.title"), Description: r.Say("home.about"),
		Data: home{Needs: needs}, Scripts: []string{"suggest.js"},
	}, nil
}
