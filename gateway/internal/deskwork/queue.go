package deskwork

import (
	"net/url"
	"slices"
	"strings"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/deskv1"
)

// Fields of the queue's filters.
const (
	fieldState    = "stato"
	fieldKind     = "tipo"
	fieldAssignee = "chi"
	fieldOverdue  = "scadute"
	fieldPage     = "pagina"
)

const (
	// mine and nobodys are whose requests a person looks at; empty: everybody's.
	mine, nobodys = "mie", "nessuno"
	// listed is how many requests a page of the queue has, ahead how many of each state the first page.
	listed, ahead = 50, 20
)

// awaiting are the states in which somebody has something to do, in the order of the first page.
var awaiting = []deskv1.Request_State{deskv1.Request_RECEIVED, deskv1.Request_TAKEN, deskv1.Request_WAITING_FOR_PERSON}

// states in which a request can be looked for.
var states = []deskv1.Request_State{
	deskv1.Request_RECEIVED, deskv1.Request_TAKEN, deskv1.Request_WAITING_FOR_PERSON, deskv1.Request_ANSWERED, deskv1.Request_CLOSED,
	deskv1.Request_WITHDRAWN, deskv1.Request_TRANSFERRED,
}

// kinds of requests.
var kinds = []deskv1.Request_Kind{
	deskv1.Request_INFORMATION, deskv1.Request_DISRUPTION, deskv1.Request_CALL_BACK, deskv1.Request_APPOINTMENT, deskv1.Request_CORRECTION,
}

// A filter is what of the queue a person looks at.
type filter struct {
	State, Kind, Assignee string
	Overdue               bool
}

func filterOf(q url.Values) filter {
	return filter{State: q.Get(fieldState), Kind: q.Get(fieldKind), Assignee: q.Get(fieldAssignee), Overdue: q.Get(fieldOverdue) != ""}
}

// Query writes the filter into an address, with another state.
func (f filter) Query(state string) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{fieldState: state, fieldKind: f.Kind, fieldAssignee: f.Assignee} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Overdue {
		q.Set(fieldOverdue, "1")
	}
	return q
}

// A shelf is the requests of one state.
type shelf struct {
	State    string
	Requests []item
	// More leads to the rest of them, empty: there are no more.
	More string
}

// An item is a request in the queue.
type item struct {
	*deskv1.Request
	Path string
	// Whose is "mia", "altri" or "nessuno".
	Whose string
}

type queuePage struct {
	Filter filter
	States []deskv1.Request_State
	Kinds  []deskv1.Request_Kind
	// Shelves are one for each state that is looked at; those without a request are left out.
	Shelves []shelf
	// Next leads to the next page of a single state.
	Next string
	// Later says that this is not the first page.
	Later bool
}

// queue shows what waits at the desk: all that needs somebody, or what a filter says.
func (d *Desk) queue(v *workbench.Visit) (*site.Page, error) {
	q := v.URL.Query()
	f := filterOf(q)
	data := queuePage{Filter: f, States: states, Kinds: kinds, Later: q.Get(fieldPage) != ""}
	wanted := awaiting
	if f.State == "tutte" {
		wanted = []deskv1.Request_State{deskv1.Request_STATE_UNSPECIFIED}
	} else if f.State != "" {
		state := deskv1.Request_State(deskv1.Request_State_value[strings.ToUpper(f.State)])
		if !slices.Contains(states, state) {
			return nil, site.ErrNoPage
		}
		wanted = []deskv1.Request_State{state}
	}
	single := len(wanted) == 1
	for _, state := range wanted {
		request := &deskv1.ListRequestsRequest{
			Parent: v.Comune, State: state, Overdue: f.Overdue, PageSize: ahead,
			Kind: deskv1.Request_Kind(deskv1.Request_Kind_value[strings.ToUpper(f.Kind)]),
		}
		switch f.Assignee {
		case mine:
			request.Assignee = v.Account.GetName()
		case nobodys:
			request.Assignee = "-"
		}
		if single {
			request.PageSize, request.PageToken = listed, q.Get(fieldPage)
		}
		answer, err := d.requests.ListRequests(v.Upstream(), request)
		if err != nil {
			return nil, err
		}
		s := shelf{State: state.String()}
		for _, one := range answer.GetRequests() {
			s.Requests = append(s.Requests, itemOf(v, one))
		}
		if next := answer.GetNextPageToken(); next != "" {
			if single {
				query := f.Query(f.State)
				query.Set(fieldPage, next)
				data.Next = root + "?" + query.Encode()
			} else {
				s.More = root + "?" + f.Query(strings.ToLower(state.String())).Encode()
			}
		}
		if len(s.Requests) > 0 {
			data.Shelves = append(data.Shelves, s)
		}
	}
	return show(v, "queue", v.Say("deskwork.title"), data), nil
}

// item is a request as the queue shows it.
func itemOf(v *workbench.Visit, request *deskv1.Request) item {
	whose := "altri"
	switch request.GetAssignee() {
	case "":
		whose = nobodys
	case v.Account.GetName():
		whose = "mia"
	}
	return item{request, pathOf(request.GetName()), whose}
}

// pathOf is the page of a request: comuni/marsala/requests/r1 is at /lavoro/sportello/richieste/r1.
func pathOf(name string) string {
	return root + "richieste/" + name[strings.LastIndexByte(name, '/')+1:]
}
