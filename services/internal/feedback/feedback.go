// Package feedback keeps what readers think of the pages of the portal, on the
// comune's own node: sealed, of nobody, erased when its time is over.
package feedback

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/flood"
	"cidsistem.example/services/internal/network"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
)

const (
	// area of the local entries: time of creation, id -> sealed rating. Their order
	// is that of their age.
	area = "feedback"
	// Retention is how long a rating stays.
	Retention = 365 * 24 * time.Hour
	// hourlyPerNetwork and hourly are how many ratings come in an hour from one
	// network, which many people may share, and in all.
	hourlyPerNetwork, hourly = 60, 600
	// mostBytes bounds what all ratings take.
	mostBytes = 64 << 20
	// mostPages of a summary.
	mostPages = 1000
	// purgeBatch is how many ratings one transaction erases.
	purgeBatch = 500
	// stampLength of a key is that of its time.
	stampLength = 16
)

var errDamaged = errors.New("a rating is damaged")

// Box serves FeedbackService for one comune. It is safe for concurrent use.
type Box struct {
	deskv1.UnimplementedFeedbackServiceServer
	store  *store.Store
	vault  *vault.Vault
	parent string
	gate   *flood.Gate
}

// New makes the box of a comune, by its id, over the node's store and the vault
// of its local data.
func New(s *store.Store, v *vault.Vault, comune string) *Box {
	return &Box{store: s, vault: v, parent: "comuni/" + comune, gate: flood.New(hourlyPerNetwork, hourly)}
}

// Register registers the service.
func (b *Box) Register(registrar grpc.ServiceRegistrar) {
	rpc.Register(registrar, &deskv1.FeedbackService_ServiceDesc, b)
}

func (b *Box) owns(parent string) error {
	if parent == b.parent {
		return nil
	}
	return apierror.New(registryv1.ErrorReason_NOT_THE_OWNER,
		fmt.Sprintf("this node keeps the ratings of %s, not of %s; ask the node of that comune or the ufficio comune", b.parent, parent),
		apierror.With("comune", strings.TrimPrefix(parent, "comuni/")))
}

// CreateFeedback keeps a rating.
func (b *Box) CreateFeedback(ctx context.Context, call *deskv1.CreateFeedbackRequest) (*deskv1.Feedback, error) {
	if err := b.owns(call.GetParent()); err != nil {
		return nil, err
	}
	random := make([]byte, 10)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	id := "f" + strings.ToLower(base32.StdEncoding.EncodeToString(random))
	asked := call.GetFeedback()
	made := &deskv1.Feedback{
		Name: b.parent + "/feedback/" + id, Page: asked.GetPage(), Rating: asked.GetRating(), Aspects: asked.GetAspects(),
		Text: strings.TrimSpace(asked.GetText()), Language: asked.GetLanguage(),
	}
	caller := policy.Of(ctx)
	_, err := b.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		if r.LocalBytes(area) > mostBytes {
			return store.Outcome{}, apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, "there is no room for more ratings; some go every day", apierror.RetryAfter(24*time.Hour))
		}
		if err := b.gate.Admit(network.Of(ctx), stamp.Time); err != nil {
			return store.Outcome{}, err
		}
		made.CreateTime, made.PurgeTime = timestamppb.New(stamp.Time), timestamppb.New(stamp.Time.Add(Retention))
		body, err := proto.Marshal(made)
		if err != nil {
			return store.Outcome{}, err
		}
		key := store.LocalKey{Area: area, ID: fmt.Sprintf("%0*x", stampLength, max(stamp.Time.UnixNano(), 0)) + id}
		sealed, err := b.vault.Seal(key, body)
		if err != nil {
			return store.Outcome{}, err
		}
		entry := caller.Entry(deskv1.FeedbackService_CreateFeedback_FullMethodName, made.GetName(), auditv1.AuditEntry_DONE)
		entry.Reason = "" // the words of a reader stay out of the log
		return store.Outcome{Local: []store.LocalPut{{Key: key, Value: sealed}}, Audit: []*auditv1.AuditEntry{entry}}, nil
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// ListFeedback lists ratings, the oldest first.
func (b *Box) ListFeedback(_ context.Context, call *deskv1.ListFeedbackRequest) (*deskv1.ListFeedbackResponse, error) {
	if err := b.owns(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pagetoken.Size(call.GetPageSize(), 50, 1000)
	answer, after := &deskv1.ListFeedbackResponse{}, string(token.Key)
	err = b.store.View(func(r store.Reader) error {
		for key, sealed := range r.LocalEntries(area, after) {
			if len(answer.GetFeedback()) == size {
				answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(after)})
				return nil
			}
			one, err := b.open(key, sealed)
			if err != nil {
				return err
			}
			answer.Feedback, after = append(answer.Feedback, one), key.ID
		}
		return nil
	})
	return answer, err
}

