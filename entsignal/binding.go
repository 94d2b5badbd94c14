package entsignal

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/internal/entdriver"
)

// Binding is a client's view of its bus, made by [Bus.Bind] and used by
// generated code. The binding of a second client only fails. A nil binding is
// that of a client without a bus.
type Binding struct {
	bus *Bus
	err error
}

// Committed is called after a commit with the signals that it recorded. It
// sends them as an autoflush. It returns nothing: whatever happens, the
// transaction is committed.
func (b *Binding) Committed(ctx context.Context, created []Created) {
	if ctx == nil { // the context of a Tx that was made from a mutation
		ctx = context.Background()
	}
	switch {
	case b == nil:
	case b.err != nil:
		b.bus.reportOnce(ctx, b.err)
	default:
		b.bus.committed(ctx, created)
	}
}

// Executed is called after signals were created outside of ent's transactions,
// through a driver that may not have committed them yet. They are sent if the
// application vouches for it, see [WithAutocommitDriver]; else the bus reports
// [ErrNotCollected], once for each type of driver.
func (b *Binding) Executed(ctx context.Context, drv dialect.Driver, created []Created) {
	switch {
	case b == nil:
	case b.err != nil, b.bus.vouchesFor(drv):
		b.Committed(ctx, created)
	case entdriver.IsTx(drv):
		b.Missed(ctx, fmt.Errorf("%w: %s works in a transaction that ent doesn't know of", ErrNotCollected, entdriver.Name(drv)))
	default:
		b.Missed(ctx, fmt.Errorf("%w: %s may not commit what it executes outside of a transaction; if it does, the option WithAutocommitDriver vouches for it", ErrNotCollected, entdriver.Name(drv)))
	}
}

// Missed reports why signals were not collected, once for each reason, unless
// the autoflush is off and they stay pending anyway.
func (b *Binding) Missed(ctx context.Context, reason error) {
	if b == nil || b.err == nil && !b.bus.AutoFlush() {
		return
	}
	if b.err != nil {
		reason = b.err
	}
	b.bus.reportOnce(ctx, reason)
}

// Flush runs the flush of the mode for the named signal.
func (b *Binding) Flush(ctx context.Context, mode Mode, name string, opts []FlushOption) (int, error) {
	if err := b.check(); err != nil {
		return 0, err
	}
	return b.bus.flush(ctx, mode, opts, nil, []string{name})
}

// Send sends the signals with these ids, as one batch in one transaction.
func (b *Binding) Send(ctx context.Context, name string, ids []any) (int, error) {
	if err := b.check(); err != nil {
		return 0, err
	}
	return b.bus.send(ctx, name, ids)
}

func (b *Binding) check() error {
	if b == nil {
		return ErrUnbound
	}
	return b.err
}
