package contact_test

import (
	"testing"

	"cidsistem.example/proto/contact"
)

func TestIsTelephone(t *testing.T) {
	for text, want := range map[string]bool{"0923 993111": true, "+39 (0923) 993-111": true, "123456": true, "12345": false, "": false, "chiamami": false} {
		if contact.IsTelephone(text) != want {
			t.Errorf("%q: not %v", text, want)
		}
	}
}

func TestIsEmail(t *testing.T) {
	for text, want := range map[string]bool{
		"a@example.org": true, "a.b+c@sub.example.org": true, "a@example": false, "@example.org": false, "a@.org": false, "a example@example.org": false, "a\r@example.org": false, "": false,
	} {
		if contact.IsEmail(text) != want {
			t.Errorf("%q: not %v", text, want)
		}
	}
}
