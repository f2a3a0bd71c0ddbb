package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
)

// A Person is an account of the demo.
type Person struct {
	// Node keeps the account: "nodes/{node}".
	Node string `yaml:"node"`
	// Login and Password are for signing in.
	Login    string `yaml:"login"`
	Password string `yaml:"password"`
	// Roles of the person with what they are over: "EDITOR comuni/marsala".
	Roles []string `yaml:"roles"`
}

// A post is what somebody does at a comune; its login names it, not a person.
type post struct {
	login, title string
	grants       []*identityv1.Grant
}

// newsroom is the login of the post that has all roles over the records of its
// comune and its desk: for programs, and for who tries the demo.
const newsroom = "redazione"

// newsroomOf is that post of a comune.
func newsroomOf(comune Comune) post {
	p := post{login: newsroom, title: "Redazione di " + comune.Title}
	for _, role := range []annotationsv1.Role{
		annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_PLANNER, annotationsv1.Role_SUPPORT_DESK,
	} {
		p.grants = append(p.grants, &identityv1.Grant{Role: role, Scope: "comuni/" + comune.ID})
	}
	p.grants = append(p.grants, &identityv1.Grant{Role: annotationsv1.Role_AUDITOR, Scope: "nodes/" + comune.ID})
	return p
}

// staff are the posts with one role each, as a comune has them.
func staff(comune Comune) []post {
	one := func(login, title string, role annotationsv1.Role, scope string) post {
		return post{login, title, []*identityv1.Grant{{Role: role, Scope: scope}}}
	}
	records, node := "comuni/"+comune.ID, "nodes/"+comune.ID
	posts := []post{
		one("redattrice", "Redattrice di "+comune.Title, annotationsv1.Role_EDITOR, records),
		one("pubblicatore", "Pubblicatore di "+comune.Title, annotationsv1.Role_PUBLISHER, records),
		one("sportello", "Sportello di "+comune.Title, annotationsv1.Role_SUPPORT_DESK, records),
		one("programmazione", "Programmazione di "+comune.Title, annotationsv1.Role_PLANNER, records),
		one("amministrazione", "Amministrazione del nodo di "+comune.Title, annotationsv1.Role_NODE_ADMINISTRATOR, node),
		one("controllo", "Controllo del registro di "+comune.Title, annotationsv1.Role_AUDITOR, node),
	}
	if comune.Association != "" {
		posts = append(posts, one("delegata", "Delegata di un'associazione", annotationsv1.Role_EDITOR, records+"/organizations/"+comune.Association))
	}
	return posts
}

// PeopleFile is where the accounts of a demo are written down.
func PeopleFile(dir string) string { return filepath.Join(dir, "people.yaml") }

// ReadPeople reads the accounts of the demo in a folder: that with all roles by
// comune, those with one by "comune/login".
func ReadPeople(dir string) (map[string]Person, error) {
	people := map[string]Person{}
	text, err := os.ReadFile(PeopleFile(dir))
	if err != nil {
		return people, err
	}
	return people, yaml.Unmarshal(text, &people)
}

// enrol makes the accounts, once.
func (f *Federation) enrol(ctx context.Context) error {
	people, err := ReadPeople(f.options.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the accounts of the demo: %w", err)
	}
	for _, comune := range Comuni {
		posts := map[string]post{comune.ID: newsroomOf(comune)}
		if f.options.Workbench {
			for _, p := range staff(comune) {
				posts[comune.ID+"/"+p.login] = p
			}
		}
		for key, p := range posts {
			if _, known := people[key]; known {
				continue
			}
			if people[key], err = f.makePerson(ctx, comune, p); err != nil {
				return fmt.Errorf("make the account %s at %s: %w", p.login, comune.Title, err)
			}
		}
	}
	text, err := yaml.Marshal(people)
	if err != nil {
		return err
	}
	if err := os.WriteFile(PeopleFile(f.options.Dir), text, 0o600); err != nil {
		return fmt.Errorf("write the accounts of the demo down: %w", err)
	}
	f.people = people
	return nil
}

func (f *Federation) makePerson(ctx context.Context, comune Comune, does post) (Person, error) {
	p := Person{Node: "nodes/" + comune.ID, Login: does.login, Password: rand.Text()}
	for _, grant := range does.grants {
		p.Roles = append(p.Roles, grant.GetRole().String()+" "+grant.GetScope())
	}
	conn, err := f.LocalConn(comune.ID)
	if err != nil {
		return p, err
	}
	accounts := identityv1.NewAccountServiceClient(conn)
	account, err := accountOf(ctx, accounts, p.Node, does)
	if err != nil {
		return p, err
	}
	invitation, err := accounts.InviteAccount(ctx, &identityv1.InviteAccountRequest{Name: account.GetName()})
	if err != nil {
		return p, err
	}
	_, err = identityv1.NewSessionServiceClient(conn).RedeemInvitation(ctx, &identityv1.RedeemInvitationRequest{
		Parent: p.Node, Code: invitation.GetCode(), Password: p.Password,
	})
	return p, err
}

// accountOf makes the account, or finds it in data of an earlier demo whose
// passwords were lost.
func accountOf(ctx context.Context, accounts identityv1.AccountServiceClient, node string, does post) (*identityv1.Account, error) {
	known, err := accounts.ListAccounts(ctx, &identityv1.ListAccountsRequest{Parent: node, PageSize: 1000})
	if err != nil {
		return nil, err
	}
	for _, account := range known.GetAccounts() {
		if account.GetLogin() == does.login {
			return account, nil
		}
	}
	return accounts.CreateAccount(ctx, &identityv1.CreateAccountRequest{
		Parent: node, Account: &identityv1.Account{Login: does.login, DisplayName: does.title, Grants: does.grants},
	})
}

// SignIn signs in at the gateway of the demo that runs, and returns an access
// token.
func SignIn(ctx context.Context, options Options, comune string) (string, error) {
	people, err := ReadPeople(options.Dir)
	if err != nil {
		return "", fmt.Errorf("no demo has run in %s yet: %w", options.Dir, err)
	}
	p, known := people[comune]
	if !known {
		return "", fmt.Errorf("the demo has no comune %q", comune)
	}
	body, err := protojson.Marshal(&identityv1.SignInRequest{Login: p.Login, Password: p.Password})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+options.HTTP+"/v1/"+p.Node+":signIn", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("is the demo running? %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("sign in at %s: %s: %s", comune, response.Status, text)
	}
	answer := &identityv1.SignInResponse{}
	if err := protojson.Unmarshal(text, answer); err != nil {
		return "", err
	}
	return answer.GetSession().GetAccessToken(), nil
}

// People are the accounts of the demo, as [ReadPeople] has them.
func (f *Federation) People() map[string]Person { return f.people }

// Token is an access token of the account of a comune, good for some minutes at
// its node and at the ufficio comune.
func (f *Federation) Token(ctx context.Context, comune string) (string, error) {
	f.mu.Lock()
	known := f.sessions[comune]
	f.mu.Unlock()
	if time.Until(known.GetAccessExpireTime().AsTime()) > time.Minute {
		return known.GetAccessToken(), nil
	}
	conn, err := f.Conn(Office)
	if err != nil {
		return "", err
	}
	p := f.people[comune]
	answer, err := identityv1.NewSessionServiceClient(conn).SignIn(ctx, &identityv1.SignInRequest{Parent: p.Node, Login: p.Login, Password: p.Password})
	if err != nil {
		return "", fmt.Errorf("sign in at %s: %w", comune, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions[comune] = answer.GetSession()
	return answer.GetSession().GetAccessToken(), nil
}
