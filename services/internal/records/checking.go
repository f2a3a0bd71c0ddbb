package records

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
func (c *Change) check(name catalog.Name, before, record proto.Message) error {
	if err := c.records.options.Rules.Validate(record, name.Kind.Singular); err != nil {
		return err
	}
	if err := c.checkParent(name); err != nil {
		return err
	}
	dangling, err := c.dangling(name, before, record)
	if err != nil {
		return err
	}
	if len(dangling) > 0 {
		var details []apierror.Detail
		var fields []string
		for _, d := range dangling {
			at := name.Kind.Singular + "." + d.field
			details = append(details, apierror.Field(at, d.problem))
			fields = append(fields, at+": "+d.problem)
		}
		return apierror.New(registryv1.ErrorReason_DANGLING_REFERENCE, strings.Join(fields, "; "), details...)
	}
	if document, ok := record.(*registryv1.Document); ok {
		return c.checkFiles(document)
	}
	return nil
}

func (c *Change) checkParent(name catalog.Name) error {
	if len(name.IDs) < name.Kind.Depth() {
		return nil // where it will be is not said yet
	}
	parent, ok := name.Parent()
	if !ok || parent.Kind.Singleton {
		return nil
	}
	record, err := c.seen(parent)
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

// A danglingReference is a field that points to nothing.
type danglingReference struct{ field, problem, italian string }

// dangling lists what is wrong with the references of a record. A record that
// the caller does not see is there only where the record pointed to it before.
func (c *Change) dangling(name catalog.Name, before, record proto.Message) ([]danglingReference, error) {
	referred := map[string]bool{}
	if before != nil {
		for _, ref := range catalog.References(before) {
			referred[ref.Target] = true
		}
	}
	var found []danglingReference
	for _, ref := range catalog.References(record) {
		d, err := c.danglingOne(name, ref, referred)
		if err != nil {
			return nil, err
		}
		if d.problem != "" {
			d.field = ref.Field
			found = append(found, d)
		}
	}
	if o, ok := record.(*registryv1.Organization); ok && strings.HasPrefix(o.GetSameAs(), catalog.ComuneName(name.Comune())+"/") {
		found = append(found, danglingReference{
			field: "sameAs", problem: o.GetSameAs() + " is of this comune; merge the two instead", italian: "rimanda a una scheda di questo comune: le due vanno unite",
		})
	}
	return found, nil
}

func (c *Change) danglingOne(name catalog.Name, ref catalog.Reference, referred map[string]bool) (danglingReference, error) {
	target, err := catalog.ParseName(ref.Target)
	if err != nil {
		return danglingReference{problem: fmt.Sprintf("%.100q is not the name of a record", ref.Target), italian: "non è il nome di una scheda"}, nil
	}
	if target.Kind.Type != ref.Type {
		wanted := catalog.ByType(ref.Type)
		return danglingReference{
			problem: fmt.Sprintf("%s is one of the %s, it must be one of the %s", ref.Target, target.Kind.Collection, wanted.Collection),
			italian: "rimanda a una scheda di un altro tipo: qui va scelto tra: " + wanted.LabelPlural,
		}, nil
	}
	if target.Comune() != name.Comune() {
		return danglingReference{
			problem: fmt.Sprintf("%s is of another comune; refer to records of %s only", ref.Target, catalog.ComuneName(name.Comune())),
			italian: "rimanda a una scheda di un altro comune",
		}, nil
	}
	record, err := c.Get(target)
	switch {
	case err != nil:
		return danglingReference{}, err
	case record == nil, c.sight.Of(record) == nil && !referred[ref.Target]:
		return danglingReference{problem: ref.Target + " does not exist", italian: "rimanda a una scheda che non c'è"}, nil
	case catalog.RecordOf(record).Deleted():
		return danglingReference{problem: ref.Target + " is deleted", italian: "rimanda a una scheda ritirata"}, nil
	}
	return danglingReference{}, nil
}

// checkFiles refuses a document whose files were not uploaded.
func (c *Change) checkFiles(document *registryv1.Document) error {
	for i, file := range document.GetFiles() {
		at := fmt.Sprintf("document.files[%d]", i)
		info, err := c.records.options.Files.Stat(file.GetSha256())
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
		problem, err := c.records.options.Files.CheckType(file.GetSha256(), file.GetMediaType())
		if err != nil {
			return err
		}
		if problem != "" {
			return apierror.Invalid(at+".mediaType", problem)
		}
	}
	return nil
}
