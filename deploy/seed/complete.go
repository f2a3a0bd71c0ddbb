package seed

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// goodForMonths is how long after its date a source is taken to hold.
const goodForMonths = 18

// collected is the day on which the sample data were put together; what comes
// from a source without a date is due from then on.
var collected = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// complete fills in what follows from the rest: when a record must be verified,
// which text a translation renders, what is in a file. It returns the files.
func (r *reader) complete(data fs.FS) []File {
	var files []File
	for _, record := range r.records {
		if p := catalog.RecordOf(record.Message).Provenance(); p != nil && p.GetVerifyByTime() == nil {
			p.VerifyByTime = timestamppb.New(verifyBy(p.GetAsOf()))
		}
		digestTranslations(record.Message)
		if document, ok := record.Message.(*registryv1.Document); ok {
			for _, reference := range document.GetFiles() {
				file, err := readFile(data, reference)
				if err != nil {
					r.problemAt(record, "files", "%v", err)
					continue
				}
				files = append(files, file)
			}
		}
	}
	return files
}

// verifyBy tells when a statement for a date must be verified. A date without a
// day or month counts to the end of its month or year.
func verifyBy(asOf *registryv1.PartialDate) time.Time {
	year, month, day := int(asOf.GetYear()), time.Month(asOf.GetMonth()), int(asOf.GetDay())
	switch {
	case asOf == nil:
		return collected
	case month == 0:
		year, month, day = year+1, time.January, 1
	case day == 0:
		month, day = month+1, 1
	}
	return time.Date(year, month+goodForMonths, day, 0, 0, 0, 0, time.UTC)
}

func digestTranslations(record proto.Message) {
	_ = protorange.Range(record.ProtoReflect(), func(values protopath.Values) error {
		text, ok := values.Index(-1).Value.Interface().(protoreflect.Message)
		if !ok {
			return nil
		}
		localized, ok := text.Interface().(*registryv1.LocalizedText)
		if !ok {
			return nil
		}
		sum := sha256.Sum256([]byte(localized.GetIt()))
		digest := hex.EncodeToString(sum[:])
		for _, t := range localized.GetTranslations() {
			if t.GetSourceDigest() == "" {
				t.SourceDigest = digest
			}
		}
		if t := localized.GetEasyRead(); t != nil && t.GetSourceDigest() == "" {
			t.SourceDigest = digest
		}
		return nil
	})
}

// readFile reads a file of a document and completes the reference to it.
func readFile(data fs.FS, reference *registryv1.FileReference) (File, error) {
	content, err := fs.ReadFile(data, path.Join(filesFolder, reference.GetFileName()))
	if err != nil {
		return File{}, fmt.Errorf("the file cannot be read: %w; put it into %s", err, filesFolder)
	}
	sum := sha256.Sum256(content)
	reference.Sha256, reference.SizeBytes = hex.EncodeToString(sum[:]), int64(len(content))
	return File{Name: reference.GetFileName(), SHA256: reference.Sha256, Data: content}, nil
}
