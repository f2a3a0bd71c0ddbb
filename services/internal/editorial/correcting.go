package editorial

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/network"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/standard"
	"cidsistem.example/services/internal/store"
)

const (
	// correctionKept is how long a correction stays.
	correctionKept = 365 * 24 * time.Hour
	// mostCorrections and mostCorrectionBytes bound the corrections of a comune.
	mostCorrections, mostCorrectionBytes = 20_000, 64 << 20
	// mostCorrection bounds one.
	mostCorrection = 64 << 10
)

// correctionServer serves CorrectionService.
type correctionServer struct {
	editorialv1.UnimplementedCorrectionServiceServer
	*Office
}

// CreateCorrection keeps what somebody proposes to put right.
func (s correctionServer) CreateCorrection(ctx context.Context, call *editorialv1.CreateCorrectionRequest) (*editorialv1.Correction, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	request, err := standard.Repeatable(editorialv1.CorrectionService_CreateCorrection_FullMethodName, call)
	if err != nil {
		return nil, err
	}
	name, err := s.nameOf("correction.record", call.GetCorrection().GetRecord())
	if err != nil {
		return nil, err
	}
	caller := policy.Of(ctx)
	origin := editorialv1.Correction_PUBLIC_PERSON
	if caller.Person != nil && caller.Reads() >= registryv1.Visibility_NETWORK {
		origin = editorialv1.Correction_OPERATOR
	}
	id := standard.NewID("correction")
	answer, err := s.commit(ctx, request, call.GetRequestId(), &editorialv1.Correction{}, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		record, err := r.Get(name)
		if err != nil {
			return store.Outcome{}, err
		}
		if record != nil {
			record = caller.Sight().Of(record)
		}
		if record == nil || catalog.RecordOf(record).Deleted() {
			return store.Outcome{}, apierror.NotFound(name.String())
		}
		w := writer{office: s.Office}
		made, err := s.propose(r, &w, stamp, id, record, call.GetCorrection(), origin)
		if err != nil {
			return store.Outcome{}, err
		}
		// Last, so that what is refused does not count.
		if caller.Person == nil && !caller.Local {
			if err := s.proposals.Admit(network.Of(ctx), stamp.Time); err != nil {
				return store.Outcome{}, err
			}
		}
		// What a person wrote is kept for repetitions nowhere but sealed.
		return store.Outcome{
			Local: w.local, Answer: &editorialv1.Correction{
				Name: made.GetName(), Record: made.GetRecord(), State: made.GetState(), Origin: made.GetOrigin(), CreateTime: made.GetCreateTime(), PurgeTime: made.GetPurgeTime(),
			},
			Audit: []*auditv1.AuditEntry{entry(caller, editorialv1.CorrectionService_CreateCorrection_FullMethodName, made.GetName())},
		}, w.err
	})
	if err != nil {
		return nil, err
	}
	return answer.(*editorialv1.Correction), nil
}

// propose keeps a correction of a record, as the proposer sees it.
func (o *Office) propose(r store.Reader, w *writer, stamp store.Stamp, id string, record proto.Message, asked *editorialv1.Correction, origin editorialv1.Correction_Origin) (*editorialv1.Correction, error) {
	n := 0
	for range r.LocalKeys(areaCorrections) {
		n++
	}
	if n >= mostCorrections || r.LocalBytes(areaCorrections) > mostCorrectionBytes {
		return nil, apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, "there is no room for more corrections; some go every day", apierror.RetryAfter(24*time.Hour))
	}
	of := catalog.RecordOf(record)
	name, err := catalog.ParseName(of.Name())
	if err != nil {
		return nil, err
	}
	whole, err := r.Get(name)
	if err != nil {
		return nil, err
	}
	made := &editorialv1.Correction{
		Name: o.parent + "/corrections/" + id, Record: of.Name(), Title: of.Title(), Note: strings.TrimSpace(asked.GetNote()),
		Contact: strings.TrimSpace(asked.GetContact()), State: editorialv1.Correction_OPEN, Origin: origin,
		CreateTime: timestamppb.New(stamp.Time), PurgeTime: timestamppb.New(stamp.Time.Add(correctionKept)),
	}
	for i, change := range asked.GetChanges() {
		if change.GetField() != "" {
			if _, err := parsePath(of.Kind(), change.GetField()); err != nil {
				return nil, apierror.Invalid(fmt.Sprintf("correction.changes[%d].field", i), err.Error())
			}
		}
		made.Changes = append(made.Changes, &editorialv1.Correction_Change{Field: inWhole(change.GetField(), record, whole), Current: change.GetCurrent(), Proposed: change.GetProposed()})
	}
	if proto.Size(made) > mostCorrection {
		return nil, apierror.New(registryv1.ErrorReason_TOO_LARGE, "the correction is too long", apierror.With("limit_bytes", fmt.Sprint(mostCorrection)))
	}
	w.putMessage(correctionKey(id), made)
	w.put(dueKey(made.GetPurgeTime().AsTime(), dueCorrection, id), nil)
	return made, nil
}

