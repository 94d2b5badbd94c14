package engine

import (
	"context"

	"github.com/entsignal/signalbus/internal/probe"
)

// source is where a flush takes its batches from.
type source interface {
	// next returns what the next batch takes, up to limit rows, which may be asked
	// for when the rows are read; works says that
	// the sender works. It returns false at the end.
	next(limit func() int, works bool) (selection, bool)
	// again makes rows come again, one by one, once the sender works.
	again(ids []any)
	// undecided reports whether there are such rows.
	undecided() bool
	// probe returns a single row from another place, and false if there is none.
	probe(ctx context.Context) (selection, bool, error)
	// resume makes the next probe begin anew.
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
