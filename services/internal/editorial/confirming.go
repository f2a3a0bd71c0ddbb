package editorial

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/mail"
	"cidsistem.example/services/internal/network"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/standard"
	"cidsistem.example/services/internal/store"
)

const (
	// confirmationLife is for how long a link works, confirmationKept how long it
	// stays in the list.
	confirmationLife, confirmationKept = 30 * 24 * time.Hour, 60 * 24 * time.Hour
	// mostConfirmed is how many cards a link has.
	mostConfirmed = 50
	// mostReferring is how many records around an organisation are looked at.
	mostReferring = 2000
	// mostConfirmations of a comune.
	mostConfirmations = 20_000
)

// codes are written in letters and digits that are hard to mistake.
var codeAlphabet = base32.NewEncoding("abcdefghjkmnpqrstuvwxyz023456789").WithPadding(base32.NoPadding)

// newCode makes the code of a link: 128 bits that nobody can guess.
func newCode() (string, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return codeAlphabet.EncodeToString(random), nil
}

// hashOf is all that is kept of a code.
func hashOf(code string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(code))))
	return hex.EncodeToString(sum[:])
}

func confirmationKey(id string) store.LocalKey {
	return store.LocalKey{Area: areaConfirmations, ID: id}
}

func codeKey(hash string) store.LocalKey {
	return store.LocalKey{Area: areaConfirmationCodes, ID: hash}
}

// A link is a confirmation and the hash of its code.
type link struct {
	*editorialv1.Confirmation
	hash string
}

func (w *writer) saveLink(l *link) {
	body, err := proto.Marshal(l.Confirmation)
	w.err = errors.Join(w.err, err)
	w.put(confirmationKey(idOf(l.GetName())), append([]byte(l.hash), body...))
}

// link opens a confirmation, nil when it is not there.
func (o *Office) link(r store.Reader, id string) (*link, error) {
	key := confirmationKey(id)
	value, err := o.local(r, key)
	if err != nil || value == nil {
		return nil, err
	}
	return o.decodeLink(value)
}

func (o *Office) decodeLink(value []byte) (*link, error) {
	const length = 2 * sha256.Size
	if len(value) < length {
		return nil, errDamaged
	}
	l := &link{Confirmation: &editorialv1.Confirmation{}, hash: string(value[:length])}
	if err := proto.Unmarshal(value[length:], l.Confirmation); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if l.GetState() == editorialv1.Confirmation_SENT && !l.GetExpireTime().AsTime().After(o.store.Now()) {
		l.State = editorialv1.Confirmation_EXPIRED
	}
	return l, nil
}

func (o *Office) eraseConfirmation(r store.Reader, w *writer, id string) error {
	l, err := o.link(r, id)
	if err != nil || l == nil {
		return err
	}
	w.remove(confirmationKey(id))
	w.remove(codeKey(l.hash))
	w.erased++
	return nil
}

// CreateConfirmation sends an organisation a link.
func (s correctionServer) CreateConfirmation(ctx context.Context, call *editorialv1.CreateConfirmationRequest) (*editorialv1.Confirmation, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	request, err := standard.Repeatable(editorialv1.CorrectionService_CreateConfirmation_FullMethodName, call)
	if err != nil {
		return nil, err
	}
	asked, caller := call.GetConfirmation(), policy.Of(ctx)
	name, err := s.nameOf("confirmation.organization", asked.GetOrganization())
	if err != nil {
		return nil, err
	}
	made, err := s.commit(ctx, request, call.GetRequestId(), &editorialv1.Confirmation{}, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		organization, err := s.whole(r, caller, name)
		if err != nil {
			return store.Outcome{}, err
		}
		if _, err := s.records.Rights(caller, catalog.Update, name); err != nil {
			return store.Outcome{}, err
		}
		cards, err := s.cards(r, organization)
		if err != nil {
			return store.Outcome{}, err
		}
		for i, card := range asked.GetRecords() {
			if !slices.Contains(cards, card) {
				return store.Outcome{}, apierror.Invalid(fmt.Sprintf("confirmation.records[%d]", i), "is not a card of "+name.String())
			}
		}
		if len(asked.GetRecords()) > 0 {
			cards = asked.GetRecords()
		}
		w := writer{office: s.Office}
		l, err := s.send(r, &w, stamp, organization, cards, asked.GetEmail())
		if err != nil {
			return store.Outcome{}, err
		}
		// The address stays sealed: repetitions are answered without it.
		answer := proto.CloneOf(l.Confirmation)
		answer.Email = ""
		return store.Outcome{
			Local: w.local, Answer: answer,
			Audit: []*auditv1.AuditEntry{entry(caller, editorialv1.CorrectionService_CreateConfirmation_FullMethodName, l.GetName())},
		}, w.err
	})
	if err != nil {
		return nil, err
	}
	answer := proto.CloneOf(made.(*editorialv1.Confirmation))
	answer.Email = asked.GetEmail()
	return answer, nil
}

