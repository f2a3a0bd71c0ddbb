package editorial

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/store"
)

// recordServer serves RecordService.
type recordServer struct {
	editorialv1.UnimplementedRecordServiceServer
	*Office
}

// about finds the record of a request, which must be of the comune that the
// request is about.
func (s recordServer) about(parent, record string) (catalog.Name, error) {
	if err := s.owns(parent); err != nil {
		return catalog.Name{}, err
	}
	return s.nameOf("record", record)
}

// ListRecordChanges lists what happened to a record, the newest first.
func (s recordServer) ListRecordChanges(ctx context.Context, call *editorialv1.ListRecordChangesRequest) (*editorialv1.ListRecordChangesResponse, error) {
	name, err := s.about(call.GetParent(), call.GetRecord())
	if err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	var before int64
	if len(token.Key) > 0 {
		if before, err = strconv.ParseInt(string(token.Key), 10, 64); err != nil {
			return nil, apierror.New(registryv1.ErrorReason_INVALID_PAGE_TOKEN, "page_token is damaged", apierror.Field("pageToken", "is damaged"))
		}
	}
	answer := &editorialv1.ListRecordChangesResponse{}
	err = s.store.View(func(r store.Reader) error {
		if _, err := s.whole(r, policy.Of(ctx), name); err != nil {
			return err
		}
		changes, more, err := r.History(name, before, pagetoken.Size(call.GetPageSize(), 50, 1000))
		answer.Changes = changes
		if more && len(changes) > 0 {
			last := strconv.FormatInt(changes[len(changes)-1].GetRevision(), 10)
			answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(last)})
		}
		return err
	})
	return answer, err
}

// GetRecordVersion reads a record as it was after a change.
func (s recordServer) GetRecordVersion(ctx context.Context, call *editorialv1.GetRecordVersionRequest) (*editorialv1.RecordVersion, error) {
	name, err := s.about(call.GetParent(), call.GetRecord())
	if err != nil {
		return nil, err
	}
	return s.version(policy.Of(ctx), name, call.GetRevision())
}

// version answers with a version of a record; revision 0 is the newest.
func (s recordServer) version(caller *policy.Caller, name catalog.Name, revision int64) (*editorialv1.RecordVersion, error) {
	answer := &editorialv1.RecordVersion{}
	err := s.store.View(func(r store.Reader) error {
		record, err := s.whole(r, caller, name)
		if err != nil {
			return err
		}
		if revision == 0 {
			revision = catalog.RecordOf(record).Revision()
		}
		found, err := r.Version(name, revision)
		if err != nil {
			return err
		}
		if found == nil {
			return noVersion(name, revision)
		}
		answer.Change = found.Change
		if answer.Record, err = packed(found.Record); err != nil {
			return err
		}
		answer.Before, err = packed(found.Before)
		return err
	})
	return answer, err
}

func noVersion(name catalog.Name, revision int64) error {
	return apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND,
		name.String()+" did not change at revision "+strconv.FormatInt(revision, 10)+", or that is no longer kept", apierror.With("name", name.String()))
}

// write changes one record, and answers with the version that comes of it.
func (s recordServer) write(ctx context.Context, method string, name catalog.Name, etag string, why store.Why, edit func(r store.Reader, stamp store.Stamp, w *writer, after proto.Message) error) (*editorialv1.RecordVersion, error) {
	caller := policy.Of(ctx)
	_, err := s.commit(ctx, store.Request{}, "", nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		if _, err := s.whole(r, caller, name); err != nil {
			return store.Outcome{}, err
		}
		w := writer{office: s.Office}
		change := s.records.Begin(r, stamp, caller)
		if _, err := change.Update(name, etag, func(after proto.Message) error { return edit(r, stamp, &w, after) }); err != nil {
			return store.Outcome{}, err
		}
		why.Actor = records.Actor(caller)
		outcome := store.Outcome{Put: change.Put(), Why: why, Local: w.local}
		if len(outcome.Put) > 0 {
			outcome.Audit = []*auditv1.AuditEntry{entry(caller, method, name.String())}
		}
		return outcome, w.err
	})
	if err != nil {
		return nil, err
	}
	return s.version(caller, name, 0)
}

// RestoreRecord writes a record anew as it was after a change.
func (s recordServer) RestoreRecord(ctx context.Context, call *editorialv1.RestoreRecordRequest) (*editorialv1.RecordVersion, error) {
	name, err := s.about(call.GetParent(), call.GetRecord())
	if err != nil {
		return nil, err
	}
	why := store.Why{Action: editorialv1.RecordChange_RESTORED, Note: call.GetNote()}
	return s.write(ctx, editorialv1.RecordService_RestoreRecord_FullMethodName, name, call.GetEtag(), why,
		func(r store.Reader, _ store.Stamp, _ *writer, after proto.Message) error {
			found, err := r.Version(name, call.GetRevision())
			if err != nil {
				return err
			}
			if found == nil {
				return noVersion(name, call.GetRevision())
			}
			return records.Replace(found.Record)(after)
		})
}

