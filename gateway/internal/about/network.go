package about

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	// askNetwork is how long the page waits to hear of the network.
	askNetwork = 3 * time.Second
	// mostNodes bounds the pages of 1,000 nodes that are asked for.
	mostNodes = 10
)

// A state of a comune, in the words of the page: "answers", "joining", "behind", "away", "missing" or "refused".
type state struct {
	site.Comune
	State string
	// Since when it is so, AsOf up to when its data are known; zero when that is not known.
	Since, Known time.Time
}

// Good tells that nothing is wrong.
func (s state) Good() bool { return s.State == "answers" }

type network struct {
	Comuni  []state
	Answers int
	// At is the moment for which the page speaks.
	At time.Time
}

func (a *About) nodes(r *site.Request) (*site.Page, error) {
	nodes, err := a.listNodes(r.Upstream())
	data := network{At: a.now()}
	for _, comune := range r.Comuni().All {
		one := fromCoverage(comune)
		at := slices.IndexFunc(nodes, func(n *federationv1.Node) bool { return slices.Contains(n.GetComuni(), comune.Slug) })
		if err == nil && at >= 0 {
			one = fromNode(comune, nodes[at])
		}
		if one.Good() {
			data.Answers++
		}
		data.Comuni = append(data.Comuni, one)
	}
	slices.SortStableFunc(data.Comuni, func(a, b state) int {
		return cmp.Or(boolean(a.Good())-boolean(b.Good()), strings.Compare(a.Title, b.Title))
	})
	return &site.Page{Template: "network", Title: r.Say("frame.network"), Description: r.Say("network.lead"), Data: data, Crumbs: []site.Link{}}, nil
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (a *About) listNodes(ctx context.Context) ([]*federationv1.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, askNetwork)
	defer cancel()
	var all []*federationv1.Node
	request := &federationv1.ListNodesRequest{PageSize: 1000}
	for range mostNodes {
		answer, err := a.network.ListNodes(ctx, request)
		if err != nil {
			return nil, err
		}
		all = append(all, answer.GetNodes()...)
		if request.PageToken = answer.GetNextPageToken(); request.GetPageToken() == "" {
			break
		}
	}
	return all, nil
}

// fromNode says how a comune stands by what is known of its node.
func fromNode(comune site.Comune, node *federationv1.Node) state {
	one := state{Comune: comune}
	if node.GetStateTime() != nil {
		one.Since = node.GetStateTime().AsTime()
	}
	if node.GetAsOfTime() != nil {
		one.Known = node.GetAsOfTime().AsTime()
	}
	switch {
	case node.GetSelf() || node.GetState() == federationv1.Node_IN_SYNC:
		one.State = "answers"
	case node.GetState() == federationv1.Node_CATCHING_UP:
		one.State = "behind"
	case node.GetState() == federationv1.Node_REFUSED:
		one.State = "refused"
	case node.GetState() == federationv1.Node_UNREACHABLE && one.Known.IsZero():
		one.State = "missing"
	case node.GetState() == federationv1.Node_UNREACHABLE:
		one.State = "away"
	default:
		one.State = "joining"
	}
	return one
}

// fromCoverage says it by how fresh the list of the comuni is, when nothing is known of nodes.
func fromCoverage(comune site.Comune) state {
	one := state{Comune: comune, Known: comune.AsOf()}
	switch comune.Coverage.GetState() {
	case registryv1.Coverage_MISSING:
		one.State = "missing"
	case registryv1.Coverage_STALE:
		one.State = "away"
	default:
		one.State = "answers"
	}
	return one
}
