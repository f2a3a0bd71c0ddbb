package ufficiocomune

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/feed"
	"cidsistem.example/services/internal/standard"
)

const (
	// liveBudget is the patience with an owner, where the options say nothing.
	liveBudget = 800 * time.Millisecond
	// awayBudget is the same for an owner that is known not to answer.
	awayBudget = 50 * time.Millisecond
	// mergeTime is kept back of the caller's deadline.
	mergeTime = 50 * time.Millisecond
)

// A standing is what the office knows of one comune.
type standing struct {
	comune string
	member *member
	// missing is true when there is no copy at all.
	missing bool
	// connected is true while the member answers and the copy equals it.
	connected bool
	asOf      time.Time
	revision  int64
	hops      []string
}

// standing looks at the copy of a comune.
func (o *Office) standing(comune string, m *member) standing {
	// Before the copy is looked at, so that it is never older than what is said of it.
	status := m.follower.Status()
	holder, err := o.store.Holder(comune)
	s := standing{
		comune: comune, member: m, asOf: status.AsOf, revision: status.Revision,
		missing: status.AsOf.IsZero() || err != nil || holder != m.ID, connected: status.State == federationv1.Node_IN_SYNC,
	}
	if origin := originOf(status, comune); origin != nil {
		s.asOf = s.asOf.Add(-origin.GetAge().AsDuration())
		s.revision, s.hops = origin.GetRevision(), origin.GetHops()
		s.missing = s.missing || origin.GetMissing()
	}
	s.missing = s.missing || gaveUp(status, comune)
	return s
}

// gaveUp tells whether a member said which comuni it answers for, and a comune
// is not, or no longer, one of them.
func gaveUp(status feed.Status, comune string) bool {
	return status.Offers != nil && !slices.Contains(status.Offers, comune)
}

func originOf(status feed.Status, comune string) *feedv1.OriginStatus {
	for _, origin := range status.Origins {
		if origin.GetComune() == comune {
			return origin
		}
	}
	return nil
}

// fresh tells whether the copy needs no question to the owner.
func (s standing) fresh(now time.Time, limit time.Duration) bool {
	return !s.missing && s.connected && now.Sub(s.asOf) <= limit
}

// usable tells whether the copy may be used when the owner is silent.
func (s standing) usable(now time.Time, f standard.Freshness) bool {
	if s.missing || f.Preference == registryv1.ReadPreference_LIVE_ONLY {
		return false
	}
	return !f.Strict || now.Sub(s.asOf) <= f.Limit
}

// coverage says in the contract's words how fresh an answer from the copy is.
func (s standing) coverage(now time.Time, limit time.Duration) *registryv1.Coverage {
	c := &registryv1.Coverage{Comune: catalog.ComuneName(s.comune), State: registryv1.Coverage_MISSING}
	if s.missing {
		return c
	}
	c.State, c.AsOfTime, c.Revision = registryv1.Coverage_STALE, timestamppb.New(s.asOf), s.revision
	if s.fresh(now, limit) {
		c.State = registryv1.Coverage_CURRENT
	}
	return c
}

// missing says that nothing can be told of a comune.
func missing(comune string) *registryv1.Coverage {
	return &registryv1.Coverage{Comune: catalog.ComuneName(comune), State: registryv1.Coverage_MISSING}
}

// answered says how fresh what a member answered just now is. A comune's own
// node is current; an ufficio comune below may itself have answered from a copy,
// and says so. nil means that it had nothing.
func (o *Office) answered(s standing, told *registryv1.Coverage) *registryv1.Coverage {
	now := o.store.Now()
	c := &registryv1.Coverage{
		Comune: catalog.ComuneName(s.comune), State: told.GetState(), Revision: told.GetRevision(), Live: told.GetLive(),
		AsOfTime: timestamppb.New(now),
	}
	switch told.GetState() {
	case registryv1.Coverage_CURRENT:
		return c
	case registryv1.Coverage_STALE:
		// As of when, by the clock of this server where it can tell.
		c.AsOfTime = told.GetAsOfTime()
		if !s.missing {
			c.AsOfTime = timestamppb.New(s.asOf)
		}
		return c
	default:
		return nil
	}
}

// coverageOf finds what an answer says of one comune.
func coverageOf(list []*registryv1.Coverage, comune string) *registryv1.Coverage {
	for _, c := range list {
		if c.GetComune() == catalog.ComuneName(comune) {
			return c
		}
	}
	return nil
}

