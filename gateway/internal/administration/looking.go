package administration

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

// board shows the federation as the server sees it; a script keeps it up to date.
func (a *Administration) board(v *workbench.Visit) (*site.Page, error) {
	answer, err := a.federation.ListNodes(v.Upstream(), &federationv1.ListNodesRequest{PageSize: 1000})
	if err != nil {
		return nil, err
	}
	page := show(v, "board", v.Say("administration.board"), answer.GetNodes())
	page.Scripts = []string{"board.js"}
	return page, nil
}

type nodePage struct {
	// Well tells that the server serves; Why not.
	Well bool
	Why  string
	// Version of the server's contract, and what the node says of itself.
	Node   *federationv1.Node
	Comune site.Comune
	// Known tells that the comune has a record.
	Known bool
	At    *timestamppb.Timestamp
}

// node shows how the server is, and what it tells of its settings.
func (a *Administration) node(v *workbench.Visit) (*site.Page, error) {
	data := nodePage{Well: true, At: timestamppb.Now()}
	if err := edge.Health(v.Upstream(), a.conn); err != nil {
		data.Well, data.Why = false, v.Explain(err)
	}
	if node, err := a.federation.GetNode(v.Upstream(), &federationv1.GetNodeRequest{Name: v.Node()}); err == nil {
		data.Node = node
	}
	data.Comune, data.Known = v.Comuni().Of(v.Slug())
	return show(v, "node", v.Say("administration.node"), data), nil
}

// A vocabulary is a list of codes that the records of the comune use.
type vocabulary struct {
	Scheme string
	// Versions that are used, and where the list is published; empty: it is the federation's own.
	Versions []string
	Source   string
	Codes    []usedCode
}

type usedCode struct {
	Code, Label string
	Uses        int
}

// published says where the lists are published.
var published = map[string]string{
	"inps-prestazioni-isee":      "https://www.inps.it/dati-ricerche-e-bilanci/siuss-ex-casellario-dellassistenza/specifiche-tecniche",
	"siuss-area-utenza":          "https://www.inps.it/dati-ricerche-e-bilanci/siuss-ex-casellario-dellassistenza/specifiche-tecniche",
	"istat-spesa-sociale":        "https://esploradati.istat.it/",
	"istat-cp":                   "https://professioni.istat.it",
	"icf":                        "https://www.who.int/classifications/icf",
	"eurovoc":                    "https://github.com/italia/daf-ontologie-vocabolari-controllati",
	"life-event":                 "https://github.com/italia/daf-ontologie-vocabolari-controllati",
	"government-documents-types": "https://github.com/italia/daf-ontologie-vocabolari-controllati",
	"legal-status":               "https://github.com/italia/daf-ontologie-vocabolari-controllati",
	"public-event-types":         "https://github.com/italia/daf-ontologie-vocabolari-controllati",
	"authentication-type":        "https://github.com/italia/daf-ontologie-vocabolari-controllati",
	"licences":                   "https://github.com/italia/daf-ontologie-vocabolari-controllati",
	"service-input-output":       "https://w3id.org/italia/controlled-vocabulary/classifications-for-public-services/service-input-output",
}

// mostPages bounds the pages of 1,000 records that are read for the codes that they use.
const mostPages = 10

// vocabularies shows which codes of which lists the services and bodies of the comune use.
func (a *Administration) vocabularies(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := within(v)
	defer cancel()
	parent := cmp.Or(v.Comune, "comuni/-")
	used := map[string]map[string]*usedCode{}
	versions := map[string][]string{}
	count := func(value *registryv1.CodedValue) {
		list := used[value.GetScheme()]
		if list == nil {
			list = map[string]*usedCode{}
			used[value.GetScheme()] = list
		}
		if list[value.GetCode()] == nil {
			list[value.GetCode()] = &usedCode{Code: value.GetCode(), Label: value.GetLabel()}
		}
		list[value.GetCode()].Uses++
		if version := value.GetVersion(); version != "" && !slices.Contains(versions[value.GetScheme()], version) {
			versions[value.GetScheme()] = append(versions[value.GetScheme()], version)
		}
	}
	if err := a.walk(ctx, parent, count); err != nil {
		return nil, err
	}
	var all []vocabulary
	for scheme, codes := range used {
		one := vocabulary{Scheme: scheme, Versions: versions[scheme], Source: published[scheme]}
		for _, code := range codes {
			one.Codes = append(one.Codes, *code)
		}
		slices.SortFunc(one.Codes, func(x, y usedCode) int { return cmp.Compare(x.Code, y.Code) })
		all = append(all, one)
	}
	slices.SortFunc(all, func(x, y vocabulary) int { return cmp.Compare(x.Scheme, y.Scheme) })
	return show(v, "vocabularies", v.Say("administration.vocabularies"), all), nil
}

// walk finds the codes of services and organizations.
func (a *Administration) walk(ctx context.Context, parent string, f func(*registryv1.CodedValue)) error {
	services := &registryv1.ListServicesRequest{Parent: parent, PageSize: 1000}
	for range mostPages {
		answer, err := a.services.ListServices(ctx, services)
		if err != nil {
			return err
		}
		for _, one := range answer.GetServices() {
			coded(one.ProtoReflect(), f)
		}
		if services.PageToken = answer.GetNextPageToken(); services.GetPageToken() == "" {
			break
		}
	}
	bodies := &registryv1.ListOrganizationsRequest{Parent: parent, PageSize: 1000}
	for range mostPages {
		answer, err := a.organizations.ListOrganizations(ctx, bodies)
		if err != nil {
			return err
		}
		for _, one := range answer.GetOrganizations() {
			coded(one.ProtoReflect(), f)
		}
		if bodies.PageToken = answer.GetNextPageToken(); bodies.GetPageToken() == "" {
			break
		}
	}
	return nil
}

// coded calls f for every coded value inside a message.
func coded(m protoreflect.Message, f func(*registryv1.CodedValue)) {
	if value, ok := m.Interface().(*registryv1.CodedValue); ok {
		f(value)
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case fd.Message() == nil || fd.IsMap():
		case fd.IsList():
			for i := range value.List().Len() {
				coded(value.List().Get(i).Message(), f)
			}
		default:
			coded(value.Message(), f)
		}
		return true
	})
}
