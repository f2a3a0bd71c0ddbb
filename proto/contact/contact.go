// Package contact tells what a person can be reached at. Node and portal ask the same, so that a form refuses early what the node
// would refuse.
package contact

import "strings"

// fewDigits is how many digits the shortest telephone number has that a person can be called at.
const fewDigits = 6

// IsTelephone tells whether a text can be a telephone number: it has six digits or more, whatever stands between them.
func IsTelephone(text string) bool {
	digits := 0
	for _, r := range text {
		if '0' <= r && r <= '9' {
			digits++
		}
	}
	return digits >= fewDigits
}

// IsEmail tells whether a text can be an e-mail address: something, an @, a domain with a dot inside, and no blank.
func IsEmail(text string) bool {
	user, domain, found := strings.Cut(text, "@")
	return found && user != "" && strings.Contains(strings.Trim(domain, "."), ".") && !strings.ContainsAny(text, " \t\r\n")
}
