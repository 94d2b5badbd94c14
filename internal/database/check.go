package database

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
)

// A Misfit is a setting of a database, or of the connections to it, that doesn't
// suit a bus.
type Misfit struct {
	Setting string // the name of the setting
	Value   string // its value
	Effect  string // the consequence, and what to do
}

// serverTraits are properties of a server that claims need to know.
type serverTraits struct {
	// deferrable: there are constraints that may be checked at the commit only.
	deferrable bool
	// safeUpdates: the server refuses a deletion whose WHERE names no key.
	safeUpdates bool
	// genuine: it is PostgreSQL, and not a server that speaks its protocol.
	genuine bool
	// waits: a commit waits for the server's disk, or for a standby.
	waits bool
}

// tableTraits are properties of a table that claims need to know.
type tableTraits struct {
	known bool // the table is there
	// rules: the table has rules, which may make a deletion something else.
	rules bool
}

// fitness remembers which server and which tables were found fit for claims. The
// others are checked again each time, because somebody may have fixed them.
type fitness struct {
	server atomic.Pointer[serverTraits]
	tables sync.Map // by Table
}

// fit returns the properties of the server and the misfits of a table. It asks only
// what it doesn't know yet.
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
		func() (bool, []Misfit, error) {
			traits, misfits, err := l.askTable(ctx, drv, t)
			if traits.rules {
				l.twoSteps.Store(t, true)
			}
			return traits.known, misfits, err
		},
	)
}

// tooShort checks the limits after which the server ends an idle transaction or
// session. It returns the lowest one as a misfit if it is below the time of a
// batch. While a sender works within a claim, the transaction is idle for the
// server.
func tooShort(batch time.Duration, limits map[string]time.Duration) (misfits []Misfit) {
	lowest := batch
	for name, limit := range limits {
		if 0 < limit && limit < lowest {
			lowest = limit
			misfits = []Misfit{{name, limit.String(), "the server ends idle transactions sooner than a batch may take; messages that were sent in such a batch are sent again"}}
		}
	}
	return misfits
}

// unfit returns the error for a server or a table that would lose or duplicate
// messages, or that rejects each claim.
func unfit(format string, args ...any) error {
	return fmt.Errorf("nothing is sent: "+format, args...)
}
