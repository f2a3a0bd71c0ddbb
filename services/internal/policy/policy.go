package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/access"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/platform/identity"
)

// A Policy decides for one server.
type Policy struct {
	server, comune string
	verifier       *tokens.Verifier
	rules          map[string]access.Rule
}

// New makes the policy of a server by its id; comune is the slug of the one that
// it owns, empty for none. It fails while a method of the contract has no rule.
func New(server, comune string, verifier *tokens.Verifier) (*Policy, error) {
	rules, err := access.Rules()
	if err != nil {
		return nil, err
	}
	p := &Policy{server: server, comune: comune, verifier: verifier, rules: map[string]access.Rule{}}
	for _, rule := range rules {
		p.rules[rule.Method] = rule
	}
	return p, nil
}

// Rule finds the rule of a method. Methods outside the contract, health and
// reflection, have none and are for everyone who reaches the server.
func (p *Policy) Rule(method string) (access.Rule, bool) {
	rule, known := p.rules[method]
	return rule, known
}

// serverRoles are the roles of the contract by those in certificates.
var serverRoles = map[string]annotationsv1.ServerRole{
	identity.RoleComune:  annotationsv1.ServerRole_COMUNE,
	identity.RoleUfficio: annotationsv1.ServerRole_UFFICIO,
	identity.RoleGateway: annotationsv1.ServerRole_GATEWAY,
	identity.RoleAdmin:   annotationsv1.ServerRole_ADMIN,
}

// Authenticate finds out who makes a call, by certificate and token. A token
// that is not good is an error: who means to be somebody is never treated as
// nobody.
func (p *Policy) Authenticate(ctx context.Context) (*Caller, error) {
	c := &Caller{}
	peer, certified := identity.PeerID(ctx)
	asked := metadata.ValueFromIncomingContext(ctx, readerKey)
	token, err := tokenOf(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case token != "":
		if c.Person, err = p.verifier.Verify(token); err != nil {
			return nil, refusedToken(err)
		}
		if certified {
			c.Via = &peer
		}
	case !certified:
		c.Local = true
	case certified && peer.Role != identity.RoleGateway && len(asked) == 0:
		c.Server = &peer
	default:
		c.Via = &peer
	}
	if purpose := metadata.ValueFromIncomingContext(ctx, purposeKey); len(purpose) > 0 {
		c.purpose = fmt.Sprintf("%.200s", strings.ToValidUTF8(purpose[0], ""))
	}
	c.reads = c.sight(p.comune)
	for _, name := range asked {
		if v, known := registryv1.Visibility_value[name]; known && v > 0 {
			c.reads = min(c.reads, registryv1.Visibility(v))
		} else {
			c.reads = registryv1.Visibility_PUBLIC
		}
	}
	return c, nil
}

