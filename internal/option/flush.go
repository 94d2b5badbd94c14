package option

import "time"

// Flush holds the settings of a flush or a similar method.
type Flush struct {
	Only     []string // nil: all
	Exclude  []string
	Wait     *time.Duration // nil: see FlushWait
	Workers  int
	Burst    int            // 0: the signal's
	HoldBack *time.Duration // nil: see HoldBackTime
	SkipDead bool
	Poll     time.Duration // 0: see [entsignal.Poll]
	AtMost   int           // 0: all
	// What Failed, RetryAll and DiscardAll use.
	After     *string // the id behind which a list begins; nil: at the start
	ErrorText *string // nil: any error
}

// DefaultFlush returns the settings of a call without options.
func DefaultFlush() Flush { return Flush{Workers: 1} }

const (
	// defaultWait is how long Flush waits: enough for running autoflushes to finish.
	defaultWait = 3 * time.Second
	// defaultHoldBack is how long FlushOrdered waits for open transactions. Most have ended
	// by then; the others are worth reporting.
	defaultHoldBack = 30 * time.Second
)

// FlushWait returns how long Flush waits between listing and sending.
func (f Flush) FlushWait() time.Duration { return or(f.Wait, defaultWait) }

// HoldBackTime returns how long FlushOrdered waits for open transactions.
func (f Flush) HoldBackTime() time.Duration { return or(f.HoldBack, defaultHoldBack) }

func or(d *time.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return *d
}

// Used returns the names of the options that a method of a bus uses. The flush
// methods of a generated client flush only one type, so they don't use Only and
// Exclude.
func Used(method string, ofClient bool) []string {
	var names []string
	if method == "RetryAll" || method == "DiscardAll" { // they take the name of one type
		return []string{"ErrorText"}
	}
	if !ofClient {
		names = []string{"Only", "Exclude"}
	}
	switch method {
	case "Failed":
		names = append(names, "AtMost", "After", "ErrorText")
	case "Flush":
		names = append(names, "Wait", "Burst")
	case "FlushMany":
		names = append(names, "Workers", "Burst")
	case "Run":
		names = append(names, "Workers", "Burst", "HoldBack", "SkipDead", "Poll")
	case "Pending":
		names = append(names, "AtMost")
	case "FlushOrdered":
		names = append(names, "Wait", "HoldBack", "Workers", "Burst", "SkipDead")
	}
	return names
}
