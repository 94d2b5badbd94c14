package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
)

// absencePause is the shortest time between two searches for rows that were not
// found. Usually another process has sent them, which is fine and may be common.
const absencePause = time.Minute

// absence tracks whether the autoflushes of one signal type find the rows that
// their commits have recorded.
type absence struct {
	mu       sync.Mutex
	found    bool // one did
	reported bool
	looked   time.Time
}

// note notes how many rows an autoflush has sent.
func (a *absence) note(sent int) {
	if sent == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.found = true
}

// look reports whether to search for rows that were not found, and whether other
// rows were found.
func (a *absence) look(now time.Time) (look, found bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reported || !a.looked.IsZero() && now.Sub(a.looked) < absencePause {
		return false, a.found
	}
	a.looked = now
	return true, a.found
}

// first returns true only for the first call.
func (a *absence) first() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := !a.reported
	a.reported = true
	return first
}

// reportAbsence is called when an autoflush has found none of the rows that a
// commit recorded. Usually another flush was faster. It reports, once per signal
// type, that the bus can't see the rows.
func (e *Engine) reportAbsence(ctx context.Context, st store, t *signalType, ids []any) {
	look, found := t.absence.look(time.Now())
	if !look {
		return
	}
	reason, err := budget.Ask(ctx, e.budget, func(ctx context.Context) (reason string, err error) {
		err = st.Read(ctx, st.driver, func(drv dialect.Driver) error {
			seen, err := t.IDs(ctx, drv, t.Columns().Listed(drv, ids))
			if err != nil || len(seen) > 0 { // held by another flush, or waiting for its next attempt
				return err
			}
			reason, err = st.Absence(ctx, drv, database.Missing{Table: t.Table(), IDs: ids, Others: found})
			return err
		})
		return reason, err
	})
	// If the read failed, a later autoflush tries again.
	if err == nil && reason != "" && t.absence.first() {
		e.report(ctx, &entsignal.FlushError{Signal: t.info.Name, Err: fmt.Errorf("%w: %s", entsignal.ErrNotFound, reason)})
	}
}
