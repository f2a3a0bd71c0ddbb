// Package editorial is the editorial office of a comune's node: what is written
// and not yet shown, what happened to each record, what must be verified again,
// and what others propose to put right. Drafts and proposals are local data,
// sealed, and leave the node for nobody.
package editorial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/flood"
	"cidsistem.example/services/internal/mail"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
)

// Settings of the editorial office, from the node's file.
type Settings struct {
	// Reminders sends organisations, at most once a month, a link with which they
	// confirm those of their cards that are overdue.
	Reminders bool `yaml:"reminders"`
}

// Outbox takes messages that have to be sent.
type Outbox interface {
	// Put returns what puts a message into the outbox, for the commit of what it is
	// about, and the name of the message.
	Put(message mail.Message, stamp store.Stamp) (name string, puts []store.LocalPut, err error)
}

// Options of New.
type Options struct {
	// Store of the node, and the Vault of its local data.
	Store *store.Store
	Vault *vault.Vault
	// Records of the comune.
	Records *records.Records
	// Rules of the contract.
	Rules records.Rules
	// Outbox of the node.
	Outbox Outbox
	// Comune is the id of the comune that the node owns, Title its name.
	Comune, Title string
	// PortalURL is where people read the comune's pages, without a slash at the end;
	// empty: no links can be sent.
	PortalURL string
	// Settings from the node's file.
	Settings Settings
	// Logger; nil means slog.Default.
	Logger *slog.Logger
}

// Office serves DraftService, RecordService and CorrectionService for one
// comune. It is safe for concurrent use.
type Office struct {
	options Options
	store   *store.Store
	records *records.Records
	parent  string
	log     *slog.Logger
	// proposals and codes slow down the public.
	proposals, codes *flood.Gate

	// tidying lets one look around at a time, so that who asks finds it done.
	tidying sync.Mutex
	// looked is when the office last looked around.
	looked time.Time
}

const (
	// hourlyPerNetwork and hourly are how many corrections come in an hour from one
	// network, which many people may share, and in all.
	hourlyPerNetwork, hourly = 30, 300
	// hourlyCodes is how many codes that are none may be tried in an hour from one
	// network.
	hourlyCodes = 60
)

// New makes the editorial office of a comune.
func New(options Options) *Office {
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	return &Office{
		options: options, store: options.Store, records: options.Records, parent: "comuni/" + options.Comune, log: options.Logger,
		proposals: flood.New(hourlyPerNetwork, hourly), codes: flood.New(hourlyCodes, 20*hourlyCodes),
	}
}

// Register registers the services.
func (o *Office) Register(registrar grpc.ServiceRegistrar) {
	rpc.Register(registrar, &editorialv1.DraftService_ServiceDesc, draftServer{Office: o})
	rpc.Register(registrar, &editorialv1.RecordService_ServiceDesc, recordServer{Office: o})
	rpc.Register(registrar, &editorialv1.CorrectionService_ServiceDesc, correctionServer{Office: o})
}

// owns refuses what belongs to another comune, by a name that begins with it.
func (o *Office) owns(name string) error {
	if name == o.parent || strings.HasPrefix(name, o.parent+"/") {
		return nil
	}
	comune, _, _ := strings.Cut(strings.TrimPrefix(name, "comuni/"), "/")
	return apierror.New(registryv1.ErrorReason_NOT_THE_OWNER,
		fmt.Sprintf("this is the editorial office of %s, not of comuni/%s; ask the node of that comune", o.parent, comune),
		apierror.With("comune", comune))
}

// nameOf takes the name of a record of this comune apart; the field is for the
// error.
func (o *Office) nameOf(field, text string) (catalog.Name, error) {
	name, err := catalog.ParseName(text)
	if err != nil {
		return catalog.Name{}, apierror.Invalid(field, "is not the name of a record")
	}
	return name, o.owns(text)
}

// whole reads a record that the caller sees all of and may work on, deleted or
// not; anything else is not there for them.
func (o *Office) whole(reader store.Reader, caller *policy.Caller, name catalog.Name) (proto.Message, error) {
	record, err := reader.Get(name)
	if err != nil {
		return nil, err
	}
	if record == nil || caller.Sight().Of(record) != record || !caller.WorksOn(catalog.Keeper(record)) {
		return nil, apierror.NotFound(name.String())
	}
	return record, nil
}

// writes tells whether a caller may write records of a kind in this comune at
// all.
func (o *Office) writes(caller *policy.Caller, kind *catalog.Kind) bool {
	name := catalog.Name{Kind: kind, IDs: []string{o.options.Comune}}
	for len(name.IDs) < kind.Depth() {
		name.IDs = append(name.IDs, "any")
	}
	_, err := o.records.Rights(caller, catalog.Update, name)
	return err == nil
}

