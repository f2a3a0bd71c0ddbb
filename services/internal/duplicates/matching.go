package duplicates

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
)

const (
	// leastScore is how sure a pair must be to be shown.
	leastScore = 50
	// blockSize is how many records may share something for it to tell anything;
	// strongBlock the same of a number of a list.
	blockSize, strongBlock = 30, 500
	// rareWords is how many of a name's words lead to others.
	rareWords = 3
)

// A pair may be one and the same.
type pair struct {
	first, second *features
	reasons       []*editorialv1.Duplicate_Reason
	score         int32
}

// find finds the pairs among records that may be the same, the surest first:
// within one comune, or of two different ones.
func find(records []*features, across bool) []pair {
	byKind := map[*catalog.Kind][]*features{}
	for _, f := range records {
		if !across || crossing[f.kind.Collection] {
			byKind[f.kind] = append(byKind[f.kind], f)
		}
	}
	var pairs []pair
	for _, of := range byKind {
		pairs = append(pairs, newMatcher(of, across).pairs()...)
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.first.name, b.first.name), cmp.Compare(a.second.name, b.second.name))
	})
	return pairs
}

// crossing are the kinds of which two comuni may describe the same thing: a
// service or an event of one is not that of another, however alike they are.
var crossing = map[string]bool{"organizations": true, "operators": true, "locations": true, "documents": true}

// A word of names, as a number, which is smaller for a rarer word.
type word = int32

// A matcher compares the records of one kind.
type matcher struct {
	records []*features
	across  bool
	names   [][][]word // of each record, each name in order
	text    []string   // of each word
	weight  []float64  // of each word: a rare one says more
	count   []int32
	blocks  map[string][]int32
	strong  map[string][]int32
}

func newMatcher(records []*features, across bool) *matcher {
	m := &matcher{records: records, across: across, blocks: map[string][]int32{}, strong: map[string][]int32{}}
	m.readWords()
	for i, f := range records {
		at := int32(i)
		for _, id := range f.identifiers {
			add(m.strong, id.scheme+"\x00"+id.value, at)
		}
		for _, phone := range f.phones {
			add(m.blocks, "p"+phone, at)
		}
		for _, contact := range f.contacts {
			add(m.blocks, "c"+contact, at)
		}
		if f.address != "" {
			add(m.blocks, "a"+f.address, at)
		}
		for _, name := range m.names[i] {
			m.blockName(name, at)
		}
	}
	return m
}

func add(blocks map[string][]int32, key string, at int32) {
	if block := blocks[key]; len(block) == 0 || block[len(block)-1] != at {
		blocks[key] = append(block, at)
	}
}

// readWords numbers the words of all names, the rarest first.
func (m *matcher) readWords() {
	counts := map[string]int32{}
	for _, f := range m.records {
		for _, name := range f.names {
			for _, w := range name {
				counts[w]++
			}
		}
	}
	for w := range counts {
		m.text = append(m.text, w)
	}
	slices.SortFunc(m.text, func(a, b string) int { return cmp.Or(cmp.Compare(counts[a], counts[b]), cmp.Compare(a, b)) })
	numbers := make(map[string]word, len(m.text))
	m.weight, m.count = make([]float64, len(m.text)), make([]int32, len(m.text))
	for i, w := range m.text {
		numbers[w], m.count[i] = word(i), counts[w]
		m.weight[i] = 1 + math.Log(1+float64(len(m.records))/float64(counts[w]))
	}
	m.names = make([][][]word, len(m.records))
	for i, f := range m.records {
		for _, name := range f.names {
			words := make([]word, len(name))
			for j, w := range name {
				words[j] = numbers[w]
			}
			slices.Sort(words)
			m.names[i] = append(m.names[i], words)
		}
	}
}

// blockName puts a record where others with a name like it are.
func (m *matcher) blockName(name []word, at int32) {
	var whole strings.Builder
	for i, w := range name {
		text := m.text[w]
		whole.WriteString(text + " ")
		if i >= rareWords {
			continue
		}
		add(m.blocks, "w"+text, at)
		if m.count[w] <= 3 && len(text) >= 6 { // it may be written wrongly
			add(m.blocks, "b"+text[:5], at)
			add(m.blocks, "e"+text[len(text)-5:], at)
		}
	}
	add(m.strong, "name\x00"+whole.String(), at)
}

// pairs compares those that share something.
func (m *matcher) pairs() []pair {
	var found []pair
	seen := map[uint64]struct{}{}
	look := func(block []int32) {
		for i, a := range block {
			for _, b := range block[i+1:] {
				key := uint64(min(a, b))<<32 | uint64(max(a, b))
				if _, known := seen[key]; known || a == b {
					continue
				}
				seen[key] = struct{}{}
				if p, ok := m.compare(a, b); ok {
					found = append(found, p)
				}
			}
		}
	}
	for key, block := range m.strong {
		if len(block) > 1 && (len(block) <= blockSize || len(block) <= strongBlock && !strings.HasPrefix(key, "name\x00")) {
			look(block)
		}
	}
	for _, block := range m.blocks {
		if len(block) > 1 && len(block) <= blockSize {
			look(block)
		}
	}
	return found
}

