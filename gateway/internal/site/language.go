package site

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"cidsistem.example/gateway/internal/wording"
)

type languageKey struct{}

// LanguageOf is the language that the address of a request asks for.
func LanguageOf(ctx context.Context) wording.Language { return languageOf(ctx) }

func languageOf(ctx context.Context) wording.Language {
	if l, ok := ctx.Value(languageKey{}).(wording.Language); ok {
		return l
	}
	return wording.Italian
}

// InLanguage takes the language off the beginning of a path, /ar/servizi/: every page stands below each language at the same path.
// Italian has no prefix.
func InLanguage(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, l := range wording.Languages()[1:] {
			rest, found := strings.CutPrefix(r.URL.Path, "/"+string(l)+"/")
			if !found {
				continue
			}
			r = r.Clone(context.WithValue(r.Context(), languageKey{}, l))
			r.URL.Path, r.URL.RawPath = "/"+rest, ""
			break
		}
		next.ServeHTTP(w, r)
	})
}

// address is a path of the portal in a language.
func address(l wording.Language, path string) string {
	if l == wording.Italian || !strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + string(l) + path
}

type previewKey struct{}

// Previewing lets a page show that it is not published: it leads back to a path. Tag is the language that it is shown in; Italian when
// the portal has no such language.
func Previewing(ctx context.Context, back, tag string) context.Context {
	if l := wording.Language(tag); slices.Contains(wording.Languages(), l) {
		ctx = context.WithValue(ctx, languageKey{}, l)
	}
	return context.WithValue(ctx, previewKey{}, back)
}
