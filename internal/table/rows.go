package table

import (
	"context"
	"slices"

	"entgo.io/ent"
	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/retry"
	"github.com/entsignal/signalbus/internal/trace"
)

// Rows are loaded signals of one type, with their Go type hidden. They are
// immutable.
type Rows interface {
	// IDs returns the ids of the rows.
	IDs() []any
	// IDText returns the text of a row's id, by which consumers know it.
	IDText(i int) string
	// State returns the columns of mixin.Retry of a row.
	State(i int) retry.State
	// Trace returns the columns of mixin.Trace of a row; the zero State without it.
	Trace(i int) trace.State
	// Moved reports whether one of the rows isn't where the query found it; see
	// [Columns.WatchMoves].
	Moved() bool
	// Place returns where a row is in the order, or nil if the query didn't select it;
	// see [Columns.SelectPlace].
	Place(i int) Place
	// Pick returns the rows with these indexes, in that order.
	Pick(indexes []int) Rows
	// Size estimates how many bytes of memory one row takes; 0 if there is none.
	Size() int64
	// Entity returns one of them.
	Entity(i int) any
	// Send calls the sender with the rows from index from up to, but not including,
	// index to.
	Send(ctx context.Context, from, to int) error
}

// rows are the entities of one signal.
type rows[T any] struct {
	of       typed[T]
	entities []T
	ids      []any
	drv      dialect.Driver
}

// typed is what rows need of their signal.
type typed[T any] interface {
	idText(row T, stored any) string
	state(row T) retry.State
	trace(row T) trace.State
	send(ctx context.Context, rows []T) error
	Columns() Columns
}

func (r *rows[T]) IDs() []any { return r.ids }

func (r *rows[T]) Entity(i int) any { return r.entities[i] }

func (r *rows[T]) IDText(i int) string { return r.of.idText(r.entities[i], r.ids[i]) }

func (r *rows[T]) State(i int) retry.State { return r.of.state(r.entities[i]) }

func (r *rows[T]) Trace(i int) trace.State { return r.of.trace(r.entities[i]) }

func (r *rows[T]) Moved() bool {
	return slices.ContainsFunc(r.entities, func(row T) bool {
		get, ok := selectedOf(row)
		return ok && database.HasMoved(get)
	})
}

func (r *rows[T]) Place(i int) Place {
	n := len(r.of.Columns().placed())
	if n == 0 {
		return Place{r.ids[i]}
	}
	get, ok := selectedOf(r.entities[i])
	if !ok {
		return nil
	}
	place, ok := database.PlaceOf(r.drv, get, n)
	if !ok {
		return nil
	}
	return append(place, r.ids[i])
}

func (r *rows[T]) Pick(indexes []int) Rows {
	picked := &rows[T]{of: r.of, drv: r.drv, entities: make([]T, len(indexes)), ids: make([]any, len(indexes))}
	for to, from := range indexes {
		picked.entities[to], picked.ids[to] = r.entities[from], r.ids[from]
	}
	return picked
}

func (r *rows[T]) Size() int64 { return meanSize(r.entities) }

func (r *rows[T]) Send(ctx context.Context, from, to int) error {
	// The sender gets a copy, because it may sort the slice.
	return foreign.CallSender(func() error { return r.of.send(ctx, slices.Clone(r.entities[from:to])) })
}

func (s *signal[C, T, ID, Q]) send(ctx context.Context, rows []T) error {
	return s.model.Sender(ctx, rows)
}

func (s *signal[C, T, ID, Q]) idText(row T, stored any) string {
	if s.codec.plain() {
		return formatID(stored)
	}
	return s.codec.text(s.model.ID(row))
}

func (s *signal[C, T, ID, Q]) state(row T) retry.State {
	state := s.model.RetryState(row)
	if get, ok := selectedOf(row); ok {
		return state.WithTimes(get)
	}
	return state
}

func (s *signal[C, T, ID, Q]) trace(row T) trace.State {
	if s.model.Trace == nil {
		return trace.State{}
	}
	return s.model.Trace(row)
}

// selectedOf returns a function that returns the values that a query has selected
// in addition to the fields of an entity.
func selectedOf(row any) (get func(name string) (any, error), ok bool) {
	r, ok := row.(interface {
		Value(name string) (ent.Value, error)
	})
	if !ok {
		return nil, false
	}
	return func(name string) (any, error) { return r.Value(name) }, true
}
