package search_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/search"
)

func suggest(t *testing.T, x *search.Index, req *registryv1.SuggestRequest) []*registryv1.SuggestResponse_Suggestion {
	t.Helper()
	suggestions, err := x.Suggest(t.Context(), req, public)
	if err != nil {
		t.Fatal(err)
	}
	return suggestions
}

func TestSuggest(t *testing.T) {
	x := indexOf(t,
		service("ceramica", "Laboratorio di ceramica", called("vasi e tornio")),
		service("citta", "Città dei ragazzi"),
		service("trasporto", "Trasporto sociale", in("pantelleria")),
		&registryv1.Event{Name: "comuni/marsala/events/mostra", Title: it("Mostra di ceramica")},
	)
	for _, test := range []struct {
		name string
		req  *registryv1.SuggestRequest
		want []string // texts that must be there
		not  []string
	}{
		{"first word", &registryv1.SuggestRequest{Q: "lab"}, []string{"Laboratorio di ceramica"}, []string{"Città dei ragazzi"}},
		{"any word", &registryv1.SuggestRequest{Q: "cer"}, []string{"Laboratorio di ceramica", "Mostra di ceramica"}, nil},
		{"several words", &registryv1.SuggestRequest{Q: "laboratorio di cer"}, []string{"Laboratorio di ceramica"}, []string{"Mostra di ceramica"}},
		{"one letter", &registryv1.SuggestRequest{Q: "m"}, []string{"Mostra di ceramica"}, nil},
		{"a beginning that is a stop word", &registryv1.SuggestRequest{Q: "c"}, []string{"Città dei ragazzi"}, nil},
		{"accents", &registryv1.SuggestRequest{Q: "CITTA"}, []string{"Città dei ragazzi"}, nil},
		{"keywords", &registryv1.SuggestRequest{Q: "tor"}, []string{"vasi e tornio"}, nil},
		{"errors from four letters on", &registryv1.SuggestRequest{Q: "cerq"}, []string{"Laboratorio di ceramica"}, nil},
		{"a letter too few", &registryv1.SuggestRequest{Q: "labrat"}, []string{"Laboratorio di ceramica"}, nil},
		{"a wrong letter", &registryv1.SuggestRequest{Q: "labqrat"}, []string{"Laboratorio di ceramica"}, nil},
		{"a letter too many", &registryv1.SuggestRequest{Q: "labborat"}, []string{"Laboratorio di ceramica"}, nil},
		{"swapped letters", &registryv1.SuggestRequest{Q: "laboartor"}, []string{"Laboratorio di ceramica"}, nil},
		{"no errors in three", &registryv1.SuggestRequest{Q: "ceq"}, nil, []string{"Laboratorio di ceramica", "Mostra di ceramica"}},
		{"everyday words that find something", &registryv1.SuggestRequest{Q: "pulm"}, []string{"pulmino"}, nil},
		{"not those that find nothing", &registryv1.SuggestRequest{Q: "badan"}, nil, []string{"badante"}},
		{"nor outside the comune", &registryv1.SuggestRequest{Q: "pulm", Comuni: []string{"marsala"}}, nil, []string{"pulmino"}},
		{"only of a kind", &registryv1.SuggestRequest{Q: "cer", Kinds: []string{"events"}}, []string{"Mostra di ceramica"}, []string{"Laboratorio di ceramica"}},
		{"only of a comune", &registryv1.SuggestRequest{Q: "tras", Comuni: []string{"marsala"}}, nil, []string{"Trasporto sociale"}},
		{"signs", &registryv1.SuggestRequest{Q: "*"}, nil, []string{"Mostra di ceramica"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var texts []string
			for _, s := range suggest(t, x, test.req) {
				if slices.Contains(texts, s.Text) {
					t.Errorf("%q is suggested twice", s.Text)
				}
				texts = append(texts, s.Text)
			}
			for _, want := range test.want {
				if !slices.Contains(texts, want) {
					t.Errorf("suggested %q, want %q among them", texts, want)
				}
			}
			for _, not := range test.not {
				if slices.Contains(texts, not) {
					t.Errorf("suggested %q, want %q not among them", texts, not)
				}
			}
		})
	}
	for _, s := range suggest(t, x, &registryv1.SuggestRequest{Q: "mostra"}) {
		if s.Name != "comuni/marsala/events/mostra" || s.Kind != "events" || s.Comune != "marsala" {
			t.Errorf("suggested %v", s)
		}
	}
}

func TestSuggestLimits(t *testing.T) {
	var records []proto.Message
	for i := range 40 {
		records = append(records, service(fmt.Sprintf("s%02d", i), fmt.Sprintf("Ceramica %d", i), called("ceramica", "Cerámica")))
	}
	x := indexOf(t, records...)
	for limit, want := range map[int32]int{0: 8, 1: 1, 5: 5, 20: 20, 1000: 20} {
		got := suggest(t, x, &registryv1.SuggestRequest{Q: "cera", Limit: limit})
		if len(got) != want {
			t.Errorf("limit %d: %d suggestions, want %d", limit, len(got), want)
		}
		if got[0].Text != "ceramica" || got[0].Name != "" {
			t.Errorf("first of %d is %v, want the keyword", limit, got[0])
		}
		for _, s := range got[1:] {
			if s.Name == "" {
				t.Errorf("limit %d: the keyword is there again: %v", limit, s)
			}
		}
	}
}
