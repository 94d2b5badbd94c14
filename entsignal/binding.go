package entsignal

import "context"

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
