package desk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/internal/store"
)

const (
	// maxFilesBytes bounds the files of a call, so that it fits into a message of
	// 4 MiB with all the rest.
	maxFilesBytes = 3 << 20
	// maxAttachments bounds those of a request.
	maxAttachments = 9
)

// taken types are what people have at hand, and what runs nothing.
var takenTypes = []string{
	"application/pdf", "image/jpeg", "image/png", "text/plain", "application/vnd.oasis.opendocument.text",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}

// A file came with a call; what is known of it but its name and time.
type file struct {
	*deskv1.Attachment
	data []byte
}

// checkFiles tells what is wrong with the files of a call, or what they are.
func checkFiles(attached []*deskv1.AttachedFile) ([]file, error) {
	var all []file
	total := 0
	for i, a := range attached {
		field := fmt.Sprintf("attachments[%d]", i)
		if problem := checkFileName(a.GetFileName()); problem != "" {
			return nil, apierror.Invalid(field+".fileName", problem)
		}
		if len(a.GetData()) == 0 {
			return nil, apierror.Invalid(field+".data", "is empty")
		}
		if total += len(a.GetData()); total > maxFilesBytes {
			return nil, apierror.Invalid(field+".data", fmt.Sprintf("is too much: the files of a call have at most %d bytes together", maxFilesBytes))
		}
		mediaType := files.TypeAmong(a.GetData(), takenTypes)
		if mediaType == "" {
			return nil, apierror.Invalid(field+".data", "is none of the types that are taken: PDF, JPEG, PNG, plain text, ODT, DOCX")
		}
		sum := sha256.Sum256(a.GetData())
		all = append(all, file{&deskv1.Attachment{
			FileName: a.GetFileName(), MediaType: mediaType, SizeBytes: int64(len(a.GetData())), Sha256: hex.EncodeToString(sum[:]),
		}, a.GetData()})
	}
	return all, nil
}

// checkFileName refuses what is no name of a file, or looks like another one.
func checkFileName(name string) string {
	hidden := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError }
	switch {
	case strings.Trim(name, " .") == "":
		return "is no name of a file"
	case strings.ContainsAny(name, `/\`):
		return "is the name of a file, without its folder"
	case strings.ContainsFunc(name, hidden):
		return "has characters that cannot be seen"
	}
	return ""
}

// same tells whether files are those of some attachments.
func same(attachments []*deskv1.Attachment, all []file) bool {
	return slices.EqualFunc(attachments, all, func(a *deskv1.Attachment, f file) bool {
		return a.GetFileName() == f.GetFileName() && a.GetSha256() == f.GetSha256()
	})
}

// attach adds files to a request, and returns their names.
func (p *puts) attach(h *held, all []file, now time.Time) []string {
	var names []string
	for _, f := range all {
		f.Name = fmt.Sprintf("%s/attachments/a%d", h.GetName(), len(h.GetAttachments())+1)
		f.CreateTime = timestamppb.New(now)
		h.Attachments = append(h.Attachments, f.Attachment)
		p.put(fileKey(f.GetName()), f.data)
		names = append(names, f.GetName())
	}
	return names
}

// bytesOf are those of files.
func bytesOf(all []file) (total int64) {
	for _, f := range all {
		total += int64(len(f.data))
	}
	return total
}

// checkRoom refuses what would not fit any more. It is about right: what is kept
// is measured once in a while.
func (d *Desk) checkRoom(all []file) error {
	most := d.settings.MaxBytes
	if len(all) > 0 {
		most -= most / 4
	}
	if d.kept.Load()+bytesOf(all) <= most {
		return nil
	}
	const message = "the desk keeps as much as it can hold"
	if len(all) == 0 {
		return apierror.New(registryv1.ErrorReason_STORE_FULL, message+"; call it")
	}
	return apierror.New(registryv1.ErrorReason_STORE_FULL, message+"; ask without files, and bring them", apierror.Field("attachments", "cannot be kept now"))
}

// measure finds out how much is kept.
func (d *Desk) measure() error {
	return d.store.View(func(r store.Reader) error {
		d.kept.Store(r.LocalBytes(areaRequests) + r.LocalBytes(areaFiles))
		return nil
	})
}

// attachment reads one of a request, with its bytes; nil when it is not there.
func (d *Desk) attachment(r store.Reader, h *held, name string) (*deskv1.Attachment, error) {
	at := slices.IndexFunc(h.GetAttachments(), func(a *deskv1.Attachment) bool { return a.GetName() == name })
	if at < 0 {
		return nil, nil
	}
	sealed := r.Local(fileKey(name))
	if sealed == nil {
		return nil, errDamaged
	}
	data, err := d.vault.Open(fileKey(name), sealed)
	found := proto.CloneOf(h.GetAttachments()[at])
	found.Data = data
	return found, err
}

// GetRequestAttachment reads a file at the desk.
func (d *Desk) GetRequestAttachment(_ context.Context, call *deskv1.GetRequestAttachmentRequest) (*deskv1.Attachment, error) {
	request, _, _ := strings.Cut(call.GetName(), "/attachments/")
	id, err := d.idIn(request)
	if err != nil {
		return nil, err
	}
	var found *deskv1.Attachment
	err = d.store.View(func(r store.Reader) error {
		h, err := d.read(r, id)
		if h == nil || err != nil {
			return err
		}
		found, err = d.attachment(r, h, call.GetName())
		return err
	})
	if err == nil && found == nil {
		err = apierror.NotFound(call.GetName())
	}
	return found, err
}

// LookUpRequestAttachment reads a file by the code of its request.
func (d *Desk) LookUpRequestAttachment(_ context.Context, call *deskv1.LookUpRequestAttachmentRequest) (*deskv1.Attachment, error) {
	if err := d.owns(call.GetParent()); err != nil {
		return nil, err
	}
	var found *deskv1.Attachment
	err := d.store.View(func(r store.Reader) error {
		h, err := d.readByCode(r, call.GetCode())
		if err != nil {
			return err
		}
		found, err = d.attachment(r, h, call.GetAttachment())
		return err
	})
	if err == nil && found == nil {
		err = apierror.NotFound(call.GetAttachment())
	}
	return found, err
}