// askOwner decides whether a read goes to the owner first.
func (o *Office) askOwner(s standing, f standard.Freshness) bool {
	switch f.Preference {
	case registryv1.ReadPreference_REPLICA_ONLY:
		return false
	case registryv1.ReadPreference_LIVE_ONLY, registryv1.ReadPreference_PREFER_LIVE:
		return true
	default:
		return !s.fresh(o.store.Now(), f.Limit) || o.writes.pending(o.store, s.comune)
	}
}

// budget bounds a question to the owner.
func (o *Office) budget(ctx context.Context, s standing, f standard.Freshness) (context.Context, context.CancelFunc) {
	if f.Preference == registryv1.ReadPreference_LIVE_ONLY {
		return context.WithCancel(ctx)
	}
	limit := o.patience
	if s.member.follower.Status().State == federationv1.Node_UNREACHABLE {
		limit = awayBudget
	}
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)-mergeTime)
	}
	return context.WithTimeout(ctx, limit)
}

// silent tells whether an error means that the owner did not answer, rather
// than that it refused.
func silent(err error) bool {
	if apierror.Info(err) != nil {
		reason := apierror.Reason(err)
		return reason == registryv1.ErrorReason_STORE_FENCED || reason == registryv1.ErrorReason_NOT_READY ||
			reason == registryv1.ErrorReason_OWNER_UNREACHABLE
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.PermissionDenied, codes.Unauthenticated:
		return true
	default:
		return errors.Is(err, context.DeadlineExceeded)
	}
}

// unanswered tells whether a read got no answer from the owner, so that the copy
// must do: also where its server has a defect, or no time.
func unanswered(err error) bool {
	switch apierror.Reason(err) {
	case registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED, registryv1.ErrorReason_DEADLINE, registryv1.ErrorReason_INTERNAL_ERROR,
		registryv1.ErrorReason_TOO_MANY_REQUESTS, registryv1.ErrorReason_NOT_ALLOWED, registryv1.ErrorReason_UNKNOWN_METHOD:
		return true
	default:
		return silent(err)
	}
}

// retryAfter is when a caller should try an absent owner again.
const retryAfter = 5 * time.Second

func unreachable(comune string) error {
	return apierror.New(registryv1.ErrorReason_OWNER_UNREACHABLE,
		"the node of "+catalog.ComuneName(comune)+" does not answer; try again later, a write with the same request_id",
		apierror.With("comune", comune), apierror.RetryAfter(retryAfter))
}

// origins tells readers of the office's feed how fresh each comune is.
func (o *Office) origins() []*feedv1.OriginStatus {
	holders, err := o.holders()
	if err != nil {
		return nil
	}
	now := o.store.Now()
	var origins []*feedv1.OriginStatus
	for _, comune := range comuni(holders) {
		s := o.standing(comune, holders[comune])
		age := now.Sub(s.asOf)
		if s.fresh(now, silenceAllowed) {
			age = 0
		}
		origins = append(origins, &feedv1.OriginStatus{
			Comune: comune, Age: durationpb.New(age), Revision: s.revision, Missing: s.missing,
			Hops: append(append([]string{}, s.hops...), o.settings.ID),
		})
	}
	return origins
}

// silenceAllowed is how old the news of a member may be while its connection is
// well: it speaks every five seconds.
const silenceAllowed = 10 * time.Second

// Nodes lists the members.
func (o *Office) Nodes() []*federationv1.Node {
	holders, err := o.holders()
	if err != nil {
		return nil
	}
	var nodes []*federationv1.Node
	for _, m := range o.members {
		status := m.follower.Status()
		node := &federationv1.Node{
			Name: "nodes/" + m.ID, State: status.State, StateTime: timestamppb.New(status.StateTime),
			Revision: status.Revision, HeadRevision: status.Head, LagRevisions: max(0, status.Head-status.Revision),
			LastError: status.LastError, Snapshots: status.Snapshots,
		}
		if !status.AsOf.IsZero() {
			node.AsOfTime = timestamppb.New(status.AsOf)
		}
		if !status.LastErrorTime.IsZero() {
			node.LastErrorTime = timestamppb.New(status.LastErrorTime)
		}
		for _, comune := range comuni(holders) {
			if holders[comune] == m {
				node.Comuni = append(node.Comuni, comune)
			}
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// Resync makes the copy of a member be taken anew.
func (o *Office) Resync(ctx context.Context, id string) error {
	m := o.members[id]
	if m == nil {
		return apierror.NotFound("nodes/" + id)
	}
	return m.follower.Resync(ctx)
}
