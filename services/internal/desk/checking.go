package desk

import (
	"fmt"
	"strings"
	"time"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/contact"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/workdays"
)

// check tells what is wrong with a request beyond what the contract's bounds
// say.
func check(r *deskv1.Request, today workdays.Date) error {
	if strings.TrimSpace(r.GetText()) == "" {
		return apierror.Invalid("request.text", "is empty; say what is asked")
	}
	if err := checkKind(r, today); err != nil {
		return err
	}
	if by := r.GetRepresentation(); by != nil {
		if by.GetRole() == deskv1.Representation_ROLE_UNSPECIFIED {
			return apierror.Invalid("request.representation.role", "is missing; say what you are to the person")
		}
		if expiry := by.GetExpiryDate(); expiry != nil {
			_, last, ok := span(expiry)
			if !ok {
				return apierror.Invalid("request.representation.expiryDate", "is not a day of the calendar")
			}
			if last.Compare(today) < 0 {
				return apierror.Invalid("request.representation.expiryDate", "is over; a request for another person needs a basis that holds")
			}
		}
	}
	return checkChannel(r)
}

func checkKind(r *deskv1.Request, today workdays.Date) error {
	if r.GetKind() != deskv1.Request_DISRUPTION {
		if r.GetDisruption() != nil {
			return apierror.Invalid("request.disruption", "is only of a request of the kind DISRUPTION")
		}
		return nil
	}
	if r.GetService() == "" && r.GetLocation() == "" {
		const problem = "a disruption is of a service or at a location; name one of them"
		return apierror.New(registryv1.ErrorReason_INVALID_FIELDS, "request.service, request.location: "+problem,
			apierror.Field("request.service", problem), apierror.Field("request.location", problem))
	}
	if date := r.GetDisruption().GetDate(); date != nil {
		first, _, ok := span(date)
		if !ok {
			return apierror.Invalid("request.disruption.date", "is not a day of the calendar")
		}
		if first.Compare(today) > 0 {
			return apierror.Invalid("request.disruption.date", "is in the future; say when it happened")
		}
	}
	return nil
}

// checkChannel refuses a way to answer without what it needs.
func checkChannel(r *deskv1.Request) error {
	phone, mail := contact.IsTelephone(r.GetContact().GetTelephone()), contact.IsEmail(r.GetContact().GetEmail())
	const (
		needsPhone = "a telephone number is needed for an answer by telephone"
		needsMail  = "an e-mail address is needed for an answer by e-mail"
		needsOne   = "an e-mail address or a telephone number is needed for the invitation to a video call"
	)
	switch {
	case (r.GetPreferredChannel() == deskv1.Request_PHONE || r.GetKind() == deskv1.Request_CALL_BACK) && !phone:
		return apierror.Invalid("request.contact.telephone", needsPhone)
	case r.GetPreferredChannel() == deskv1.Request_EMAIL && !mail:
		return apierror.Invalid("request.contact.email", needsMail)
	case r.GetPreferredChannel() == deskv1.Request_VIDEO_CALL_SIGN_LANGUAGE && !phone && !mail:
		return apierror.New(registryv1.ErrorReason_INVALID_FIELDS, "request.contact: "+needsOne,
			apierror.Field("request.contact.email", needsOne), apierror.Field("request.contact.telephone", needsOne))
	}
	return nil
}

// span are the first and the last day that a date may mean; ok is false for what
// no calendar has.
func span(d *registryv1.PartialDate) (first, last workdays.Date, ok bool) {
	year, month, day := int(d.GetYear()), time.Month(d.GetMonth()), int(d.GetDay())
	switch {
	case month == 0:
		return workdays.Date{Year: year, Month: 1, Day: 1}, workdays.Date{Year: year, Month: 12, Day: 31}, day == 0
	case day == 0:
		return workdays.Date{Year: year, Month: month, Day: 1}, workdays.Date{Year: year, Month: month, Day: daysIn(year, month)}, month <= 12
	default:
		date := workdays.Date{Year: year, Month: month, Day: day}
		return date, date, month <= 12 && day <= daysIn(year, month)
	}
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// checkSubject refuses a service or a location that who asks cannot see.
func (d *Desk) checkSubject(r store.Reader, caller *policy.Caller, request *deskv1.Request) error {
	for _, subject := range []struct{ field, collection, what, name string }{
		{"request.service", "services", "service", request.GetService()},
		{"request.location", "locations", "location", request.GetLocation()},
	} {
		if subject.name == "" {
			continue
		}
		dangling := func(problem string) error {
			return apierror.New(registryv1.ErrorReason_DANGLING_REFERENCE, subject.field+": "+problem, apierror.Field(subject.field, problem))
		}
		name, err := catalog.ParseName(subject.name)
		if err != nil || name.Kind.Collection != subject.collection {
			return dangling(fmt.Sprintf("%.100q is not the name of a %s", subject.name, subject.what))
		}
		if "comuni/"+name.Comune() != d.parent {
			return dangling(fmt.Sprintf("%s is of another comune; ask the desk of that one", subject.name))
		}
		record, err := r.Get(name)
		if err != nil {
			return err
		}
		if record == nil || catalog.RecordOf(record).Deleted() || caller.Sight().Of(record) == nil {
			return dangling(subject.name + " does not exist")
		}
	}
	return nil
}
