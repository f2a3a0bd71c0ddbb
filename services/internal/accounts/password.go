package accounts

import (
	"strings"
	"unicode/utf8"

	"cidsistem.example/proto/apierror"
)

const (
	minPassword, maxPassword = 12, 1000
	// minDistinct and minLeft are how many different characters a password has at
	// least, and how many once what is easily guessed counts as one.
	minDistinct, minLeft = 5, 10
)

// rows are characters that follow each other on a keyboard.
var rows = []string{"qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890"}

// checkPassword refuses passwords that are easily guessed. There is no list of
// common passwords: it looks at what makes them common.
func (a *Accounts) checkPassword(password, login string) error {
	if problem := weakness(password, login, a.server); problem != "" {
		return apierror.Invalid("password", problem)
	}
	return nil
}

// weakness says what is wrong with a password, nothing when it is good.
func weakness(password, login, server string) string {
	length := utf8.RuneCountInString(password)
	lower := strings.ToLower(password)
	local, _, _ := strings.Cut(strings.ToLower(login), "@")
	switch {
	case !utf8.ValidString(password):
		return "is not valid text"
	case length < minPassword || length > maxPassword:
		return "must have 12 to 1000 characters"
	case strings.Contains(lower, strings.ToLower(login)), len(local) > 2 && strings.Contains(lower, local):
		return "must not contain the login"
	case strings.Contains(strings.ReplaceAll(lower, " ", "-"), server), strings.Contains(lower, strings.ReplaceAll(server, "-", "")):
		return "must not contain the name of the comune"
	case distinct(lower) < minDistinct:
		return "must have at least 5 different characters"
	case left(unit(lower)) < minLeft:
		return "is easily guessed: repeated characters, sequences such as 1234 or qwerty and repeated words count as one; 10 characters must be left"
	}
	return ""
}

func distinct(text string) int {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return len(seen)
}

// unit is the shortest text of whose repetition a text consists.
func unit(text string) string {
	if again := strings.Index((text + text)[1:], text) + 1; again < len(text) {
		return text[:again]
	}
	return text
}

// left counts characters; a run of three and more that repeat, or follow each
// other in an alphabet or on a keyboard, counts as one.
func left(text string) int {
	runes := []rune(text)
	count := 0
	for i := 0; i < len(runes); {
		longest := 1
		for _, follows := range []func(a, b rune) bool{same, next, previous, right, leftwards} {
			n := 1
			for i+n < len(runes) && follows(runes[i+n-1], runes[i+n]) {
				n++
			}
			longest = max(longest, n)
		}
		if longest < 3 {
			longest = 1
		}
		i += longest
		count++
	}
	return count
}

func same(a, b rune) bool      { return a == b }
func next(a, b rune) bool      { return b == a+1 }
func previous(a, b rune) bool  { return b == a-1 }
func leftwards(a, b rune) bool { return right(b, a) }

func right(a, b rune) bool {
	for _, row := range rows {
		if strings.Contains(row, string([]rune{a, b})) {
			return true
		}
	}
	return false
}
