package editing

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
)

type shownKey struct{}

// Overlay makes a connection through which the pages of the portal can show a record as its draft has it. A request that previews
// nothing passes as it is.
func Overlay(conn grpc.ClientConnInterface) grpc.ClientConnInterface { return overlay{conn} }

type overlay struct{ grpc.ClientConnInterface }

func (o overlay) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	shown, _ := ctx.Value(shownKey{}).(proto.Message)
	answer, ok := reply.(proto.Message)
	if shown == nil || !ok || answer.ProtoReflect().Descriptor() != shown.ProtoReflect().Descriptor() {
		return o.ClientConnInterface.Invoke(ctx, method, request, reply, options...)
	}
	get, _ := catalog.Of(shown).Method(catalog.Get)
	asked := request.(proto.Message).ProtoReflect()
	name := asked.Descriptor().Fields().ByName("name")
	if method != get.Full || name == nil || name.Kind() != protoreflect.StringKind || asked.Get(name).String() != catalog.RecordOf(shown).Name() {
		return o.ClientConnInterface.Invoke(ctx, method, request, reply, options...)
	}
	proto.Merge(answer, shown)
	return nil
}

// preview shows a draft on the page on which the public will read it; where there is no such page, or the draft cannot be read, the
// other page answers.
func (e *Editing) preview(other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := e.shown(r)
		if shown == nil {
			other.ServeHTTP(w, r)
			return
		}
		at, _ := url.Parse(record.Path(catalog.RecordOf(shown).Name()))
		ctx := context.WithValue(r.Context(), shownKey{}, shown)
		ctx = site.Previewing(ctx, draftsHome+r.PathValue("id"), r.URL.Query().Get("lingua"))
		inner := r.Clone(ctx)
		inner.URL.Path, inner.URL.RawPath, inner.URL.RawQuery = at.Path, "", ""
		// The answer is compressed once, and never answered with what a browser has.
		for _, header := range []string{"Accept-Encoding", "If-None-Match", "If-Modified-Since"} {
			inner.Header.Del(header)
		}
		e.public.ServeHTTP(w, inner)
	})
}

// shown is the content of the draft that a request previews, nil when there is no page for it.
func (e *Editing) shown(r *http.Request) proto.Message {
	if r.Method != http.MethodGet || !edge.SignedIn(r.Context()) {
		return nil
	}
	v, err := e.bench.Visit(r)
	if err != nil || !v.Has(writers...) {
		return nil
	}
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	draft, content, err := e.draft(ctx, v)
	if err != nil {
		return nil
	}
	catalog.RecordOf(content).SetName(draft.GetRecord())
	if path := record.Path(draft.GetRecord()); path == "" || strings.Contains(path, "#") {
		return nil
	}
	return content
}

// noPreview says what a draft says, where the portal has no page for it alone.
func (e *Editing) noPreview(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	draft, content, err := e.draft(ctx, v)
	if err != nil {
		return nil, err
	}
	return &site.Page{
		Template: "plain", Title: v.Say("lavoro_schede.previewOf", "Title", draft.GetTitle()), Data: e.said(ctx, v, content),
		Crumbs: []site.Link{crumb(v, draftsHome, "lavoro.nav.drafts"), {Path: draftPath(draft.GetName()), Text: draft.GetTitle()}},
	}, nil
}
