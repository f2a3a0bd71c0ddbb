package editing

import (
	"context"
	"fmt"
	"mime"
	"net/url"
	"path"
	"strconv"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/workbench"
)

// fieldFile is the file that comes with the form of a draft, and the list of files that it comes into.
const fieldFile, fileList = "_file", "files"

// attach gives the node a file that came with the form, and puts a row for it into the list of files.
func (e *Editing) attach(ctx context.Context, v *workbench.Visit, sent *edge.Sent, values url.Values) {
	for _, file := range sent.Files {
		switch {
		case file.Field != fieldFile || file.Name == "" || file.Size() == 0 && !file.TooLarge:
		case file.TooLarge:
			v.Add("file", v.Say("lavoro_schede.fileTooLarge", "Most", fmt.Sprint(e.largest>>20)))
		default:
			kept, err := record.SendFile(ctx, e.files, v.Comune, file.Reader())
			if err != nil {
				v.Refused(err, map[string]string{"": "file"})
				continue
			}
			row, ok := fields.Move(values, "add "+fileList)
			if !ok {
				continue
			}
			kind := mime.TypeByExtension(path.Ext(file.Name))
			if kind, _, err = mime.ParseMediaType(kind); err != nil {
				kind = "application/octet-stream"
			}
			for name, value := range map[string]string{
				".sha256": kept.GetSha256(), ".fileName": short(file.Name), ".mediaType": kind, ".sizeBytes": strconv.FormatInt(kept.GetSizeBytes(), 10),
			} {
				values.Set(row+name, value)
			}
		}
	}
}
