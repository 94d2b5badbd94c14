package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/probe"
	"github.com/entsignal/signalbus/internal/sending"
)

// flushRows sends the rows of a source in batches. Each of the workers may have up
// to ahead batches in progress.
func (t *task) flushRows(ctx context.Context, src source, workers, ahead int) (int, error) {
	var (
		tally   = newTally(probe.New(t.engine.probeTime()))
		batches sync.WaitGroup
		mu      sync.Mutex
		total   int

		underWay    = make(chan struct{}, ahead*workers)
		unpublished = make(chan struct{}, workers) // until a sender has returned, or called Published
	)
	deliver := func(ctx context.Context, sel selection) int {
		sel.refused = tally.refused
		d := t.engine.newBatch(t.signalType, t.mode, sel)
		began := time.Now()
		n, err := t.engine.deliverFor(ctx, t.st, d)
		t.burst.note(n, time.Since(began), err)
		mu.Lock()
		total += n
		mu.Unlock()
		if err != nil && !errors.Is(err, budget.ErrStuck) { // otherwise d still belongs to the claim
			src.again(d.undecided())
		}
		tally.add(n, err)
		return n
	}
	for {
		underWay <- struct{}{}
		unpublished <- struct{}{}
		if !tally.goOn() {
			break
		}
		if err := t.engine.stopped(ctx); err != nil {
			tally.stop(err)
			break
		}
		probing, works := tally.probing()
		var sel selection
		ok := false
		if !probing {
			sel, ok = src.next(func() int { return t.limit(ctx) }, works)
		}
		if ok {
			batches.Go(func() {
				defer func() { <-underWay }()
				published := sync.OnceFunc(func() { <-unpublished })
				defer published()
				deliver(sending.WithPublished(ctx, published), sel)
			})
			continue
		}
		<-unpublished
		<-underWay
		batches.Wait() // the batches in progress may change what to do next
		if !t.probe(ctx, src, tally, probing, deliver) {
			break
		}
	}
	batches.Wait()
	return total, tally.err()
}

// probe tries a row elsewhere if the flush should probe, or if it is at its end
// with rows left that it could not decide on. It reports whether to continue.
func (t *task) probe(ctx context.Context, src source, tally *tally, asked bool, deliver func(context.Context, selection) int) bool {
	probing, works := tally.probing()
	switch {
	case !tally.goOn():
		return false
	case probing:
	case asked, works && src.undecided(): // something was sent meanwhile
		return true
	case !src.undecided():
		return false
	default:
		tally.doubt()
	}
	sel, found, err := src.probe(ctx)
	if err != nil {
		tally.stop(err)
		return false
	}
	if found && deliver(ctx, sel) > 0 {
		src.resume()
	}
	return found
}
