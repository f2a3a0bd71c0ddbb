package edge

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// checkBody reads a body as the generated handler will, to tell what is wrong with it field by field. A name in the body that is
// not the one in the path is wrong too.
func (c *call) checkBody(body []byte) error {
	message := c.route.newBody()
	if message == nil {
		return nil
	}
	if err := decodeBody(body, message); err != nil {
		return err
	}
	for _, v := range c.route.template.variables {
		path := v.path
		if c.route.body != "*" {
			inner, found := strings.CutPrefix(path, c.route.body+".")
			if !found {
				continue
			}
			path = inner
		}
		fd := message.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(path))
		if !isText(fd) {
			continue
		}
		if given := message.ProtoReflect().Get(fd).String(); given != "" && given != c.variables[v.path] {
			return invalid(fieldError{fd.JSONName(), "differs from the name in the path"})
		}
	}
	return nil
}

// finish answers with what the generated handler wrote, and the status and headers that go with the message.
func (c *call) finish(w http.ResponseWriter, r *http.Request, got *answer) {
	header := w.Header()
	for name, values := range got.header {
		header[name] = values
	}
	code := http.StatusOK
	if c.route.creates && !c.validateOnly {
		code = http.StatusCreated
		header.Set("Location", "/v1/"+textOf(c.reply, "name"))
	}
	etag := textOf(c.reply, "etag")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		setETag(header, etag)
		header.Set("Cache-Control", "no-store")
		write(w, code, got.body.Bytes())
		return
	}
	if etag == "" {
		etag = weakTag(got.body.Bytes())
	}
	setETag(header, etag)
	header.Set("Cache-Control", cacheControl(c.reply))
	if exchangeOf(r.Context()).authorization != "" {
		header.Set("Cache-Control", "private, no-store")
	}
	if failsIfMatch(r, etag) {
		writeProblem(w, r, preconditionFailed())
		return
	}
	if known, unchanged := noneMatch(r.Header.Values("If-None-Match"), etag); unchanged {
		header.Set("ETag", known)
		header.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	write(w, code, got.body.Bytes())
}

func write(w http.ResponseWriter, code int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client may be gone
}

func setETag(header http.Header, etag string) {
	if etag != "" {
		header.Set("ETag", etag)
	}
}

// weakTag is the ETag of lists and searches: the same data in the same order.
func weakTag(body []byte) string {
	digest := sha256.Sum256(body)
	return `W/"` + base64.RawURLEncoding.EncodeToString(digest[:12]) + `"`
}

// cacheControl says who may keep an answer. A public record may be kept anywhere and is checked before each use; what is not
// for everyone is kept nowhere.
func cacheControl(reply proto.Message) string {
	switch kind := catalog.Of(reply); {
	case kind == nil:
		return "no-cache"
	case catalog.RecordOf(reply).Visibility() == registryv1.Visibility_PUBLIC:
		return "public, max-age=0, must-revalidate"
	default:
		return "private, no-store"
	}
}

// failsIfMatch tells whether a read asks by If-Match for another state than the one there is.
func failsIfMatch(r *http.Request, etag string) bool {
	values := r.Header.Values("If-Match")
	if len(values) == 0 {
		return false
	}
	tags, any, ok := parseTags(strings.Join(values, ","))
	if any {
		return false
	}
	for _, tag := range tags {
		if ok && !tag.weak && tag.bare() == etag {
			return false
		}
	}
	return true
}

func preconditionFailed() *problem {
	p := newProblem(registryv1.ErrorReason_ETAG_MISMATCH.String(), "the record is not in the state that If-Match names")
	p.Status = http.StatusPreconditionFailed
	return p
}

// textOf returns a text field of a message, "" when it has no such field.
func textOf(m proto.Message, name protoreflect.Name) string {
	fd := m.ProtoReflect().Descriptor().Fields().ByName(name)
	if !isText(fd) {
		return ""
	}
	return m.ProtoReflect().Get(fd).String()
}
