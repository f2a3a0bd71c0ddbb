package record

import (
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// Access is what a person meets at a place, fact by fact.
type Access struct {
	// Known is whether anything is.
	Known bool
	// Grade of the whole, for wheelchairs.
	Grade registryv1.PlaceAccessibility_Grade
	Facts []Fact
}

// A Fact about a place. It is never silent: what nobody knows is said to be unknown.
type Fact struct {
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

// AccessOf a place, in a language.
func AccessOf(l wording.Language, a *registryv1.PlaceAccessibility) Access {
	yesNo := func(id string, value *bool) Fact {
		switch {
		case value == nil:
			return Fact{ID: id, Answer: "unknown"}
		case *value:
			return Fact{ID: id, Answer: "yes"}
		default:
			return Fact{ID: id, Answer: "no"}
		}
	}
	measure := func(id string, known bool, value float64, unit string) Fact {
		if !known {
			return Fact{ID: id, Answer: "unknown"}
		}
		return Fact{ID: id, Answer: "measure", Measure: Number(l, value) + unit}
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
	all := Access{Grade: a.GetWheelchair(), Facts: []Fact{
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
