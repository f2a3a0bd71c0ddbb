package main

import (
	"regexp"
	"testing"
)

func TestPatternLengths(t *testing.T) {
	for _, test := range []struct {
		pattern string
		longest uint64
		bounded bool
	}{
		{`^[a-z][a-z0-9-]{1,62}$`, 63, true},
		{`^(-|[a-z][a-z0-9-]{1,62})$`, 63, true},
		{`^([0-9a-f]{64})?$`, 64, true},
		{`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`, 5, true},
		{`^a.\.à$`, 4, true},
		{`^[a-z]+$`, 0, false},
		{`^(ab*|c)$`, 0, false},
		{`^[a-z]{3,}$`, 0, false},
		{`[a-z]`, 0, false}, // anything around it
		{`^[a-z`, 0, false}, // no pattern
		{``, 0, false},
	} {
		t.Run(test.pattern, func(t *testing.T) {
			length, bounded := longest(test.pattern)
			if bounded != test.bounded || bounded && length != test.longest {
				t.Errorf("longest is %d, %t, want %d, %t", length, bounded, test.longest, test.bounded)
			}
			pattern, err := regexp.Compile(test.pattern)
			if err != nil {
				return
			}
			if text := shortest(test.pattern); !pattern.MatchString(text) {
				t.Errorf("shortest is %q, which does not match", text)
			}
		})
	}
}
