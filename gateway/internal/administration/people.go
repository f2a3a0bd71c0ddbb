package administration

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the pages of people.
const (
	fieldLogin   = "utente"
	fieldName    = "nome"
	fieldGrant   = "ruolo"
	fieldSubject = "soggetto"
	fieldEtag    = "versione"
	fieldFactors = "fattori"
)

type peoplePage struct {
	Accounts []*identityv1.Account
	Next     string
}

// people lists the accounts of the node.
func (a *Administration) people(v *workbench.Visit) (*site.Page, error) {
	answer, err := a.accounts.ListAccounts(v.Upstream(), &identityv1.ListAccountsRequest{
		Parent: v.Node(), PageSize: listed, PageToken: v.URL.Query().Get(fieldPage),
	})
	if err != nil {
		return nil, err
	}
	return show(v, "people", v.Say("administration.people"), peoplePage{answer.GetAccounts(), next("persone", answer.GetNextPageToken(), nil)}), nil
}

// next leads to the next page of a list, empty: there is none.
func next(page, token string, query url.Values) string {
	if token == "" {
		return ""
	}
	if query == nil {
		query = url.Values{}
	}
	query.Set(fieldPage, token)
	return root + page + "?" + query.Encode()
}

// A right is a role over something that a person can be given.
type right struct {
	// Value is "EDITOR comuni/marsala".
	Value string
	Role  annotationsv1.Role
	// Over is "comune", "rete", "nodo", or "ente".
	Over string
	// Title of the body whose cards it is about.
	Title string
	Given bool
}

type personPage struct {
	*identityv1.Account
	Path string
	// Rights are all that can be given over the comune and the node; Bodies those over the cards of a body that are given.
	Rights, Bodies []right
	// Others are bodies whose cards somebody could be given.
	Others []right
	// Link is the invitation, shown once; Until it is good.
	Link  string
	Until time.Time
	// Own tells that it is the account of who looks.
	Own bool
	New bool
}

// newcomer makes an account, and shows the link with which its person gets in.
func (a *Administration) newcomer(v *workbench.Visit) (*site.Page, error) {
	account := &identityv1.Account{}
	if sent := v.Sent(); sent != nil {
		account = typedAccount(sent.Values)
		checkAccount(v, account)
		if len(v.Found) == 0 {
			ctx, cancel := within(v)
			defer cancel()
			made, err := a.accounts.CreateAccount(ctx, &identityv1.CreateAccountRequest{Parent: v.Node(), Account: account})
			if err == nil {
				return a.invite(v, made, false)
			}
			v.Refused(err, accountFields)
		}
	}
	return a.showPerson(v, personPage{Account: account, Path: root + "persone/nuova", New: true}), nil
}

var accountFields = map[string]string{
	"account.login": fieldLogin, "account.display_name": fieldName, "account.displayName": fieldName, "account.grants": fieldGrant,
	"account.oidc_subject": fieldSubject, "account.oidcSubject": fieldSubject,
}

func typedAccount(q url.Values) *identityv1.Account {
	line := func(name string) string { return strings.Join(strings.Fields(q.Get(name)), " ") }
	account := &identityv1.Account{Login: line(fieldLogin), DisplayName: line(fieldName), OidcSubject: line(fieldSubject), Etag: q.Get(fieldEtag)}
	for _, value := range q[fieldGrant] {
		role, scope, ok := strings.Cut(value, " ")
		if ok && annotationsv1.Role_value[role] != 0 && !slices.ContainsFunc(account.GetGrants(), func(g *identityv1.Grant) bool { return valueOf(g) == value }) {
			account.Grants = append(account.Grants, &identityv1.Grant{Role: annotationsv1.Role(annotationsv1.Role_value[role]), Scope: scope})
		}
	}
	return account
}

func valueOf(g *identityv1.Grant) string { return g.GetRole().String() + " " + g.GetScope() }

func checkAccount(v *workbench.Visit, account *identityv1.Account) {
	if account.GetLogin() == "" {
		v.Add(fieldLogin, v.Say("administration.problem.login"))
	}
	if account.GetDisplayName() == "" {
		v.Add(fieldName, v.Say("administration.problem.name"))
	}
}

