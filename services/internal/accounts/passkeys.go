package accounts

import (
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
)

// product is what an authenticator shows.
const product = "CID SISTEM"

// A RelyingParty is the site for which passkeys are made.
type RelyingParty struct {
	// ID is the domain, for example "cid.example"; empty: there are no passkeys.
	ID string `yaml:"id"`
	// Origins are those of the pages that ask for passkeys, for example
	// "https://cid.example".
	Origins []string `yaml:"origins"`
}

func (r RelyingParty) open() (*webauthn.WebAuthn, error) {
	if r.ID == "" {
		return nil, nil
	}
	return webauthn.New(&webauthn.Config{
		RPID: r.ID, RPDisplayName: product, RPOrigins: r.Origins,
		AttestationPreference: protocol.PreferNoAttestation,
		// A passkey that can be found without a login, and that knows its user, signs
		// in alone; one that cannot is a second factor all the same.
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred,
		},
	})
}

func errNoPasskeys() error {
	return apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "there are no passkeys at this server: its settings name no relying party")
}

// A passkeyUser is an account as WebAuthn sees it. The handle is the account's id,
// which says nothing of the person.
type passkeyUser struct{ *account }

func (u passkeyUser) WebAuthnID() []byte          { return []byte(u.ID) }
func (u passkeyUser) WebAuthnName() string        { return u.Login }
func (u passkeyUser) WebAuthnDisplayName() string { return u.DisplayName }

func (u passkeyUser) WebAuthnCredentials() []webauthn.Credential {
	var list []webauthn.Credential
	for _, f := range u.Factors {
		if f.Passkey != nil {
			list = append(list, *f.Passkey)
		}
	}
	return list
}

// askPasskey makes what a browser needs to use a passkey of an account.
func (a *Accounts) askPasskey(acc *account) (options, challenge string, err error) {
	return asked(a.passkeys.BeginLogin(passkeyUser{acc}, webauthn.WithUserVerification(protocol.VerificationPreferred)))
}

// askAnyPasskey makes what a browser needs to use whatever passkey it has.
func (a *Accounts) askAnyPasskey() (options, challenge string, err error) {
	return asked(a.passkeys.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired)))
}

func asked(assertion *protocol.CredentialAssertion, begun *webauthn.SessionData, err error) (options, challenge string, _ error) {
	if err != nil {
		return "", "", fmt.Errorf("ask for a passkey: %w", err)
	}
	text, err := json.Marshal(assertion)
	return string(text), begun.Challenge, err
}

// askNewPasskey makes what a browser needs to make a passkey for an account.
func (a *Accounts) askNewPasskey(acc *account) (options, challenge string, err error) {
	user := passkeyUser{acc}
	creation, begun, err := a.passkeys.BeginRegistration(user, webauthn.WithExclusions(webauthn.Credentials(user.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return "", "", fmt.Errorf("ask for a new passkey: %w", err)
	}
	text, err := json.Marshal(creation)
	return string(text), begun.Challenge, err
}

// newPasskey verifies a credential that a browser made.
func (a *Accounts) newPasskey(acc *account, challenge, answer string) (*webauthn.Credential, error) {
	response, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return nil, err
	}
	return a.passkeys.CreateCredential(passkeyUser{acc}, webauthn.SessionData{
		Challenge: challenge, RelyingPartyID: a.passkeys.Config.RPID, UserID: []byte(acc.ID),
		UserVerification: protocol.VerificationPreferred, CredParams: webauthn.CredentialParametersDefault(),
	}, response)
}