// SummarizeFeedback counts the ratings of each page.
func (b *Box) SummarizeFeedback(ctx context.Context, call *deskv1.SummarizeFeedbackRequest) (*deskv1.SummarizeFeedbackResponse, error) {
	if err := b.owns(call.GetParent()); err != nil {
		return nil, err
	}
	answer, pages, sums := &deskv1.SummarizeFeedbackResponse{}, map[string]*deskv1.SummarizeFeedbackResponse_Page{}, map[string]int32{}
	err := b.store.View(func(r store.Reader) error {
		for key, sealed := range r.LocalEntries(area, "") {
			if err := ctx.Err(); err != nil {
				return err
			}
			one, err := b.open(key, sealed)
			if err != nil {
				return err
			}
			page := pages[one.GetPage()]
			if page == nil {
				page = &deskv1.SummarizeFeedbackResponse_Page{Page: one.GetPage()}
				pages[one.GetPage()] = page
				answer.Pages = append(answer.Pages, page)
			}
			page.Count++
			answer.TotalCount++
			sums[one.GetPage()] += one.GetRating()
			if one.GetRating() <= 3 {
				page.LowCount++
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for name, page := range pages {
		page.MeanHundredths = int32(math.Round(float64(sums[name]) * 100 / float64(page.GetCount())))
	}
	slices.SortFunc(answer.GetPages(), func(a, b *deskv1.SummarizeFeedbackResponse_Page) int {
		return cmp.Or(cmp.Compare(b.GetLowCount(), a.GetLowCount()), cmp.Compare(a.GetPage(), b.GetPage()))
	})
	answer.Pages = answer.GetPages()[:min(len(answer.GetPages()), mostPages)]
	return answer, nil
}

func (b *Box) open(key store.LocalKey, sealed []byte) (*deskv1.Feedback, error) {
	body, err := b.vault.Open(key, sealed)
	if err != nil {
		return nil, err
	}
	one := &deskv1.Feedback{}
	if err := proto.Unmarshal(body, one); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return one, nil
}

// Purge erases the ratings whose time is over, and returns how many.
func (b *Box) Purge(ctx context.Context) (int, error) {
	total := 0
	for {
		erased := 0
		_, err := b.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
			erased = 0
			outcome, over := store.Outcome{}, stamp.Time.Add(-Retention)
			for key := range r.LocalEntries(area, "") {
				made, err := madeAt(key)
				if err != nil {
					return store.Outcome{}, err
				}
				if erased == purgeBatch || made.After(over) {
					break
				}
				outcome.Local = append(outcome.Local, store.LocalPut{Key: key})
				erased++
			}
			if erased > 0 {
				entry := (&policy.Caller{Local: true}).Entry("retention", b.parent+"/feedback", auditv1.AuditEntry_DONE)
				entry.Count = int64(erased)
				outcome.Audit = []*auditv1.AuditEntry{entry}
			}
			return outcome, nil
		})
		if err != nil {
			return total, fmt.Errorf("erase ratings whose time is over: %w", err)
		}
		total += erased
		if erased < purgeBatch {
			return total, nil
		}
	}
}

// madeAt is when the rating under a key was given.
func madeAt(key store.LocalKey) (time.Time, error) {
	if len(key.ID) <= stampLength {
		return time.Time{}, errDamaged
	}
	nanoseconds, err := strconv.ParseInt(key.ID[:stampLength], 16, 64)
	if err != nil {
		return time.Time{}, errDamaged
	}
	return time.Unix(0, nanoseconds), nil
}
