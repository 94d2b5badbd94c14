package cli

import (
	"fmt"
	"slices"
	"strings"
)

// Enum is a flag that takes one of a few words.
type Enum struct {
	Value   string
	Allowed []string
}

// NewEnum returns a flag that is value unless it's set to one of allowed.
func NewEnum(value string, allowed ...string) Enum {
	return Enum{Value: value, Allowed: allowed}
}

// Set implements pflag's Value.
func (v *Enum) Set(s string) error {
	if !slices.Contains(v.Allowed, s) {
		return fmt.Errorf("expected one of: %s", strings.Join(v.Allowed, ", "))
	}
	v.Value = s
	return nil
}

// String implements pflag's Value.
func (v *Enum) String() string { return v.Value }

// Type implements pflag's Value.
func (v *Enum) Type() string { return strings.Join(v.Allowed, "|") }
