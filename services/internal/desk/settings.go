package desk

import (
	"cmp"
	"errors"
	"fmt"

	"cidsistem.example/services/internal/workdays"
)

// Settings of a desk, from the node's file. What is 0 or empty has its default.
type Settings struct {
	// AnswerDays is how many working days the desk has for the final answer; 0: 5.
	AnswerDays int `yaml:"answer_days"`
	// Patron is the day of the comune's patron saint, a holiday of its own, "MM-DD";
	// empty: none.
	Patron string `yaml:"patron"`
	// HourlyPerNetwork is how many requests come in an hour from one network of the
	// public; 0: 20. Many people may share one.
	HourlyPerNetwork int `yaml:"hourly_per_network"`
	// Hourly is how many requests of the public come in an hour in all; 0: 300.
	Hourly int `yaml:"hourly"`
	// MaxBytes bounds what all requests and their attachments take; 0: 2 GiB. The
	// last quarter is for requests without attachments.
	MaxBytes int64 `yaml:"max_bytes"`
}

// Validate tells what is wrong with them.
func (s Settings) Validate() error {
	if s.AnswerDays < 0 || s.AnswerDays > 365 {
		return fmt.Errorf("answer_days: %d is not a number of days from 1 to 365", s.AnswerDays)
	}
	if s.HourlyPerNetwork < 0 || s.Hourly < 0 || s.MaxBytes < 0 {
		return errors.New("hourly_per_network, hourly and max_bytes must not be negative")
	}
	if _, err := workdays.New(s.Patron); err != nil {
		return fmt.Errorf("patron: %w", err)
	}
	return nil
}

// DefaultSettings suit a comune of some ten thousand inhabitants.
func DefaultSettings() Settings {
	return Settings{AnswerDays: 5, HourlyPerNetwork: 20, Hourly: 300, MaxBytes: 2 << 30}
}

func (s Settings) withDefaults() Settings {
	normal := DefaultSettings()
	return Settings{
		AnswerDays: cmp.Or(s.AnswerDays, normal.AnswerDays), Patron: s.Patron,
		HourlyPerNetwork: cmp.Or(s.HourlyPerNetwork, normal.HourlyPerNetwork), Hourly: cmp.Or(s.Hourly, normal.Hourly),
		MaxBytes: cmp.Or(s.MaxBytes, normal.MaxBytes),
	}
}