// cards are those that an organisation keeps: its own first.
func (o *Office) cards(r store.Reader, organization proto.Message) ([]string, error) {
	own := catalog.RecordOf(organization).Name()
	referrers, err := r.Referrers(own, mostReferring)
	if err != nil {
		return nil, err
	}
	cards := []string{own}
	for _, text := range referrers {
		name, err := catalog.ParseName(text)
		if err != nil {
			return nil, err
		}
		record, err := r.Get(name)
		if err != nil {
			return nil, err
		}
		if record != nil && text != own && catalog.Keeper(record) == own {
			cards = append(cards, text)
		}
	}
	return cards[:min(len(cards), mostConfirmed)], nil
}

// send makes a link and the message that takes it to an organisation.
func (o *Office) send(r store.Reader, w *writer, stamp store.Stamp, organization proto.Message, cards []string, email string) (*link, error) {
	if o.options.PortalURL == "" {
		return nil, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "the node does not know the address of the portal, to which a link leads; set portal_url in its settings")
	}
	n := 0
	for range r.LocalKeys(areaConfirmations) {
		n++
	}
	if n >= mostConfirmations {
		return nil, apierror.New(registryv1.ErrorReason_TOO_LARGE, "there are as many links as there can be; some go every day")
	}
	code, err := newCode()
	if err != nil {
		return nil, err
	}
	expires := stamp.Time.Add(confirmationLife)
	l := &link{hash: hashOf(code), Confirmation: &editorialv1.Confirmation{
		Name: o.parent + "/confirmations/" + standard.NewID("confirmation"), Organization: catalog.RecordOf(organization).Name(), Email: email, Records: cards,
		State: editorialv1.Confirmation_SENT, CreateTime: timestamppb.New(stamp.Time), ExpireTime: timestamppb.New(expires),
	}}
	message, puts, err := o.options.Outbox.Put(o.words(organization, cards, email, code, expires, l.GetName()), stamp)
	if err != nil {
		return nil, err
	}
	l.Message = message
	w.local = append(w.local, puts...)
	w.saveLink(l)
	w.put(codeKey(l.hash), []byte(idOf(l.GetName())))
	w.put(dueKey(stamp.Time.Add(confirmationKept), dueConfirmation, idOf(l.GetName())), nil)
	return l, nil
}

// words are those of the message with a link.
func (o *Office) words(organization proto.Message, cards []string, email, code string, expires time.Time, about string) mail.Message {
	many := fmt.Sprintf("%d schede che vi riguardano", len(cards))
	if len(cards) == 1 {
		many = "una scheda che vi riguarda"
	}
	address := strings.TrimSuffix(o.options.PortalURL, "/") + "/conferma/" + o.options.Comune + "?c=" + url.QueryEscape(code)
	return mail.Message{
		To: email, Language: "it", About: about,
		Subject: "Comune di " + o.options.Title + ": le informazioni su di voi sono ancora giuste?",
		Text: fmt.Sprintf(`Buongiorno,

il Comune di %s pubblica %s (%s).
Vi chiediamo di dire se quello che c'è scritto è ancora giusto, o che cosa va corretto.
Bastano pochi minuti, e non serve registrarsi:

%s

Il collegamento vale una volta sola, fino al %s. È solo per voi: non inoltratelo.

Comune di %s
`, o.options.Title, many, catalog.RecordOf(organization).Title(), address, expires.Format("02/01/2006"), o.options.Title),
	}
}

// ListConfirmations lists the links that were sent, the newest first.
func (s correctionServer) ListConfirmations(ctx context.Context, call *editorialv1.ListConfirmationsRequest) (*editorialv1.ListConfirmationsResponse, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	caller, size := policy.Of(ctx), pagetoken.Size(call.GetPageSize(), 50, 1000)
	answer, last, scanned := &editorialv1.ListConfirmationsResponse{}, string(token.Key), 0
	err = s.store.View(func(r store.Reader) error {
		for key, sealed := range r.LocalEntriesDown(areaConfirmations, last) {
			if len(answer.GetConfirmations()) == size || scanned == maxScan {
				answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(last)})
				return nil
			}
			scanned++
			last = key.ID
			value, err := s.options.Vault.Open(key, sealed)
			if err != nil {
				return err
			}
			l, err := s.decodeLink(value)
			if err != nil {
				return err
			}
			if caller.WorksOn(l.GetOrganization()) {
				answer.Confirmations = append(answer.Confirmations, l.Confirmation)
			}
		}
		return nil
	})
	return answer, err
}

// sent opens the confirmation of a code that still works. Who tries codes is
// slowed down.
func (s correctionServer) sent(ctx context.Context, r store.Reader, code string) (*link, error) {
	hash := hashOf(code)
	id, err := s.local(r, codeKey(hash))
	if err != nil {
		return nil, err
	}
	if id != nil {
		l, err := s.link(r, string(id))
		if err != nil {
			return nil, err
		}
		if l != nil && l.GetState() == editorialv1.Confirmation_SENT {
			return l, nil
		}
	}
	if caller := policy.Of(ctx); !caller.Local {
		if err := s.codes.Admit(network.Of(ctx), s.store.Now()); err != nil {
			return nil, err
		}
	}
	return nil, apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND, "the link is not valid: it was used, or its time is over", apierror.Field("code", "is not valid"))
}

