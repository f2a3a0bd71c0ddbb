package records_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/registry"
)

// A site is the store of marsala, with what decides on its records.
type site struct {
	t       testing.TB
	store   *store.Store
	records *records.Records
}

func marsala(t testing.TB) *site {
	t.Helper()
	node := federationtest.StartNode(t, federationtest.NodeSettings("marsala", filepath.Join(t.TempDir(), "marsala")), registry.Options{}).Node
	return &site{t: t, store: node.Store(), records: records.New(records.Options{Comune: "marsala", Rules: node.Trust().Guard, Policy: node.Trust().Policy})}
}

// commit decides on changes in one commit, as the node itself.
func (s *site) commit(decide func(*records.Change) error) error {
	_, err := s.store.Commit(s.t.Context(), store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		change := s.records.Begin(r, stamp, policy.System())
		if err := decide(change); err != nil {
			return store.Outcome{}, err
		}
		return store.Outcome{Put: change.Put()}, nil
	})
	return err
}

func (s *site) read(text string) proto.Message {
	s.t.Helper()
	var record proto.Message
	must(s.t, s.store.View(func(r store.Reader) (err error) { record, err = r.Get(named(s.t, text)); return err }))
	return record
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func named(t testing.TB, text string) catalog.Name {
	t.Helper()
	name, err := catalog.ParseName(text)
	must(t, err)
	return name
}

const (
	aias  = "comuni/marsala/organizations/aias"
	altra = "comuni/marsala/organizations/altra"
	bus   = "comuni/marsala/services/bus"
)

func organization(title string) *registryv1.Organization {
	return &registryv1.Organization{Title: &registryv1.LocalizedText{It: title}, Kind: registryv1.Organization_ASSOCIATION}
}

func service(by string) *registryv1.Service {
	return &registryv1.Service{
		Title: &registryv1.LocalizedText{It: "Bus"}, Status: &registryv1.Status{State: registryv1.Status_ACTIVE},
		Provisions: []*registryv1.Provision{{Organization: by, Mode: registryv1.Provision_DIRECT}},
	}
}

// Changes of one commit see the ones before them.
func TestChangesSeeEachOther(t *testing.T) {
	s := marsala(t)
	err := s.commit(func(c *records.Change) error {
		_, err := c.Create(named(t, bus), service(aias))
		return err
	})
	if apierror.Reason(err) != registryv1.ErrorReason_DANGLING_REFERENCE {
		t.Errorf("a service of nobody: %v", err)
	}
	must(t, s.commit(func(c *records.Change) error {
		for name, record := range map[string]proto.Message{aias: organization("AIAS"), altra: organization("Altra")} {
			if _, err := c.Create(named(t, name), record); err != nil {
				return err
			}
		}
		_, err := c.Create(named(t, bus), service(aias))
		return err
	}))
	if s.read(bus) == nil || catalog.RecordOf(s.read(bus)).Revision() != catalog.RecordOf(s.read(aias)).Revision() {
		t.Error("they are not of one commit")
	}
	merge := func(c *records.Change) error {
		_, err := c.Delete(named(t, altra), "", aias)
		return err
	}
	err = s.commit(func(c *records.Change) error {
		if _, err := c.Update(named(t, bus), "", records.Replace(service(altra))); err != nil {
			return err
		}
		return merge(c)
	})
	if apierror.Reason(err) != registryv1.ErrorReason_STILL_REFERRED_TO || len(apierror.Blockers(err)) != 1 || apierror.Blockers(err)[0].GetSubject() != bus {
		t.Errorf("deleted what the same commit refers to: %v", err)
	}
	must(t, s.commit(func(c *records.Change) error {
		_, err := c.Update(named(t, bus), "", records.Replace(service(altra)))
		return err
	}))
	must(t, s.commit(func(c *records.Change) error {
		if _, err := c.Update(named(t, bus), "", records.Replace(service(aias))); err != nil {
			return err
		}
		return merge(c)
	}))
	merged := s.read(altra).(*registryv1.Organization)
	if merged.GetDeleteTime() == nil || merged.GetReplacedBy() != aias {
		t.Errorf("merged %v", merged)
	}
	must(t, s.commit(func(c *records.Change) error { _, err := c.Undelete(named(t, altra), ""); return err }))
	if back := s.read(altra).(*registryv1.Organization); back.GetReplacedBy() != "" || back.GetDeleteTime() != nil {
		t.Errorf("undeleted %v", back)
	}
	report, err := s.store.Check(t.Context())
	must(t, err)
	if len(report.Problems) > 0 {
		t.Errorf("check: %q", report.Problems)
	}
}

// What only the server writes is of no account in what is asked for.
func TestServerFieldsAreTheServers(t *testing.T) {
	s := marsala(t)
	asked := organization("AIAS")
	asked.ReplacedBy, asked.Revision, asked.Etag, asked.DeleteTime = altra, 77, `"x"`, nil
	must(t, s.commit(func(c *records.Change) error { _, err := c.Create(named(t, aias), asked); return err }))
	made := s.read(aias).(*registryv1.Organization)
	if made.GetReplacedBy() != "" || made.GetRevision() == 77 || made.GetEtag() == `"x"` || made.GetCreateTime() == nil {
		t.Errorf("created %v", made)
	}
	must(t, s.commit(func(c *records.Change) error {
		after, err := c.Update(named(t, aias), made.GetEtag(), records.Replace(asked))
		if err == nil && len(c.Put()) > 0 {
			t.Errorf("nothing but server fields was asked for, and it changes to %v", after)
		}
		return err
	}))
}

func TestProblems(t *testing.T) {
	s := marsala(t)
	record := service(aias)
	record.Title, record.Provisions[0].Mode = nil, 0
	record.Contacts = []*registryv1.ContactPoint{{Kind: registryv1.ContactPoint_EMAIL, Value: "x"}}
	var said []string
	must(t, s.store.View(func(r store.Reader) error {
		problems, err := s.records.Begin(r, store.Stamp{Time: s.store.Now()}, policy.System()).Problems(catalog.Name{Kind: catalog.ByCollection("services"), IDs: []string{"marsala"}}, nil, record)
		for _, p := range problems {
			said = append(said, p.GetField()+" "+p.GetDescription())
		}
		return err
	}))
	if len(said) != 4 || !slices.IsSortedFunc(said, func(a, b string) int {
		return strings.Compare(missing(a), missing(b))
	}) {
		t.Errorf("problems %q", said)
	}
	for _, want := range []string{"title manca", "provisions[0].mode manca", "contacts[0].value è troppo corto: almeno 3 caratteri", "provisions[0].organization rimanda a una scheda che non c'è"} {
		if !slices.Contains(said, want) {
			t.Errorf("problems %q lack %q", said, want)
		}
	}
}

// missing sorts what is missing first.
func missing(said string) string {
	if strings.HasSuffix(said, " manca") {
		return "0"
	}
	return "1"
}