// VerifyRecord says that a record was checked and is true as it stands.
func (s recordServer) VerifyRecord(ctx context.Context, call *editorialv1.VerifyRecordRequest) (*editorialv1.RecordVersion, error) {
	name, err := s.about(call.GetParent(), call.GetRecord())
	if err != nil {
		return nil, err
	}
	caller := policy.Of(ctx)
	why := store.Why{Action: editorialv1.RecordChange_VERIFIED, Note: call.GetNote(), Means: call.GetMeans()}
	return s.write(ctx, editorialv1.RecordService_VerifyRecord_FullMethodName, name, call.GetEtag(), why,
		func(r store.Reader, stamp store.Stamp, _ *writer, after proto.Message) error {
			due := stamp.Time.Add(name.Kind.VerifyAfter)
			if asked := call.GetVerifyByTime(); asked != nil {
				if due = asked.AsTime(); !due.After(stamp.Time) {
					return apierror.Invalid("verifyByTime", "is over already")
				}
			}
			verifier, err := s.verifier(r, caller, after)
			if err != nil {
				return err
			}
			verify(after, stamp.Time, due, verifier)
			return nil
		})
}

// verifier names the office that finds a record true, never a person: the
// organisation, for its own people, or the comune.
func (s recordServer) verifier(r store.Reader, caller *policy.Caller, record proto.Message) (string, error) {
	if caller.WorksOn("") {
		return "Comune di " + s.options.Title, nil
	}
	return title(r, catalog.Keeper(record))
}

// title is that of a record by its name, empty when it has none.
func title(r store.Reader, text string) (string, error) {
	name, err := catalog.ParseName(text)
	if err != nil {
		return "", nil
	}
	record, err := r.Get(name)
	if err != nil || record == nil {
		return "", err
	}
	return shortened(catalog.RecordOf(record).Title(), 200), nil
}

// shortened cuts a text to so many characters.
func shortened(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// ListDueRecords lists what must be verified again, of the kinds that the caller
// writes.
func (s recordServer) ListDueRecords(ctx context.Context, call *editorialv1.ListDueRecordsRequest) (*editorialv1.ListDueRecordsResponse, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	caller, size := policy.Of(ctx), pagetoken.Size(call.GetPageSize(), 50, 1000)
	before := s.store.Now()
	if asked := call.GetDueBeforeTime(); asked != nil {
		before = asked.AsTime()
	}
	mine := map[*catalog.Kind]bool{}
	for _, kind := range catalog.Kinds() {
		mine[kind] = s.writes(caller, kind)
	}
	answer := &editorialv1.ListDueRecordsResponse{}
	err = s.store.View(func(r store.Reader) error {
		if answer.TotalSize, err = s.countDue(ctx, r, caller, mine, before); err != nil {
			return err
		}
		var last []byte
		scanned := 0
		for due, err := range r.Due(before, token.Key) {
			if err != nil {
				return err
			}
			if len(answer.GetRecords()) == size || scanned == maxScan {
				answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: last})
				return nil
			}
			scanned++
			last = due.Key
			record, err := s.dueFor(r, caller, mine, due)
			if err != nil {
				return err
			}
			if record != nil {
				answer.Records = append(answer.Records, dueRecord(record, due.Time))
			}
		}
		return nil
	})
	return answer, err
}

const (
	// mostCounted is up to where due records are counted.
	mostCounted = 10_000
	// mostLooked is how many are looked at for who works on some of them alone.
	mostLooked = 20_000
)

// countDue counts the due records of a caller, up to mostCounted.
func (s recordServer) countDue(ctx context.Context, r store.Reader, caller *policy.Caller, mine map[*catalog.Kind]bool, before time.Time) (int32, error) {
	everything := caller.WorksOn("")
	n, looked := int32(0), 0
	for due, err := range r.Due(before, nil) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || n == mostCounted || looked == mostLooked {
			return n, err
		}
		if everything {
			if mine[due.Name.Kind] {
				n++
			}
			continue
		}
		looked++
		record, err := s.dueFor(r, caller, mine, due)
		if err != nil {
			return n, err
		}
		if record != nil {
			n++
		}
	}
	return n, nil
}

// dueFor reads a due record, nil when it is not for the caller to verify.
func (s recordServer) dueFor(r store.Reader, caller *policy.Caller, mine map[*catalog.Kind]bool, due store.DueRecord) (proto.Message, error) {
	if !mine[due.Name.Kind] {
		return nil, nil
	}
	record, err := r.Get(due.Name)
	if err != nil || record == nil || caller.Sight().Of(record) != record || !caller.WorksOn(catalog.Keeper(record)) {
		return nil, err
	}
	return record, nil
}
