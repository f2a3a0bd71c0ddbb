package ufficiocomune_test

import (
	"testing"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

// A rating given through the office is kept at the comune's node, and read there
// alone.
func TestRatingsThroughTheOffice(t *testing.T) {
	f := start(t)
	const parent = "comuni/pantelleria"
	office, node := deskv1.NewFeedbackServiceClient(f.conn), deskv1.NewFeedbackServiceClient(f.nodes[pantelleria].Conn(t))
	anyone := as(t.Context(), registryv1.Visibility_PUBLIC)
	made, err := office.CreateFeedback(anyone, &deskv1.CreateFeedbackRequest{Parent: parent, Feedback: &deskv1.Feedback{Page: "/servizi/", Rating: 2, Text: "poco chiaro"}})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := node.ListFeedback(t.Context(), &deskv1.ListFeedbackRequest{Parent: parent})
	if err != nil || len(kept.GetFeedback()) != 1 || kept.GetFeedback()[0].GetName() != made.GetName() {
		t.Errorf("the node has %v, %v", kept, err)
	}
	if _, err := office.ListFeedback(t.Context(), &deskv1.ListFeedbackRequest{Parent: parent}); apierror.Reason(err) != registryv1.ErrorReason_NOT_SUPPORTED_HERE {
		t.Errorf("the office lists ratings: %v", err)
	}
	for _, wrong := range []*deskv1.Feedback{{Page: "/", Rating: 6}, {Page: "https://altrove.example/", Rating: 3}, {Rating: 3}, {Page: "/", Rating: 3, Aspects: []deskv1.Feedback_Aspect{9}}} {
		if _, err := office.CreateFeedback(anyone, &deskv1.CreateFeedbackRequest{Parent: parent, Feedback: wrong}); apierror.Reason(err) != registryv1.ErrorReason_INVALID_FIELDS {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}
