package feedback_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/feedback"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
)

const parent = "comuni/marsala"

type box struct {
	*feedback.Box
	t     testing.TB
	now   time.Time
	store *store.Store
	path  string
}

func open(t testing.TB) *box {
	t.Helper()
	b := &box{t: t, now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC), path: filepath.Join(t.TempDir(), "registry.db")}
	s, err := store.Open(store.Options{
		Path: b.path, ServerID: "marsala", Comune: "marsala", Now: func() time.Time { return b.now }, NoSync: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	v, err := vault.Open(t.Context(), s, filepath.Join(t.TempDir(), "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	b.Box, b.store = feedback.New(s, v, "marsala"), s
	return b
}

func (b *box) context() context.Context { return policy.With(b.t.Context(), &policy.Caller{}) }

func (b *box) rate(page string, rating int32, text string) *deskv1.Feedback {
	b.t.Helper()
	made, err := b.CreateFeedback(b.context(), &deskv1.CreateFeedbackRequest{Parent: parent, Feedback: &deskv1.Feedback{
		Name: "comuni/altro/feedback/x", Page: page, Rating: rating, Text: text, Aspects: []deskv1.Feedback_Aspect{deskv1.Feedback_CLARITY},
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	return made
}

func (b *box) list(size int32, token string) *deskv1.ListFeedbackResponse {
	b.t.Helper()
	answer, err := b.ListFeedback(b.context(), &deskv1.ListFeedbackRequest{Parent: parent, PageSize: size, PageToken: token})
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

func TestRatingsAreKeptInTheirOrder(t *testing.T) {
	b := open(t)
	var want []*deskv1.Feedback
	for i, text := range []string{"non capisco i costi", "", "bene"} {
		b.now = b.now.Add(time.Minute)
		want = append(want, b.rate("/servizi/marsala/asacom", int32(i+3), text))
	}
	if !strings.HasPrefix(want[0].GetName(), parent+"/feedback/f") || want[0].GetPurgeTime().AsTime().Sub(want[0].GetCreateTime().AsTime()) != feedback.Retention {
		t.Errorf("made %v", want[0])
	}
	first := b.list(2, "")
	second := b.list(2, first.GetNextPageToken())
	if diff := cmp.Diff(want, append(first.GetFeedback(), second.GetFeedback()...), protocmp.Transform()); diff != "" || second.GetNextPageToken() != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func TestSummary(t *testing.T) {
	b := open(t)
	for _, rating := range []int32{5, 4} {
		b.rate("/", rating, "")
	}
	for _, rating := range []int32{1, 2, 5} {
		b.rate("/privacy/", rating, "")
	}
	got, err := b.SummarizeFeedback(b.context(), &deskv1.SummarizeFeedbackRequest{Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	want := &deskv1.SummarizeFeedbackResponse{TotalCount: 5, Pages: []*deskv1.SummarizeFeedbackResponse_Page{
		{Page: "/privacy/", Count: 3, MeanHundredths: 267, LowCount: 2}, {Page: "/", Count: 2, MeanHundredths: 450},
	}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRatingsGoWhenTheirTimeIsOver(t *testing.T) {
	b := open(t)
	b.rate("/", 1, "vecchio")
	b.now = b.now.Add(feedback.Retention / 2)
	b.rate("/", 5, "nuovo")
	b.now = b.now.Add(feedback.Retention/2 + time.Second)
	if erased, err := b.Purge(t.Context()); err != nil || erased != 1 {
		t.Fatalf("erased %d, %v", erased, err)
	}
	if left := b.list(0, "").GetFeedback(); len(left) != 1 || left[0].GetText() != "nuovo" {
		t.Errorf("left %v", left)
	}
	if erased, err := b.Purge(t.Context()); err != nil || erased != 0 {
		t.Errorf("erased %d more, %v", erased, err)
	}
}

func TestRatingsAreSealed(t *testing.T) {
	b := open(t)
	b.rate("/servizi/marsala/asacom", 1, "la mia vicina non cammina")
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	bytes, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"vicina", "asacom"} {
		if strings.Contains(string(bytes), word) {
			t.Errorf("the file has %q", word)
		}
	}
}

func TestRefusals(t *testing.T) {
	b := open(t)
	one := &deskv1.Feedback{Page: "/", Rating: 3}
	if _, err := b.CreateFeedback(b.context(), &deskv1.CreateFeedbackRequest{Parent: "comuni/pantelleria", Feedback: one}); apierror.Reason(err) != registryv1.ErrorReason_NOT_THE_OWNER {
		t.Errorf("another comune: %v", err)
	}
	var err error
	for range 100 {
		if _, err = b.CreateFeedback(b.context(), &deskv1.CreateFeedbackRequest{Parent: parent, Feedback: one}); err != nil {
			break
		}
	}
	if apierror.Reason(err) != registryv1.ErrorReason_TOO_MANY_REQUESTS {
		t.Errorf("a flood: %v", err)
	}
	b.now = b.now.Add(time.Hour)
	b.rate("/", 3, "")
}
