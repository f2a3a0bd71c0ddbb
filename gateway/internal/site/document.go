package site

import (
	"context"
	"mime"
	"net/http"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/wording"
)

// A Document is an answer that is no page: a feed, a calendar.
type Document struct {
	// MediaType with its parameters.
	MediaType string
	// FileName under which it is saved; empty: it is read, not saved.
	FileName string
	Body     []byte
}

// Serve makes an HTTP handler that answers with a document, and with an understandable page when something is wrong.
func (c *Section) Serve(h func(*Request) (*Document, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, plain *http.Request) {
		ctx, cancel := context.WithTimeout(plain.Context(), answerWithin)
		defer cancel()
		r := &Request{Request: plain.WithContext(ctx), Language: languageOf(ctx), site: c.site}
		document, err := h(r)
		if err != nil {
			c.site.failed(w, r, err)
			return
		}
		w.Header().Set("Content-Language", string(r.Language))
		if document.FileName != "" {
			w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": document.FileName}))
		}
		edge.Rendered(w, r.Request, http.StatusOK, document.MediaType, document.Body)
	})
}

// Address is an absolute address of the portal in the language of the request; the path has no language.
func (r *Request) Address(path string) string { return r.BaseURL() + address(r.Language, path) }

// Path is a path of the portal in a language.
func Path(l wording.Language, path string) string { return address(l, path) }
