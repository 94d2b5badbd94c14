package entsignal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/entsignal/signalbus/internal/database"
)

// A gathering joins the autoflushes of one signal type. While one batch is at
// the broker, the commits that come gather, and leave together as the next. It
// needs no timer, and a commit that is alone waits for nobody.
//
// While commits are held up there may be [batchesAhead] batches under way, of
// which one at most is not published yet. With 32 writers the second was
// measured to make commits an eighth faster; a third one makes the batches
// smaller and nothing faster.
type gathering struct {
	mu       sync.Mutex
	led      bool // somebody claims and publishes a batch, and will pass the lead on
	out      bool // a batch has broken out
	underWay int  // batches, that of the leader counted
	waiting  []*share
}

// A share is what one commit has in a batch.
type share struct {
	ids  []any
	turn chan struct{}    // closed when the commit is to lead the next batch
	done chan shareResult // has the result when another commit's batch took the share
}

// shareResult is what came of a share.
type shareResult struct {
	sent  int
	err   error
	alone bool // nothing came of the batch; its shares are to try alone
}

// join adds the ids of a commit, and reports whether it has the lead.
func (g *gathering) join(ids []any) (s *share, lead bool) {
	s = &share{ids: ids, turn: make(chan struct{}), done: make(chan shareResult, 1)}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.free() {
		g.led = true
		g.underWay++
		return s, true
	}
	g.waiting = append(g.waiting, s)
	return s, false
}

// breakOut gives a share that waits the lead of a batch beside the others. It
// reports false if there is such a batch already, or the share is on its way.
func (g *gathering) breakOut(s *share) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, s)
	if i < 0 || g.out {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	g.out = true
	return true
}

// endOut ends a batch that had broken out.
func (g *gathering) endOut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.out = false
}

// free reports whether another batch may be led.
func (g *gathering) free() bool { return !g.led && g.underWay < batchesAhead }

// leave takes a share back. It reports false if that has the lead by now, or is
// in a batch.
func (g *gathering) leave(s *share) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, s)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// gather returns the batch of the leader: its own share, and those that wait
// and fit.
func (g *gathering) gather(own *share) []*share {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch, rows := []*share{own}, len(own.ids)
	for len(g.waiting) > 0 && rows+len(g.waiting[0].ids) <= autoFlushBatch {
		rows += len(g.waiting[0].ids)
		batch = append(batch, g.waiting[0])
		g.waiting = g.waiting[1:]
	}
	return batch
}

// pass takes the lead from a batch that is published.
func (g *gathering) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.led = false
	g.next()
}

// end ends a batch that has passed the lead on.
func (g *gathering) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.underWay--
	g.next()
}

// next gives the lead, if it is free, to the share that has waited longest.
func (g *gathering) next() {
	switch {
	case len(g.waiting) == 0:
		g.waiting = nil
	case g.free():
		g.led = true
		g.underWay++
		close(g.waiting[0].turn)
		g.waiting = g.waiting[1:]
	}
}

// sharePatience is how long a commit that is held up waits for the batches of
// others, before it breaks out. A batch takes some milliseconds; one that takes
// longer is of a slow broker, hangs, or is waiting for this very commit, which
// its sender makes. Nothing tells which it is. So that a slow broker doesn't get
// more senders the slower it is, one batch of a type at most has broken out; it
// takes along all that have gathered.
const sharePatience = time.Second

// sendShare sends signals of one commit, together with those of others where
// that costs no time.
func (b *Bus) sendShare(ctx context.Context, st store, t signalType, ids []any) (int, error) {
	switch t.breaker.admit(time.Now()) {
	case refused:
		return 0, nil
	case admittedToProbe: // alone: it may take all its time
		defer t.breaker.endProbe()
		return b.deliver(ctx, st, t, t.shared(ids), false)
	}
	s, lead := t.gathering.join(ids)
	if lead {
		return b.lead(ctx, st, t, s, false)
	}
	var impatient <-chan time.Time
	if _, heldUp := ctx.Deadline(); heldUp {
		ticker := time.NewTicker(sharePatience)
		defer ticker.Stop()
		impatient = ticker.C
	}
	for {
		select {
		case <-s.turn:
			return b.lead(ctx, st, t, s, false)
		case r := <-s.done:
			if r.alone {
				return b.deliver(ctx, st, t, t.shared(ids), false)
			}
			return r.sent, r.err
		case <-impatient:
			if t.gathering.breakOut(s) {
				return b.lead(ctx, st, t, s, true)
			}
		case <-ctx.Done():
			if t.gathering.leave(s) {
				return 0, context.Cause(ctx)
			}
			return b.awaitLate(ctx, t, s)
		}
	}
}

