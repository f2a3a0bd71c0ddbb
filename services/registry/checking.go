package registry

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
)

// check refuses a record that breaks a rule of the contract, points to a record
// that is not there, or is inside one that is not there.
func (w *change) check(record proto.Message) error {
	if err := w.node.trust.Validate(record, w.name.Kind.Singular); err != nil {
		return err
	}
	if err := w.checkParent(); err != nil {
		return err
	}
	var dangling []apierror.Detail
	var fields []string
	for _, ref := range catalog.References(record) {
		problem, err := w.dangling(ref)
		if err != nil {
			return err
		}
		if problem != "" {
			at := w.name.Kind.Singular + "." + ref.Field
			dangling = append(dangling, apierror.Field(at, problem))
			fields = append(fields, at+": "+problem)
		}
	}
	if len(dangling) > 0 {
		return apierror.New(registryv1.ErrorReason_DANGLING_REFERENCE, strings.Join(fields, "; "), dangling...)
	}
	if document, ok := record.(*registryv1.Document); ok {
		return w.checkFiles(document)
	}
	return nil
}

func (w *change) checkParent() error {
	parent, ok := w.name.Parent()
	if !ok || parent.Kind.Singleton {
		return nil
	}
	record, err := visible(w.reader, parent, w.sight)
	if err != nil {
		return err
	}
	if record == nil {
		return apierror.NotFound(parent.String())
	}
	if catalog.RecordOf(record).Deleted() {
		return deleted(parent)
	}
	return nil
}

// dangling says what is wrong with a reference, nothing when it is good.
func (w *change) dangling(ref catalog.Reference) (string, error) {
	target, err := catalog.ParseName(ref.Target)
	if err != nil {
		return fmt.Sprintf("%.100q is not the name of a record", ref.Target), nil
	}
	if target.Kind.Type != ref.Type {
		return fmt.Sprintf("%s is one of the %s, it must be one of the %s", ref.Target, target.Kind.Collection, catalog.ByType(ref.Type).Collection), nil
	}
	if target.Comune() != w.name.Comune() {
		return fmt.Sprintf("%s is of another comune; refer to records of %s only", ref.Target, catalog.ComuneName(w.name.Comune())), nil
	}
	record, err := w.reader.Get(target)
	switch {
	case err != nil:
		return "", err
	case record == nil, w.sight.Of(record) == nil && !w.referred[ref.Target]:
		return ref.Target + " does not exist", nil
	case catalog.RecordOf(record).Deleted():
		return ref.Target + " is deleted", nil
	}
	return "", nil
}

// checkFiles refuses a document whose files were not uploaded.
func (w *change) checkFiles(document *registryv1.Document) error {
	for i, file := range document.GetFiles() {
		at := fmt.Sprintf("document.files[%d]", i)
		info, err := w.node.files.Stat(file.GetSha256())
		if errors.Is(err, files.ErrNotFound) {
			return apierror.New(registryv1.ErrorReason_DANGLING_REFERENCE,
				at+": upload the file to the comune first", apierror.Field(at+".sha256", "upload the file to the comune first"))
		}
		if err != nil {
			return err
		}
		if file.GetSizeBytes() != info.Size {
			return apierror.Invalid(at+".sizeBytes", fmt.Sprintf("is %d, the uploaded file has %d bytes", file.GetSizeBytes(), info.Size))
		}
		problem, err := w.node.files.CheckType(file.GetSha256(), file.GetMediaType())
		if err != nil {
			return err
		}
		if problem != "" {
			return apierror.Invalid(at+".mediaType", problem)
		}
	}
	return nil
}
