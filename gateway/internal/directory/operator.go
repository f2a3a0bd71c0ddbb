package directory

import (
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

type operator struct {
	*registryv1.Operator
	Mark                           site.Mark
	Source                         record.Source
	Opening                        record.Opening
	Organization, Places, Services []record.Link
}

func (d *Directory) operator(r *site.Request) (*site.Page, error) {
	o, err := d.operators.GetOperator(r.Upstream(), &registryv1.GetOperatorRequest{Name: name(r, "operators")})
	if err != nil {
		return nil, err
	}
	if other := o.GetReplacedBy(); other != "" {
		return &site.Page{Redirect: record.Path(other), Moved: true}, nil
	}
	ctx := r.Upstream()
	data := operator{
		Operator: o, Source: record.SourceOf(o.GetName(), o.GetProvenance(), o.GetUpdateTime(), d.now()), Opening: record.OpeningOf(o.GetReception(), d.now()),
		Organization: d.reader.Links(ctx, o.GetOrganization()), Places: d.reader.Links(ctx, o.GetLocations()...), Services: d.reader.Links(ctx, o.GetServices()...),
	}
	data.Mark = site.Translated(r.Language, o.GetTitle(), o.GetSummary(), o.GetStatus().GetReason(), o.GetReception().GetNote())
	return &site.Page{
		Template: "operator", Title: site.In(r.Language, o.GetTitle()).Text, Description: site.In(r.Language, o.GetSummary()).Text, Crumbs: crumbs(r), Data: data,
	}, nil
}
