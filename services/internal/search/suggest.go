package search

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	index "github.com/blevesearch/bleve_index_api"

	"cidsistem.example/proto/gen/registryv1"
)

// How many suggestions there are, when the request says nothing and at most.
const (
	usualSuggestions = 8
	mostSuggestions  = 20
)

// consideredRecords is from how many of the best records suggestions are made.
const consideredRecords = 3 * mostSuggestions

// Suggest completes what a person is typing: with titles of records, with their
// keywords and with words of the table of synonyms, only such as find
// something in the scope. From and Size of the scope do not matter.
func (x *Index) Suggest(ctx context.Context, req *registryv1.SuggestRequest, scope Scope) ([]*registryv1.SuggestResponse_Suggestion, error) {
	list := &suggestions{limit: int(req.GetLimit())}
	if list.limit <= 0 {
		list.limit = usualSuggestions
	}
	list.limit = min(list.limit, mostSuggestions)
	typed := typedIn(req.GetQ())
	if len(typed) == 0 {
		return nil, nil
	}
	s := &searching{ctx: ctx, scope: scope, filters: filtersOf(&registryv1.SearchRequest{Comuni: req.GetComuni(), Kinds: req.GetKinds()})}
	err := x.read(func(index snapshot) error {
		s.index = index
		return s.suggest(typed, list)
	})
	if err != nil {
		return nil, fmt.Errorf("suggest: %w", err)
	}
	return list.all(), nil
}

// typedIn lists the words that were typed. The last one counts even when it is
// a stop word, since it may become another word.
func typedIn(q string) []asked {
	list := words(q)
	var typed []asked
	for i, w := range list {
		a := asked{text: string(w.folded), last: i == len(list)-1}
		if (a.last || !stopWords[a.text]) && len(typed) < maxWords {
			typed = append(typed, a)
		}
	}
	return typed
}

func (s *searching) suggest(typed []asked, list *suggestions) error {
	for _, a := range typed {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		tolerance := toleranceOf(a.text)
		if tolerance == 0 && utf8.RuneCountInString(a.text) == 4 {
			tolerance = 1
		}
		e, err := s.index.expand(nameField, a, tolerance)
		if err != nil {
			return err
		}
		if a.last && tolerance > 0 {
			if err := e.addBegunMisspelt(s.index, nameField); err != nil {
				return err
			}
		}
		w, err := s.index.seek(nameField, e)
		if err != nil {
			return err
		}
		s.words = append(s.words, w)
	}
	visible, err := s.index.inScope(s.scope)
	if err != nil {
		return err
	}
	for _, f := range s.filters {
		passing, err := s.index.passing(f)
		if err != nil {
			return err
		}
		visible.narrow(passing)
	}
	if err := s.suggestRecords(visible, list); err != nil {
		return err
	}
	return s.suggestMeanings(visible, list)
}

// addBegunMisspelt adds the words of which the asked word is the beginning but
// for one error, after the first letter.
func (e *expanded) addBegunMisspelt(in snapshot, field string) error {
	_, size := utf8.DecodeRuneInString(e.text)
	n := 0
	return in.beginning(field, e.text[:size], func(entry *index.DictEntry) {
		if n < maxMisspelt && beginsLike(entry.Term, e.text) {
			e.add(entry.Term, misspelt[2])
			n++
		}
	})
}

// beginsLike is true when a beginning of the word differs from what was typed
// by one letter that is wrong, missing or too much, or by two that are swapped.
func beginsLike(word, typed string) bool {
	w, t := []rune(word), []rune(typed)
	same := 0
	for same < len(w) && same < len(t) && w[same] == t[same] {
		same++
	}
	if same == len(t) {
		return true
	}
	w, t = w[same:], t[same:]
	switch {
	case startsWith(w, t[1:]): // too much
		return true
	case len(w) == 0:
		return false
	case startsWith(w[1:], t[1:]), startsWith(w[1:], t): // wrong, missing
		return true
	}
	return len(w) > 1 && len(t) > 1 && w[0] == t[1] && w[1] == t[0] && startsWith(w[2:], t[2:])
}

func startsWith(w, beginning []rune) bool {
	return len(w) >= len(beginning) && slices.Equal(w[:len(beginning)], beginning)
}

func (s *searching) suggestRecords(visible records, list *suggestions) error {
	best, err := s.index.best(s.ctx, s.withAll(visible), s.words, 0, consideredRecords)
	if err != nil {
		return err
	}
	for _, r := range best {
		f, err := s.index.load(r)
		if err != nil {
			return err
		}
		if answersAll(f.hit.Title, s.words) {
			list.record(f.hit)
		}
		for _, keyword := range f.keywords {
			if answersAll(keyword, s.words) {
				list.word(keyword)
			}
		}
	}
	return nil
}

func answersAll(text string, asked []*sought) bool {
	list := words(text)
	for _, a := range asked {
		if !slices.ContainsFunc(list, func(w word) bool { _, ok := a.terms[string(w.folded)]; return ok }) {
			return false
		}
	}
	return true
}

// suggestMeanings adds the words of the table that complete what was typed and
// find something.
func (s *searching) suggestMeanings(visible records, list *suggestions) error {
	for i := range meanings {
		var found records
		for _, entry := range meanings[i].words {
			if !completes(entry, s.words) {
				continue
			}
			if found == nil {
				var err error
				if found, err = s.index.havingAny(meaningField, meanings[i].id()); err != nil {
					return err
				}
				found.narrow(visible)
			}
			if found.count() > 0 {
				list.word(entry)
			}
		}
	}
	return nil
}

func completes(entry string, typed []*sought) bool {
	list := words(entry)
	for _, t := range typed {
		if !slices.ContainsFunc(list, func(w word) bool { return isTyped(string(w.folded), t.asked) }) {
			return false
		}
	}
	return true
}

func isTyped(word string, a asked) bool {
	switch {
	case word == a.text:
		return true
	case !a.last:
		return false
	case strings.HasPrefix(word, a.text):
		return true
	default:
		return utf8.RuneCountInString(a.text) >= 4 && word[0] == a.text[0] && beginsLike(word, a.text)
	}
}

// suggestions are gathered without duplicates, best first of each sort.
type suggestions struct {
	limit          int
	words, records []*registryv1.SuggestResponse_Suggestion
	seen           map[string]bool
}

func (l *suggestions) isNew(key string) bool {
	if l.seen[key] {
		return false
	}
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	l.seen[key] = true
	return true
}

func (l *suggestions) record(hit *registryv1.SearchHit) {
	if len(l.records) < l.limit && l.isNew(hit.Name) {
		l.records = append(l.records, &registryv1.SuggestResponse_Suggestion{Text: hit.Title, Name: hit.Name, Kind: hit.Kind, Comune: hit.Comune})
	}
}

func (l *suggestions) word(text string) {
	var key strings.Builder
	for _, w := range words(text) {
		key.WriteString(" ")
		key.Write(w.folded)
	}
	if len(l.words) < l.limit && l.isNew(key.String()) {
		l.words = append(l.words, &registryv1.SuggestResponse_Suggestion{Text: text})
	}
}

// all gives words up to a half of the places, or as many as records leave.
func (l *suggestions) all() []*registryv1.SuggestResponse_Suggestion {
	n := min(len(l.words), max((l.limit+1)/2, l.limit-len(l.records)))
	return append(slices.Clip(l.words[:n]), l.records[:min(len(l.records), l.limit-n)]...)
}