// correctionFor opens a correction of a record that the caller works on; any
// other is not there. The record is nil when it is gone.
func (o *Office) correctionFor(r store.Reader, caller *policy.Caller, name string) (*editorialv1.Correction, proto.Message, error) {
	if err := o.owns(name); err != nil {
		return nil, nil, err
	}
	one := &editorialv1.Correction{}
	found, err := o.message(r, correctionKey(idOf(name)), one)
	if err != nil {
		return nil, nil, err
	}
	record, visible, err := o.corrected(r, caller, one)
	if err != nil {
		return nil, nil, err
	}
	if !found || !visible {
		return nil, nil, apierror.NotFound(name)
	}
	return one, record, nil
}

// corrected reads the record of a correction, and tells whether the caller works
// on it. One that is gone is for who works on everything.
func (o *Office) corrected(r store.Reader, caller *policy.Caller, one *editorialv1.Correction) (record proto.Message, visible bool, err error) {
	name, err := catalog.ParseName(one.GetRecord())
	if err != nil {
		return nil, false, nil
	}
	if record, err = r.Get(name); err != nil {
		return nil, false, err
	}
	if record == nil {
		return nil, caller.WorksOn(""), nil
	}
	return record, caller.WorksOn(catalog.Keeper(record)), nil
}

// GetCorrection reads one correction, with who proposed it.
func (s correctionServer) GetCorrection(ctx context.Context, call *editorialv1.GetCorrectionRequest) (one *editorialv1.Correction, err error) {
	err = s.store.View(func(r store.Reader) error {
		one, _, err = s.correctionFor(r, policy.Of(ctx), call.GetName())
		return err
	})
	return one, err
}

// ListCorrections lists corrections, the oldest first.
func (s correctionServer) ListCorrections(ctx context.Context, call *editorialv1.ListCorrectionsRequest) (*editorialv1.ListCorrectionsResponse, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	caller, size := policy.Of(ctx), pagetoken.Size(call.GetPageSize(), 50, 1000)
	answer, after, scanned := &editorialv1.ListCorrectionsResponse{}, string(token.Key), 0
	err = s.store.View(func(r store.Reader) error {
		for key, sealed := range r.LocalEntries(areaCorrections, after) {
			if len(answer.GetCorrections()) == size || scanned == maxScan {
				answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(after)})
				return nil
			}
			scanned++
			after = key.ID
			value, err := s.options.Vault.Open(key, sealed)
			if err != nil {
				return err
			}
			one := &editorialv1.Correction{}
			if err := proto.Unmarshal(value, one); err != nil {
				return fmt.Errorf("%w: %w", errDamaged, err)
			}
			if call.GetState() != 0 && one.GetState() != call.GetState() || call.GetRecord() != "" && one.GetRecord() != call.GetRecord() {
				continue
			}
			_, visible, err := s.corrected(r, caller, one)
			if err != nil {
				return err
			}
			if visible {
				one.Contact = ""
				answer.Corrections = append(answer.Corrections, one)
			}
		}
		return nil
	})
	return answer, err
}

// DecideCorrection takes over what is accepted of a correction, in one commit
// with the decision.
func (s correctionServer) DecideCorrection(ctx context.Context, call *editorialv1.DecideCorrectionRequest) (*editorialv1.Correction, error) {
	caller := policy.Of(ctx)
	_, err := s.commit(ctx, store.Request{}, "", nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		one, record, err := s.correctionFor(r, caller, call.GetName())
		if err != nil {
			return store.Outcome{}, err
		}
		if one.GetState() != editorialv1.Correction_OPEN {
			return store.Outcome{}, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "the correction is decided already", apierror.With("state", one.GetState().String()))
		}
		if record == nil && len(call.GetAccepted()) > 0 {
			return store.Outcome{}, apierror.NotFound(one.GetRecord())
		}
		name, err := catalog.ParseName(one.GetRecord())
		if err != nil {
			return store.Outcome{}, errDamaged
		}
		if _, err := s.records.Rights(caller, catalog.Update, name); err != nil {
			return store.Outcome{}, err
		}
		one.State, one.Answer = editorialv1.Correction_REJECTED, strings.TrimSpace(call.GetAnswer())
		change := s.records.Begin(r, stamp, caller)
		if len(call.GetAccepted()) > 0 {
			one.State = editorialv1.Correction_ACCEPTED
			if _, err := change.Update(name, call.GetRecordEtag(), func(after proto.Message) error { return accept(one, after, call.GetAccepted(), stamp.Time) }); err != nil {
				return store.Outcome{}, err
			}
		}
		w := writer{office: s.Office}
		w.putMessage(correctionKey(idOf(one.GetName())), one)
		return store.Outcome{
			Put: change.Put(), Local: w.local,
			Why:   store.Why{Actor: records.Actor(caller), Note: shortened(one.GetAnswer(), 500), Cause: one.GetName()},
			Audit: []*auditv1.AuditEntry{entry(caller, editorialv1.CorrectionService_DecideCorrection_FullMethodName, one.GetName())},
		}, w.err
	})
	if err != nil {
		return nil, err
	}
	return s.GetCorrection(ctx, &editorialv1.GetCorrectionRequest{Name: call.GetName()})
}

