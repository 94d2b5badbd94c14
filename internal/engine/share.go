package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/breaker"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/gather"
	"github.com/entsignal/signalbus/internal/sending"
)

// sharePatience is how long a waiting commit waits for the batches of others before
// it breaks out. A batch takes some milliseconds. If one takes longer, the broker
// is slow, or the batch hangs, or its sender is making this very commit and waits
// for it; nothing shows which. Only one batch per type may break out at a time, so
// that a slow broker doesn't get more senders the slower it is. It takes along all
// commits that have gathered.
const sharePatience = time.Second

// sendShare sends the signals of one commit, together with those of others if that
// takes no extra time.
func (e *Engine) sendShare(ctx context.Context, st store, t *signalType, ids []any) (int, error) {
	switch t.breaker.Admit(time.Now()) {
	case breaker.Refused:
		return 0, nil
	case breaker.AdmittedToProbe: // alone: it may take all its time
		defer t.breaker.EndProbe()
		return e.deliver(ctx, st, e.shared(t, ids))
	}
	s, lead := t.gatherer.Join(ids)
	if lead {
		return e.lead(ctx, st, t, s, false)
	}
	var impatient <-chan time.Time
	if _, heldUp := ctx.Deadline(); heldUp {
		ticker := time.NewTicker(sharePatience)
		defer ticker.Stop()
		impatient = ticker.C
	}
	for {
		select {
		case <-s.Lead:
			return e.lead(ctx, st, t, s, false)
		case r := <-s.Done:
			if r.Alone {
				return e.deliver(ctx, st, e.shared(t, ids))
			}
			return r.Sent, r.Err
		case <-impatient:
			if t.gatherer.BreakOut(s) {
				return e.lead(ctx, st, t, s, true)
			}
		case <-ctx.Done():
			if t.gatherer.Leave(s) {
				return 0, context.Cause(ctx)
			}
			return e.awaitLate(ctx, t, s)
		}
	}
}

// awaitLate waits a little longer for a share that is being sent when ctx has
// ended.
func (e *Engine) awaitLate(ctx context.Context, t *signalType, s *gather.Share) (int, error) {
	select {
	case <-s.Lead:
		t.gatherer.Pass()
		t.gatherer.End()
		return 0, context.Cause(ctx)
	case r := <-s.Done:
		if r.Alone { // and there is no time for that
			return 0, context.Cause(ctx)
		}
		return r.Sent, r.Err
	case <-time.After(e.budget.Settle()):
		return 0, fmt.Errorf("%w, in the batch of another commit: %w", budget.ErrStuck, context.Cause(ctx))
	}
}

// lead delivers a share together with those that have gathered behind it, in a
// batch that has broken out or in the next regular one.
func (e *Engine) lead(ctx context.Context, st store, t *signalType, own *gather.Share, out bool) (int, error) {
	var r gather.Result
	if out {
		defer t.gatherer.EndOut()
		r = e.leadBatch(ctx, st, t, own)
	} else {
		r = e.leadNext(ctx, st, t, own)
	}
	if r.Alone {
		return e.deliver(ctx, st, e.shared(t, own.IDs))
	}
	return r.Sent, r.Err
}

// leadNext delivers the batch of a leader and passes the lead on.
func (e *Engine) leadNext(ctx context.Context, st store, t *signalType, own *gather.Share) gather.Result {
	defer t.gatherer.End()
	pass := sync.OnceFunc(t.gatherer.Pass)
	defer pass()
	// Where only one claim runs at a time, the next batch would only wait. And commits that
	// don't wait for their autoflush gather into larger batches.
	if !st.Exclusive() && e.queue == nil {
		ctx = sending.WithPublished(ctx, pass)
	}
	return e.leadBatch(ctx, st, t, own)
}

// leadBatch delivers the batch of a leader, and passes the results to the other
// shares. While the way is blocked, all of them stay pending.
func (e *Engine) leadBatch(ctx context.Context, st store, t *signalType, own *gather.Share) gather.Result {
	shares := []*gather.Share{own}
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > e.budget.Work()/4 {
		shares = t.gatherer.Gather(own)
	} // otherwise the others would get only the little time that this commit has left
	results := make([]gather.Result, len(shares))
	if !t.breaker.IsOpen() {
		var ids []any
		for _, s := range shares {
			ids = append(ids, s.IDs...)
		}
		d := e.shared(t, ids)
		n, err := e.deliver(ctx, st, d)
		split(ctx, results, shares, d, n, err)
	}
	for i, s := range shares[1:] {
		s.Done <- results[i+1]
	}
	return results[0]
}

// shared returns the batch of an autoflush. An id of several commits, such as after
// upserts, is taken once.
func (e *Engine) shared(t *signalType, ids []any) *batch {
	return e.newBatch(t, entsignal.ModeAutoFlush, selection{ids: ids})
}

// split sets the result of each share from the result of the batch.
func split(ctx context.Context, results []gather.Result, shares []*gather.Share, d *batch, n int, err error) {
	if len(shares) == 1 {
		results[0] = gather.Result{Sent: n, Err: err}
		return
	}
	stuck := errors.Is(err, budget.ErrStuck) // then d still belongs to the claim
	_, apart := err.(*entsignal.BatchError)  //nolint:errorlint // as the batch returns it: each signal has its own error
	for i, s := range shares {
		r := &results[i]
		switch {
		case stuck, n == 0 && err != nil && d.called && !apart:
			r.Err = err
		case err != nil && !d.called && !errors.As(err, new(*entsignal.BatchError)) && (ctx.Err() != nil || database.IsUnavailable(err)):
			r.Err = err // each share would get it alone too
		case err != nil && !d.called && !errors.As(err, new(*entsignal.BatchError)):
			// It may be about the row of one.
			r.Alone = true
		default:
			r.Sent, r.Err = d.result(s.IDs)
		}
	}
	var notNoted *database.NotNotedError
	if (n > 0 || !d.called) && errors.As(err, &notNoted) { // reported only once
		results[0].Err = errors.Join(results[0].Err, notNoted)
	}
}
