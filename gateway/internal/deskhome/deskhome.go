// Package deskhome has the first page of the signed-in side: what waits for the person, by their roles, the most urgent first, with what
// one tap can do done from the list.
package deskhome

import (
	"context"
	"embed"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

const (
	// readWithin is how long each part of the page waits for the server; the others do not wait for it any longer.
	readWithin = 3 * time.Second
	// doWithin is how long the server may take for one thing that a person does.
	doWithin = 8 * time.Second
	// shown is how many things of a pile the page shows.
	shown = 5
	// counted is up to how many things are counted where the server does not tell how many there are.
	counted = 100
)

// What a button does, and with what.
const (
	buttonAct   = "azione"
	fieldRecord = "scheda"
	fieldEtag   = "versione"
	fieldMeans  = "come"
	fieldNamed  = "nome"
	actConfirm  = "conferma"
	actTake     = "prendi"
	actResend   = "rinvia"
)

// Home makes the page.
type Home struct {
	pages       *site.Section
	bench       *workbench.Bench
	records     editorialv1.RecordServiceClient
	drafts      editorialv1.DraftServiceClient
	corrections editorialv1.CorrectionServiceClient
	duplicates  editorialv1.DuplicateServiceClient
	requests    deskv1.RequestServiceClient
	imports     exchangev1.ImportServiceClient
	messages    adminv1.MessageServiceClient
	backups     adminv1.BackupServiceClient
	federation  federationv1.FederationServiceClient
	reader      record.Reader
	now         func() time.Time
}

// New makes the page over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface, bench *workbench.Bench) (*Home, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Home{
		pages: pages, bench: bench, records: editorialv1.NewRecordServiceClient(conn), drafts: editorialv1.NewDraftServiceClient(conn),
		corrections: editorialv1.NewCorrectionServiceClient(conn), duplicates: editorialv1.NewDuplicateServiceClient(conn),
		requests: deskv1.NewRequestServiceClient(conn), imports: exchangev1.NewImportServiceClient(conn), messages: adminv1.NewMessageServiceClient(conn),
		backups: adminv1.NewBackupServiceClient(conn), federation: federationv1.NewFederationServiceClient(conn), reader: record.NewReader(conn), now: time.Now,
	}, nil
}

// Handlers are the pages by their pattern. They take forms; see [edge.Form].
func (h *Home) Handlers() map[string]http.Handler {
	return map[string]http.Handler{workbench.Root + "{$}": h.bench.Page(h.pages, h.home)}
}

// A pile is what waits of one sort.
type pile struct {
	// ID of its words, Path of the page where all of it is worked on.
	ID, Path string
	// Count is how many there are; More that there are more than could be counted.
	Count int
	More  bool
	// Facts are said under the title.
	Facts []string
	// Late tells that something of it is.
	Late  bool
	Items []item
	// Why it could not be read; empty: it was. Elsewhere: the server behind the gateway does not do it.
	Why       string
	Elsewhere bool
}

// An item is one thing that waits.
type item struct {
	Title, Path, Note string
	// When says in plain words since or until when; Late that it is over.
	When string
	Late bool
	// Act is what one tap does with what is Named; empty: nothing. Etag is for the confirmation of a record.
	Act, Named, Etag string
}

// A part of the page: a pile for those with some of its roles.
type part struct {
	id, path string
	roles    []annotationsv1.Role
	// local: it is of the person's comune, and there is none without; whole: it is not for those who keep the cards of one body.
	local, whole bool
	read         func(context.Context, *workbench.Visit, *pile) error
}

// parts of the page, in the order in which they are shown.
func (h *Home) parts() []part {
	const (
		editor, publisher, planner = annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_PLANNER
		desk, administrator        = annotationsv1.Role_SUPPORT_DESK, annotationsv1.Role_NODE_ADMINISTRATOR
	)
	type roles = []annotationsv1.Role
	root := workbench.Root
	return []part{
		{"requests", root + "sportello/", roles{desk}, true, false, h.waitingRequests},
		{"review", root + "bozze/?stato=in_review", roles{publisher, planner}, true, false, h.draftsToReview},
		{"own", root + "bozze/?mie=1", roles{editor, publisher, planner}, true, false, h.ownDrafts},
		{"due", root + "verifiche/", roles{editor, publisher, planner}, true, false, h.dueRecords},
		{"corrections", root + "correzioni/", roles{editor, publisher}, true, false, h.openCorrections},
		{"plans", root + "schede/?tipo=actions", roles{planner}, true, false, h.latePlans},
		{"duplicates", root + "doppioni/", roles{editor, publisher}, true, false, h.pairs},
		{"imports", root + "importazioni/", roles{editor, publisher}, true, true, h.unfinishedImports},
		{"messages", root + "amministrazione/messaggi", roles{administrator}, false, false, h.unsentMessages},
		{"backups", root + "amministrazione/copie", roles{administrator}, false, false, h.lastBackup},
		{"network", root + "amministrazione/rete", roles{administrator}, false, false, h.awayNodes},
	}
}

