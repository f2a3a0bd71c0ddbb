package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A document is the Markdown that comes out, written as it grows.
type document struct{ out io.Writer }

func (d document) heading(depth int, text string) error {
	_, err := fmt.Fprintf(d.out, "%s %s\n\n", strings.Repeat("#", depth), text)
	return err
}

func (d document) paragraph(format string, args ...any) error {
	_, err := fmt.Fprintf(d.out, format+"\n\n", args...)
	return err
}

// table writes rows under a header; all columns but the first are numbers.
func (d document) table(header []string, rows [][]string) error {
	var text strings.Builder
	line := func(cells []string) { text.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(header)
	text.WriteString("| :--- |" + strings.Repeat(" ---: |", len(header)-1) + "\n")
	for _, row := range rows {
		line(row)
	}
	text.WriteByte('\n')
	_, err := io.WriteString(d.out, text.String())
	return err
}

// comparison writes a row for each target: alone, then with many clients, then
// the processor time, then what it is held against.
func (d document) comparison(c comparison, found results) error {
	alone, many := c.clients[0], c.clients[len(c.clients)-1]
	header := []string{
		"", fmt.Sprintf("%d client: /s", alone), "p50 ms", "p99 ms",
		fmt.Sprintf("%d clients: /s", many), "lowest – highest", "p50 ms", "p99 ms",
		"CPU µs each, servers", "generator",
	}
	held := false
	for _, t := range c.targets {
		held = held || len(t.against) > 0
	}
	if held {
		header = append(header, "held against")
	}
	var rows [][]string
	for _, t := range c.targets {
		one, all := found[t.name][alone], found[t.name][many]
		var rates []float64
		for _, r := range all {
			rates = append(rates, r.perSecond)
		}
		row := []string{
			t.name,
			whole(medianOf(one, rate)), milliseconds(medianOf(one, p50)), milliseconds(medianOf(one, p99)),
			whole(median(rates)), whole(lowest(rates)) + " – " + whole(highest(rates)),
			milliseconds(medianOf(all, p50)), milliseconds(medianOf(all, p99)),
		}
		servers := "–"
		if len(t.processes) > 0 {
			servers = whole(micros(medianOf(all, func(r run) time.Duration { return r.serversCPU })))
		}
		row = append(row, servers, whole(micros(medianOf(all, func(r run) time.Duration { return r.generatorCPU }))))
		if held {
			var ratios []string
			for _, other := range t.against {
				ratios = append(ratios, fmt.Sprintf("%s × %s (alone %s)",
					decimals(ratio(all, found[other][many], rate)), other, decimals(ratio(one, found[other][alone], rate))))
			}
			row = append(row, strings.Join(ratios, "; "))
		}
		rows = append(rows, row)
	}
	return d.table(header, rows)
}

func rate(r run) float64      { return r.perSecond }
func p50(r run) time.Duration { return r.p50 }
func p99(r run) time.Duration { return r.p99 }

func lowest(values []float64) float64 {
	low := values[0]
	for _, v := range values {
		low = min(low, v)
	}
	return low
}

func highest(values []float64) float64 {
	high := values[0]
	for _, v := range values {
		high = max(high, v)
	}
	return high
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// whole writes a number without decimals, thousands apart.
func whole(v float64) string {
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// decimals writes a number with the decimals that say something.
func decimals(v float64) string {
	switch {
	case v >= 100:
		return whole(v)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

func milliseconds(d time.Duration) string { return decimals(float64(d) / float64(time.Millisecond)) }

func seconds(d time.Duration) string { return decimals(d.Seconds()) }

func mebibytes(bytes int64) string { return whole(float64(bytes)/(1<<20)) + " MiB" }

// progress tells the person at the terminal what happens, a line a step.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The results are what counts; a terminal that went away is no reason to stop.
	_, _ = fmt.Fprintf(p.out, "%7.1fs  %s\n", time.Since(p.began).Seconds(), fmt.Sprintf(format, args...))
}
