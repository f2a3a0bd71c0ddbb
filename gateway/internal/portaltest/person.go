package portaltest

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
)

// sessionCookie is that of the only session that there is.
const sessionCookie = "__Host-cid-session=marsala.session"

// Person makes the registry know somebody of Marsala with some roles over the comune, for a portal that is [Portal.SignedIn].
func Person(roles ...annotationsv1.Role) func(*grpc.Server) {
	account := &identityv1.Account{Name: "nodes/marsala/accounts/redazione", DisplayName: "Redazione"}
	for _, role := range roles {
		account.Grants = append(account.Grants, &identityv1.Grant{Role: role, Scope: "comuni/marsala"})
	}
	return func(s *grpc.Server) { identityv1.RegisterSessionServiceServer(s, session{account: account}) }
}

type session struct {
	identityv1.UnimplementedSessionServiceServer
	account *identityv1.Account
}

// RefreshSession goes on with the session.
func (s session) RefreshSession(_ context.Context, request *identityv1.RefreshSessionRequest) (*identityv1.Session, error) {
	end := timestamppb.New(time.Now().Add(time.Hour))
	return &identityv1.Session{
		Account: s.account.GetName(), DisplayName: s.account.GetDisplayName(), Grants: s.account.GetGrants(), AccessToken: "access",
		RefreshToken: request.GetRefreshToken(), AccessExpireTime: end, IdleExpireTime: end, ExpireTime: end,
	}, nil
}

// GetOwnAccount is that of the person.
func (s session) GetOwnAccount(context.Context, *identityv1.GetOwnAccountRequest) (*identityv1.Account, error) {
	return s.account, nil
}

// SignedIn is the portal as the person of [Person] sees it.
func (p *Portal) SignedIn() *Portal {
	in := *p
	in.cookie = sessionCookie
	return &in
}