type homePage struct {
	// Waiting are piles with something in them, Unread those that could not be read, Clear those with nothing to do, Elsewhere those
	// that another portal has.
	Waiting, Unread, Clear, Elsewhere []pile
	// Idle: the person has no role that anything waits for.
	Idle  bool
	Means []editorialv1.VerificationMeans
}

// means by which somebody says how a record was checked, the one that is chosen first at the top.
var means = []editorialv1.VerificationMeans{
	editorialv1.VerificationMeans_OWN_KNOWLEDGE, editorialv1.VerificationMeans_BY_PHONE, editorialv1.VerificationMeans_BY_VISIT,
	editorialv1.VerificationMeans_BY_WEB_SITE, editorialv1.VerificationMeans_BY_ACT,
}

// home shows what waits, and does what one tap can do.
func (h *Home) home(v *workbench.Visit) (*site.Page, error) {
	if sent := v.Sent(); sent != nil {
		err := h.do(v)
		if err == nil {
			return v.Go(workbench.Root, "home_"+sent.Values.Get(buttonAct)), nil
		}
		v.Refused(err, nil)
	}
	data := homePage{Means: means}
	for _, p := range h.read(v) {
		switch {
		case p.Elsewhere:
			data.Elsewhere = append(data.Elsewhere, p)
		case p.Why != "":
			data.Unread = append(data.Unread, p)
		case len(p.Items) > 0:
			data.Waiting = append(data.Waiting, p)
		default:
			data.Clear = append(data.Clear, p)
		}
	}
	data.Idle = len(data.Waiting)+len(data.Unread)+len(data.Clear)+len(data.Elsewhere) == 0
	return &site.Page{Template: "home", Title: v.Say("lavoro.nav.home"), Data: data}, nil
}

// read reads the parts of the page that are for the person, side by side: the slowest says how long the page takes, and none for longer
// than it may.
func (h *Home) read(v *workbench.Visit) []pile {
	var mine []part
	for _, p := range h.parts() {
		if v.Has(p.roles...) && (v.Comune != "" || !p.local) && (!p.whole || v.Over(p.roles...)) {
			mine = append(mine, p)
		}
	}
	ctx, cancel := context.WithTimeout(v.Upstream(), readWithin)
	defer cancel()
	piles := make([]pile, len(mine))
	var group sync.WaitGroup
	for i, p := range mine {
		group.Go(func() {
			piles[i] = pile{ID: p.id, Path: p.path}
			if err := p.read(ctx, v, &piles[i]); err != nil {
				piles[i] = pile{ID: p.id, Path: p.path, Why: why(v, err), Elsewhere: elsewhere(err)}
			}
		})
	}
	group.Wait()
	return piles
}

// why a part could not be read, for the person.
func why(v *workbench.Visit, err error) string {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return v.Say("deskhome.away")
	case codes.PermissionDenied:
		return v.Say("deskhome.denied")
	}
	return v.Explain(err)
}

// elsewhere tells whether the server does not do what was asked of it at all: that of an ufficio comune has nothing that is local.
func elsewhere(err error) bool {
	return status.Code(err) == codes.Unimplemented || apierror.Reason(err) == registryv1.ErrorReason_NOT_SUPPORTED_HERE
}

// do does what a button says.
func (h *Home) do(v *workbench.Visit) error {
	values := v.Sent().Values
	ctx, cancel := context.WithTimeout(v.Upstream(), doWithin)
	defer cancel()
	var err error
	switch values.Get(buttonAct) {
	case actConfirm:
		_, err = h.records.VerifyRecord(ctx, &editorialv1.VerifyRecordRequest{
			Parent: v.Comune, Record: values.Get(fieldRecord), Etag: values.Get(fieldEtag),
			Means: editorialv1.VerificationMeans(editorialv1.VerificationMeans_value[strings.ToUpper(values.Get(fieldMeans))]),
		})
	case actTake:
		_, err = h.requests.AssignRequest(ctx, &deskv1.AssignRequestRequest{Name: values.Get(fieldNamed)})
	case actResend:
		_, err = h.messages.RetryMessage(ctx, &adminv1.RetryMessageRequest{Name: values.Get(fieldNamed)})
	default:
		return site.ErrNoPage
	}
	return err
}
