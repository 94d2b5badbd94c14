// Package engine does the work of an entsignal.Bus. Data flows through it in one
// direction:
//
//	a commit ──▶ Committed ─┐
//	                        ├─▶ a task of one type: which rows ──▶ batch: fetch, send
//	a call of a flush ──────┘   (listed, walked, in their order)        │
//	                                                                    ▼
//	       goes on, probes or gives up ◀── tally ◀── what was sent ── deliver: a claim
//	                                                                  of the database
//
// Its mechanisms have packages of their own: internal/database has the claim and
// everything that differs between databases, internal/table has the rows and their
// Go types, and there are gather, bisect, probe, breaker, budget and lifecycle.
package engine

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/breaker"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/gather"
	"github.com/entsignal/signalbus/internal/lifecycle"
	"github.com/entsignal/signalbus/internal/option"
	"github.com/entsignal/signalbus/internal/table"
)

// An Engine does the work of one bus. Its methods are safe for concurrent use.
type Engine struct {
	types      []*signalType
	log        *slog.Logger
	handle     func(context.Context, error)
	budget     *budget.Budget
	batchBytes int64
	queue      *queue // nil: commits wait for their autoflush
	durable    bool   // see entsignal.WithDurableDeletion
	autocommit bool   // see entsignal.WithAutocommitDriver
	observers  observers
	wakeUp     option.WakeUp    // nil: there is none
	tracer     entsignal.Tracer // nil: there is none

	autoFlushOff atomic.Bool
	life         lifecycle.Lifecycle
	logged       onceSet
	relay        relay
	notices      notifier

	mu     sync.Mutex // guards the fields below
	client *Client
	db     database.Dialect
}

// signalType is one signal type of a bus, with the state that its batches share.
type signalType struct {
	table.Signal
	info     entsignal.Info // with the bus's burst count if the schema sets none
	gatherer gather.Gatherer
	breaker  breaker.Breaker
	absence  absence
	weight   weight
	lowest   lowest
	history  atomic.Pointer[database.History] // what the last ordered flush has seen
	indexed  atomic.Bool                      // an index of the order was found
	// orderTold: an ordered flush has found out whether the order is strict.
	orderTold atomic.Bool
}

// NewBus returns a bus of the given signals. It returns an error for an invalid
// option and for signals without a sender, which it names.
func NewBus(signals []table.Signal, opts ...entsignal.BusOption) (*entsignal.Bus, error) {
	o := option.DefaultBus()
	if err := option.Apply(&o, opts); err != nil {
		return nil, err
	}
	e := &Engine{handle: o.HandleError, batchBytes: o.BatchBytes, durable: o.Durable, autocommit: o.Autocommit, wakeUp: o.WakeUp}
	for _, observe := range o.Observers {
		e.observers.add(observe)
	}
	e.tracer, _ = o.Tracer.(entsignal.Tracer)
	e.log = foreign.Logger(o.Log, e.logHandlerPanicked)
	e.budget = budget.New(o.FlushTimeout, &e.life)
	if o.Queue > 0 {
		e.queue = newQueue(o.Queue)
	}
	var missing []string
	for _, s := range signals {
		info := s.Info()
		if info.BurstCount == 0 {
			info.BurstCount, info.BurstGrows = max(1, o.BurstCount), o.BurstCount == 0
		}
		e.types = append(e.types, &signalType{Signal: s, info: info})
		if !s.HasSender() {
			missing = append(missing, info.Name)
		}
	}
	if len(missing) > 0 && !o.MissingSenders {
		return nil, fmt.Errorf("%w for %s; set it in SignalSenders, or allow it with WithMissingSenders", entsignal.ErrNoSender, strings.Join(missing, ", "))
	}
	bus := &entsignal.Bus{}
	bus.Attach(e)
	for _, setup := range o.Setup {
		if err := setup(bus); err != nil {
			return nil, fmt.Errorf("entsignal: WithSetup: %w", err)
		}
	}
	return bus, nil
}

// Signals returns the signal types of the bus, sorted by name.
func (e *Engine) Signals() []entsignal.Info {
	infos := make([]entsignal.Info, len(e.types))
	for i, t := range e.types {
		infos[i] = t.info
		infos[i].OrderBy = slices.Clone(t.info.OrderBy)
	}
	return infos
}

// SetAutoFlush turns the autoflush of all signals on or off.
func (e *Engine) SetAutoFlush(on bool) { e.autoFlushOff.Store(!on) }

// AutoFlush reports whether commits send their signals.
func (e *Engine) AutoFlush() bool { return !e.autoFlushOff.Load() }

// Close stops running flushes after their current batches, and waits for them.
func (e *Engine) Close(ctx context.Context) error { return e.life.Close(ctx) }

// find returns the signal of that name, or an [*entsignal.UnknownSignalError].
func (e *Engine) find(name string) (*signalType, error) {
	known := make([]string, len(e.types))
	for i, t := range e.types {
		if t.info.Name == name {
			return t, nil
		}
		known[i] = t.info.Name
	}
	return nil, &entsignal.UnknownSignalError{Name: name, Known: known}
}

// A onceSet remembers what was already logged or reported.
type onceSet struct{ m sync.Map }

// first returns true only for the first call with what.
func (s *onceSet) first(what string) bool {
	_, known := s.m.LoadOrStore(what, true)
	return !known
}
