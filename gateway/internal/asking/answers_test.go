package asking

import (
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzAnswers: whatever a browser sends becomes text that the contract admits, and is the same when it comes back from a hidden field.
func FuzzAnswers(f *testing.F) {
	for _, text := range []string{"", "due\r\nrighe", "3/5/2026", "2026-02-30", "comuni/marsala/services/trasporto", "\x00\xff\x7f", "<script>"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sent := url.Values{}
		for _, name := range typed {
			sent.Set(name, text)
		}
		a := answersOf(sent)
		again := url.Values{}
		for name, value := range a {
			if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return unicode.Is(unicode.Cc, r) && r != '\n' && r != '\t' && r < 0x80 }) {
				t.Errorf("%s is %q", name, value)
			}
			again.Set(name, value)
		}
		for name, value := range answersOf(again) {
			if a[name] != value {
				t.Errorf("%s is %q, and %q when it comes back", name, a[name], value)
			}
		}
		if day, ok := dateOf(text); ok && (partial(day).GetMonth() < 1 || partial(day).GetDay() < 1) {
			t.Errorf("%q is %v", text, day)
		}
		a.subject()
		a.record()
	})
}
