package database

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
)

// A Misfit is a setting of a database, or of the connections to it, with which
// a bus works badly.
type Misfit struct {
	Setting string // its name
	Value   string // what it is
	Effect  string // what comes of it, and what to do
}

// serverTraits are what claims have to know of a server.
type serverTraits struct {
	// deferrable: there are constraints that may be checked at the commit only.
	deferrable bool
	// safeUpdates: the server refuses a deletion whose WHERE names no key.
	safeUpdates bool
}

// fitness remembers which server and which tables were found fit for claims.
// Those that weren't are asked again each time: somebody may have mended them.
type fitness struct {
	server atomic.Pointer[serverTraits]
	tables sync.Map // by Table
}

// fit tells what the server and a table are like, and asks what it doesn't know.
func (f *fitness) fit(t Table, server func() (serverTraits, []Misfit, error), table func() (known bool, _ []Misfit, _ error)) (misfits []Misfit, _ error) {
	if f.server.Load() == nil {
		found, bad, err := server()
		misfits = bad
		if err != nil {
			return misfits, err
		}
		f.server.Store(&found)
	}
	if _, ok := f.tables.Load(t); !ok {
		known, bad, err := table()
		misfits = append(misfits, bad...)
		if err != nil {
			return misfits, err
		}
		if known {
			f.tables.Store(t, true)
		}
	}
	return misfits, nil
}

// Check implements [Dialect].
func (l *locking) Check(ctx context.Context, drv dialect.Driver, t Table, batch time.Duration) ([]Misfit, error) {
	return l.fit(t,
		func() (serverTraits, []Misfit, error) { return l.askServer(ctx, drv, batch) },
		func() (bool, []Misfit, error) { return l.askTable(ctx, drv, t) },
	)
}

// tooShort returns the misfit of the lowest of some limits, after which the
// server ends a transaction or a session in which nothing happens, if that is
// below the time of a batch. To the server nothing happens all the time that a
// sender works in a claim.
func tooShort(batch time.Duration, limits map[string]time.Duration) (misfits []Misfit) {
	lowest := batch
	for name, limit := range limits {
		if 0 < limit && limit < lowest {
			lowest = limit
			misfits = []Misfit{{name, limit.String(), "the server ends idle transactions sooner than a batch may take; what is sent then will be sent again"}}
		}
	}
	return misfits
}

// unfit is the error of a server or a table that would lose or double messages,
// or that refuses each claim.
func unfit(format string, args ...any) error {
	return fmt.Errorf("nothing is sent: "+format, args...)
}
