package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/backoff"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
)

// flushHead sends the signals in their order. The order is strict if ids are drawn
// before they are committed and the database shows which transactions have drawn
// them.
func (t *task) flushHead(ctx context.Context) (int, error) {
	if t.opts.Workers > 1 && t.info.OrderKey == "" {
		return 0, fmt.Errorf("FlushOrdered with Workers(%d) needs an OrderKey, and %s has none; leave out the option or the signal", t.opts.Workers, t.info.Name)
	}
	order, err := t.idOrder(ctx)
	if err != nil {
		return 0, err
	}
	if order.Reason != "" {
		t.engine.logNotStrict(ctx, t.info.Name, order.Reason)
	}
	wait := lockWait{ctx: ctx}
	if t.opts.Wait != nil {
		var cancel context.CancelFunc
		wait.ctx, cancel = context.WithTimeout(ctx, *t.opts.Wait)
		defer cancel()
	}
	if t.info.OrderKey != "" {
		return t.flushKeys(ctx, wait.ctx, order)
	}
	return t.flushInOrder(ctx, order, func(ctx context.Context, top any) (int, error) {
		if top != nil {
			return t.sendByID(ctx, &wait, top)
		}
		return t.sendSorted(ctx, &wait)
	})
}

// An orderedSend sends the rows with ids up to top in their order. nil means no
// limit; then it sends as many rows as are pending.
type orderedSend func(ctx context.Context, top any) (int, error)

// flushInOrder sends everything at once, or in steps as open transactions end.
func (t *task) flushInOrder(ctx context.Context, order database.Order, send orderedSend) (int, error) {
	if order.Reason == "" && order.Sequence != nil {
		return t.flushStrict(ctx, order.Sequence, send)
	}
	return send(ctx, nil)
}

// sendByID sends the rows with ids up to top, by id. Each batch begins after the last
// id of the one before, because deleted rows stay in the index for as long as an open
// transaction may see them.
func (t *task) sendByID(ctx context.Context, wait *lockWait, top any) (sent int, err error) {
	var after any
	for {
		if err := t.engine.stopped(ctx); err != nil {
			return sent, err
		}
		limit := t.limit(ctx)
		var ids []any
		d := t.engine.newBatch(t.signalType, t.mode, selection{skipDead: t.opts.SkipDead, pick: func(_ dialect.Driver, read reader) (err error) {
			ids, err = read(t.Columns().Span(after, top, limit))
			return err
		}})
		n, err := t.deliverInOrder(ctx, wait, d)
		sent += n
		if err != nil || len(ids) < limit {
			return sent, err
		}
		after = ids[len(ids)-1]
	}
}

// lockPauses are the pauses between tries to lock the order.
func lockPauses() backoff.Doubling {
	return backoff.Doubling{Min: 5 * time.Millisecond, Max: 100 * time.Millisecond}
}

// A lockWait is how long one ordered flush of a type waits for others.
type lockWait struct {
	ctx    context.Context // limits the wait for the first lock
	hadOne bool
}

// deliverInOrder delivers d when no other ordered flush of its type or key holds
// the lock of the order. The lock is released after each batch. A flush that had it
// once waits for it until ctx ends, because the other flush will release it too.
func (t *task) deliverInOrder(ctx context.Context, wait *lockWait, d *batch) (int, error) {
	busy := false
	for try := 0; ; try++ {
		n, err := t.engine.deliverFor(ctx, t.st, d)
		switch {
		case errors.Is(err, entsignal.ErrBusy) && !d.called: // otherwise it is the sender's error
			busy = true
		case busy && ctx.Err() != nil && !errors.Is(err, budget.ErrStuck) && !d.called: // ended in the middle of a try
			return n, errors.Join(entsignal.ErrBusy, err)
		default:
			wait.hadOne = true
			return n, err
		}
		until := wait.ctx
		if wait.hadOne {
			until = ctx
		}
		if !t.engine.pause(until, lockPauses().Pause(try)) {
			return n, errors.Join(entsignal.ErrBusy, t.engine.stopped(ctx))
		}
	}
}
