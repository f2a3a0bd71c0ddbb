package workbench

import (
	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/editorialv1"
)

// upstream is what the desk home asks.
type upstream struct {
	drafts editorialv1.DraftServiceClient
}

func newUpstream(conn grpc.ClientConnInterface) upstream {
	return upstream{drafts: editorialv1.NewDraftServiceClient(conn)}
}

// home shows what waits for the person.
func (b *Bench) home(v *Visit) (*site.Page, error) {
	return &site.Page{Template: "home", Title: v.Say("lavoro.nav.home"), Data: nil}, nil
}
