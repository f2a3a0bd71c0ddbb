package federationtest_test

import (
	"testing"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/services/internal/store"
)

// raw reads the stored bytes of a record.
func raw(t *testing.T, s *store.Store, name catalog.Name) []byte {
	t.Helper()
	var body []byte
	if err := s.View(func(r store.Reader) (err error) { body, err = r.Raw(name); return err }); err != nil {
		t.Fatal(err)
	}
	return body
}
