package signalcli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxDuration is the largest duration that a flag accepts. More is probably a
// mistake, such as milliseconds instead of seconds.
const maxDuration = 24 * time.Hour

// parseDuration reads a duration: "5s", or a bare number of seconds.
func parseDuration(s string) (time.Duration, error) {
	if s != "" && strings.Trim(s, "+-.0123456789") == "" {
		s += "s"
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("not a duration")
	case d < 0:
		return 0, fmt.Errorf("negative")
	case d > maxDuration:
		return 0, fmt.Errorf("more than %v", maxDuration)
	}
	return d, nil
}

// durationValue is a flag that takes a duration.
type durationValue struct {
	d        time.Duration
	zero     bool // whether 0 is allowed
	set      bool
	fallback string // what the help shows as the default
}

// Set implements pflag's Value.
func (v *durationValue) Set(s string) error {
	d, err := parseDuration(s)
	if err == nil && d == 0 && !v.zero {
		err = fmt.Errorf("not above 0")
	}
	if err != nil {
		least := "above 0"
		if v.zero {
			least = "from 0"
		}
		return fmt.Errorf("%w; expected a duration such as 5s, or a number of seconds such as 0.5, %s and at most %v", err, least, maxDuration)
	}
	v.d, v.set = d, true
	return nil
}

// String implements pflag's Value.
func (v *durationValue) String() string {
	if v.set {
		return v.d.String()
	}
	return v.fallback
}

// Type implements pflag's Value.
func (v *durationValue) Type() string { return "duration" }

// countValue is a flag that takes a whole number from 1.
type countValue struct {
	n, most int // n is 0 if it is not set
}

// Set implements pflag's Value.
func (v *countValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > v.most {
		return fmt.Errorf("expected a whole number from 1 to %d", v.most)
	}
	v.n = n
	return nil
}

// String implements pflag's Value.
func (v *countValue) String() string {
	if v.n == 0 {
		return ""
	}
	return strconv.Itoa(v.n)
}

// Type implements pflag's Value.
func (v *countValue) Type() string { return "int" }

// namesValue is a flag that may be given several times, each time with one
// name. pflag's own lists also split at commas, or can't be completed.
type namesValue struct {
	names *[]string
	kind  string // of the names, for the help: NAME or ID
}

// Set implements pflag's Value.
func (v namesValue) Set(s string) error {
	*v.names = append(*v.names, s)
	return nil
}

// String implements pflag's Value.
func (v namesValue) String() string {
	if v.names == nil {
		return ""
	}
	return strings.Join(*v.names, ",")
}

// Type implements pflag's Value.
func (v namesValue) Type() string { return v.kind }
