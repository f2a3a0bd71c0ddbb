package editorial

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// verify notes in a record that an office found it true at a time, and when it
// must be verified again. Sample data become the comune's own by it.
func verify(record proto.Message, now, due time.Time, verifier string) {
	provenance := provenanceOf(record)
	provenance.VerifyTime, provenance.VerifyByTime = timestamppb.New(now), timestamppb.New(due)
	provenance.Verifier, provenance.Sample = verifier, false
}

// provenanceOf is the provenance of a record, made when there is none.
func provenanceOf(record proto.Message) *registryv1.Provenance {
	m := record.ProtoReflect()
	return m.Mutable(m.Descriptor().Fields().ByName("provenance")).Message().Interface().(*registryv1.Provenance)
}

func setVisibility(record proto.Message, v registryv1.Visibility) {
	m := record.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName("visibility"), protoreflect.ValueOfEnum(protoreflect.EnumNumber(v)))
}

func dueRecord(record proto.Message, due time.Time) *editorialv1.ListDueRecordsResponse_DueRecord {
	r := catalog.RecordOf(record)
	return &editorialv1.ListDueRecordsResponse_DueRecord{
		Record: r.Name(), Title: r.Title(), Etag: r.Etag(), DueTime: timestamppb.New(due),
		VerifyTime: r.Provenance().GetVerifyTime(), Keeper: catalog.Keeper(record),
	}
}
