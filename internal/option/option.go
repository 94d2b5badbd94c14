// Package option makes and applies the options of the public packages. An option of
// package entsignal is a sealed type that hides an [Option].
package option

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// An Option changes settings of type S.
type Option[S any] struct {
	name string
	set  func(*S) error
}

// New returns an option with that name. set returns an error for an invalid value.
func New[S any](name string, set func(*S) error) Option[S] { return Option[S]{name, set} }

// Name returns the option's name, which is the name of the function that makes it.
func (o Option[S]) Name() string { return o.name }

// Apply applies the option.
func (o Option[S]) Apply(s *S) error { return o.set(s) }

// Apply applies options, whose public type is O, to s. The error names the option
// with an invalid value.
func Apply[S, O any](s *S, opts []O) error {
	for _, opt := range opts {
		o, ok := any(opt).(interface{ Apply(s *S) error })
		if !ok {
			return fmt.Errorf("entsignal: a nil %s", reflect.TypeFor[O]().Name())
		}
		if err := o.Apply(s); err != nil {
			return fmt.Errorf("entsignal: %w", err)
		}
	}
	return nil
}

// ApplyUsed is [Apply] for a method that uses only the named options. Any other
// option is an error.
func ApplyUsed[S, O any](s *S, method string, opts []O, used []string) error {
	for _, opt := range opts {
		o, ok := any(opt).(interface {
			Name() string
			Apply(s *S) error
		})
		switch {
		case !ok:
			return fmt.Errorf("entsignal: %s: a nil %s", method, reflect.TypeFor[O]().Name())
		case !slices.Contains(used, o.Name()):
			return fmt.Errorf("entsignal: %s doesn't use the option %s; it uses: %s", method, o.Name(), strings.Join(used, ", "))
		}
		if err := o.Apply(s); err != nil {
			return fmt.Errorf("entsignal: %s: %s: %w", method, o.Name(), err)
		}
	}
	return nil
}
