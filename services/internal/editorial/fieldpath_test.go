package editorial_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/editorial"
)

// FuzzSetPath gives a record whatever somebody of the public may propose. What is
// refused changes nothing that can be read; what is not leaves a record that can
// be stored, and says the same when it is said again.
func FuzzSetPath(f *testing.F) {
	for _, seed := range [][3]string{
		{"services", "title", "Trasporto"},
		{"services", "contacts[0].value", "0923"},
		{"services", "contacts[1]", `{"kind":"PHONE"}`},
		{"organizations", "title.translations", `{"en":{"text":"x"}}`},
		{"services", "status.state", "ACTIVE"},
		{"services", "contacts", "[]"},
		{"locations", "address.municipality", "null"},
		{"plans", "firstYear", "2025"},
		{"services", "provenance.verifyTime", "2026-01-01T00:00:00Z"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, collection, path, value string) {
		kind := catalog.ByCollection(collection)
		if kind == nil {
			return
		}
		record := kind.New()
		if service, ok := record.(*registryv1.Service); ok {
			service.Title, service.Contacts = italian("Titolo"), []*registryv1.ContactPoint{phone("0923 111111")}
		}
		name := catalog.RecordOf(record).Name()
		if editorial.SetPath(record, path, value) != nil {
			return
		}
		if catalog.RecordOf(record).Name() != name {
			t.Errorf("%q changed the name", path)
		}
		if _, err := proto.Marshal(record); err != nil {
			return // text that is no UTF-8, which no message brings in
		}
		said := editorial.TextAt(record, path)
		again := proto.Clone(record)
		if said != "" && editorial.SetPath(again, path, said) == nil && !proto.Equal(again, record) {
			t.Errorf("%q says %q, which is another value:\n%v\n%v", path, said, record, again)
		}
	})
}
