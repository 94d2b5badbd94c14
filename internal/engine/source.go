package engine

import (
	"context"

	"github.com/entsignal/signalbus/internal/probe"
)

// source provides the batches of a flush.
type source interface {
	// next returns the rows of the next batch, up to limit rows. limit may be
	// called only when the rows are read. works means that the sender is known to
	// work. It returns false at the end.
	next(limit func() int, works bool) (selection, bool)
	// again adds rows to be taken again, one by one, once the sender works.
	again(ids []any)
	// undecided reports whether there are such rows.
	undecided() bool
	// probe returns a single row from another place, or false if there is none.
	probe(ctx context.Context) (selection, bool, error)
	// resume makes the next probe start over.
	resume()
}

// listed is the source of a flush that has listed its ids.
type listed struct{ ids *probe.Listing }

func (l *listed) next(limit func() int, works bool) (selection, bool) {
	ids := l.ids.Take(limit(), works)
	return selection{ids: ids}, len(ids) > 0
}

func (l *listed) again(ids []any) { l.ids.Again(ids) }

func (l *listed) undecided() bool { return l.ids.Undecided() }

func (l *listed) probe(context.Context) (selection, bool, error) {
	one, ok := l.ids.Pick()
	return selection{ids: []any{one}}, ok, nil
}

func (l *listed) resume() { l.ids.Resume() }
