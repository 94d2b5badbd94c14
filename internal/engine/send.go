package engine

import (
	"context"
	"fmt"

	"github.com/entsignal/signalbus/entsignal"
)

// send sends the signals with these ids. It skips rows that are gone or that
// another flush holds.
func (e *Engine) send(ctx context.Context, name string, ids []any) (int, error) {
	t, err := e.find(name)
	if err != nil {
		return 0, err
	}
	fail := func(err error) (int, error) { return 0, &entsignal.FlushError{Signal: name, Err: err} }
	switch {
	case len(ids) == 0:
		return 0, nil
	case len(ids) > entsignal.MaxBurstCount:
		return fail(fmt.Errorf("Send of %d signals; expected at most %d", len(ids), entsignal.MaxBurstCount))
	case !t.HasSender():
		return fail(entsignal.ErrNoSender)
	}
	stored, err := t.storedIDs(ids)
	if err != nil {
		return fail(err)
	}
	ctx, st, done, err := e.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	n, err := e.deliverFor(ctx, st, e.newBatch(t, entsignal.ModeSend, selection{ids: stored}))
	if err != nil {
		err = &entsignal.FlushError{Signal: name, Err: err}
	}
	return n, err
}
