package entsignal

import (
	"context"
	"fmt"
)

// send sends the signals with these ids. Rows that are gone, or that another
// flush holds, are skipped.
func (b *Bus) send(ctx context.Context, name string, ids []any) (int, error) {
	i, err := b.find(name)
	if err != nil {
		return 0, err
	}
	fail := func(err error) (int, error) { return 0, &FlushError{Signal: name, Err: err} }
	switch {
	case len(ids) == 0:
		return 0, nil
	case len(ids) > MaxBurstCount:
		return fail(fmt.Errorf("Send of %d signals; expected at most %d", len(ids), MaxBurstCount))
	case !b.signals[i].sendable():
		return fail(ErrNoSender)
	}
	if err := b.life.enter(); err != nil {
		return 0, err
	}
	defer b.life.leave()
	st, err := b.store()
	if err != nil {
		return 0, err
	}
	ctx, after := b.following(ctx, st)
	defer after()
	meta := Batch{Signal: b.infos[i], Mode: ModeSend}
	n, err := b.deliver(ctx, st, b.signals[i].batch(meta, selection{ids: ids}), false)
	if err != nil {
		err = &FlushError{Signal: name, Err: err}
	}
	return n, err
}
