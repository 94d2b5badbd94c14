package engine

import (
	"context"
	"fmt"

	"entgo.io/ent"
	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/entdriver"
	"github.com/entsignal/signalbus/internal/inbox"
	"github.com/entsignal/signalbus/internal/option"
)

// Client is what a bus needs of the generated client.
type Client struct {
	// Config is passed to the functions of each [table.Model].
	Config any
	// Driver returns the client's driver.
	Driver func() dialect.Driver
	// Detach returns ctx without the transaction that it may carry.
	Detach func(ctx context.Context) context.Context
	// Inboxes returns the inboxes of the client; nil if it has none.
	Inboxes func() []inbox.Inbox
}

// Bind binds the client to the bus, and returns the binding. For a nil bus, or one
// that NewBus didn't make, it returns nil.
func Bind(bus *entsignal.Bus, c Client) *Binding {
	if bus == nil {
		return nil
	}
	e, ok := bus.Engine().(*Engine)
	if !ok {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client != nil {
		return &Binding{engine: e, err: entsignal.ErrBoundTwice}
	}
	for _, t := range e.types {
		if err := t.Bind(c.Config); err != nil {
			return &Binding{engine: e, err: err}
		}
	}
	e.client = &c
	return &Binding{engine: e}
}

// Binding is a client's access to its bus, made by [Bind]. The binding of a second
// client always fails. A nil binding belongs to a client without a bus.
type Binding struct {
	engine *Engine
	err    error
}

// Recording is called before a signal of that type is created, and stores its trace with
// it. The time is stored by ent.
func (b *Binding) Recording(ctx context.Context, name string, m ent.Mutation) {
	if b != nil {
		b.engine.recording(ctx, name, m)
	}
}

// Committed is called after a commit with the signals that it recorded, and sends
// them as an autoflush. It returns nothing, because the transaction is committed in
// any case.
func (b *Binding) Committed(ctx context.Context, created []Created) {
	if ctx == nil { // a Tx that was made from a mutation has no context
		ctx = context.Background()
	}
	switch {
	case b == nil:
	case b.err == nil:
		b.engine.committed(ctx, created)
	case b.engine.autoFlushesAny(created):
		b.engine.reportOnce(ctx, b.err)
	}
}

// Executed is called after signals were created outside ent's transactions with a
// driver that may not have committed them yet. They are sent if the application has
// set [entsignal.WithAutocommitDriver]. Otherwise the bus reports
// [entsignal.ErrNotCollected], once per type of driver.
func (b *Binding) Executed(ctx context.Context, drv dialect.Driver, created []Created) {
	switch {
	case b == nil:
	case b.err != nil, b.engine.vouchesFor(drv):
		b.Committed(ctx, created)
	case !b.engine.autoFlushesAny(created): // nothing is to be sent at once
		b.engine.leavePending(namesOf(byType(created))...)
	case entdriver.IsTx(drv):
		b.Missed(ctx, fmt.Errorf("%w: %s is in a transaction that ent doesn't know about", entsignal.ErrNotCollected, entdriver.Name(drv)))
	default:
		b.Missed(ctx, fmt.Errorf("%w: %s may not commit statements outside a transaction; if it does, set the option WithAutocommitDriver", entsignal.ErrNotCollected, entdriver.Name(drv)))
	}
}

// Missed reports why signals were not collected, once per reason. If the autoflush
// is off, it reports nothing, because they would stay pending anyway.
func (b *Binding) Missed(ctx context.Context, reason error) {
	if b == nil || b.err == nil && !b.engine.AutoFlush() {
		return
	}
	if b.err != nil {
		reason = b.err
	}
	b.engine.reportOnce(ctx, reason)
}

// Flush runs the flush of the mode for the named signal.
func (b *Binding) Flush(ctx context.Context, mode entsignal.Mode, name string, opts []entsignal.FlushOption) (int, error) {
	if err := b.check(); err != nil {
		return 0, err
	}
	o := option.DefaultFlush()
	method := flushMethod(mode)
	if err := option.ApplyUsed(&o, method, opts, option.Used(method, true)); err != nil {
		return 0, err
	}
	o.Only = []string{name}
	return b.engine.Flush(ctx, mode, o)
}

// Send sends the signals with these ids, as one batch in one transaction.
func (b *Binding) Send(ctx context.Context, name string, ids []any) (int, error) {
	if err := b.check(); err != nil {
		return 0, err
	}
	return b.engine.send(ctx, name, ids)
}

func (b *Binding) check() error {
	if b == nil {
		return entsignal.ErrUnbound
	}
	return b.err
}

// flushMethod returns the name of the method for a mode.
func flushMethod(mode entsignal.Mode) string {
	switch mode {
	case entsignal.ModeFlushMany:
		return "FlushMany"
	case entsignal.ModeFlushOrdered:
		return "FlushOrdered"
	default:
		return "Flush"
	}
}
