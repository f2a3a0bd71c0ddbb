package directory

import (
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

type location struct {
	*registryv1.Location
	Mark    site.Mark
	Source  record.Source
	Opening record.Opening
	// Moved is where it is for a time.
	Moved, Organization           []record.Link
	Services, Operators, Meetings record.Links
	Access                        access
}

func (d *Directory) location(r *site.Request) (*site.Page, error) {
	l, err := d.locations.GetLocation(r.Upstream(), &registryv1.GetLocationRequest{Name: name(r, "locations")})
	if err != nil {
		return nil, err
	}
	ctx := r.Upstream()
	lists := d.reader.ReferringAll(ctx, l.GetName(), "services", "operators", "events")
	data := location{
		Location: l, Source: record.SourceOf(l.GetName(), l.GetProvenance(), l.GetUpdateTime(), d.now()), Opening: record.OpeningOf(l.GetOpening(), d.now()),
		Moved: d.reader.Links(ctx, l.GetStatus().GetTemporaryLocation()), Organization: d.reader.Links(ctx, l.GetOrganization()),
		Services: lists["services"], Operators: lists["operators"], Meetings: lists["events"], Access: accessOf(r.Language, l.GetAccessibility()),
	}
	data.Mark = site.Translated(r.Language, append(texts(data.Services), l.GetTitle(), l.GetDescription(), l.GetDirections(), l.GetAccessibility().GetNote(),
		l.GetAccessibility().GetHelpOnArrival(), l.GetStatus().GetReason(), l.GetOpening().GetNote())...)
	title := site.In(r.Language, l.GetTitle()).Text
	return &site.Page{
		Template: "location", Title: title, Description: site.In(r.Language, l.GetDescription()).Text, Crumbs: crumbs(r), Data: data,
		Linked: map[string]any{
			"@context": "https://schema.org", "@type": "Place", "name": title, "description": site.In(r.Language, l.GetDescription()).Text,
			"url": r.Address(record.Path(l.GetName())), "address": postal(l.GetAddress()),
		},
	}, nil
}

// access is what a person meets at a place, fact by fact.
type access struct {
	// Known is whether anything is.
	Known bool
	// Grade of the whole, for wheelchairs.
	Grade registryv1.PlaceAccessibility_Grade
	Facts []fact
}

// A fact about a place. It is never silent: what nobody knows is said to be unknown.
type fact struct {
	// ID of the message that names it.
	ID string
	// Answer is "yes", "no", "unknown" or "measure".
	Answer string
	// Measure with its unit.
	Measure string
	// Norm is the message that says how a measure compares to the law; empty: no law, or not measured.
	Norm string
}

// The measures of D.M. 236/1989: a door at an entrance is at least 80 cm wide, a ramp at most 8 % steep.
const (
	narrowestDoor = 800
	steepestRamp  = 8
)

func accessOf(l wording.Language, a *registryv1.PlaceAccessibility) access {
	yesNo := func(id string, value *bool) fact {
		switch {
		case value == nil:
			return fact{ID: id, Answer: "unknown"}
		case *value:
			return fact{ID: id, Answer: "yes"}
		default:
			return fact{ID: id, Answer: "no"}
		}
	}
	measure := func(id string, known bool, value float64, unit string) fact {
		if !known {
			return fact{ID: id, Answer: "unknown"}
		}
		return fact{ID: id, Answer: "measure", Measure: record.Number(l, value) + unit}
	}
	if a == nil {
		a = &registryv1.PlaceAccessibility{}
	}
	door := measure("doorWidth", a.DoorWidthMm != nil, float64(a.GetDoorWidthMm())/10, " cm")
	if door.Answer == "measure" {
		door.Norm = norm(a.GetDoorWidthMm() >= narrowestDoor, "doorWide", "doorNarrow")
	}
	slope := measure("rampSlope", a.RampSlopePercent != nil, a.GetRampSlopePercent(), " %")
	if slope.Answer == "measure" {
		slope.Norm = norm(a.GetRampSlopePercent() <= steepestRamp, "rampGentle", "rampSteep")
	}
	all := access{Grade: a.GetWheelchair(), Facts: []fact{
		measure("steps", a.EntranceSteps != nil, float64(a.GetEntranceSteps()), ""),
		measure("stepHeight", a.StepHeightMm != nil, float64(a.GetStepHeightMm())/10, " cm"),
		yesNo("ramp", a.Ramp), slope, door,
		yesNo("lift", a.Lift), measure("liftDoor", a.LiftDoorWidthMm != nil, float64(a.GetLiftDoorWidthMm())/10, " cm"),
		yesNo("toilet", a.AccessibleToilet), yesNo("parking", a.ReservedParking),
		measure("parkingDistance", a.ParkingDistanceM != nil, float64(a.GetParkingDistanceM()), " m"),
		yesNo("tactile", a.TactileGuidance), yesNo("loop", a.InductionLoop), yesNo("quiet", a.QuietSpace), yesNo("pictograms", a.PictogramSigns),
		yesNo("animals", a.AssistanceAnimals),
	}}
	all.Known = a.GetWheelchair() != registryv1.PlaceAccessibility_GRADE_UNSPECIFIED
	for _, f := range all.Facts {
		all.Known = all.Known || f.Answer != "unknown"
	}
	return all
}

func norm(kept bool, within, beyond string) string {
	if kept {
		return within
	}
	return beyond
}
