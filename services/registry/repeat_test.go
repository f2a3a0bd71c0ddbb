package registry_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/registry"
)

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

const (
	requestID = "7f0f1fd4-9d3c-4f43-9b6b-1c5d0f7a3c10"
	otherID   = "7f0f1fd4-9d3c-4f43-9b6b-1c5d0f7a3c11"
)

func TestRepeatedWrites(t *testing.T) {
	n := marsala(t, registry.Options{})
	create := func(id, title string) (*registryv1.Service, error) {
		return n.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{
			Parent: "comuni/marsala", RequestId: id, Service: service(func(s *registryv1.Service) { s.Title = italian(title) }),
		})
	}
	first, err := create(requestID, "Trasporto")
	must(t, err)
	n.unchanged(t, func() {
		again, err := create(requestID, "Trasporto")
		must(t, err)
		same(t, again, first)
		upper, err := create("7F0F1FD4-9D3C-4F43-9B6B-1C5D0F7A3C10", "Trasporto")
		must(t, err)
		same(t, upper, first)

		_, err = create(requestID, "Altro")
		refused(t, err, registryv1.ErrorReason_REQUEST_ID_REUSED, "requestId")
		if got := apierror.Info(err).GetMetadata()["request_id"]; got != requestID {
			t.Errorf("metadata request_id %q", got)
		}
		_, err = n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: first.GetName(), RequestId: requestID})
		refused(t, err, registryv1.ErrorReason_REQUEST_ID_REUSED, "requestId")
	})
	// A deletion is answered again, though by then it is deleted.
	deleted, err := n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: first.GetName(), RequestId: otherID})
	must(t, err)
	again, err := n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: first.GetName(), RequestId: otherID})
	must(t, err)
	same(t, again, deleted)

	// For seven days, also over a restart.
	n.pass(7*24*time.Hour - time.Second)
	n.Halt(t)
	n.Start(t)
	n.connect(t)
	must(t, n.Node.Node.Tidy(t.Context()))
	again, err = create(requestID, "Trasporto")
	must(t, err)
	same(t, again, first)
	n.pass(2 * time.Second)
	must(t, n.Node.Node.Tidy(t.Context()))
	again, err = create(requestID, "Trasporto")
	must(t, err)
	if again.GetName() == first.GetName() {
		t.Error("the request is still remembered after seven days")
	}
}

func TestConcurrentDuplicates(t *testing.T) {
	n := marsala(t, registry.Options{})
	var names sync.Map
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() {
			made, err := n.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/marsala", RequestId: requestID, Service: service()})
			if err != nil {
				t.Error(err)
			}
			names.Store(made.GetName(), true)
		})
	}
	running.Wait()
	count := 0
	names.Range(func(any, any) bool { count++; return true })
	if count != 1 || len(n.list(t, &registryv1.ListServicesRequest{})) != 1 {
		t.Errorf("one request made %d records", count)
	}
}

// After a failed commit nobody knows what is on the disk: the node says so, and
// the same request id tells after a restart.
func TestFence(t *testing.T) {
	var broken atomic.Bool
	n := marsala(t, registry.Options{BeforeCommit: func() error {
		if broken.Load() {
			return errors.New("the disk broke")
		}
		return nil
	}})
	kept := n.create(t, "kept")
	broken.Store(true)
	request := &registryv1.CreateServiceRequest{Parent: "comuni/marsala", ServiceId: "lost", RequestId: requestID, Service: service()}
	_, err := n.services.CreateService(t.Context(), request)
	refused(t, err, registryv1.ErrorReason_STORE_FENCED)
	if apierror.Retry(err) == 0 {
		t.Error("it does not say when to try again")
	}
	_, err = n.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: kept.GetName()})
	refused(t, err, registryv1.ErrorReason_STORE_FENCED)
	if n.Node.Node.Ready() == nil {
		t.Error("a fenced node says that it is ready")
	}
	broken.Store(false)
	n.Halt(t)
	n.Start(t)
	n.connect(t)
	made, err := n.services.CreateService(t.Context(), request)
	must(t, err)
	again, err := n.services.CreateService(t.Context(), request)
	must(t, err)
	same(t, again, made)
	same(t, n.read(t, kept.GetName()), kept)
}

func TestFullStore(t *testing.T) {
	n := marsala(t, registry.Options{})
	n.Halt(t)
	n.Settings.MaxBytes = 1 << 20
	n.Start(t)
	n.connect(t)
	var err error
	made := 0
	for ; err == nil && made < 500; made++ {
		_, err = n.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{
			Parent: "comuni/marsala", Service: service(func(s *registryv1.Service) { s.Description = italian(string(make([]byte, 15_000))) }),
		})
	}
	refused(t, err, registryv1.ErrorReason_STORE_FULL)
	if got := len(n.list(t, &registryv1.ListServicesRequest{})); got != made-1 || n.Node.Node.Ready() != nil {
		t.Errorf("%d of %d acknowledged records are there; ready: %v", got, made-1, n.Node.Node.Ready())
	}
}
