package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/registryv1"
)

// TestPagesAreTheListWhateverTheirSize proves that no record is lost or shown
// twice between pages, over one comune and over all of them, from the copies and
// from the owners.
func TestPagesAreTheListWhateverTheirSize(t *testing.T) {
	f, nodeGateway := sharedFederation(t)
	const each = 7
	id := unique("pagina")
	var want []string
	for _, comune := range demo.Comuni {
		over := grpcTransport{f.conn(t, comune.ID), nil}
		for i := range each {
			made := succeeds(t, over, "PracticeService.CreatePractice", &registryv1.CreatePracticeRequest{
				Parent: "comuni/" + comune.ID, PracticeId: fmt.Sprintf("%s-%d", id, i),
				Practice: &registryv1.Practice{Title: &registryv1.LocalizedText{It: "Pagina"}, Identifiers: []*registryv1.Identifier{{Scheme: "prova", Value: "pagine"}}},
			})
			want = append(want, find(made.body, "name").(string))
		}
	}
	f.settle(t)
	own := slices.DeleteFunc(slices.Clone(want), func(name string) bool { return !strings.HasPrefix(name, "comuni/marsala/") })
	for _, test := range []struct {
		name   string
		over   transport
		parent string
		read   registryv1.ReadPreference
		want   []string
	}{
		{"gRPC, node", grpcTransport{f.conn(t, "marsala"), nil}, "comuni/marsala", 0, own},
		{"REST, node", restTransport{address: nodeGateway}, "comuni/-", 0, own},
		{"gRPC, office, one comune", grpcTransport{f.conn(t, demo.Office), f}, "comuni/marsala", 0, own},
		{"gRPC, office, copies", grpcTransport{f.conn(t, demo.Office), f}, "comuni/-", registryv1.ReadPreference_REPLICA_ONLY, want},
		{"gRPC, office, owners", grpcTransport{f.conn(t, demo.Office), f}, "comuni/-", registryv1.ReadPreference_LIVE_ONLY, want},
		{"REST, office", restTransport{address: f.HTTP(), people: f}, "comuni/-", 0, want},
		{"REST, office, owners first", restTransport{address: f.HTTP(), people: f}, "comuni/-", registryv1.ReadPreference_PREFER_LIVE, want},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, size := range []int32{1, 2, 3, 6, 7, 8, 20, 21, 1000} {
				got := readPages(t, test.over, test.parent, test.read, size, "/"+id+"-")
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("in pages of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

// readPages reads all pages of a list, checks each, and returns the names that
// have an id in them: other tests leave records of their own.
func readPages(t *testing.T, over transport, parent string, read registryv1.ReadPreference, size int32, id string) (names []string) {
	t.Helper()
	request := &registryv1.ListPracticesRequest{Parent: parent, PageSize: size, ReadPreference: read}
	for pages := 0; pages < 100; pages++ {
		page := succeeds(t, over, "PracticeService.ListPractices", request).body
		list, _ := find(page, "practices").([]any)
		if len(list) > int(size) {
			t.Errorf("a page of %d has %d records", size, len(list))
		}
		for _, record := range list {
			if name := find(record, "name").(string); strings.Contains(name, id) {
				names = append(names, name)
			}
		}
		if find(page, "coverage") == nil || find(page, "unreachable") != nil {
			t.Errorf("page %d is not covered: %v", pages+1, page)
		}
		token, more := find(page, "nextPageToken").(string)
		if !more {
			return names
		}
		request.PageToken = token
	}
	t.Fatal("the list does not end")
	return nil
}
