package ufficiocomune_test

import (
	"testing"

	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// A correction that is proposed through the office is kept at the comune's node,
// and read there alone.
func TestCorrectionsThroughTheOffice(t *testing.T) {
	f := start(t)
	const parent = "comuni/pantelleria"
	node := f.nodes[pantelleria].Conn(t)
	made := create(t, node, pantelleria, "bus")
	hidden := create(t, node, pantelleria, "interno", func(s *registryv1.Service) { s.Visibility = registryv1.Visibility_NETWORK })
	office, own := editorialv1.NewCorrectionServiceClient(f.conn), editorialv1.NewCorrectionServiceClient(node)
	anyone := as(t.Context(), registryv1.Visibility_PUBLIC)
	propose := func(record string) (*editorialv1.Correction, error) {
		return office.CreateCorrection(anyone, &editorialv1.CreateCorrectionRequest{Parent: parent, Correction: &editorialv1.Correction{
			Record: record, Changes: []*editorialv1.Correction_Change{{Field: "title", Proposed: "Bus dell'isola"}},
		}})
	}
	one, err := propose(made.GetName())
	must(t, err)
	_, err = propose(hidden.GetName())
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND, hidden.GetName())
	kept, err := own.ListCorrections(t.Context(), &editorialv1.ListCorrectionsRequest{Parent: parent})
	must(t, err)
	if len(kept.GetCorrections()) != 1 || kept.GetCorrections()[0].GetName() != one.GetName() {
		t.Errorf("the node has %v", kept)
	}
	_, err = office.ListCorrections(t.Context(), &editorialv1.ListCorrectionsRequest{Parent: parent})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
	_, err = office.LookUpConfirmation(anyone, &editorialv1.LookUpConfirmationRequest{Parent: parent, Code: "none"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	_, err = editorialv1.NewDraftServiceClient(f.conn).ListDrafts(t.Context(), &editorialv1.ListDraftsRequest{Parent: parent})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
	_, err = editorialv1.NewRecordServiceClient(f.conn).ListRecordChanges(t.Context(), &editorialv1.ListRecordChangesRequest{Parent: parent, Record: made.GetName()})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
}
