package identity_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cidsistem.example/services/platform/identity"
)

func TestParseID(t *testing.T) {
	for _, test := range []struct {
		text    string
		want    identity.ID
		wantErr string
	}{
		{text: "spiffe://cidsistem.example/comune/pantelleria", want: identity.ID{TrustDomain: "cidsistem.example", Role: identity.RoleComune, Name: "pantelleria"}},
		{text: "spiffe://cidsistem.example/ufficio/centrale-2", want: identity.ID{TrustDomain: "cidsistem.example", Role: identity.RoleUfficio, Name: "centrale-2"}},
		{text: "", wantErr: "not spiffe://TRUST-DOMAIN/ROLE/NAME"},
		{text: "https://cidsistem.example/comune/pantelleria", wantErr: "not spiffe://TRUST-DOMAIN/ROLE/NAME"},
		{text: "spiffe://CIDSISTEM.example/comune/pantelleria", wantErr: "not spiffe://TRUST-DOMAIN/ROLE/NAME"},
		{text: "spiffe://cidsistem.example/comune/../admin/x", wantErr: "not spiffe://TRUST-DOMAIN/ROLE/NAME"},
		{text: "spiffe://cidsistem.example", wantErr: "two parts ROLE/NAME"},
		{text: "spiffe://cidsistem.example/comune", wantErr: "two parts ROLE/NAME"},
		{text: "spiffe://cidsistem.example/comune/pantelleria/scauri", wantErr: "two parts ROLE/NAME"},
		{text: "spiffe://cidsistem.example/regione/sicilia", wantErr: `unknown role "regione"`},
	} {
		t.Run(test.text, func(t *testing.T) {
			got, err := identity.ParseID(test.text)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("ParseID = %v, %v, want an error with %q", got, err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatalf("ParseID: %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ParseID (-want +got):\n%s", diff)
			}
			if got.String() != test.text {
				t.Errorf("String = %q, want %q", got, test.text)
			}
		})
	}
}

func TestValidateRefusesSeparatorsInParts(t *testing.T) {
	for _, id := range []identity.ID{
		{TrustDomain: "cidsistem.example/comune", Role: identity.RoleAdmin, Name: "x"},
		{TrustDomain: "cidsistem.example", Role: "comune/x", Name: "y"},
		{TrustDomain: "cidsistem.example", Role: identity.RoleComune, Name: "x/y"},
		{TrustDomain: "cidsistem.example", Role: identity.RoleComune, Name: ".."},
		{TrustDomain: "cidsistem.example", Role: identity.RoleComune},
	} {
		if err := id.Validate(); err == nil {
			t.Errorf("%+v was accepted", id)
		}
	}
}

func TestNoPeerOutsideACall(t *testing.T) {
	if id, ok := identity.PeerID(context.Background()); ok {
		t.Errorf("PeerID = %v, want none", id)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("spiffe://cidsistem.example/comune/pantelleria")
	f.Add("spiffe://cidsistem.example/comune//")
	f.Add("spiffe:///admin/x")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := identity.ParseID(text)
		if err != nil {
			return
		}
		if id.String() != text {
			t.Errorf("ParseID(%q).String() = %q", text, id)
		}
		if err := id.Validate(); err != nil {
			t.Errorf("a parsed ID is not valid: %v", err)
		}
	})
}
