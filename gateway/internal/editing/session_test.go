package editing_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

// door lets somebody in by password and code, and knows no other session than the one that it began.
type door struct {
	identityv1.UnimplementedSessionServiceServer
	role annotationsv1.Role
	away bool
	// revoked: an older session is still good for new tokens, and these for nothing.
	revoked bool
}

func (d *door) SignIn(_ context.Context, r *identityv1.SignInRequest) (*identityv1.SignInResponse, error) {
	if r.GetLogin() != "redazione" || r.GetPassword() != "giusta" {
		return nil, apierror.New(registryv1.ErrorReason_SIGN_IN_REFUSED, "wrong")
	}
	return &identityv1.SignInResponse{Next: &identityv1.SignInResponse_Challenge{Challenge: &identityv1.Challenge{Token: "sfida"}}}, nil
}

func (d *door) AnswerChallenge(_ context.Context, r *identityv1.AnswerChallengeRequest) (*identityv1.Session, error) {
	if r.GetToken() != "sfida" || r.GetTotpCode() != "123456" {
		return nil, apierror.New(registryv1.ErrorReason_SIGN_IN_REFUSED, "wrong")
	}
	end := timestamppb.New(time.Now().Add(time.Hour))
	return &identityv1.Session{
		Account: "nodes/marsala/accounts/a", AccessToken: "nuovo", RefreshToken: "r", AccessExpireTime: end, IdleExpireTime: end, ExpireTime: end,
	}, nil
}

func (d *door) RefreshSession(context.Context, *identityv1.RefreshSessionRequest) (*identityv1.Session, error) {
	if d.away {
		return nil, status.Error(codes.Unavailable, "away")
	}
	if d.revoked {
		end := timestamppb.New(time.Now().Add(time.Hour))
		return &identityv1.Session{Account: "nodes/marsala/accounts/a", AccessToken: "alt", RefreshToken: "session", AccessExpireTime: end, ExpireTime: end}, nil
	}
	return nil, apierror.New(registryv1.ErrorReason_NOT_SIGNED_IN, "it has ended")
}

func (d *door) GetOwnAccount(ctx context.Context, _ *identityv1.GetOwnAccountRequest) (*identityv1.Account, error) {
	if sent, _ := metadata.FromIncomingContext(ctx); !slices.Equal(sent.Get("authorization"), []string{"Bearer nuovo"}) {
		return nil, apierror.New(registryv1.ErrorReason_NOT_SIGNED_IN, "it has ended")
	}
	return &identityv1.Account{
		Name: "nodes/marsala/accounts/a", DisplayName: "Redazione", Grants: []*identityv1.Grant{{Role: d.role, Scope: "comuni/marsala"}},
	}, nil
}

// behind is a portal at which the session has ended.
func behind(t *testing.T, d *door) (*portaltest.Portal, *office, url.Values) {
	t.Helper()
	signed, o := start(t, nil)
	values := form(t, signed.Get(page))
	values.Set("summary.it", "Scritto per\r\nun'ora <i>intera</i>")
	values.Set("_fai", "salva")
	p := portaltest.Start(t, []proto.Message{portaltest.Marsala(), service()}, o.register, func(s *grpc.Server) { identityv1.RegisterSessionServiceServer(s, d) })
	return p, o, values
}

func TestWhatWasTypedIsCarriedThroughSigningIn(t *testing.T) {
	p, o, values := behind(t, &door{role: annotationsv1.Role_EDITOR})
	answer := p.Post(page, values.Encode())
	for _, step := range []map[string]string{
		{"accesso.nodo": "marsala", "accesso.utente": "redazione", "accesso.password": "sbagliata"},
		{"accesso.nodo": "marsala", "accesso.utente": "redazione", "accesso.password": "giusta"},
		{"accesso.codice": "000000"},
		{"accesso.codice": "123 456"},
	} {
		if answer.Status == http.StatusOK || !strings.Contains(answer.Header.Get("Cache-Control"), "no-store") || o.saves > 0 {
			t.Fatalf("before %v: %d, %d saves", step, answer.Status, o.saves)
		}
		action, carried := answer.Form(0)
		if action != page || carried.Get("accesso.password") != "" {
			t.Fatalf("before %v the form leads to %q: %s", step, action, answer.Text())
		}
		for name, value := range step {
			carried.Set(name, value)
		}
		answer = p.Post(page, carried.Encode())
	}
	if answer.Status != http.StatusOK || !strings.Contains(answer.Text(), "Salvata.") || !strings.Contains(answer.Header.Get("Set-Cookie"), "__Host-cid-session=marsala.r") {
		t.Fatalf("%d %s", answer.Status, answer.Text())
	}
	want := service()
	want.Summary = portaltest.Text("Scritto per\nun'ora <i>intera</i>")
	if got := o.says(t); !proto.Equal(want, got) {
		t.Errorf("the draft says %v, want %v", got, want)
	}
}

// A session that was ended elsewhere is no session, even while the gateway remembers it.
func TestASessionEndedElsewhere(t *testing.T) {
	p, _, values := behind(t, &door{revoked: true})
	answer := p.SignedIn().Post(page, values.Encode())
	if action, carried := answer.Form(0); action != page || !carried.Has("accesso.password") || carried.Get("title.it") != "Pulmino" {
		t.Errorf("%d %s", answer.Status, answer.Text())
	}
}

func TestAPageThatWasAskedForIsThereAfterSigningIn(t *testing.T) {
	p, _, _ := behind(t, &door{role: annotationsv1.Role_EDITOR})
	answer := p.Get(page + "/traduzioni?lingua=fr")
	for _, step := range []map[string]string{{"accesso.nodo": "marsala", "accesso.utente": "redazione", "accesso.password": "giusta"}, {"accesso.codice": "123456"}} {
		action, carried := answer.Form(0)
		for name, value := range step {
			carried.Set(name, value)
		}
		answer = p.Post(action, carried.Encode())
	}
	if answer.Status != http.StatusSeeOther || answer.Header.Get("Location") != page+"/traduzioni?lingua=fr" {
		t.Errorf("%d to %q", answer.Status, answer.Header.Get("Location"))
	}
}

// Who signs in without the role, or at a node that is away, has what was typed in a form that tries again.
func TestWhatCannotBeDoneNowIsKept(t *testing.T) {
	t.Run("another role", func(t *testing.T) {
		p, o, values := behind(t, &door{role: annotationsv1.Role_SUPPORT_DESK})
		for name, value := range map[string]string{"accesso.passo": "codice", "accesso.nodo": "marsala", "accesso.token": "sfida", "accesso.codice": "123456"} {
			values.Set(name, value)
		}
		answer := p.Post(page, values.Encode())
		keeps(t, answer, http.StatusForbidden)
		if o.saves > 0 {
			t.Error("it was saved")
		}
	})
	t.Run("a node that is away", func(t *testing.T) {
		p, _, values := behind(t, &door{away: true})
		keeps(t, p.SignedIn().Post(page, values.Encode()), http.StatusServiceUnavailable)
	})
}

func keeps(t *testing.T, answer portaltest.Answer, want int) {
	t.Helper()
	for number := range 4 {
		if action, kept := answer.Form(number); action == page {
			if answer.Status != want || kept.Get("summary.it") != "Scritto per\nun'ora <i>intera</i>" && kept.Get("summary.it") != "Scritto per\r\nun'ora <i>intera</i>" || kept.Has("accesso.codice") {
				t.Errorf("%d, want %d, keeps %v", answer.Status, want, kept)
			}
			return
		}
	}
	t.Errorf("%d: no form tries again: %s", answer.Status, answer.Text())
}
