package asking

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/contact"
	"cidsistem.example/proto/gen/deskv1"
)

// The bounds of the contract, in characters, and in bytes for files.
const (
	maxText, maxLine, maxBasis, maxPhone, maxEmail, maxRatingText = 5000, 200, 500, 40, 254, 2000

	maxFiles, maxFile, maxAllFiles = 3, 2 << 20, 3 << 20
)

// A Problem is something wrong, said beside its field and in the summary.
type Problem struct{ Field, Message string }

// A checker gathers problems in the words of the page.
type checker struct {
	*site.Request
	found []Problem
}

func (c *checker) add(field, id string, values ...any) {
	if c.of(field) == "" {
		c.found = append(c.found, Problem{field, c.Say("ask.problem."+id, values...)})
	}
}

// of is what is wrong with a field, empty when nothing is.
func (c *checker) of(field string) string {
	for _, problem := range c.found {
		if problem.Field == field {
			return problem.Message
		}
	}
	return ""
}

func (c *checker) length(field, text string, most int) {
	if over := utf8.RuneCountInString(text) - most; over > 0 {
		c.found = append(c.found, Problem{field, c.Count("ask.problem.tooLong", over, "Most", most)})
	}
}

func (c *checker) oneOf(field, value string, among []string, missing string) {
	if !slices.Contains(among, value) {
		c.add(field, missing)
	}
}

// check tells what is wrong with the answers to one question.
func (c *checker) check(id string, a answers, comuni site.Comuni) {
	today := time.Now().In(site.Rome)
	switch id {
	case stepComune:
		if _, known := comuni.Of(a[fieldComune]); !known {
			c.add(fieldComune, "comune")
		}
	case stepKind:
		c.oneOf(fieldKind, a[fieldKind], kinds, "kind")
	case stepSubject:
		if _, ok := a.subject(); !ok && a[fieldSubject] != unlisted {
			c.add(fieldSubject, "subject")
		}
	case stepWhen:
		c.oneOf(fieldProblem, a[fieldProblem], slugs(problems), "problem")
		if text := a[fieldDate]; text != "" {
			day, ok := dateOf(text)
			if !ok {
				c.add(fieldDate, "date")
			} else if day.After(today) {
				c.add(fieldDate, "future")
			}
		}
		c.length(fieldWhen, a[fieldWhen], maxLine)
	case stepText:
		if strings.TrimSpace(a[fieldText]) == "" {
			c.add(fieldText, "text")
		}
		c.length(fieldText, a.text(c.Request), maxText)
		if a[fieldCategory] != "" {
			c.oneOf(fieldCategory, a[fieldCategory], categories, "category")
		}
	case stepFor:
		c.oneOf(fieldFor, a[fieldFor], []string{forMe, forAnother}, "for")
	case stepRole:
		c.oneOf(fieldRole, a[fieldRole], slugs(roles), "role")
		c.length(fieldBasis, a[fieldBasis], maxBasis)
		if text := a[fieldExpiry]; text != "" {
			day, ok := dateOf(text)
			if !ok {
				c.add(fieldExpiry, "date")
			} else if day.AddDate(0, 0, 1).Before(today) {
				c.add(fieldExpiry, "expired")
			}
		}
	case stepChannel:
		c.oneOf(fieldChannel, a[fieldChannel], slugs(channels), "channel")
	case stepContact:
		c.contact(a)
	}
}

// contact asks for what the chosen way to answer needs, and for nothing else.
func (c *checker) contact(a answers) {
	phone, mail := a[fieldPhone], a[fieldEmail]
	switch a.channel() {
	case deskv1.Request_PHONE:
		if phone == "" {
			c.add(fieldPhone, "phoneMissing")
		}
	case deskv1.Request_EMAIL:
		if mail == "" {
			c.add(fieldEmail, "emailMissing")
		}
	case deskv1.Request_VIDEO_CALL_SIGN_LANGUAGE:
		if phone == "" && mail == "" {
			c.add(fieldPhone, "eitherMissing")
			c.add(fieldEmail, "eitherMissing")
		}
	}
	if phone != "" && !contact.IsTelephone(phone) {
		c.add(fieldPhone, "phone")
	}
	if mail != "" && !contact.IsEmail(mail) {
		c.add(fieldEmail, "email")
	}
	c.length(fieldPhone, phone, maxPhone)
	c.length(fieldEmail, mail, maxEmail)
	c.length(fieldName, a[fieldName], maxLine)
	c.length(fieldHours, a[fieldHours], maxLine)
}

// takeFiles are those of a form, as the contract wants them.
func (c *checker) takeFiles(sent *edge.Sent) []*deskv1.AttachedFile {
	var taken []*deskv1.AttachedFile
	total := 0
	for _, file := range sent.Files {
		name := strings.TrimSpace(clean(file.Name))
		switch {
		case file.Name == "" && len(file.Data) == 0 && !file.TooLarge: // none was chosen
			continue
		case file.TooLarge || len(file.Data) > maxFile:
			c.add(fieldFiles, "fileTooLarge", "File", name)
		case len(file.Data) == 0:
			c.add(fieldFiles, "fileEmpty", "File", name)
		case utf8.RuneCountInString(name) > maxLine || strings.Trim(name, " .") == "":
			c.add(fieldFiles, "fileName")
		}
		total += len(file.Data)
		taken = append(taken, &deskv1.AttachedFile{FileName: name, Data: file.Data})
	}
	switch {
	case len(taken) > maxFiles:
		c.add(fieldFiles, "tooManyFiles")
	case total > maxAllFiles || sent.TooLarge:
		c.add(fieldFiles, "filesTooLarge")
	}
	return taken
}
