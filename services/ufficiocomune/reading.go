package ufficiocomune

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/standard"
	"cidsistem.example/services/internal/store"
)

// holder finds the member that answers for a comune.
func (o *Office) holder(comune string) (*member, error) {
	if m := o.configured[comune]; m != nil {
		return m, nil
	}
	holders, err := o.holders()
	if err != nil {
		return nil, err
	}
	if m := holders[comune]; m != nil {
		return m, nil
	}
	return nil, apierror.NotFound(catalog.ComuneName(comune))
}

// Get reads one record, from the copy or from its owner.
func (o *Office) Get(ctx context.Context, r standard.Request) (proto.Message, error) {
	name, err := r.Name()
	if err != nil {
		return nil, err
	}
	m, err := o.holder(name.Comune())
	if err != nil {
		return nil, err
	}
	f, s := r.Freshness(), o.standing(name.Comune(), m)
	if o.askOwner(s, f) {
		record, coverage, err := o.getLive(ctx, r, s, f)
		if err == nil {
			return record, standard.SetCoverage(ctx, coverage)
		}
		if !unanswered(err) {
			return nil, err
		}
		if !s.usable(o.store.Now(), f) {
			return nil, unreachable(s.comune)
		}
	}
	if s.missing {
		return nil, unreachable(s.comune)
	}
	record, err := o.getCopy(name, policy.Of(ctx).Reads())
	if err != nil {
		return nil, err
	}
	return record, standard.SetCoverage(ctx, s.coverage(o.store.Now(), f.Limit))
}

func (o *Office) getLive(ctx context.Context, r standard.Request, s standing, f standard.Freshness) (proto.Message, *registryv1.Coverage, error) {
	ctx, cancel := o.budget(ctx, s, f)
	defer cancel()
	record := r.Method.NewResponse()
	var header metadata.MD
	if err := s.member.conn.Invoke(policy.OnBehalf(ctx, s.member.ID), r.Method.Full, r.Message, record, grpc.Header(&header)); err != nil {
		return nil, nil, err
	}
	coverage := o.answered(s, standard.CoverageOf(header))
	if coverage == nil {
		return nil, nil, unreachable(s.comune)
	}
	if seen := catalog.Narrow(record, policy.Of(ctx).Reads()); seen != nil {
		return seen, coverage, nil
	}
	return nil, nil, apierror.NotFound(catalog.RecordOf(record).Name())
}

