package e2e

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// match tells what is missing in an answer from what is wanted of it. Objects
// are wanted in part, lists as a whole; the README lists the matchers.
func match(path string, want, got any) []string {
	switch want := want.(type) {
	case map[string]any:
		return matchObject(path, want, got)
	case []any:
		return matchList(path, want, got)
	case string:
		if strings.HasPrefix(want, "<") && strings.HasSuffix(want, ">") {
			return matchPattern(path, want[1:len(want)-1], got)
		}
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		return []string{fmt.Sprintf("%s is %v, want %v", path, got, want)}
	}
	return nil
}

func matchObject(path string, want map[string]any, got any) (problems []string) {
	for _, special := range []string{"<includes>", "<excludes>", "<size>"} {
		if inner, is := want[special]; is {
			problems = append(problems, matchSome(path, special, inner, got)...)
		}
	}
	object, _ := got.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if strings.HasPrefix(key, "<") {
			continue
		}
		value, there := object[key]
		if !there {
			value = nil
		}
		problems = append(problems, match(strings.TrimPrefix(path+"."+key, "."), want[key], value)...)
	}
	return problems
}

func matchList(path string, want []any, got any) (problems []string) {
	list, _ := got.([]any)
	if len(list) != len(want) {
		return []string{fmt.Sprintf("%s has %d elements, want %d: %v", path, len(list), len(want), got)}
	}
	for i := range want {
		problems = append(problems, match(fmt.Sprintf("%s[%d]", path, i), want[i], list[i])...)
	}
	return problems
}

// matchSome looks for elements anywhere in a list, or at its size.
func matchSome(path, special string, want, got any) (problems []string) {
	list, _ := got.([]any)
	if special == "<size>" {
		return match(path+" size", want, len(list))
	}
	for _, element := range want.([]any) {
		found := slices.ContainsFunc(list, func(have any) bool { return len(match("", element, have)) == 0 })
		if found != (special == "<includes>") {
			problems = append(problems, fmt.Sprintf("%s: %s %v does not hold in %v", path, special, element, got))
		}
	}
	return problems
}

var etagForm = regexp.MustCompile(`^"[A-Za-z0-9_-]{16}"$`)

// matchPattern evaluates what stands in angle brackets.
func matchPattern(path, pattern string, got any) []string {
	name, argument, _ := strings.Cut(pattern, " ")
	text, isText := got.(string)
	holds := false
	switch name {
	case "any":
		holds = got != nil && got != ""
	case "absent":
		holds = got == nil
	case "etag":
		holds = isText && etagForm.MatchString(text)
	case "time":
		_, err := time.Parse(time.RFC3339Nano, text)
		holds = isText && err == nil
	case "not":
		holds = got != nil && fmt.Sprint(got) != argument
	case "like":
		expression, err := regexp.Compile(argument)
		holds = err == nil && isText && expression.MatchString(text)
	default:
		return []string{fmt.Sprintf("%s: there is no matcher <%s>", path, pattern)}
	}
	if !holds {
		return []string{fmt.Sprintf("%s is %v, want <%s>", path, got, pattern)}
	}
	return nil
}
