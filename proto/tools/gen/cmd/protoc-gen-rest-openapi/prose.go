package main

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/compiler/protogen"
)

var (
	snakeCase = regexp.MustCompile(`\b[a-z][a-z0-9]*(_[a-z0-9]+)+\b`)
	// Characters that Markdown would take for markup.
	markup = regexp.MustCompile("[<*]")
)

// webTerms says in terms of the web what the contract says in those of gRPC.
var webTerms = strings.NewReplacer(
	"Metadata cid-coverage and cid-as-of", "The headers `Cid-Coverage` and `Cid-As-Of`",
	"BadRequest", "`errors`",
	"PreconditionFailure", "`blockers`",
	"RetryInfo", "`Retry-After`",
)

// prose makes Markdown of a comment, with the JSON names of the fields that it
// speaks of.
func (c *contract) prose(comments protogen.CommentSet) string {
	return snakeCase.ReplaceAllStringFunc(plain(comments), func(word string) string {
		if name, is := c.jsonNames[word]; is {
			return name
		}
		return word
	})
}

// plain makes Markdown of a comment, its names as they are.
func plain(comments protogen.CommentSet) string {
	var paragraphs []string
	for paragraph := range strings.SplitSeq(string(comments.Leading), "\n\n") {
		if text := strings.Join(strings.Fields(paragraph), " "); text != "" {
			paragraphs = append(paragraphs, text)
		}
	}
	return webTerms.Replace(markup.ReplaceAllString(strings.Join(paragraphs, "\n\n"), `\$0`))
}

var clauseEnd = regexp.MustCompile(`[.;:](\s|$)`)

// firstClause returns the start of a text up to its first stop.
func firstClause(text string) string {
	if end := clauseEnd.FindStringIndex(text); end != nil {
		return text[:end[0]]
	}
	return text
}

// sentences joins what there is to say.
func sentences(parts ...string) string {
	var said []string
	for _, part := range parts {
		if part = strings.TrimSpace(part); part != "" {
			said = append(said, part)
		}
	}
	return strings.Join(said, " ")
}

func upperFirst(s string) string { return changeFirst(s, unicode.ToUpper) }
func lowerFirst(s string) string { return changeFirst(s, unicode.ToLower) }

func changeFirst(s string, change func(rune) rune) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(change(first)) + s[size:]
}
