package exporting

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

func comuneOf(record proto.Message) string {
	slug, _, _ := strings.Cut(strings.TrimPrefix(catalog.RecordOf(record).Name(), "comuni/"), "/")
	return slug
}

var contractLabels = map[registryv1.Operator_Contract]string{
	registryv1.Operator_CONTRACT_UNSPECIFIED: "non indicato", registryv1.Operator_PERMANENT: "tempo indeterminato", registryv1.Operator_FIXED_TERM: "tempo determinato",
	registryv1.Operator_FREELANCE: "incarico professionale", registryv1.Operator_OUTSOURCED: "affidamento esterno", registryv1.Operator_VOLUNTARY: "volontariato",
}

// writeSIOSS writes how many social workers there are, in full-time equivalents
// by comune and contract: those with a permanent contract count for the
// contribution of L. 178/2020.
func writeSIOSS(_ context.Context, _ *Server, shot *snapshot, _ []string, out io.Writer) error {
	type key struct {
		comune   string
		contract registryv1.Operator_Contract
	}
	cards, hundredths := map[key]int64{}, map[key]int64{}
	for _, record := range shot.records["operators"] {
		operator := record.(*registryv1.Operator)
		if operator.GetProfession() != registryv1.Operator_SOCIAL_WORKER || operator.GetStatus().GetState() == registryv1.Status_CLOSED {
			continue
		}
		k := key{comuneOf(operator), operator.GetContract()}
		cards[k]++
		hundredths[k] += int64(operator.GetFteHundredths())
	}
	keys := slices.SortedFunc(maps.Keys(cards), func(a, b key) int {
		return strings.Compare(a.comune+fmt.Sprintf("%02d", a.contract), b.comune+fmt.Sprintf("%02d", b.contract))
	})
	return writeTable(out, func(yield func([]string) error) error {
		if err := yield([]string{"comune", "profilo", "rapporto_di_lavoro", "schede", "equivalenti_a_tempo_pieno", "vale_per_il_contributo"}); err != nil {
			return err
		}
		for _, k := range keys {
			counts := "no"
			if k.contract == registryv1.Operator_PERMANENT {
				counts = "si"
			}
			fte := fmt.Sprintf("%d,%02d", hundredths[k]/100, hundredths[k]%100)
			if err := yield([]string{k.comune, "assistente sociale", contractLabels[k.contract], strconv.FormatInt(cards[k], 10), fte, counts}); err != nil {
				return err
			}
		}
		return nil
	})
}

// istatAreas are the categories of users of the survey by our groups.
var istatAreas = map[registryv1.TargetGroup]string{
	registryv1.TargetGroup_DISABILITY: "DIS", registryv1.TargetGroup_SEVERE_DISABILITY: "DIS", registryv1.TargetGroup_VERY_SEVERE_DISABILITY: "DIS", registryv1.TargetGroup_AUTISM: "DIS",
	registryv1.TargetGroup_MENTAL_HEALTH: "DIS", registryv1.TargetGroup_MINORS: "FAM", registryv1.TargetGroup_FAMILIES: "FAM", registryv1.TargetGroup_PUPILS: "FAM",
	registryv1.TargetGroup_ELDERLY: "ELD", registryv1.TargetGroup_NOT_SELF_SUFFICIENT: "ELD", registryv1.TargetGroup_ADDICTION: "ADD", registryv1.TargetGroup_IMMIGRANTS: "IMMNOM",
	registryv1.TargetGroup_POVERTY: "POV",
}

var istatLabels = map[string]string{
	"FAM": "famiglia e minori", "DIS": "disabili", "ADD": "dipendenze", "ELD": "anziani", "IMMNOM": "immigrati, Rom, Sinti e Caminanti",
	"POV": "povertà, disagio adulti e senza dimora", "MULBEN": "multiutenza",
}

// istatArea is the category of users of a service: one, or that of several.
func istatArea(groups []registryv1.TargetGroup) string {
	area := ""
	for _, group := range groups {
		switch of := istatAreas[group]; {
		case of == "" && group != registryv1.TargetGroup_EVERYONE:
		case of == "" || area != "" && area != of:
			return "MULBEN"
		default:
			area = of
		}
	}
	if area == "" {
		return "MULBEN"
	}
	return area
}

// istatScheme is that of the classes of the survey.
const istatScheme = "istat-spesa-sociale"

// writeISTAT writes how many services there are by area of users and class.
func writeISTAT(_ context.Context, _ *Server, shot *snapshot, _ []string, out io.Writer) error {
	type key struct{ comune, area, class, label string }
	counts := map[key]int64{}
	for _, record := range shot.records["services"] {
		service := record.(*registryv1.Service)
		k := key{comune: comuneOf(service), area: istatArea(service.GetTargetGroups()), class: "", label: "senza classe"}
		for _, category := range service.GetCategories() {
			if category.GetScheme() == istatScheme {
				k.class, k.label = category.GetCode(), category.GetLabel()
				break
			}
		}
		counts[k]++
	}
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b key) int {
		return strings.Compare(a.comune+"\x00"+a.area+"\x00"+a.class+"\x00"+a.label, b.comune+"\x00"+b.area+"\x00"+b.class+"\x00"+b.label)
	})
	return writeTable(out, func(yield func([]string) error) error {
		if err := yield([]string{"comune", "area_utenza", "area_utenza_descrizione", "classe", "classe_descrizione", "servizi"}); err != nil {
			return err
		}
		for _, k := range keys {
			if err := yield([]string{k.comune, k.area, istatLabels[k.area], k.class, k.label, strconv.FormatInt(counts[k], 10)}); err != nil {
				return err
			}
		}
		return nil
	})
}
