package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pageEvery is how much of a measurement's duration stands for one visit of each page: 500 visits in 5 s.
const pageEvery = 10 * time.Millisecond

// pages measures what the server needs for a page of the portal, and how much of it is waiting for the ufficio comune. Both are
// what the gateway says of itself in Server-Timing.
func (b *bench) pages(ctx context.Context, f *federation) error {
	random := rand.New(rand.NewPCG(Seed, 4))
	visits := max(int(b.Duration/pageEvery), 1)
	service := func() string {
		all := comuni()
		for {
			name := f.records[all[random.IntN(len(all))]].Pick(random)
			if parts := strings.Split(name, "/"); len(parts) == 4 && parts[2] == "services" {
				return parts[1] + "/" + parts[3]
			}
		}
	}
	words := func() string { return twoWords[random.IntN(len(twoWords))] }
	var rows [][]string
	for _, page := range []struct {
		name string
		path func() string
	}{
		{"home", func() string { return "/" }},
		{"results of two words, with facets", func() string { return "/servizi/?" + url.Values{"q": {words()}}.Encode() }},
		{"the same in Arabic", func() string { return "/ar/servizi/?" + url.Values{"q": {words()}}.Encode() }},
		{"card of a service", func() string { return "/servizi/" + service() }},
		{"list of five services", func() string {
			query := url.Values{}
			for range 5 {
				query.Add("s", service())
			}
			return "/la-mia-lista/?" + query.Encode()
		}},
	} {
		var total, upstream []time.Duration
		size := 0
		for range visits {
			timing, bytes, err := visit(ctx, "http://"+f.HTTP()+page.path())
			if err != nil {
				return fmt.Errorf("%s: %w", page.name, err)
			}
			total, upstream, size = append(total, timing["total"]), append(upstream, timing["upstream"]), size+bytes
		}
		share := float64(sum(upstream)) / float64(sum(total))
		slices.Sort(total)
		rows = append(rows, []string{
			page.name, milliseconds(percentile(total, 0.5)), milliseconds(percentile(total, 0.99)), milliseconds(total[len(total)-1]),
			strconv.Itoa(int(100*share+0.5)) + " %", decimals(float64(size) / float64(visits) / 1000),
		})
		b.progress.say("%s measured", page.name)
	}
	return errors.Join(
		b.document.heading(3, "Pages of the portal"),
		b.document.table([]string{fmt.Sprintf("%d of each, one after another", visits), "p50 ms", "p99 ms", "longest ms", "waiting upstream", "kB, not compressed"}, rows),
		b.document.paragraph("Server time, as the gateway says it in Server-Timing; waiting is the time in which at least one call to the ufficio comune is under way."),
	)
}

func sum(all []time.Duration) (total time.Duration) {
	for _, one := range all {
		total += one
	}
	return total
}

// visit gets a page, and reads its Server-Timing.
func visit(ctx context.Context, address string) (timing map[string]time.Duration, size int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", "text/html")
	request.Header.Set("Accept-Encoding", "identity")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, 0, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("GET %s: %s", address, response.Status)
	}
	timing = map[string]time.Duration{}
	for metric := range strings.SplitSeq(response.Header.Get("Server-Timing"), ", ") {
		name, value, _ := strings.Cut(metric, ";dur=")
		ms, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, 0, fmt.Errorf("GET %s: Server-Timing %q", address, metric)
		}
		timing[name] = time.Duration(ms * float64(time.Millisecond))
	}
	if timing["total"] == 0 {
		return nil, 0, fmt.Errorf("GET %s: the answer has no Server-Timing", address)
	}
	return timing, len(body), nil
}
