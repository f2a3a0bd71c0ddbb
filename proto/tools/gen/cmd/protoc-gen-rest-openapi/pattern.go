package main

import (
	"regexp/syntax"
	"strings"
	"unicode"
)

// longest tells how many characters a text can have that matches a pattern;
// bounded is false when the pattern sets no end.
func longest(pattern string) (length uint64, bounded bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || !strings.HasPrefix(pattern, "^") || !strings.HasSuffix(pattern, "$") {
		return 0, false
	}
	return longestMatch(re)
}

func longestMatch(re *syntax.Regexp) (uint64, bool) {
	switch re.Op {
	case syntax.OpLiteral:
		return uint64(len(re.Rune)), true
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1, true
	case syntax.OpStar, syntax.OpPlus:
		return 0, false
	case syntax.OpRepeat:
		once, bounded := longestMatch(re.Sub[0])
		return once * uint64(max(re.Max, 0)), bounded && re.Max >= 0
	case syntax.OpAlternate:
		var most uint64
		for _, sub := range re.Sub {
			length, bounded := longestMatch(sub)
			if !bounded {
				return 0, false
			}
			most = max(most, length)
		}
		return most, true
	default: // concatenations, groups, optional parts, anchors
		var sum uint64
		for _, sub := range re.Sub {
			length, bounded := longestMatch(sub)
			if !bounded {
				return 0, false
			}
			sum += length
		}
		return sum, true
	}
}

// shortest makes a short text that matches a pattern, for an example.
func shortest(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	return shortestMatch(re)
}

func shortestMatch(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return string(readable(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "a"
	case syntax.OpStar, syntax.OpQuest:
		return ""
	case syntax.OpRepeat:
		return strings.Repeat(shortestMatch(re.Sub[0]), re.Min)
	case syntax.OpAlternate:
		short := shortestMatch(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			if s := shortestMatch(sub); len(s) < len(short) {
				short = s
			}
		}
		return short
	default:
		var out strings.Builder
		for _, sub := range re.Sub {
			out.WriteString(shortestMatch(sub))
		}
		return out.String()
	}
}

// readable picks a letter or digit of a class where it has one.
func readable(ranges []rune) rune {
	for i := 0; i < len(ranges); i += 2 {
		for _, r := range "a0A" {
			if ranges[i] <= r && r <= ranges[i+1] {
				return r
			}
		}
	}
	for i := 0; i < len(ranges); i += 2 {
		if unicode.IsLetter(ranges[i]) || unicode.IsDigit(ranges[i]) {
			return ranges[i]
		}
	}
	return ranges[0]
}