// compare tells how sure it is that two records are the same.
func (m *matcher) compare(i, j int32) (pair, bool) {
	a, b := m.records[i], m.records[j]
	if (a.comune != b.comune) != m.across || a.parent == b.name || b.parent == a.name {
		return pair{}, false
	}
	if a.sameAs == b.name || b.sameAs == a.name {
		return pair{}, false // one points to the other already
	}
	p := pair{first: a, second: b}
	doubt, reached := 1.0, 0
	reason := func(kind editorialv1.Duplicate_Reason_Kind, value string, sure float64) {
		p.reasons = append(p.reasons, &editorialv1.Duplicate_Reason{Kind: kind, Value: value})
		doubt *= 1 - sure
	}
	same, veto := sameNumber(a.identifiers, b.identifiers)
	if veto {
		return pair{}, false
	}
	alike := m.similarity(m.names[i], m.names[j])
	// Offices of one body have its number, and their own names.
	office := a.parent != "" && a.parent == b.parent
	if same != nil && (!office || alike >= 0.5) {
		reason(reasonOf(same.scheme), same.value, 0.95)
	} else {
		same = nil
	}
	if value := common(a.phones, b.phones); value != "" {
		reached++
		reason(editorialv1.Duplicate_Reason_SAME_PHONE, value, 0.4)
	}
	if value := common(a.contacts, b.contacts); value != "" {
		reached++
		reason(editorialv1.Duplicate_Reason_SAME_CONTACT, value, 0.45)
	}
	if a.address != "" && a.address == b.address {
		reached++
		reason(editorialv1.Duplicate_Reason_SAME_ADDRESS, a.address, 0.3)
	}
	if alike >= 0.6 {
		sure := 0.62 * alike
		switch {
		case a.keeper != b.keeper && a.kind.Collection != "organizations":
			sure /= 2 // what two bodies offer under one name
		case alike > 0.99:
			sure = 0.75
		}
		value := a.title
		if a.title != b.title {
			value += " / " + b.title
		}
		reason(editorialv1.Duplicate_Reason_SIMILAR_NAME, value, sure)
	}
	bodies := a.kind.Collection == "organizations" || a.kind.Collection == "locations" || a.kind.Collection == "operators"
	switch {
	case same != nil:
	case alike >= 0.6 && (!m.across || reached > 0 || alike > 0.99 && a.kind.Collection == "organizations"):
	case bodies && reached >= 2 && !office && a.parent == "" && b.parent == "": // an acronym and a full name
	default:
		return pair{}, false
	}
	if p.score = int32(math.Round(100 * (1 - doubt))); p.score < leastScore {
		return pair{}, false
	}
	p.score = min(p.score, 100)
	if b.created.Before(a.created) || b.created.Equal(a.created) && b.name < a.name {
		p.first, p.second = b, a
	}
	return p, true
}

// sameNumber finds a number that both have; veto is true when both have one of
// an official list, and not the same.
func sameNumber(a, b []identifier) (same *identifier, veto bool) {
	for i := range a {
		if slices.Contains(b, a[i]) && (same == nil || reasonOf(a[i].scheme) < reasonOf(same.scheme)) {
			same = &a[i]
		}
	}
	for _, one := range a {
		if !one.official() || slices.Contains(b, one) {
			continue
		}
		other := slices.ContainsFunc(b, func(i identifier) bool { return i.scheme == one.scheme })
		shared := slices.ContainsFunc(a, func(i identifier) bool { return i.scheme == one.scheme && slices.Contains(b, i) })
		if other && !shared {
			return nil, true
		}
	}
	return same, false
}

func common(a, b []string) string {
	for _, value := range a {
		if slices.Contains(b, value) {
			return value
		}
	}
	return ""
}

// similarity is from 0 to 1: how much of the best two names is the same, rare
// words counting more.
func (m *matcher) similarity(a, b [][]word) (best float64) {
	for _, one := range a {
		for _, other := range b {
			best = max(best, m.nameSimilarity(one, other))
		}
	}
	return best
}

func (m *matcher) nameSimilarity(a, b []word) float64 {
	var both, total float64
	var left, right []word
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case j == len(b) || i < len(a) && a[i] < b[j]:
			left, total, i = append(left, a[i]), total+m.weight[a[i]], i+1
		case i == len(a) || b[j] < a[i]:
			right, total, j = append(right, b[j]), total+m.weight[b[j]], j+1
		default:
			both, total, i, j = both+2*m.weight[a[i]], total+2*m.weight[a[i]], i+1, j+1
		}
	}
	if total == 0 {
		return 0
	}
	numbered := false
	for _, x := range left {
		for k, y := range right {
			if y < 0 {
				continue
			}
			if isNumber(m.text[x]) && isNumber(m.text[y]) {
				numbered = true
			}
			if nearly(m.text[x], m.text[y]) {
				both += 0.9 * (m.weight[x] + m.weight[y])
				right[k] = -1
				break
			}
		}
	}
	if numbered {
		return both / total / 2 // school number 1, and school number 2
	}
	return both / total
}

func isNumber(text string) bool { return text[0] >= '0' && text[0] <= '9' }

// nearly tells whether two words are one but for a letter: one too many, one
// missing, another one, or two in the wrong order. Short words and numbers are
// what they are.
func nearly(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < 5 || len(b)-len(a) > 1 || isNumber(a) || isNumber(b) {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return i == len(a) || a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