// LookUpConfirmation reads the cards of a link, as everybody sees them.
func (s correctionServer) LookUpConfirmation(ctx context.Context, call *editorialv1.LookUpConfirmationRequest) (*editorialv1.LookUpConfirmationResponse, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	answer := &editorialv1.LookUpConfirmationResponse{}
	err := s.store.View(func(r store.Reader) error {
		l, err := s.sent(ctx, r, call.GetCode())
		if err != nil {
			return err
		}
		answer.ExpireTime = l.GetExpireTime()
		if answer.Title, err = title(r, l.GetOrganization()); err != nil {
			return err
		}
		for _, text := range l.GetRecords() {
			record, err := shownCard(r, text)
			if err != nil {
				return err
			}
			if record == nil {
				continue
			}
			one, err := packed(record)
			if err != nil {
				return err
			}
			answer.Records = append(answer.Records, one)
		}
		return nil
	})
	return answer, err
}

// shownCard is a card as everybody sees it, nil for one that they do not.
func shownCard(r store.Reader, text string) (proto.Message, error) {
	name, err := catalog.ParseName(text)
	if err != nil {
		return nil, errDamaged
	}
	record, err := r.Get(name)
	if err != nil || record == nil || catalog.RecordOf(record).Deleted() {
		return nil, err
	}
	return catalog.Narrow(record, registryv1.Visibility_PUBLIC), nil
}

// AnswerConfirmation takes the answer of an organisation, once.
func (s correctionServer) AnswerConfirmation(ctx context.Context, call *editorialv1.AnswerConfirmationRequest) (*editorialv1.AnswerConfirmationResponse, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	if len(call.GetConfirmed())+len(call.GetCorrections()) == 0 {
		return nil, apierror.Invalid("confirmed", "is empty; confirm or correct at least one card")
	}
	caller, answer := policy.Of(ctx), &editorialv1.AnswerConfirmationResponse{}
	_, err := s.commit(ctx, store.Request{}, "", nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		l, err := s.sent(ctx, r, call.GetCode())
		if err != nil {
			return store.Outcome{}, err
		}
		who, err := title(r, l.GetOrganization())
		if err != nil {
			return store.Outcome{}, err
		}
		w := writer{office: s.Office}
		for i, asked := range call.GetCorrections() {
			at := fmt.Sprintf("corrections[%d]", i)
			if err := s.correctByLink(r, &w, stamp, l, at, asked); err != nil {
				return store.Outcome{}, err
			}
			answer.CorrectionCount++
		}
		// The node itself writes what the organisation says of its own cards.
		change := s.records.Begin(r, stamp, policy.System())
		for i, text := range call.GetConfirmed() {
			name, err := catalog.ParseName(text)
			if err != nil || !slices.Contains(l.GetRecords(), text) {
				return store.Outcome{}, apierror.Invalid(fmt.Sprintf("confirmed[%d]", i), "is not a card of this link")
			}
			if slices.ContainsFunc(call.GetCorrections(), func(c *editorialv1.Correction) bool { return c.GetRecord() == text }) {
				return store.Outcome{}, apierror.Invalid(fmt.Sprintf("confirmed[%d]", i), "is both confirmed and corrected")
			}
			_, err = change.Update(name, "", func(after proto.Message) error {
				verify(after, stamp.Time, stamp.Time.Add(name.Kind.VerifyAfter), who)
				return nil
			})
			if err != nil {
				return store.Outcome{}, err
			}
			answer.VerifiedCount++
		}
		l.State, l.AnswerTime = editorialv1.Confirmation_ANSWERED, timestamppb.New(stamp.Time)
		w.saveLink(l)
		w.remove(codeKey(l.hash))
		return store.Outcome{
			Put: change.Put(), Local: w.local,
			Why:   store.Why{Action: editorialv1.RecordChange_VERIFIED, Means: editorialv1.VerificationMeans_BY_PROVIDER, Cause: l.GetName()},
			Audit: []*auditv1.AuditEntry{entry(caller, editorialv1.CorrectionService_AnswerConfirmation_FullMethodName, l.GetName())},
		}, w.err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// correctByLink keeps what an organisation says is wrong in one of its cards.
func (s correctionServer) correctByLink(r store.Reader, w *writer, stamp store.Stamp, l *link, at string, asked *editorialv1.Correction) error {
	if !slices.Contains(l.GetRecords(), asked.GetRecord()) {
		return apierror.Invalid(at+".record", "is not a card of this link")
	}
	record, err := shownCard(r, asked.GetRecord())
	if err != nil {
		return err
	}
	if record == nil {
		return apierror.NotFound(asked.GetRecord())
	}
	_, err = s.propose(r, w, stamp, standard.NewID("correction"), record, asked, editorialv1.Correction_PROVIDER_LINK)
	return err
}
