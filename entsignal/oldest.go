package entsignal

import (
	"context"
	"errors"
	"time"

	"github.com/entsignal/signalbus/internal/option"
)

// Oldest is the pending signal of a type that was recorded first, as far as that
// is known: by mixin.Trace, or else the one with the lowest id. Dead signals are left
// out.
type Oldest struct {
	Signal string `json:"signal"` // the name of its type
	ID     string `json:"id"`     // empty: none is pending
	// Since is since when it is pending at least: when this process first saw it as
	// the oldest. It may have been recorded long before.
	Since time.Time `json:"since,omitzero"`
	// Exact says that Since is when it was recorded, by the clock of the application
	// that did.
	Exact bool `json:"exact,omitempty"`
}

// Age returns for how long the signal is pending at least; 0 if there is none.
func (o Oldest) Age(now time.Time) time.Duration {
	if o.ID == "" {
		return 0
	}
	return max(now.Sub(o.Since), 0)
}

// Oldest looks for the oldest signal of each type. With mixin.Trace it is the one that
// was recorded first; where the database counts the ids, the one with the lowest id, and
// otherwise Oldest looks at all rows to find it, so add an index on signal_recorded_at if
// there may be millions.
//
// Without mixin.Trace, and for a row that was inserted by SQL without a time, signals have
// no time of their own. Then the age of one is that for which the same lowest id was seen
// by this process: by Oldest, and by [Bus.Run], which looks about once a second. Ids that
// aren't counted up, such as UUIDs, do as well: as long as nothing is sent the lowest
// one stays, or a lower one takes its place.
//
// Dead signals (see mixin.Retry) don't count, because their age says nothing of the
// others.
//
// If a type can't be asked the error joins a [*FlushError] for it, and the others are
// returned. Options: Only, Exclude.
func (b *Bus) Oldest(ctx context.Context, opts ...FlushOption) ([]Oldest, error) {
	return withOptions(b, "Oldest", opts, func(e engine, o option.Flush) ([]Oldest, error) { return e.Oldest(ctx, o) })
}

// ErrNoSignal is returned by [Bus.Show] when no signal has the id: it was sent, or
// was never there.
var ErrNoSignal = errors.New("entsignal: no such signal is pending")

// Show returns one pending signal, the entity of its type, as a sender would get it,
// with its edges. It locks nothing and changes nothing. A text that is no id of the
// type is an [*InvalidIDError], and an id that no row has [ErrNoSignal].
func (b *Bus) Show(ctx context.Context, name, id string) (any, error) {
	return b.engine().Show(ctx, name, id)
}