func (o *Office) getCopy(name catalog.Name, who registryv1.Visibility) (proto.Message, error) {
	var record proto.Message
	err := o.store.View(func(reader store.Reader) (err error) {
		record, err = reader.Get(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if record != nil {
		record = catalog.Narrow(record, who)
	}
	if record == nil {
		return nil, apierror.NotFound(name.String())
	}
	return record, nil
}

// List reads one page. A page over several comuni walks one after the other, by
// name, so that a token needs to hold one place only.
func (o *Office) List(ctx context.Context, r standard.Request) (standard.Page, error) {
	within, err := r.Parent()
	if err != nil {
		return standard.Page{}, err
	}
	token, err := pagetoken.Decode(r.Message, r.PageToken())
	if err != nil {
		return standard.Page{}, err
	}
	holders, err := o.holders()
	if err != nil {
		return standard.Page{}, err
	}
	asked := comuni(holders)
	if len(within) > 0 && within[0] != catalog.Wildcard {
		if holders[within[0]] == nil {
			return standard.Page{}, apierror.NotFound(catalog.ComuneName(within[0]))
		}
		asked = within[:1]
	}
	l := listing{office: o, request: r, within: within, freshness: r.Freshness(), token: token}
	for _, comune := range asked {
		if err := l.visit(ctx, o.standing(comune, holders[comune])); err != nil {
			return standard.Page{}, err
		}
	}
	if len(asked) > 0 && len(l.page.Unreachable) == len(asked) {
		return standard.Page{}, unreachable(asked[0])
	}
	return l.page, nil
}

// A listing is one page while it is put together.
type listing struct {
	office    *Office
	request   standard.Request
	within    []string
	freshness standard.Freshness
	token     pagetoken.Token
	page      standard.Page
	bytes     int
	full      bool
}

// pageBytes is how many bytes of records make a page full: with what one more
// comune adds it still fits into a message.
const pageBytes = 1 << 20

// add takes records into the page.
func (l *listing) add(records ...proto.Message) {
	for _, record := range records {
		l.bytes += proto.Size(record)
	}
	l.page.Records = append(l.page.Records, records...)
}

// visit adds the records of one comune, until the page is full, and always its
// coverage.
func (l *listing) visit(ctx context.Context, s standing) error {
	now := l.office.store.Now()
	if l.full || s.comune < l.token.Comune {
		// Not read on this page; a comune without data is said to be missing on
		// every page all the same.
		l.cover(s.coverage(now, l.freshness.Limit))
		return nil
	}
	if l.room() == 0 {
		l.end(pagetoken.Token{Comune: s.comune})
		l.cover(s.coverage(now, l.freshness.Limit))
		return nil
	}
	token := l.token
	if token.Comune != s.comune {
		token = pagetoken.Token{}
	}
	if token.Live || (token.Key == nil && l.office.askOwner(s, l.freshness)) {
		coverage, err := l.readLive(ctx, s, string(token.Key))
		if err == nil {
			l.cover(coverage)
			return nil
		}
		if !unanswered(err) {
			return err
		}
		if token.Live {
			token, err = l.fromCopy(s, token)
			if err != nil {
				l.cover(missing(s.comune))
				return nil
			}
		}
		if !s.usable(now, l.freshness) {
			l.cover(missing(s.comune))
			return nil
		}
	}
	if s.missing {
		l.cover(missing(s.comune))
		return nil
	}
	l.cover(s.coverage(now, l.freshness.Limit))
	return l.readCopy(ctx, s, token.Key)
}

func (l *listing) cover(c *registryv1.Coverage) {
	l.page.Coverage = append(l.page.Coverage, c)
	if c.GetState() == registryv1.Coverage_MISSING {
		l.page.Unreachable = append(l.page.Unreachable, c.GetComune())
	}
}

// fromCopy turns the place where the owner's answers broke off into the same
// place in the copy: both keep records under the same keys.
func (l *listing) fromCopy(s standing, live pagetoken.Token) (pagetoken.Token, error) {
	token, err := pagetoken.Decode(l.request.ForComune(s.comune, 0, "").Message, string(live.Key))
	if err != nil || token.Live {
		return pagetoken.Token{}, errors.New("the place is not one of a copy")
	}
	return token, nil
}

// room is how many records the page still takes.
func (l *listing) room() int {
	if l.bytes >= pageBytes {
		return 0
	}
	return pagetoken.Size(l.request.PageSize(), 50, 1000) - len(l.page.Records)
}

func (l *listing) readCopy(ctx context.Context, s standing, after []byte) error {
	query, ok := l.request.Query(s.comune, l.within, catalog.Sight{Reads: policy.Of(ctx).Reads()})
	if !ok {
		return nil
	}
	query.Limit, query.After = l.room(), after
	var records []proto.Message
	err := l.office.store.View(func(reader store.Reader) (err error) {
		records, after, err = reader.List(query)
		return err
	})
	if err != nil {
		return err
	}
	l.add(records...)
	if after != nil {
		l.end(pagetoken.Token{Comune: s.comune, Key: after})
	}
	return nil
}

func (l *listing) readLive(ctx context.Context, s standing, token string) (*registryv1.Coverage, error) {
	bounded, cancel := l.office.budget(ctx, s, l.freshness)
	defer cancel()
	ask := l.request.ForComune(s.comune, l.room(), token)
	response := ask.Method.NewResponse()
	if err := s.member.conn.Invoke(policy.OnBehalf(bounded, s.member.ID), ask.Method.Full, ask.Message, response); err != nil {
		return nil, err
	}
	page := standard.PageOf(ask, response)
	coverage := l.office.answered(s, coverageOf(page.Coverage, s.comune))
	if coverage == nil {
		return nil, unreachable(s.comune)
	}
	for _, record := range page.Records {
		if seen := catalog.Narrow(record, policy.Of(ctx).Reads()); seen != nil {
			l.add(seen)
		}
	}
	if page.NextPageToken != "" {
		l.end(pagetoken.Token{Comune: s.comune, Live: true, Key: []byte(page.NextPageToken)})
	}
	return coverage, nil
}

// end closes the page; the next one begins at the token.
func (l *listing) end(token pagetoken.Token) {
	l.full = true
	l.page.NextPageToken = pagetoken.Encode(l.request.Message, token)
}
