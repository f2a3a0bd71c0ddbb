package site

import (
	"crypto/sha256"
	"encoding/hex"
	"html"
	"html/template"
	"strings"

	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// A Text is what a page in a language says of a localised text.
type Text struct {
	Text string
	// Language that the text is really in.
	Language wording.Language
	// Stale: the Italian text has changed since the translation, or nobody has reviewed it.
	Stale bool
}

// In chooses the text for a language: the translation, or the Italian text where there is none.
func In(l wording.Language, text *registryv1.LocalizedText) Text {
	if l != wording.Italian {
		if translation := text.GetTranslations()[string(l)]; translation.GetText() != "" {
			return Text{translation.GetText(), l, stale(text, translation)}
		}
	}
	return Text{Text: text.GetIt(), Language: wording.Italian}
}

// Easy is the easy-to-read version of a text, for a reader of Italian; false when there is none, or it renders an older text.
func Easy(text *registryv1.LocalizedText) (string, bool) {
	easy := text.GetEasyRead()
	return easy.GetText(), easy.GetText() != "" && !outdated(text, easy)
}

func stale(text *registryv1.LocalizedText, rendition *registryv1.Translation) bool {
	return rendition.GetReviewTime() == nil || outdated(text, rendition)
}

func outdated(text *registryv1.LocalizedText, rendition *registryv1.Translation) bool {
	if rendition.GetSourceDigest() == "" {
		return false
	}
	digest := sha256.Sum256([]byte(text.GetIt()))
	return rendition.GetSourceDigest() != hex.EncodeToString(digest[:])
}

// localized takes what templates have: a localised text, or an Italian one.
func localized(text any) *registryv1.LocalizedText {
	switch t := text.(type) {
	case *registryv1.LocalizedText:
		return t
	case string:
		return &registryv1.LocalizedText{It: t}
	}
	return nil
}

// attributes of the element around a text that is not in the page's language.
func (t Text) attributes(page wording.Language) string {
	if t.Language == page {
		return ""
	}
	return ` lang="` + string(t.Language) + `" dir="` + t.Language.Direction() + `"`
}

// Inline writes a text inside a line, marked where it is in another language than the page.
func Inline(page wording.Language, text *registryv1.LocalizedText) template.HTML {
	chosen := In(page, text)
	escaped := html.EscapeString(chosen.Text)
	if mark := chosen.attributes(page); mark != "" {
		escaped = "<span" + mark + ">" + escaped + "</span>"
	}
	return template.HTML(escaped) //nolint:gosec // escaped above
}

// Prose writes a text as paragraphs: an empty line ends one, a line break stays one.
func Prose(page wording.Language, text *registryv1.LocalizedText) template.HTML {
	chosen := In(page, text)
	return paragraphs(chosen.Text, chosen.attributes(page))
}

func paragraphs(text, attributes string) template.HTML {
	var out strings.Builder
	for part := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if part = strings.TrimSpace(part); part != "" {
			out.WriteString("<p" + attributes + ">" + strings.ReplaceAll(html.EscapeString(part), "\n", "<br>") + "</p>")
		}
	}
	return template.HTML(out.String()) //nolint:gosec // escaped above
}

// Mark says how honest a page must be about its translation.
type Mark struct {
	// Missing: a part of the page is in Italian for lack of a translation.
	Missing bool
	// Stale: a translation is older than the Italian text, or nobody reviewed it.
	Stale bool
}

// Translated looks at the texts of a page.
func Translated(l wording.Language, texts ...*registryv1.LocalizedText) Mark {
	var mark Mark
	if l == wording.Italian {
		return mark
	}
	for _, text := range texts {
		if text.GetIt() == "" {
			continue
		}
		chosen := In(l, text)
		mark.Missing = mark.Missing || chosen.Language != l
		mark.Stale = mark.Stale || chosen.Stale
	}
	return mark
}