// commit makes a change with its audit entry.
func (o *Office) commit(ctx context.Context, request store.Request, requestID string, replay proto.Message, decide func(store.Reader, store.Stamp) (store.Outcome, error)) (proto.Message, error) {
	answer, err := o.store.Commit(ctx, request, replay, decide)
	if err != nil {
		return nil, records.Answer(err, requestID)
	}
	return answer, nil
}

// entry begins an audit entry without the words of who calls.
func entry(caller *policy.Caller, method, resource string) *auditv1.AuditEntry {
	e := caller.Entry(method, resource, auditv1.AuditEntry_DONE)
	e.Reason = ""
	return e
}

// refusal tells whether an error is an answer to who asked, and no failure of
// the node.
func refusal(err error) bool {
	return apierror.Reason(err) != registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED
}

// inItalian says why something was refused, for who reads it later.
func inItalian(err error) string {
	text := apierror.Table[apierror.Reason(err)].Title
	for i, field := range apierror.Fields(err) {
		if i == 5 {
			return text + " …"
		}
		separator := ", "
		if i == 0 {
			separator = ": "
		}
		text += separator + field.GetField()
	}
	for i, blocker := range apierror.Blockers(err) {
		if i == 5 {
			return text + " …"
		}
		text += " · " + blocker.GetSubject()
	}
	return text
}

// A Tidied count says what upkeep did.
type Tidied struct {
	// Published drafts, suspended records, erased entries and sent reminders.
	Published, Suspended, Erased, Reminded int
}

// Tidy does what has its time: it writes scheduled drafts, suspends records that
// expire, reminds organisations, and erases what is old. The node's upkeep calls
// it every minute.
func (o *Office) Tidy(ctx context.Context) (Tidied, error) {
	o.tidying.Lock()
	defer o.tidying.Unlock()
	var done Tidied
	if err := o.runDue(ctx, &done); err != nil {
		return done, fmt.Errorf("editorial office: %w", err)
	}
	if !o.looks() {
		return done, nil
	}
	if err := o.forgetGone(ctx); err != nil {
		return done, fmt.Errorf("editorial office: %w", err)
	}
	if o.options.Settings.Reminders && o.options.PortalURL != "" {
		n, err := o.remind(ctx)
		done.Reminded = n
		if err != nil {
			return done, fmt.Errorf("remind organisations: %w", err)
		}
	}
	return done, nil
}

// dueBatch is how many entries that are due are read at a time.
const dueBatch = 200

// runDue handles every entry whose time has come. Each handler removes its entry.
func (o *Office) runDue(ctx context.Context, done *Tidied) error {
	for {
		now := o.store.Now()
		var due []store.LocalKey
		err := o.store.View(func(r store.Reader) error {
			for key := range r.LocalEntries(areaDue, "") {
				at, _, err := splitTimed(key)
				if err != nil {
					return err
				}
				if at.After(now) || len(due) == dueBatch {
					return nil
				}
				due = append(due, key)
			}
			return nil
		})
		if err != nil || len(due) == 0 {
			return err
		}
		for _, key := range due {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := o.runOne(ctx, key, done); err != nil {
				return err
			}
		}
	}
}

func (o *Office) runOne(ctx context.Context, key store.LocalKey, done *Tidied) error {
	at, rest, err := splitTimed(key)
	if err != nil || rest == "" {
		return errors.Join(err, errDamaged)
	}
	id := rest[1:]
	_, err = o.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		w := writer{office: o}
		w.remove(key)
		outcome := store.Outcome{}
		var err error
		switch rest[0] {
		case duePublish:
			err = o.publishScheduled(r, stamp, &w, &outcome, id, at, done)
		case dueSuspend:
			err = o.suspendExpired(r, stamp, &w, &outcome, id, at, done)
		case dueDraft:
			err = o.eraseDraft(r, &w, id, at)
		case dueCorrection:
			w.remove(correctionKey(id))
			w.erased++
		case dueConfirmation:
			err = o.eraseConfirmation(r, &w, id)
		case dueReminder:
			w.remove(reminderKey(id))
		case dueChange:
			w.remove(changeKey(id))
			w.erased++
		default:
			err = errDamaged
		}
		outcome.Local = append(outcome.Local, w.local...)
		if w.erased > 0 {
			e := policy.System().Entry("retention", o.parent, auditv1.AuditEntry_DONE)
			e.Count = int64(w.erased)
			outcome.Audit = append(outcome.Audit, e)
			done.Erased += w.erased
		}
		return outcome, errors.Join(err, w.err)
	})
	if err != nil {
		return fmt.Errorf("what is due at %s: %w", at.UTC().Format(time.RFC3339), err)
	}
	return nil
}