func tokenOf(ctx context.Context) (string, error) {
	values := metadata.ValueFromIncomingContext(ctx, tokenKey)
	if len(values) == 0 {
		return "", nil
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if len(values) > 1 || !found || !strings.EqualFold(scheme, "bearer") || token == "" {
		return "", apierror.New(registryv1.ErrorReason_NOT_SIGNED_IN, `the authorization must be "Bearer " and one access token`)
	}
	return token, nil
}

func refusedToken(err error) error {
	advice := "sign in again"
	if errors.Is(err, tokens.ErrExpired) {
		advice = "get a new one with the refresh token"
	}
	return apierror.New(registryv1.ErrorReason_NOT_SIGNED_IN, err.Error()+"; "+advice)
}

// About is what the call is about, once it is decided.
func (c *Caller) About() string { return c.about }

// Method is the method of the call, once it is decided.
func (c *Caller) Method() string { return c.rule.Method }

// Admit refuses a caller who could not make such a call whatever it were about.
func (p *Policy) Admit(c *Caller, rule access.Rule) error {
	switch {
	case c.Local, rule.GetAnyone():
		return nil
	case c.Server != nil && slices.Contains(rule.GetServers(), serverRoles[c.Server.Role]):
		return nil
	case c.Person == nil && !rule.GetLocalOnly() && (rule.GetSelf() || len(rule.GetRoles()) > 0):
		if c.Server == nil {
			return apierror.New(registryv1.ErrorReason_NOT_SIGNED_IN, "sign in to do this")
		}
	case c.Person != nil && rule.GetSelf():
		return nil
	case c.Person != nil:
		for _, grant := range c.Person.Grants {
			if slices.Contains(rule.GetRoles(), grant.GetRole()) {
				return nil
			}
		}
	}
	return p.refusal(c, rule, "")
}

// Decide refuses a caller whom Admit lets in, but not for what this call is
// about. It notes on the caller what the call is limited to.
func (p *Policy) Decide(c *Caller, rule access.Rule, request proto.Message) error {
	about := rule.AboutOf(request)
	nothing := about == "" && rule.GetAbout() != ""
	if about == "" {
		about = "nodes/" + p.server
	}
	if nothing && !c.Local && !rule.GetAnyone() && c.Server == nil {
		return apierror.Invalid(rule.AboutField(), "is missing")
	}
	return p.decide(c, rule, about)
}

func (p *Policy) decide(c *Caller, rule access.Rule, about string) error {
	c.rule, c.about, c.limits = rule, about, nil
	if c.Local || rule.GetAnyone() || c.Server != nil {
		return nil
	}
	if rule.GetSelf() && about == c.Person.Issuer {
		return nil
	}
	ok, limited := c.holds(rule.GetRoles(), about)
	if !ok || limited != nil && rule.GetWhole() {
		return p.refusal(c, rule, about)
	}
	c.limits = limited
	return nil
}

// For is the caller as of a call of another method, about something: who writes
// a record by way of a draft needs what it takes to write the record.
func (p *Policy) For(c *Caller, method, about string) (*Caller, error) {
	rule, known := p.rules[method]
	if !known {
		return nil, fmt.Errorf("%s has no rule who may call it", method)
	}
	if err := p.Admit(c, rule); err != nil {
		return nil, err
	}
	other := *c
	return &other, p.decide(&other, rule, about)
}

// MayChange refuses a change of a record that is not one of the caller's own
// cards, where the caller is limited to those, and one that lets more people see
// the record than before, where the caller may not decide that. Either state is
// nil for none.
func (c *Caller) MayChange(before, after proto.Message) error {
	if c.Person == nil {
		return nil
	}
	for _, record := range []proto.Message{before, after} {
		if record != nil && c.limits != nil && !slices.Contains(c.limits, catalog.Keeper(record)) {
			return apierror.New(registryv1.ErrorReason_NOT_ALLOWED, "this is not a card of "+strings.Join(c.limits, " or ")+", to which the caller is limited")
		}
	}
	if audience(after) > max(audience(before), onlyHere) && !c.showsMore(after) {
		return apierror.New(registryv1.ErrorReason_NOT_ALLOWED,
			"to let more people see the record needs the role "+c.showing()+"; without it, save it with the visibility LOCAL")
	}
	return nil
}

// MayPublish refuses who may not decide who sees a record, whether more people
// see it than before or not.
func (c *Caller) MayPublish(record proto.Message) error {
	if c.Person == nil || c.showsMore(record) {
		return nil
	}
	return apierror.New(registryv1.ErrorReason_NOT_ALLOWED, "to publish the record needs the role "+c.showing())
}

// showsMore tells whether a person may let more people see a record.
func (c *Caller) showsMore(record proto.Message) bool {
	roles := c.rule.GetToShowMore()
	if len(roles) == 0 {
		return true
	}
	ok, limited := c.holds(roles, c.about)
	return ok && (limited == nil || slices.Contains(limited, catalog.Keeper(record)))
}

// showing names the roles that it takes to let more people see a record.
func (c *Caller) showing() string {
	var names []string
	for _, role := range c.rule.GetToShowMore() {
		names = append(names, role.String())
	}
	return strings.Join(names, " or ")
}

// WorksOn tells whether a card is one that the caller may work on, by the
// organisation that keeps it: empty for none.
func (c *Caller) WorksOn(keeper string) bool {
	return c.Person == nil || c.limits == nil || slices.Contains(c.limits, keeper)
}

// onlyHere is the audience of a LOCAL record.
const onlyHere = 1

// audience tells how many see a record: 0 nobody, then its comune, the
// federation, everybody.
func audience(record proto.Message) int {
	if record == nil || catalog.RecordOf(record).Deleted() {
		return 0
	}
	return int(registryv1.Visibility_LOCAL-catalog.RecordOf(record).Visibility()) + onlyHere
}

// refusal tells what it would take.
func (p *Policy) refusal(c *Caller, rule access.Rule, about string) error {
	var needs []string
	for _, role := range rule.GetRoles() {
		needs = append(needs, role.String())
	}
	message := "this is not for " + c.Actor()
	if len(needs) > 0 {
		message = "this needs the role " + strings.Join(needs, " or ")
		if about != "" {
			message += " over " + about
		}
	}
	return apierror.New(registryv1.ErrorReason_NOT_ALLOWED, message)
}
