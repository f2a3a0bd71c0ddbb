package site

import (
	"context"
	"mime"
	"net/http"
	"time"

	"cidsistem.example/gateway/internal/edge"
)

// A Download is a file that everybody may have. Close is called when it has been sent.
type Download struct {
	edge.Ready

	// FileName under which it is saved.
	FileName string
	Close    func()
}

// Download makes an HTTP handler that answers with a file, which may take some time to make, and with an understandable page when
// something is wrong.
func (c *Section) Download(within time.Duration, h func(*Request) (*Download, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, plain *http.Request) {
		ctx, cancel := context.WithTimeout(plain.Context(), within)
		defer cancel()
		r := &Request{Request: plain.WithContext(ctx), Language: languageOf(ctx), site: c.site}
		file, err := h(r)
		if err != nil {
			c.site.failed(w, r, err)
			return
		}
		defer file.Close()
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": file.FileName}))
		edge.Send(w, plain, file.Ready)
	})
}