// awaitLate waits a little for a share that is on its way when ctx has ended.
func (b *Bus) awaitLate(ctx context.Context, t signalType, s *share) (int, error) {
	select {
	case <-s.turn:
		t.gathering.pass()
		t.gathering.end()
		return 0, context.Cause(ctx)
	case r := <-s.done:
		if r.alone { // and there is no time for that
			return 0, context.Cause(ctx)
		}
		return r.sent, r.err
	case <-time.After(b.settleTime()):
		return 0, fmt.Errorf("%w, in the batch of another commit: %w", errStuck, context.Cause(ctx))
	}
}

// lead delivers a share together with those that have gathered behind it, in a
// batch that has broken out or in the next one.
func (b *Bus) lead(ctx context.Context, st store, t signalType, own *share, out bool) (int, error) {
	var r shareResult
	if out {
		defer t.gathering.endOut()
		r = b.leadBatch(ctx, st, t, own)
	} else {
		r = b.leadNext(ctx, st, t, own)
	}
	if r.alone {
		return b.deliver(ctx, st, t, t.shared(own.ids), false)
	}
	return r.sent, r.err
}

// leadNext delivers the batch of a leader and passes the lead on.
func (b *Bus) leadNext(ctx context.Context, st store, t signalType, own *share) shareResult {
	defer t.gathering.end()
	pass := sync.OnceFunc(t.gathering.pass)
	defer pass()
	// Where batches take turns the next one would only wait, and commits that
	// nothing holds up gather to larger batches.
	if !st.TakesTurns() && b.queue == nil {
		ctx = withPublished(ctx, pass)
	}
	return b.leadBatch(ctx, st, t, own)
}

// leadBatch delivers the batch of a leader, and tells the others what came of
// their shares. While the way is blocked all of them stay pending.
func (b *Bus) leadBatch(ctx context.Context, st store, t signalType, own *share) shareResult {
	shares := []*share{own}
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > b.workTime()/4 {
		shares = t.gathering.gather(own)
	} // else the others would get the little time that this commit has left
	results := make([]shareResult, len(shares))
	if !t.breaker.isOpen() {
		var ids []any
		for _, s := range shares {
			ids = append(ids, s.ids...)
		}
		d := t.shared(ids)
		n, err := b.deliver(ctx, st, t, d, false)
		split(ctx, results, shares, d, n, err)
	}
	for i, s := range shares[1:] {
		s.done <- results[i+1]
	}
	return results[0]
}

// shared returns the batch of an autoflush. An id that several commits share,
// as upserts may, is taken once.
func (t signalType) shared(ids []any) batch {
	return t.batch(Batch{Signal: t.Info, Mode: ModeAutoFlush}, selection{ids: ids})
}

// split gives each share its part of a batch's result.
func split(ctx context.Context, results []shareResult, shares []*share, d batch, n int, err error) {
	if len(shares) == 1 {
		results[0] = shareResult{sent: n, err: err}
		return
	}
	stuck := errors.Is(err, errStuck) // then d isn't ours to ask
	_, apart := err.(*BatchError)     //nolint:errorlint // as the batch returns it: each signal has its own error
	for i, s := range shares {
		r := &results[i]
		switch {
		case stuck, n == 0 && err != nil && d.started() && !apart:
			r.err = err
		case err != nil && !d.started() && !errors.As(err, new(*BatchError)) && (ctx.Err() != nil || database.IsUnavailable(err)):
			r.err = err // which each of them alone would get too
		case err != nil && !d.started() && !errors.As(err, new(*BatchError)):
			// It may be about the row of one.
			r.alone = true
		default:
			r.sent, r.err = d.result(s.ids)
		}
	}
	var notNoted *database.NotNotedError
	if (n > 0 || !d.started()) && errors.As(err, &notNoted) { // one tells it for all
		results[0].err = errors.Join(results[0].err, notNoted)
	}
}
