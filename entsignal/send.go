package entsignal

import (
	"context"
	"fmt"
)

// send sends the signals with these ids. Rows that are gone, or that another
// flush holds, are skipped.
func (b *Bus) send(ctx context.Context, name string, ids []any) (int, error) {
	t, err := b.find(name)
	if err != nil {
		return 0, err
	}
	fail := func(err error) (int, error) { return 0, &FlushError{Signal: name, Err: err} }
	switch {
	case len(ids) == 0:
		return 0, nil
	case len(ids) > MaxBurstCount:
		return fail(fmt.Errorf("Send of %d signals; expected at most %d", len(ids), MaxBurstCount))
	case !t.sendable():
		return fail(ErrNoSender)
	}
	stored, err := t.storedIDs(ids)
	if err != nil {
		return fail(err)
	}
	ctx, st, done, err := b.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	n, err := b.deliverFor(ctx, st, t, t.batch(Batch{Signal: t.Info, Mode: ModeSend}, selection{ids: stored}), false)
	if err != nil {
		err = &FlushError{Signal: name, Err: err}
	}
	return n, err
}