// person shows an account, and changes it.
func (a *Administration) person(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := within(v)
	defer cancel()
	name := v.Node() + "/accounts/" + v.PathValue("id")
	account, err := a.accounts.GetAccount(ctx, &identityv1.GetAccountRequest{Name: name})
	if err != nil {
		return nil, err
	}
	path := root + "persone/" + v.PathValue("id")
	sent := v.Sent()
	if sent == nil {
		return a.showPerson(v, personPage{Account: account, Path: path}), nil
	}
	act := sent.Values.Get(buttonAct)
	switch act {
	case "invita":
		return a.invite(v, account, sent.Values.Get(fieldFactors) != "")
	case "blocca", "sblocca":
		state := map[string]identityv1.Account_State{"blocca": identityv1.Account_SUSPENDED, "sblocca": identityv1.Account_ACTIVE}[act]
		_, err = a.accounts.UpdateAccount(ctx, &identityv1.UpdateAccountRequest{
			Account: &identityv1.Account{Name: name, State: state, Etag: sent.Values.Get(fieldEtag)}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"state"}},
		})
	case "cancella":
		if _, err = a.accounts.DeleteAccount(ctx, &identityv1.DeleteAccountRequest{Name: name}); err == nil {
			return v.Go(root+"persone", "admin_cancella"), nil
		}
	case "salva":
		changed := typedAccount(sent.Values)
		changed.Name = name
		checkAccount(v, changed)
		if len(v.Found) == 0 {
			_, err = a.accounts.UpdateAccount(ctx, &identityv1.UpdateAccountRequest{
				Account: changed, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"login", "display_name", "grants", "oidc_subject"}},
			})
		}
		account.Login, account.DisplayName, account.Grants, account.OidcSubject = changed.GetLogin(), changed.GetDisplayName(), changed.GetGrants(), changed.GetOidcSubject()
	default:
		return nil, site.ErrNoPage
	}
	if err == nil && len(v.Found) == 0 {
		return v.Go(path, "admin_"+act), nil
	}
	if err != nil {
		v.Refused(err, accountFields)
	}
	return a.showPerson(v, personPage{Account: account, Path: path}), nil
}

// invite makes the link with which a person chooses a password, and shows it this once.
func (a *Administration) invite(v *workbench.Visit, account *identityv1.Account, factors bool) (*site.Page, error) {
	ctx, cancel := within(v)
	defer cancel()
	data := personPage{Account: account, Path: root + "persone/" + account.GetName()[strings.LastIndexByte(account.GetName(), '/')+1:]}
	invitation, err := a.accounts.InviteAccount(ctx, &identityv1.InviteAccountRequest{Name: account.GetName(), ResetFactors: factors})
	if err != nil {
		v.Refused(err, nil)
		return a.showPerson(v, data), nil
	}
	query := url.Values{"nodo": {strings.TrimPrefix(v.Node(), "nodes/")}, "codice": {invitation.GetCode()}}
	data.Link, data.Until = v.BaseURL()+"/accesso/invito?"+query.Encode(), invitation.GetExpireTime().AsTime()
	return a.showPerson(v, data), nil
}

func (a *Administration) showPerson(v *workbench.Visit, data personPage) *site.Page {
	data.Own = data.GetName() == v.Account.GetName()
	given := map[string]bool{}
	for _, g := range data.GetGrants() {
		given[valueOf(g)] = true
	}
	add := func(over, scope string, roles ...annotationsv1.Role) {
		for _, role := range roles {
			value := role.String() + " " + scope
			data.Rights = append(data.Rights, right{Value: value, Role: role, Over: over, Given: given[value]})
		}
	}
	if comune := "comuni/" + strings.TrimPrefix(v.Node(), "nodes/"); v.Comune == comune {
		add("comune", comune, annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_PLANNER, annotationsv1.Role_SUPPORT_DESK, annotationsv1.Role_READER)
		a.bodies(v, &data, given)
	}
	add("rete", "comuni/-", annotationsv1.Role_READER)
	add("nodo", v.Node(), annotationsv1.Role_NODE_ADMINISTRATOR, annotationsv1.Role_AUDITOR)
	title := data.GetDisplayName()
	if data.New || title == "" {
		title = v.Say("administration.newcomer")
	}
	page := show(v, "person", title, data)
	page.Crumbs = append(page.Crumbs, site.Link{Path: root + "persone", Text: v.Say("administration.people")})
	page.Scripts = []string{"copy.js"}
	return page
}

// bodies are those whose cards somebody else may keep: what cannot be listed now is not worth refusing the page for.
func (a *Administration) bodies(v *workbench.Visit, data *personPage, given map[string]bool) {
	titles := map[string]string{}
	answer, err := a.organizations.ListOrganizations(v.Upstream(), &registryv1.ListOrganizationsRequest{Parent: v.Comune, PageSize: 1000})
	if err == nil {
		for _, one := range answer.GetOrganizations() {
			titles[one.GetName()] = one.GetTitle().GetIt()
			r := right{Value: annotationsv1.Role_EDITOR.String() + " " + one.GetName(), Role: annotationsv1.Role_EDITOR, Over: "ente", Title: one.GetTitle().GetIt()}
			if !given[r.Value] {
				data.Others = append(data.Others, r)
			}
		}
	}
	slices.SortFunc(data.Others, func(x, y right) int { return strings.Compare(x.Title, y.Title) })
	for _, g := range data.GetGrants() {
		if !strings.Contains(g.GetScope(), "/organizations/") {
			continue
		}
		title := titles[g.GetScope()]
		if title == "" {
			title = g.GetScope()
		}
		data.Bodies = append(data.Bodies, right{Value: valueOf(g), Role: g.GetRole(), Over: "ente", Title: title, Given: true})
	}
}
