package files

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// sniffed is how many bytes of a file tell its type.
const sniffed = 3072

// runs are media types, and beginnings of them, that no document has: programs
// and scripts.
var runs = []string{
	"application/x-elf", "application/x-executable", "application/x-mach-binary", "application/vnd.microsoft.portable-executable",
	"application/x-msdownload", "application/x-sharedlib", "application/x-object", "application/x-java-applet", "application/jar", "application/java-archive",
	"application/vnd.android.package-archive", "application/x-ms-shortcut", "application/x-installshield", "application/x-ms-installer", "application/wasm",
	"text/x-shellscript", "text/x-perl", "text/x-python", "text/x-php", "text/x-ruby", "text/x-tcl", "text/x-lua", "text/javascript", "application/javascript",
}

func isProgram(found *mimetype.MIME) bool {
	for t := found; t != nil; t = t.Parent() {
		if slices.ContainsFunc(runs, t.Is) {
			return true
		}
	}
	return false
}

// TypeAmong tells which of some media types bytes are of, by how they begin;
// empty for none of them, and for programs. Text that looks like a table is
// "text/plain" too, pages and drawings are not.
func TypeAmong(data []byte, types []string) string {
	found := mimetype.Detect(data[:min(len(data), sniffed)])
	if isProgram(found) {
		return ""
	}
	if found.Is("text/csv") || found.Is("text/tab-separated-values") {
		found = found.Parent()
	}
	for t := found; t != nil && (t == found || !t.Is("text/plain")); t = t.Parent() {
		if at := slices.IndexFunc(types, t.Is); at >= 0 {
			return types[at]
		}
	}
	return ""
}

// CheckType tells what is wrong with the media type that somebody declares of a
// file, nothing when its bytes are of that type and no program.
func (f *Folder) CheckType(sum, declared string) (problem string, err error) {
	file, err := f.Read(sum, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	head, err := io.ReadAll(io.LimitReader(file, sniffed))
	if err != nil {
		return "", fmt.Errorf("read the beginning of a file: %w", err)
	}
	found := mimetype.Detect(head)
	if isProgram(found) {
		return "the file is a program or a script, which no document has", nil
	}
	if slices.ContainsFunc(runs, func(r string) bool { return r == declared }) {
		return "no document is of this type", nil
	}
	for t := found; t != nil; t = t.Parent() {
		if t.Is(declared) {
			return "", nil
		}
	}
	// Text has many types that its bytes do not show.
	if found.Is("text/plain") && strings.HasPrefix(declared, "text/") && declared != "text/html" {
		return "", nil
	}
	name, _, _ := strings.Cut(found.String(), ";")
	return "the file is " + name, nil
}
