package importing

import "testing"

func TestSourceOf(t *testing.T) {
	for name, want := range map[string]string{
		"Elenco Servizi 2026-03.xlsx":   "elenco-servizi",
		"elenco_servizi_v2 (copia).csv": "elenco-servizi",
		"Attività è già qui.ods":        "attivita-e-gia-qui",
		"2026.csv":                      "foglio-del-comune",
		"":                              "foglio-del-comune",
		".csv":                          "csv",
		"الخدمات.csv":                   "foglio-del-comune",
		"a.csv":                         "foglio-del-comune",
		"<script>alert(1)</script>.csv": "script-alert-script",
		"un nome davvero molto molto lungo che non finisce piu.csv": "un-nome-davvero-molto-molto-lungo-che-non",
	} {
		if got := sourceOf(name); got != want || !sourceForm.MatchString(got) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzSourceOf(f *testing.F) {
	f.Add("Elenco.xlsx")
	f.Fuzz(func(t *testing.T, name string) {
		if got := sourceOf(name); !sourceForm.MatchString(got) {
			t.Errorf("%q: %q", name, got)
		}
	})
}
