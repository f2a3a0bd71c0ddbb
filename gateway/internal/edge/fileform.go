package edge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// fileFormWithin is how long a form with a large file may take to arrive.
const fileFormWithin = 5 * time.Minute

// FileForm is a [Form] that takes one large file, of at most so many bytes, from somebody who is signed in. The file is kept on disk until
// the answer is there; see [SentFile.Reader]. In the form it comes after all that is typed, so that none of that is lost when it is too
// large.
func FileForm(name string, largest int64, next http.Handler) http.Handler {
	signedIn, nobody := form(name, onDisk{largest}, next), form(name, onDisk{0}, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if exchangeOf(r.Context()).cookie {
			signedIn.ServeHTTP(w, r)
			return
		}
		nobody.ServeHTTP(w, r) // files of nobody's are not kept
	})
}

// onDisk keeps one file on disk, if it has at most so many bytes; none: no file at all.
type onDisk struct{ largest int64 }

// bytes is more than is kept, so that the page that says so reaches a browser whose file is a little too large.
func (d onDisk) bytes() int64        { return 4*max(d.largest, uploadBytes) + formBytes }
func (onDisk) within() time.Duration { return fileFormWithin }

func (d onDisk) keep(sent *Sent, file *SentFile, from io.Reader) (err error) {
	if d.largest == 0 || len(sent.Files) > 0 || file.Name == "" {
		return nil
	}
	content, err := os.CreateTemp("", "cid-file-*")
	if err != nil {
		return fmt.Errorf("file of a form: %w", err)
	}
	file.kept = content
	// Without a name it is gone when it is closed, however the process ends.
	if err := os.Remove(content.Name()); err != nil {
		return fmt.Errorf("file of a form: %w", err)
	}
	if file.size, err = io.Copy(content, io.LimitReader(from, d.largest+1)); err != nil {
		return err
	}
	if file.size > d.largest {
		file.TooLarge = true
	}
	return nil
}

// Size of the file in bytes.
func (f SentFile) Size() int64 {
	if f.kept != nil {
		return f.size
	}
	return int64(len(f.Data))
}

// Reader reads the file from its beginning, until the request is answered.
func (f SentFile) Reader() io.Reader {
	if f.kept != nil {
		return io.NewSectionReader(f.kept, 0, f.size)
	}
	return bytes.NewReader(f.Data)
}

// close lets go of files on disk.
func (s *Sent) close() {
	if s == nil {
		return
	}
	for _, file := range s.Files {
		file.close()
	}
}

func (f SentFile) close() {
	if f.kept != nil {
		_ = f.kept.Close() // nothing of it is needed any more
	}
}
