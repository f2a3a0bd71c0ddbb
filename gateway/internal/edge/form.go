package edge

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// formBytes bounds what is typed into one form, as it is sent.
	formBytes = 1 << 20
	// formFileBytes bounds each file of a form, formFiles how many are kept.
	formFileBytes = 2 << 20
	formFiles     = 10
	// uploadBytes bounds a form with its files. It is more than is kept: a photograph that is too large is thrown away while it is
	// read, and the page that says so still has what was typed.
	uploadBytes = 32 << 20
	// formWithin is how long a form may take to arrive, over the slowest of lines.
	formWithin = 3 * time.Minute
)

// Sent is what a browser sent with a form.
type Sent struct {
	Values url.Values
	Files  []SentFile
	// TooLarge tells that the form ended early: it had more than is read of any.
	TooLarge bool
}

// A SentFile came with a form.
type SentFile struct {
	// Field of the form, and the Name of the file without its folder.
	Field, Name string
	// Data are its bytes, nil when it has more than 2 MiB.
	Data []byte
	// TooLarge tells that it was thrown away.
	TooLarge bool
	// kept has its bytes instead of Data, in a form of [FileForm].
	kept *os.File
	size int64
}

type sentKey struct{}

// SentBy is the form that a request came with, nil when it is no POST.
func SentBy(ctx context.Context) *Sent {
	sent, _ := ctx.Value(sentKey{}).(*Sent)
	return sent
}

// Form makes a handler of pages with forms into one that answers GET, HEAD and POST, compressed, that logs and metrics know by its
// name, and whose answers nobody keeps. The form has been read when the handler begins; see [SentBy].
func Form(name string, next http.Handler) http.Handler {
	return form(name, inMemory{}, next)
}

// A filing says what becomes of the files of a form while it is read.
type filing interface {
	// bytes bounds the form with its files.
	bytes() int64
	// within is how long it may take to arrive.
	within() time.Duration
	// keep reads as much of a file as is kept of it.
	keep(*Sent, *SentFile, io.Reader) error
}

// inMemory keeps small files in memory.
type inMemory struct{}

func (inMemory) bytes() int64          { return uploadBytes }
func (inMemory) within() time.Duration { return formWithin }

func (inMemory) keep(sent *Sent, file *SentFile, from io.Reader) error {
	if len(sent.Files) >= formFiles {
		file.TooLarge = true
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(from, formFileBytes+1))
	if err != nil {
		return err
	}
	if file.Data = slices.Clip(data); len(data) > formFileBytes {
		file.Data, file.TooLarge = nil, true
	}
	return nil
}

func form(name string, files filing, next http.Handler) http.Handler {
	next = Compress(next)
	methods := []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		exchangeOf(r.Context()).route = name
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPost:
			sent, err := readForm(w, r, files)
			defer sent.close()
			if err != nil {
				writeProblem(w, r, problemOf(err, nil))
				return
			}
			r = r.WithContext(context.WithValue(r.Context(), sentKey{}, sent))
		case http.MethodOptions:
			w.Header().Set("Allow", strings.Join(methods, ", "))
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			writeProblem(w, r, methodNotAllowed(r, methods))
			return
		}
		w.Header().Set("Cache-Control", noStore)
		allowWriting(w)
		next.ServeHTTP(w, r)
	})
}

// readForm reads the whole body of a form.
func readForm(w http.ResponseWriter, r *http.Request, files filing) (*Sent, error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/x-www-form-urlencoded":
		body, err := readBody(w, r, formBytes, formWithin)
		if err != nil {
			return nil, err
		}
		values, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, invalid(fieldError{"", "the form is damaged"})
		}
		return &Sent{Values: values}, nil
	case err == nil && kind == "multipart/form-data" && parameters["boundary"] != "":
		connection := http.NewResponseController(w)
		_ = connection.SetReadDeadline(time.Now().Add(files.within())) // not every connection can; the limit on size holds anyway
		sent, err := readParts(multipart.NewReader(http.MaxBytesReader(w, r.Body, files.bytes()), parameters["boundary"]), files)
		if p, known := errors.AsType[*problem](err); known {
			return sent, p
		}
		if err != nil {
			return sent, bodyProblem(err, files.bytes())
		}
		_ = connection.SetReadDeadline(time.Time{})
		return sent, nil
	}
	p := newProblem(reasonMediaType, "a form must come with Content-Type: application/x-www-form-urlencoded or multipart/form-data")
	p.header.Set("Accept", "application/x-www-form-urlencoded, multipart/form-data")
	return nil, p
}

// readParts reads the parts of a form: browsers send them in the order of the page, what was typed before the files.
func readParts(parts *multipart.Reader, files filing) (*Sent, error) {
	sent := &Sent{Values: url.Values{}}
	left := int64(formBytes)
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err == nil && part.FileName() == "" {
			left, err = sent.readField(part, left)
		} else if err == nil {
			err = sent.readFile(part, files)
		}
		if _, ended := errors.AsType[*http.MaxBytesError](err); ended {
			sent.TooLarge = true
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
	}
}

func (s *Sent) readField(part *multipart.Part, left int64) (int64, error) {
	value, err := io.ReadAll(io.LimitReader(part, left+1))
	if err != nil {
		return left, err
	}
	if left -= int64(len(value)); left < 0 {
		return left, tooLarge(formBytes)
	}
	s.Values.Add(part.FormName(), string(value))
	return left, nil
}

func (s *Sent) readFile(part *multipart.Part, files filing) error {
	// Some browsers send the folder of the file too, written as on their system.
	segments := strings.FieldsFunc(part.FileName(), func(r rune) bool { return r == '/' || r == '\\' })
	file := SentFile{Field: part.FormName()}
	if len(segments) > 0 {
		file.Name = segments[len(segments)-1]
	}
	err := files.keep(s, &file, part)
	if err == nil {
		// What is not kept is read all the same: the browser waits for its end.
		_, err = io.Copy(io.Discard, part)
	}
	if err != nil {
		file.close()
		return err
	}
	if len(s.Files) < formFiles {
		s.Files = append(s.Files, file)
	}
	return nil
}
