package bench

import (
	"testing"
	"time"
)

func upTo(n int) []time.Duration {
	var all []time.Duration
	for i := range n {
		all = append(all, time.Duration(i+1))
	}
	return all
}

func TestPercentile(t *testing.T) {
	for _, test := range []struct {
		values []time.Duration
		part   float64
		want   time.Duration
	}{
		{nil, 0.5, 0},
		{upTo(1), 0.5, 1},
		{upTo(1), 0.99, 1},
		{upTo(2), 0.5, 1},
		{upTo(3), 0.5, 2},
		{upTo(4), 0.5, 2},
		{upTo(10), 0.99, 10},
		{upTo(100), 0.5, 50},
		{upTo(100), 0.99, 99},
		{upTo(101), 0.99, 100},
		{upTo(1000), 0.99, 990},
		{upTo(10), 0, 1},
		{upTo(10), 1, 10},
	} {
		if got := percentile(test.values, test.part); got != test.want {
			t.Errorf("percentile of 1 to %d at %v is %d, want %d", len(test.values), test.part, got, test.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{4}, 4},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{9, 1, 2, 4}, 3},
	} {
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.values, got, test.want)
		}
	}
	if got := median([]time.Duration{time.Hour, time.Second, time.Minute}); got != time.Minute {
		t.Errorf("median time is %v, want 1m", got)
	}
}
