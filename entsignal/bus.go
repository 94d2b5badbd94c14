package entsignal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/entdriver"
)

// A Bus sends the pending signals of one client. It is made by the generated
// NewSignalBus and bound by opening a client with the generated
// WithSignalBus. Its methods may be called by several goroutines.
type Bus struct {
	types          []signalType
	log            *slog.Logger
	handle         func(context.Context, error)
	timeout        time.Duration
	timeUp         error // the cause of a context that the timeout has ended
	burst          int
	batchBytes     int64
	queue          *queue // nil: commits wait for their autoflush
	missingAllowed bool
	vouched        bool // for the client's driver, by WithAutocommitDriver

	autoFlushOff atomic.Bool
	life         lifecycle
	told         onces

	mu     sync.Mutex // guards what follows
	client *Client
	db     database.Dialect
}

// signalType is one signal of a bus, with the burst count that the bus gives
// it, and what its batches share.
type signalType struct {
	Signal
	Info
	gathering *gathering
	breaker   *breaker
	absence   *absence
	marks     *atomic.Pointer[database.Marks] // what the last ordered flush has seen
}

// NewBus returns a bus of the given signals. It is called by generated code;
// an application calls the generated NewSignalBus. It returns an error for an
// option with a bad value, and one that names the signals without a sender.
func NewBus(signals []Signal, opts ...BusOption) (*Bus, error) {
	b := &Bus{
		log:        slog.New(slog.DiscardHandler),
		handle:     func(context.Context, error) {},
		timeout:    defaultFlushTimeout,
		burst:      1,
		batchBytes: defaultBatchBytes,
	}
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("entsignal: a nil BusOption")
		}
		if err := opt(b); err != nil {
			return nil, fmt.Errorf("entsignal: %w", err)
		}
	}
	b.timeUp = fmt.Errorf("flush timeout of %v: %w", b.timeout, context.DeadlineExceeded)
	var missing []string
	for _, s := range signals {
		info := s.info()
		if info.BurstCount == 0 {
			info.BurstCount = b.burst
		}
		b.types = append(b.types, signalType{s, info, &gathering{}, &breaker{}, &absence{}, &atomic.Pointer[database.Marks]{}})
		if !s.sendable() {
			missing = append(missing, info.Name)
		}
	}
	if len(missing) > 0 && !b.missingAllowed {
		return nil, fmt.Errorf("%w for %s; set it in SignalSenders, or allow it with WithMissingSenders", ErrNoSender, strings.Join(missing, ", "))
	}
	return b, nil
}

// Signals describes the signal types of the bus, in the order of their names.
func (b *Bus) Signals() []Info {
	infos := make([]Info, len(b.types))
	for i, t := range b.types {
		infos[i] = t.Info
		infos[i].OrderBy = slices.Clone(t.OrderBy)
	}
	return infos
}

// SetAutoFlush turns the autoflush of all signals on or off. It is on at
// first. It is read at each commit; the signals of a commit that finds it off
// stay pending until a flush.
func (b *Bus) SetAutoFlush(on bool) { b.autoFlushOff.Store(!on) }

// AutoFlush reports whether commits send their signals.
func (b *Bus) AutoFlush() bool { return !b.autoFlushOff.Load() }

// Close makes the flushes in flight stop after the batch in hand, and waits
// for them, and for queries that were left behind on a dead network, within ctx.
// It must not be called by a sender or an error handler, for which it would wait.
// From then on commits leave their signals pending and
// flushes return [ErrClosed]. It returns ctx's error if flushes still run
// when ctx ends. Close doesn't close the client, nor what the senders use;
// close those after it.
func (b *Bus) Close(ctx context.Context) error { return b.life.close(ctx) }

// Client is what a bus needs of the generated client that it serves.
type Client struct {
	// Config is handed to the functions of each [Model].
	Config any
	// Driver returns the client's driver.
	Driver func() dialect.Driver
	// Detach returns ctx without the transaction that it may carry.
	Detach func(ctx context.Context) context.Context
}

// Bind gives the bus its client and returns the client's view of the bus. It
// is called by the generated WithSignalBus. Of a nil bus it returns nil.
func (b *Bus) Bind(c Client) *Binding {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client != nil {
		return &Binding{bus: b, err: ErrBoundTwice}
	}
	for _, t := range b.types {
		if err := t.bind(c.Config, b.stopped); err != nil {
			return &Binding{bus: b, err: err}
		}
	}
	b.client = &c
	return &Binding{bus: b}
}

// store is where a bus finds its signals.
type store struct {
	database.Dialect
	driver dialect.Driver
	detach func(context.Context) context.Context
}

// store returns the database of the bound client, or ErrUnbound.
func (b *Bus) store() (store, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client == nil {
		return store{}, ErrUnbound
	}
	// The client's options run before its driver is set.
	driver := b.client.Driver()
	if driver == nil {
		return store{}, ErrUnbound
	}
	if b.db == nil {
		db, err := database.New(driver)
		if err != nil {
			return store{}, fmt.Errorf("entsignal: %w", err)
		}
		b.db = db
	}
	return store{Dialect: b.db, driver: driver, detach: b.client.Detach}, nil
}

// vouchesFor reports whether the application vouches for drv.
func (b *Bus) vouchesFor(drv dialect.Driver) bool {
	if !b.vouched || entdriver.IsTx(drv) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.client != nil && entdriver.IsLike(drv, b.client.Driver())
}

// find returns the signal of that name, or an [*UnknownSignalError].
func (b *Bus) find(name string) (signalType, error) {
	known := make([]string, len(b.types))
	for i, t := range b.types {
		if t.Name == name {
			return t, nil
		}
		known[i] = t.Name
	}
	return signalType{}, &UnknownSignalError{Name: name, Known: known}
}

// begin starts a call that sends signals. It returns its context, which ends
// too when the bus closes, the database, and what to call when it is done.
func (b *Bus) begin(ctx context.Context) (context.Context, store, func(), error) {
	if err := b.life.enter(); err != nil {
		return ctx, store{}, nil, err
	}
	st, err := b.store()
	if err == nil && st.TakesTurns() && b.followOf(ctx) != nil {
		err = errors.New("entsignal: a sender can't flush on SQLite, where flushes take turns; what it commits follows when this flush is done")
	}
	if err != nil {
		b.life.leave()
		return ctx, store{}, nil, err
	}
	inner, end := b.life.untilClosed(withFlush(st.detach(ctx), ctx))
	inner, follow := b.withFollow(inner)
	return inner, st, func() {
		defer b.life.leave()
		defer end()
		for created := follow(); created != nil; created = follow() {
			if b.life.isClosed() {
				b.report(context.WithoutCancel(ctx), ErrClosed)
				continue
			}
			b.autoFlush(ctx, created)
		}
	}, nil
}

// onces remembers what was said already.
type onces struct{ m sync.Map }

// first reports whether it is called with what for the first time.
func (o *onces) first(what string) bool {
	_, said := o.m.LoadOrStore(what, true)
	return !said
}
