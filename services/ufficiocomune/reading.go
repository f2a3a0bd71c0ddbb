package ufficiocomune

import (
	"context"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/rpc"
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
		record, err := o.getLive(ctx, r, s, f)
		if err == nil {
			return record, standard.SetCoverage(ctx, o.live(s.comune))
		}
		if !silent(err) {
			return nil, err
		}
		if !s.usable(o.store.Now(), f) {
			return nil, unreachable(s.comune)
		}
	}
	if s.missing {
		return nil, unreachable(s.comune)
	}
	record, err := o.getCopy(name, rpc.Reader(ctx))
	if err != nil {
		return nil, err
	}
	return record, standard.SetCoverage(ctx, s.coverage(o.store.Now(), f.Limit))
}

func (o *Office) getLive(ctx context.Context, r standard.Request, s standing, f standard.Freshness) (proto.Message, error) {
	ctx, cancel := o.budget(ctx, s, f)
	defer cancel()
	record := r.Method.NewResponse()
	if err := s.member.conn.Invoke(rpc.OnBehalf(ctx), r.Method.Full, r.Message, record); err != nil {
		return nil, err
	}
	if seen := catalog.Narrow(record, rpc.Reader(ctx)); seen != nil {
		return seen, nil
	}
	return nil, apierror.NotFound(catalog.RecordOf(record).Name())
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
	full      bool
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
	token := l.token
	if token.Comune != s.comune {
		token = pagetoken.Token{}
	}
	startLive := token.Live || (token.Key == nil && l.office.askOwner(s, l.freshness))
	if startLive {
		err := l.readLive(ctx, s, string(token.Key))
		if err == nil {
			l.cover(l.office.live(s.comune))
			return nil
		}
		if !silent(err) {
			return err
		}
		if token.Live {
			// The copy has other keys: the page cannot go on from it.
			return unreachable(s.comune)
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

// room is how many records the page still takes.
func (l *listing) room() int {
	return pagetoken.Size(l.request.PageSize(), 50, 1000) - len(l.page.Records)
}

func (l *listing) readCopy(ctx context.Context, s standing, after []byte) error {
	query, ok := l.request.Query(s.comune, l.within, rpc.Reader(ctx))
	if !ok {
		return nil
	}
	query.Limit, query.After = l.room(), after
	if query.Limit == 0 {
		l.end(pagetoken.Token{Comune: s.comune})
		return nil
	}
	var records []proto.Message
	err := l.office.store.View(func(reader store.Reader) (err error) {
		records, after, err = reader.List(query)
		return err
	})
	if err != nil {
		return err
	}
	l.page.Records = append(l.page.Records, records...)
	if after != nil {
		l.end(pagetoken.Token{Comune: s.comune, Key: after})
	}
	return nil
}

func (l *listing) readLive(ctx context.Context, s standing, token string) error {
	if l.room() == 0 {
		l.end(pagetoken.Token{Comune: s.comune})
		return nil
	}
	bounded, cancel := l.office.budget(ctx, s, l.freshness)
	defer cancel()
	ask := l.request.ForComune(s.comune, l.room(), token)
	response := ask.Method.NewResponse()
	if err := s.member.conn.Invoke(rpc.OnBehalf(bounded), ask.Method.Full, ask.Message, response); err != nil {
		return err
	}
	page := standard.PageOf(ask, response)
	for _, record := range page.Records {
		if seen := catalog.Narrow(record, rpc.Reader(ctx)); seen != nil {
			l.page.Records = append(l.page.Records, seen)
		}
	}
	if page.NextPageToken != "" {
		l.end(pagetoken.Token{Comune: s.comune, Live: true, Key: []byte(page.NextPageToken)})
	}
	return nil
}

// end closes the page; the next one begins at the token.
func (l *listing) end(token pagetoken.Token) {
	l.full = true
	l.page.NextPageToken = pagetoken.Encode(l.request.Message, token)
}
