package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Variables of a scenario: what the runner sets, what the file sets, what steps
// saved.
type variables map[string]any

var reference = regexp.MustCompile(`\$\{([^}]+)\}`)

// expand puts the values of variables into a document of a case file. A text
// that is nothing but a reference becomes the value itself, of whatever type.
func (v variables) expand(document any) (any, error) {
	switch document := document.(type) {
	case map[string]any:
		return v.expandObject(document)
	case []any:
		expanded := make([]any, len(document))
		for i, value := range document {
			var err error
			if expanded[i], err = v.expand(value); err != nil {
				return nil, err
			}
		}
		return expanded, nil
	case string:
		if whole := reference.FindString(document); whole == document && whole != "" {
			return v.value(document[2 : len(document)-1])
		}
		return v.expandText(document)
	}
	return document, nil
}

// expandObject expands names too. The members of the object under the name
// "..." become members of this one, unless it has them itself.
func (v variables) expandObject(document map[string]any) (map[string]any, error) {
	expanded := make(map[string]any, len(document))
	for key, value := range document {
		name, err := v.expandText(key)
		if err != nil {
			return nil, err
		}
		if expanded[name], err = v.expand(value); err != nil {
			return nil, err
		}
	}
	spread, _ := expanded["..."].(map[string]any)
	delete(expanded, "...")
	for name, value := range spread {
		if _, own := expanded[name]; !own {
			expanded[name] = value
		}
	}
	return expanded, nil
}

// expandText puts values into a text.
func (v variables) expandText(text string) (string, error) {
	var failed error
	expanded := reference.ReplaceAllStringFunc(text, func(found string) string {
		value, err := v.value(found[2 : len(found)-1])
		if err != nil {
			failed = err
		}
		return fmt.Sprint(value)
	})
	return expanded, failed
}

// value evaluates a reference: a variable, or one of the functions that the
// README lists.
func (v variables) value(expression string) (any, error) {
	words := strings.Fields(expression)
	switch {
	case words[0] == "uuid" && len(words) == 2:
		// The same name is the same id for the whole scenario.
		name := "uuid " + words[1]
		if v[name] == nil {
			v[name] = uuid.NewString()
		}
		return v[name], nil
	case words[0] == "sha256" && len(words) == 2:
		content, err := v.value(words[1])
		sum := sha256.Sum256([]byte(fmt.Sprint(content)))
		return hex.EncodeToString(sum[:]), err
	case words[0] == "repeat" && len(words) == 3:
		times, err := strconv.Atoi(words[2])
		return strings.Repeat(words[1], times), err
	}
	value, known := v[expression]
	if !known {
		return nil, fmt.Errorf("there is no variable %q", expression)
	}
	return value, nil
}
