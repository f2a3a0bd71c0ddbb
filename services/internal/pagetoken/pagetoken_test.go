package pagetoken_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
)

var list = &registryv1.ListServicesRequest{Parent: "comuni/-", ShowDeleted: true}

func TestTokensComeBackAsTheyWere(t *testing.T) {
	for _, token := range []pagetoken.Token{
		{},
		{Comune: "marsala"}, // from its beginning: no key
		{Comune: "marsala", Key: []byte("services\x00marsala\x00trasporto")},
		{Comune: "mazara-del-vallo", Live: true, Key: []byte("token of the node")},
	} {
		got, err := pagetoken.Decode(list, pagetoken.Encode(list, token))
		if err != nil {
			t.Errorf("%+v: %v", token, err)
		}
		if diff := cmp.Diff(token, got); diff != "" {
			t.Errorf("changed on the way (-encoded +decoded):\n%s", diff)
		}
	}
}

func TestTokensFitTheirListOnly(t *testing.T) {
	text := pagetoken.Encode(list, pagetoken.Token{Comune: "marsala", Key: []byte("x")})
	if _, err := pagetoken.Decode(&registryv1.ListServicesRequest{Parent: "comuni/-", ShowDeleted: true, PageSize: 3, PageToken: text}, text); err != nil {
		t.Errorf("another page size: %v", err)
	}
	for what, other := range map[string]*registryv1.ListServicesRequest{
		"another parent": {Parent: "comuni/marsala", ShowDeleted: true},
		"another filter": {Parent: "comuni/-"},
	} {
		if _, err := pagetoken.Decode(other, text); apierror.Reason(err) != registryv1.ErrorReason_INVALID_PAGE_TOKEN {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := pagetoken.Decode(&registryv1.ListPlansRequest{Parent: "comuni/-", ShowDeleted: true}, text); apierror.Reason(err) != registryv1.ErrorReason_INVALID_PAGE_TOKEN {
		t.Errorf("a list of another kind: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, token := range []pagetoken.Token{{}, {Comune: "marsala", Key: []byte("k")}, {Comune: "marsala", Live: true}} {
		f.Add(pagetoken.Encode(list, token))
	}
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := pagetoken.Decode(list, text)
		if err != nil && apierror.Reason(err) != registryv1.ErrorReason_INVALID_PAGE_TOKEN {
			t.Fatal(err)
		}
		if err == nil && text != "" && pagetoken.Encode(list, token) != text {
			t.Errorf("%q is another spelling of %+v", text, token)
		}
	})
}
