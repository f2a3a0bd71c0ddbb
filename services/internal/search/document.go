package search

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2/document"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/registryv1"
)

// The fields of the index.
const (
	textField    = "text"    // every word, as written but folded
	nameField    = "title"   // the words of titles and keywords, for Suggest
	meaningField = "meaning" // the meanings of the everyday words and official terms in the text
	newestField  = "newest"  // when the record changed, the last first
	facetField   = "facet"   // facet=code, comuni=slug, kinds=collection
	readerField  = "reader"  // the visibilities whose readers see the record

	hitField     = "hit"     // stored: the SearchHit
	keywordField = "keyword" // stored: each text of the role KEYWORD
	passageField = "passage" // stored: each further text, for snippets
)

// newestTerm is a text that sorts before those of records that changed earlier; of those of one moment, by name.
func newestTerm(t time.Time, name string) string {
	if t.IsZero() {
		return strings.Repeat("f", 16) + name
	}
	return fmt.Sprintf("%016x", math.MaxInt64-t.UnixNano()) + name
}

// The facets that every record has.
const (
	comuniFacet = "comuni"
	kindsFacet  = "kinds"
)

// documentsOf makes the documents of changes, in their order; nil stands for a
// record that is taken out.
func documentsOf(ctx context.Context, changes []Change) ([]*document.Document, error) {
	documents := make([]*document.Document, len(changes))
	failed := make([]error, len(changes))
	var workers sync.WaitGroup
	n := min(runtime.GOMAXPROCS(0), len(changes))
	for first := range n {
		workers.Go(func() {
			for i := first; i < len(changes) && ctx.Err() == nil; i += n {
				documents[i], failed[i] = documentOf(changes[i])
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, err := range failed {
		if err != nil {
			return nil, err
		}
	}
	return documents, nil
}

func documentOf(change Change) (*document.Document, error) {
	if change.Record != nil && catalog.Of(change.Record) == nil {
		return nil, fmt.Errorf("%s: %T is not a record", change.Name, change.Record)
	}
	if !living(change.Record) {
		return nil, nil
	}
	record := catalog.RecordOf(change.Record)
	name, err := catalog.ParseName(record.Name())
	if err != nil {
		return nil, err
	}
	if record.Name() != change.Name {
		return nil, fmt.Errorf("the change of %s has the record %s", change.Name, record.Name())
	}
	content := contentOf(record, name)
	stored, err := proto.Marshal(content.hit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", change.Name, err)
	}
	d := document.NewDocument(change.Name)
	d.AddField(newTermsField(textField, content.text))
	d.AddField(newTermsField(nameField, content.names))
	d.AddField(newTermsField(meaningField, content.meanings))
	d.AddField(newCodesField(facetField, content.codes))
	d.AddField(newCodesField(readerField, readersOf(record.Visibility())))
	d.AddField(newCodesField(newestField, []string{newestTerm(record.UpdateTime(), change.Name)}))
	d.AddField(newStoredField(hitField, stored))
	for _, keyword := range content.keywords {
		d.AddField(newStoredField(keywordField, []byte(keyword)))
	}
	for _, passage := range content.passages {
		d.AddField(newStoredField(passageField, []byte(passage)))
	}
	return d, nil
}

// readersOf lists the visibilities up to which a reader must be trusted to see
// a record.
func readersOf(v registryv1.Visibility) []string {
	var readers []string
	for ; v <= registryv1.Visibility_LOCAL; v++ {
		readers = append(readers, v.String())
	}
	return readers
}

// content is what a record brings to the index.
type content struct {
	hit      *registryv1.SearchHit
	keywords []string
	passages []string // texts that are neither in the hit nor keywords

	text, names, meanings *weights
	codes                 []string
}

func contentOf(record catalog.Record, name catalog.Name) *content {
	c := &content{
		hit: &registryv1.SearchHit{
			Name:   record.Name(),
			Kind:   name.Kind.Collection,
			Comune: name.Comune(),
			Facets: map[string]*registryv1.FacetCodes{},
		},
		text: newWeights(256), names: newWeights(16), meanings: newWeights(8),
	}
	if t := record.UpdateTime(); !t.IsZero() {
		c.hit.UpdateTime = timestamppb.New(t)
	}
	c.hit.VerifyTime = record.Provenance().GetVerifyTime()
	c.code(comuniFacet, c.hit.Comune)
	c.code(kindsFacet, c.hit.Kind)
	catalog.SearchValues(record.Message(), c.take)
	return c
}

// take takes one value of the record in.
func (c *content) take(v catalog.SearchValue) {
	switch v.Field.Kind() {
	case protoreflect.StringKind:
		c.facet(v.Facet, v.Value.String())
		c.write(v.Role, v.Value.String())
	case protoreflect.EnumKind:
		if number := v.Value.Enum(); number != 0 {
			if value := v.Field.Enum().Values().ByNumber(number); value != nil {
				c.facet(v.Facet, strings.ToLower(string(value.Name())))
			}
		}
	case protoreflect.MessageKind:
		switch m := v.Value.Message().Interface().(type) {
		case *registryv1.LocalizedText:
			c.localized(v.Role, m)
		case *registryv1.CodedValue:
			if m.GetCode() != "" {
				c.facet(v.Facet, m.GetScheme()+":"+m.GetCode())
			}
			c.write(v.Role, m.GetLabel())
			c.weigh(v.Role, m.GetCode())
		}
	}
}

func (c *content) localized(role annotationsv1.SearchRole, text *registryv1.LocalizedText) {
	switch {
	case role == annotationsv1.SearchRole_TITLE && c.hit.Title == "":
		c.hit.Title = text.GetIt()
		c.weigh(role, text.GetIt())
	case role == annotationsv1.SearchRole_SUMMARY && c.hit.Summary == "":
		c.hit.Summary = text.GetIt()
		c.weigh(role, text.GetIt())
	default:
		c.write(role, text.GetIt())
	}
	c.write(annotationsv1.SearchRole_BODY, text.GetEasyRead().GetText())
	for _, translation := range text.GetTranslations() {
		c.weigh(role, translation.GetText())
		if translation.GetText() != "" {
			c.passages = append(c.passages, translation.GetText())
		}
	}
}

// facet notes a code of a facet.
func (c *content) facet(facet, code string) {
	if facet == "" || code == "" {
		return
	}
	codes := c.hit.Facets[facet]
	if codes == nil {
		codes = &registryv1.FacetCodes{}
		c.hit.Facets[facet] = codes
	}
	for _, known := range codes.Codes {
		if known == code {
			return
		}
	}
	codes.Codes = append(codes.Codes, code)
	c.code(facet, code)
}

func (c *content) code(facet, code string) { c.codes = append(c.codes, facetTerm(facet, code)) }

// facetTerm is how the index has a code of a facet.
func facetTerm(facet, code string) string {
	if facet == "" {
		return ""
	}
	return facet + "=" + code
}

func splitFacetTerm(term string) (facet, code string) {
	facet, code, _ = strings.Cut(term, "=")
	return facet, code
}

// write takes a text in and keeps it for snippets.
func (c *content) write(role annotationsv1.SearchRole, text string) {
	if role == annotationsv1.SearchRole_SEARCH_ROLE_UNSPECIFIED || text == "" {
		return
	}
	if role == annotationsv1.SearchRole_KEYWORD {
		c.keywords = append(c.keywords, text)
	} else {
		c.passages = append(c.passages, text)
	}
	c.weigh(role, text)
}

// weigh takes the words and meanings of a text in.
func (c *content) weigh(role annotationsv1.SearchRole, text string) {
	if role == annotationsv1.SearchRole_SEARCH_ROLE_UNSPECIFIED || text == "" {
		return
	}
	list := words(text)
	for _, w := range list {
		c.text.add(w.folded, role)
		if role == annotationsv1.SearchRole_TITLE || role == annotationsv1.SearchRole_KEYWORD {
			c.names.add(w.folded, role)
		}
	}
	synonyms.eachTold(list, func(s span) {
		for _, m := range s.meanings {
			c.meanings.add([]byte(m.id()), role)
		}
	})
}
