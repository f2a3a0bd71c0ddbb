// Package policy decides who may do what, by the rules that the contract states
// and nothing else.
package policy

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"

	"cidsistem.example/proto/access"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/platform/identity"
)

const (
	// readerKey is the metadata with which a server says that it asks for somebody
	// else, and what they may see at most.
	readerKey = "cid-reader"
	// tokenKey is the metadata of a person's access token, "Bearer " before it.
	tokenKey = "authorization"
	// purposeKey is the metadata that says why a person reads what is audited.
	purposeKey = "cid-purpose"
)

// A Caller is who makes a call: a person, a server of the federation for itself,
// the local socket, or nobody in particular.
type Caller struct {
	// Person is set for somebody who is signed in.
	Person *tokens.Claims
	// Server is set for a server that speaks for itself.
	Server *identity.ID
	// Local is the server's own socket, or the server itself.
	Local bool
	// Via is the server that passed the call on for somebody else.
	Via *identity.ID

	reads   registryv1.Visibility
	purpose string
	// rule and about are those of the call; limits the organisations to whose cards
	// it is limited, nil for none.
	rule   access.Rule
	about  string
	limits []string
}

type callerKey struct{}

// With is the context of a call by a caller.
func With(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// Of returns who makes the call of a context. A call that did not come through
// the interceptor is the server's own.
func Of(ctx context.Context) *Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c
	}
	return System()
}

// System is the server itself.
func System() *Caller { return &Caller{Local: true, reads: registryv1.Visibility_LOCAL} }

// Actor names the caller for the audit log.
func (c *Caller) Actor() string {
	switch {
	case c.Person != nil:
		return c.Person.Account
	case c.Server != nil:
		return c.Server.String()
	case c.Local:
		return "local"
	default:
		return "anyone"
	}
}

// Entry begins an audit entry of what the caller does.
func (c *Caller) Entry(action, resource string, outcome auditv1.AuditEntry_Outcome) *auditv1.AuditEntry {
	entry := &auditv1.AuditEntry{Actor: c.Actor(), Action: strings.TrimPrefix(action, "/"), Resource: resource, Outcome: outcome, Reason: c.purpose}
	if c.Via != nil {
		entry.Via = c.Via.String()
	}
	return entry
}

// Reads tells which records the caller may see.
func (c *Caller) Reads() registryv1.Visibility { return c.reads }

// Sight is what the caller may see of records.
func (c *Caller) Sight() catalog.Sight {
	return catalog.Sight{Reads: c.reads, Keeps: c.organizations()}
}

// organizations are those whose cards the caller keeps.
func (c *Caller) organizations() []string {
	if c.Person == nil || passedOn(c.Via) {
		return nil
	}
	var names []string
	for _, grant := range c.Person.Grants {
		if _, organization, ok := access.ComuneOf(grant.GetScope()); ok && slices.Contains(writing, grant.GetRole()) {
			names = append(names, organization)
		}
	}
	return names
}

// holds tells whether a person has one of some roles over what a call is about;
// limited are the organisations when that is all that it reaches.
func (c *Caller) holds(roles []annotationsv1.Role, about string) (ok bool, limited []string) {
	if c.Person == nil {
		return false, nil
	}
	for _, grant := range c.Person.Grants {
		if !slices.Contains(roles, grant.GetRole()) {
			continue
		}
		if access.Covers(grant.GetScope(), about) {
			if _, _, kept := access.ComuneOf(grant.GetScope()); !kept {
				return true, nil
			}
		}
		if comune, organization, kept := access.ComuneOf(grant.GetScope()); kept && access.Covers(comune, about) && !strings.HasPrefix(about, "nodes/") {
			limited = append(limited, organization)
		}
	}
	return len(limited) > 0, limited
}

var (
	// writing are the roles that work on records, and so see all of their comune.
	writing = []annotationsv1.Role{annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_PLANNER}
	// network are the roles that see what operators of the federation share.
	network = append([]annotationsv1.Role{annotationsv1.Role_READER, annotationsv1.Role_SUPPORT_DESK}, writing...)
)

// passedOn tells whether a call came through another server of the federation,
// over whose wire nothing LOCAL goes.
func passedOn(via *identity.ID) bool {
	return via != nil && (via.Role == identity.RoleUfficio || via.Role == identity.RoleComune)
}

// sight is what a caller may see at a server that owns a comune, or none.
func (c *Caller) sight(comune string) registryv1.Visibility {
	switch {
	case c.Local, c.Server != nil && c.Server.Role == identity.RoleAdmin:
		return registryv1.Visibility_LOCAL
	case c.Server != nil && (c.Server.Role == identity.RoleComune || c.Server.Role == identity.RoleUfficio):
		return registryv1.Visibility_NETWORK
	case c.Person == nil && passedOn(c.Via):
		return registryv1.Visibility_NETWORK // and no more than the metadata says
	case c.Person == nil:
		return registryv1.Visibility_PUBLIC
	}
	sight := registryv1.Visibility_PUBLIC
	for _, grant := range c.Person.Grants {
		if _, _, kept := access.ComuneOf(grant.GetScope()); kept {
			continue
		}
		if slices.Contains(network, grant.GetRole()) {
			sight = max(sight, registryv1.Visibility_NETWORK)
		}
		if comune != "" && grant.GetScope() == "comuni/"+comune && slices.Contains(writing, grant.GetRole()) && !passedOn(c.Via) {
			sight = registryv1.Visibility_LOCAL
		}
	}
	return sight
}

// OnBehalf is the context in which a server passes a call on for its caller: it
// says what the caller may see at most, and hands a person's token to a server
// at which it is good.
func OnBehalf(ctx context.Context, server string) context.Context {
	c := Of(ctx)
	ctx = metadata.AppendToOutgoingContext(ctx, readerKey, c.reads.String())
	if c.purpose != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, purposeKey, c.purpose)
	}
	if c.Person != nil && slices.Contains(c.Person.Audience, server) {
		ctx = metadata.AppendToOutgoingContext(ctx, tokenKey, metadata.ValueFromIncomingContext(ctx, tokenKey)[0])
	}
	return ctx
}