// accept writes the accepted changes of a correction into a record, each with
// its source.
func accept(one *editorialv1.Correction, record proto.Message, accepted []int32, now time.Time) error {
	accepted = slices.Sorted(slices.Values(accepted))
	for _, i := range accepted {
		at := fmt.Sprintf("correction.changes[%d]", i)
		if int(i) >= len(one.GetChanges()) {
			return apierror.Invalid("accepted", fmt.Sprintf("there is no change %d", i))
		}
		change := one.GetChanges()[i]
		change.Accepted = true
		if change.GetField() == "" {
			continue // words that fit no field: the comune does what follows from them
		}
		before := textAt(record, change.GetField())
		if err := setPath(record, change.GetField(), change.GetProposed()); err != nil {
			return apierror.Invalid(at+".proposed", err.Error())
		}
		noteSource(record, change.GetField(), before, sourceOf(one.GetOrigin(), now))
	}
	return nil
}

// sourceOf is the provenance of what a correction says.
func sourceOf(origin editorialv1.Correction_Origin, now time.Time) *registryv1.Provenance {
	p := &registryv1.Provenance{SourceKind: registryv1.Provenance_CITIZEN, SourceLabel: "segnalazione di una persona"}
	switch origin {
	case editorialv1.Correction_PROVIDER_LINK:
		p.SourceKind, p.SourceLabel = registryv1.Provenance_PROVIDER, "risposta dell'ente"
	case editorialv1.Correction_OPERATOR:
		p.SourceKind, p.SourceLabel = registryv1.Provenance_OWN, "segnalazione di un operatore della federazione"
	}
	p.AsOf = &registryv1.PartialDate{Year: int32(now.Year()), Month: int32(now.Month()), Day: int32(now.Day())}
	return p
}

const (
	// mostSources and mostSourceText are what the contract lets a record say of the
	// sources of its fields.
	mostSources, mostSourceText = 100, 4000
)

// noteSource notes who says what now stands in a field, and keeps what another
// source said before.
func noteSource(record proto.Message, path, before string, source *registryv1.Provenance) {
	m := record.ProtoReflect()
	fd := m.Descriptor().Fields().ByName("field_sources")
	if fd == nil {
		return
	}
	field, now := plainPath(path), shortened(textAt(record, path), mostSourceText)
	var kept []*registryv1.FieldSource
	known := false
	for i := range m.Get(fd).List().Len() {
		said := m.Get(fd).List().Get(i).Message().Interface().(*registryv1.FieldSource)
		if said.GetField() == field {
			if said.GetValue() == now {
				continue
			}
			known = known || said.GetValue() == before
			said = proto.CloneOf(said)
			said.InForce = false
		}
		kept = append(kept, said)
	}
	if before != "" && before != now && !known {
		was := &registryv1.Provenance{SourceKind: registryv1.Provenance_OWN}
		if own := catalog.RecordOf(record).Provenance(); own != nil {
			was = &registryv1.Provenance{SourceKind: own.GetSourceKind(), SourceUri: own.GetSourceUri(), SourceLabel: own.GetSourceLabel(), AsOf: own.GetAsOf()}
		}
		kept = append(kept, &registryv1.FieldSource{Field: field, Value: shortened(before, mostSourceText), Provenance: was})
	}
	kept = append(kept, &registryv1.FieldSource{Field: field, Value: now, Provenance: source, InForce: true})
	kept = kept[max(0, len(kept)-mostSources):]
	list := m.NewField(fd)
	for _, said := range kept {
		list.List().Append(protoreflect.ValueOfMessage(said.ProtoReflect()))
	}
	m.Set(fd, list)
}
