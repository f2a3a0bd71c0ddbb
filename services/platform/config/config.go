// Package config reads a process's settings: defaults in the program, over them one strict YAML file, over that the environment.
package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Load reads the YAML file at path over the defaults that into, a pointer to a struct, already holds. Keys that the struct has not,
// keys given twice and a second document are errors that name the file and the line. With an empty path only the environment
// is read.
//
// Then each field with a tag env:"CID_..." whose variable is set and not empty takes its value; strings, whole numbers,
// booleans and durations can have the tag, in nested structs too. At last into's method Validate() error is called, if it has one.
func Load(path string, into any) error {
	settings := reflect.ValueOf(into)
	if settings.Kind() != reflect.Pointer || settings.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("config.Load needs a pointer to a struct, got %T", into)
	}
	if path != "" {
		if err := readFile(path, into); err != nil {
			return err
		}
	}
	if err := overrideFromEnvironment(settings.Elem()); err != nil {
		return err
	}
	checked, ok := into.(interface{ Validate() error })
	if !ok {
		return nil
	}
	if err := checked.Validate(); err != nil {
		if path == "" {
			return fmt.Errorf("settings: %w", err)
		}
		return fmt.Errorf("settings in %s: %w", path, err)
	}
	return nil
}

// Print writes the settings as YAML that [Load] reads back, as --print-config shows them.
func Print(w io.Writer, settings any) error {
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(settings), encoder.Close()); err != nil {
		return fmt.Errorf("print the settings: %w", err)
	}
	return nil
}

func readFile(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	if err := decode(text, into); err != nil {
		return fmt.Errorf("settings in %s: %w", path, err)
	}
	return nil
}

func decode(text []byte, into any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // nothing but comments: the defaults stand
		}
		return inPlainWords(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the end of the first YAML document: keep one document")
	}
	return nil
}

var unknownField = regexp.MustCompile(`^line (\d+): field (.+) not found in type \S+$`)

// inPlainWords replaces the decoder's talk of Go types by what the writer of the file sees.
func inPlainWords(err error) error {
	wrongType, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return err
	}
	lines := make([]string, len(wrongType.Errors))
	for i, line := range wrongType.Errors {
		lines[i] = unknownField.ReplaceAllString(line, `line $1: unknown key "$2"`)
	}
	return errors.New(strings.Join(lines, "; "))
}

func overrideFromEnvironment(settings reflect.Value) error {
	for i := range settings.NumField() {
		declared, field := settings.Type().Field(i), settings.Field(i)
		name := declared.Tag.Get("env")
		if name == "" {
			if field.Kind() == reflect.Struct && declared.IsExported() {
				if err := overrideFromEnvironment(field); err != nil {
					return err
				}
			}
			continue
		}
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		if err := set(field, value); err != nil {
			return fmt.Errorf("environment variable %s: %w", name, err)
		}
	}
	return nil
}

func set(field reflect.Value, value string) error {
	if reader, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return reader.UnmarshalText([]byte(value))
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(value)
	case reflect.Bool:
		parsed, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		field.SetBool(parsed)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		parsed, err := strconv.ParseInt(value, 10, field.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number in range", value)
		}
		field.SetInt(parsed)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		parsed, err := strconv.ParseUint(value, 10, field.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number in range", value)
		}
		field.SetUint(parsed)
	default:
		return fmt.Errorf("a setting of type %s can't be given by the environment", field.Type())
	}
	return nil
}
