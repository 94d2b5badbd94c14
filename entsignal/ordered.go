package entsignal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/database"
)

// flushHead sends the signals in their order. Where ids are drawn before they
// are committed and the database tells by whom, the order is strict.
func (t *task) flushHead(ctx context.Context) (int, error) {
	if t.opts.workers > 1 && t.OrderKey == "" {
		return 0, fmt.Errorf("Workers(%d) of FlushOrdered needs an OrderKey, by which signals can be sent side by side, and %s has none; leave out the option, or the signal", t.opts.workers, t.Name)
	}
	order, err := t.idOrder(ctx)
	if err != nil {
		return 0, err
	}
	if order.Reason != "" {
		t.bus.tellNotStrict(ctx, t.Name, order.Reason)
	}
	turn := turnWait{ctx: ctx}
	if t.opts.wait != nil {
		var cancel context.CancelFunc
		turn.ctx, cancel = context.WithTimeout(ctx, *t.opts.wait)
		defer cancel()
	}
	if t.OrderKey != "" {
		return t.flushKeys(ctx, turn.ctx, order)
	}
	return t.flushInOrder(ctx, order, func(ctx context.Context, top any) (int, error) {
		if top != nil {
			return t.sendHead(ctx, &turn, math.MaxInt, func(after any, limit int) func(*sql.Selector) {
				return t.columns().span(after, top, limit)
			})
		}
		pending, err := t.pending(ctx)
		if err != nil {
			return 0, err
		}
		return t.sendHead(ctx, &turn, pending, func(_ any, limit int) func(*sql.Selector) {
			return t.columns().head(limit)
		})
	})
}

// An orderedSend sends the rows with ids up to top in their order. nil stands
// for no bound: then it sends as many as are pending.
type orderedSend func(ctx context.Context, top any) (int, error)

// flushInOrder sends all at once, or as the open transactions allow.
func (t *task) flushInOrder(ctx context.Context, order database.Order, send orderedSend) (int, error) {
	if order.Reason == "" && order.Sequence != nil {
		return t.flushStrict(ctx, order.Sequence, send)
	}
	return send(ctx, nil)
}

// sendHead sends the first rows that match, again and again, up to most. match
// may begin after the last id that was taken: deleted rows stay in the index
// for as long as a transaction is open that may see them.
func (t *task) sendHead(ctx context.Context, turn *turnWait, most int, match func(after any, limit int) func(*sql.Selector)) (sent int, err error) {
	var after any
	for sent < most {
		if err := t.bus.stopped(ctx); err != nil {
			return sent, err
		}
		limit := min(t.limit(ctx), most-sent)
		var ids []any
		d := t.batch(t.meta, selection{skipDead: t.opts.skipDead, pick: func(_ dialect.Driver, read reader) (err error) {
			ids, err = read(match(after, limit))
			return err
		}})
		n, err := t.deliverInTurn(ctx, turn, d)
		sent += n
		if err != nil {
			return sent, err
		}
		// Of rows that may move, those that are deleted meanwhile leave a gap.
		if len(ids) == 0 || len(ids) < limit && !movable(t.st.driver, t.columns()) {
			break
		}
		after = ids[len(ids)-1]
	}
	return sent, nil
}

const (
	// The pauses between two tries to get the turn of an ordered flush.
	minTurnPause = 5 * time.Millisecond
	maxTurnPause = 100 * time.Millisecond
)

// A turnWait is the patience of one ordered flush of a type with the others.
type turnWait struct {
	ctx    context.Context // ends when the first turn has to be here
	hadOne bool
}

// deliverInTurn delivers d when no other ordered flush of its type runs. The
// turn is given up after each batch; a flush that had it once waits for it
// until ctx ends, because the other is done sooner or later.
func (t *task) deliverInTurn(ctx context.Context, turn *turnWait, d batch) (int, error) {
	busy := false
	for pause := minTurnPause; ; pause = min(2*pause, maxTurnPause) {
		n, err := t.bus.deliverFor(ctx, t.st, t.signalType, d, true)
		switch {
		case errors.Is(err, ErrBusy) && !d.started(): // else it is the sender's error
			busy = true
		case busy && ctx.Err() != nil && !errors.Is(err, errStuck) && !d.started(): // ended in the middle of a try
			return n, errors.Join(ErrBusy, err)
		default:
			turn.hadOne = true
			return n, err
		}
		until := turn.ctx
		if turn.hadOne {
			until = ctx
		}
		if !t.bus.pause(until, pause) {
			return n, errors.Join(ErrBusy, t.bus.stopped(ctx))
		}
	}
}
