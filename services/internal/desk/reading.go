package desk

import (
	"context"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/store"
)

// maxScan bounds what one page looks at.
const maxScan = 2000

// forPublic is what who asked sees of a request: all but who answered.
func forPublic(request *deskv1.Request) *deskv1.Request {
	seen := proto.CloneOf(request)
	for _, answer := range seen.GetAnswers() {
		answer.Author = ""
	}
	return seen
}

// forList is what a list shows of a request: nothing that tells of a person.
func forList(request *deskv1.Request) *deskv1.Request {
	return &deskv1.Request{
		Name: request.GetName(), Category: request.GetCategory(), Service: request.GetService(), Language: request.GetLanguage(),
		State: request.GetState(), CreateTime: request.GetCreateTime(), UpdateTime: request.GetUpdateTime(), PurgeTime: request.GetPurgeTime(),
	}
}

// LookUpRequest finds a request by its code. Every code that is none gets the
// same answer.
func (d *Desk) LookUpRequest(_ context.Context, call *deskv1.LookUpRequestRequest) (*deskv1.Request, error) {
	if err := d.owns(call.GetParent()); err != nil {
		return nil, err
	}
	key := store.LocalKey{Area: areaCodes, ID: d.codes.index(call.GetCode())}
	var found *held
	err := d.store.View(func(r store.Reader) error {
		sealed := r.Local(key)
		if sealed == nil {
			return nil
		}
		id, err := d.vault.Open(key, sealed)
		if err != nil {
			return err
		}
		found, err = d.read(r, string(id))
		return err
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND, "there is no request with this code; look whether it is complete")
	}
	return forPublic(found.Request), nil
}

// GetRequest reads a request at the desk; the first reader takes it on.
func (d *Desk) GetRequest(ctx context.Context, call *deskv1.GetRequestRequest) (*deskv1.Request, error) {
	id, err := d.idIn(call.GetName())
	if err != nil {
		return nil, err
	}
	var found *held
	if err := d.store.View(func(r store.Reader) (err error) { found, err = d.read(r, id); return err }); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, apierror.NotFound(call.GetName())
	}
	if found.GetState() != deskv1.Request_RECEIVED {
		return found.Request, nil
	}
	return d.change(ctx, call.GetName(), id, func(h *held, _ store.Stamp) (bool, error) {
		if h.GetState() != deskv1.Request_RECEIVED {
			return false, nil
		}
		h.State = deskv1.Request_TAKEN
		return true, nil
	})
}

// idIn is the id in the name of a request of this desk.
func (d *Desk) idIn(name string) (string, error) {
	id := idOf(name)
	if err := d.owns(name[:max(len(name)-len("/requests/"+id), 0)]); err != nil {
		return "", err
	}
	return id, nil
}

// ListRequests lists requests, the oldest first.
func (d *Desk) ListRequests(_ context.Context, call *deskv1.ListRequestsRequest) (*deskv1.ListRequestsResponse, error) {
	if err := d.owns(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pagetoken.Size(call.GetPageSize(), 50, 1000)
	answer, after := &deskv1.ListRequestsResponse{}, string(token.Key)
	err = d.store.View(func(r store.Reader) error {
		scanned := 0
		for key := range r.LocalEntries(areaTimes, after) {
			if len(answer.GetRequests()) == size || scanned == maxScan {
				answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(after)})
				return nil
			}
			scanned, after = scanned+1, key.ID
			_, id, err := splitTimed(key)
			if err != nil {
				return err
			}
			h, err := d.read(r, id)
			if err != nil {
				return err
			}
			if h != nil && (call.GetState() == 0 || h.GetState() == call.GetState()) {
				answer.Requests = append(answer.Requests, forList(h.Request))
			}
		}
		return nil
	})
	return answer, err
}
