package ufficiocomune

import (
	"context"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/standard"
)

// Write passes a change on to the owner of the record. There is no queue: an
// owner that does not answer is said to be away, and the same request id makes
// it safe to try again.
func (o *Office) Write(ctx context.Context, r standard.Request) (proto.Message, error) {
	comune, err := r.Comune()
	if err != nil {
		return nil, err
	}
	m, err := o.holder(comune)
	if err != nil {
		return nil, err
	}
	r = r.WithRequestID()
	answer := r.Method.NewResponse()
	if err := m.conn.Invoke(policy.OnBehalf(ctx, m.ID), r.Method.Full, r.Message, answer); err != nil {
		if silent(err) {
			return nil, unreachable(comune)
		}
		return nil, err
	}
	record := catalog.RecordOf(answer)
	if revision := record.Revision(); revision > 0 && !r.ValidateOnly() {
		o.writes.add(comune, record.Name(), revision, o.store.Now())
		if settle(ctx, o.store, record.Name(), revision) {
			return answer, o.settleSearch(ctx)
		}
	}
	return answer, nil
}

// settleSearch waits a moment for the search index to have what the copy has;
// that it does not is no failure of the write.
func (o *Office) settleSearch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if err := o.search.Wait(ctx); err != nil {
		o.log.Debug("search index lags behind a write")
	}
	return nil
}
