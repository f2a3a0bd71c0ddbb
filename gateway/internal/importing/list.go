package importing

import (
	"slices"
	"strings"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/exchangev1"
)

// Fields of the form of a new import.
const (
	fieldFile       = "file"
	fieldStored     = "arrivato"
	fieldFileName   = "nome"
	fieldCollection = "tipo"
	fieldSource     = "fonte"
	fieldPage       = "pagina"
)

const (
	// listed is how many imports a page has, known how many are looked at for sources that were used before.
	listed, known = 50, 200
)

// An entry is an import in the list.
type entry struct {
	*exchangev1.Import
	Path string
}

type listPage struct {
	Entries []entry
	// Next leads to the next page; Later says that this is not the first one.
	Next  string
	Later bool
	// Megabytes is how large a file may be.
	Megabytes int64
	// Collections that a spreadsheet can have; Sources that were used before.
	Collections, Sources []string
	// Collection and Source as they were chosen; Stored is the file that has arrived already, FileName what it was called.
	Collection, Source, Stored, FileName string
}

// list shows the imports and takes a new file.
func (i *Imports) list(v *workbench.Visit) (*site.Page, error) {
	data := listPage{Collections: collections, Megabytes: i.largest >> 20, Collection: "services"}
	if sent := v.Sent(); sent != nil {
		data.Collection, data.Source = sent.Values.Get(fieldCollection), strings.TrimSpace(sent.Values.Get(fieldSource))
		data.Stored, data.FileName = sent.Values.Get(fieldStored), sent.Values.Get(fieldFileName)
		if made := i.take(v, sent, &data); made != nil {
			return v.Go(pathOf(made.GetName()), "importReady"), nil
		}
	}
	data.Later = v.URL.Query().Get(fieldPage) != ""
	answer, err := i.imports.ListImports(v.Upstream(), &exchangev1.ListImportsRequest{Parent: v.Comune, PageSize: listed, PageToken: v.URL.Query().Get(fieldPage)})
	switch {
	case err != nil && v.Sent() == nil:
		return nil, err
	case err == nil:
		for _, one := range answer.GetImports() {
			data.Entries = append(data.Entries, entry{one, pathOf(one.GetName())})
		}
		if next := answer.GetNextPageToken(); next != "" {
			data.Next = next
		}
		data.Sources = i.sources(v)
	}
	page := &site.Page{Template: "list", Title: v.Say("importing.title"), Data: data, Crumbs: crumbs(v)[:1]}
	return page, nil
}

// sources that were used before, the newest first. Without them the form is as good.
func (i *Imports) sources(v *workbench.Visit) []string {
	answer, err := i.imports.ListImports(v.Upstream(), &exchangev1.ListImportsRequest{Parent: v.Comune, PageSize: known})
	if err != nil {
		return nil
	}
	var sources []string
	for _, one := range answer.GetImports() {
		if !slices.Contains(sources, one.GetSource()) {
			sources = append(sources, one.GetSource())
		}
	}
	return sources
}

// take makes an import of the file that was sent; nil: something is wrong, and said.
func (i *Imports) take(v *workbench.Visit, sent *edge.Sent, data *listPage) *exchangev1.Import {
	at := slices.IndexFunc(sent.Files, func(f edge.SentFile) bool { return f.Field == fieldFile && f.Name != "" })
	switch {
	case sent.TooLarge || at >= 0 && sent.Files[at].TooLarge:
		wrong(v, fieldFile, "large", "Megabytes", data.Megabytes)
	case at >= 0 && sent.Files[at].Size() == 0:
		// A form that was carried through signing in comes without its file, another file is empty.
		wrong(v, fieldFile, "empty")
	case at < 0 && data.Stored == "":
		wrong(v, fieldFile, "missing")
	}
	if at >= 0 {
		data.FileName = sent.Files[at].Name
	}
	if data.Source == "" {
		data.Source = sourceOf(data.FileName)
	}
	if !sourceForm.MatchString(data.Source) {
		wrong(v, fieldSource, "source")
	}
	if data.Collection != "" && !slices.Contains(collections, data.Collection) {
		wrong(v, fieldCollection, "collection")
	}
	if len(v.Found) > 0 {
		return nil
	}
	ctx, cancel := longer(v)
	defer cancel()
	if at >= 0 {
		file, err := record.SendFile(ctx, i.files, v.Comune, sent.Files[at].Reader())
		if err != nil {
			data.Stored = ""
			v.Refused(err, map[string]string{"": fieldFile})
			return nil
		}
		data.Stored = file.GetName()
	}
	made, err := i.imports.CreateImport(ctx, &exchangev1.CreateImportRequest{Parent: v.Comune, Import: &exchangev1.Import{
		File: data.Stored, FileName: shortened(data.FileName), Source: data.Source, Collection: data.Collection,
	}})
	if err != nil {
		v.Refused(err, map[string]string{"import.file": fieldFile, "import.source": fieldSource, "import.collection": fieldCollection, "import.format": fieldFile})
		return nil
	}
	return made
}

// shortened is the name of a file as the node takes it.
func shortened(name string) string {
	letters := []rune(strings.ToValidUTF8(name, "_"))
	return string(letters[:min(len(letters), 200)])
}
