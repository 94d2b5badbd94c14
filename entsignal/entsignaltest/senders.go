package entsignaltest

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
)

// An Option configures an [Outbox].
type Option func(*state)

// Timeout sets how long [Eventually] and [EventuallyStruck] wait. The default is 10
// seconds.
func Timeout(d time.Duration) Option { return func(o *state) { o.timeout = d } }

// Senders returns a recording sender for each signal of S, the generated
// SignalSenders, and the outbox with what they have sent. Nothing leaves the
// process. You may replace a field by another sender before you make the bus.
// Functions that load edges, such as OrderPlacedWith, are left unset.
//
// The senders fail only with [FailWhere] and the other faults. In a FlushOrdered
// they send nothing behind a signal that has failed.
func Senders[S any](t testing.TB, opts ...Option) (senders S, outbox *Outbox) {
	t.Helper()
	v := reflect.ValueOf(&senders).Elem()
	o := newOutbox(t, v.Type(), opts)
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if signal := signalOf(field); signal != nil {
				v.Field(i).Set(reflect.MakeFunc(field.Type, o.add(field.Name, signal).call))
			}
		}
	}
	if len(o.lanes) == 0 {
		t.Fatalf("entsignaltest: Senders: %v has no field of type entsignal.Sender; expected the generated SignalSenders, as in Senders[ent.SignalSenders](t)", v.Type())
	}
	return senders, o
}

// signalOf returns the entity that a field of the generated SignalSenders sends, or
// nil if the field isn't a sender.
func signalOf(field reflect.StructField) reflect.Type {
	f := field.Type
	if !field.IsExported() || f.Kind() != reflect.Func || f.PkgPath() != reflect.TypeFor[entsignal.Mode]().PkgPath() || !strings.HasPrefix(f.Name(), "Sender[") {
		return nil
	}
	return f.In(1).Elem()
}

// A lane is the sender of one signal type.
type lane struct {
	o      *state
	name   string       // of the signal
	signal reflect.Type // such as *ent.OrderPlaced

	// Guarded by o.mu.
	faults []*Fault // that are on
	struck int      // how often any fault struck
}

// call is the lane's [entsignal.Sender].
func (l *lane) call(args []reflect.Value) []reflect.Value {
	ctx, _ := args[0].Interface().(context.Context)
	signals := make([]any, args[1].Len())
	for i := range signals {
		signals[i] = args[1].Index(i).Interface()
	}
	err := l.send(ctx, signals)
	return []reflect.Value{reflect.ValueOf(&err).Elem()}
}

// send records the signals that no fault strikes.
func (l *lane) send(ctx context.Context, signals []any) error {
	if ctx == nil {
		ctx = context.Background()
	}
	c := newCall(ctx, l, signals)
	faults := l.current()
	var own error // the BatchError of an Intercept
	for _, f := range faults {
		if f.call == nil {
			continue
		}
		err := f.call(ctx, signals)
		if err == nil {
			continue
		}
		part, ok := err.(*entsignal.BatchError) //nolint:errorlint // a wrapped one is the user's
		if !ok || len(part.Errors) != len(signals) {
			c.failAll(err)
			c.record()
			return err
		}
		copy(c.errs, part.Errors)
		own = err
	}
	if !c.each(faults) && own != nil {
		c.record()
		return own
	}
	c.record()
	return c.result()
}

// call is one call of a sender.
type call struct {
	ctx     context.Context
	lane    *lane
	batch   entsignal.Batch
	signals []any
	errs    []error // one for each signal
	stored  []bool
}

func newCall(ctx context.Context, l *lane, signals []any) *call {
	c := &call{ctx: ctx, lane: l, signals: signals, errs: make([]error, len(signals)), stored: make([]bool, len(signals))}
	c.batch, _ = entsignal.BatchFromContext(ctx)
	if len(c.batch.Items) != len(signals) {
		c.batch.Items = make([]entsignal.Item, len(signals))
	}
	return c
}

func (c *call) failAll(err error) {
	for i := range c.errs {
		c.errs[i] = err
	}
}

// each records the signals one after the other. It reports whether a fault or the
// end of the context prevented one.
func (c *call) each(faults []*Fault) (failed bool) {
	for i, signal := range c.signals {
		if c.errs[i] != nil {
			continue
		}
		if c.errs[i] = c.one(faults, i, signal); c.errs[i] == nil {
			continue
		}
		failed = true
		if rest := c.rest(c.errs[i]); rest != nil {
			for j := i + 1; j < len(c.errs); j++ {
				c.errs[j] = rest
			}
			break
		}
	}
	return failed
}

// one records one signal unless a fault strikes first.
func (c *call) one(faults []*Fault, i int, signal any) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	for _, f := range faults {
		if f.before != nil {
			if err := f.before(signal); err != nil {
				return err
			}
		}
	}
	c.stored[i] = true
	for _, f := range faults {
		if f.after != nil {
			if err := f.after(signal); err != nil {
				return err
			}
		}
	}
	return nil
}

// rest returns the error for the signals behind one that failed with err, or nil if
// they are tried.
func (c *call) rest(err error) error {
	switch {
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case entsignal.IsUnavailable(err):
		return entsignal.Unavailable(entsignal.ErrNotTried)
	case c.batch.Mode == entsignal.ModeFlushOrdered:
		return entsignal.ErrNotTried
	default:
		return nil
	}
}

// record adds the signals, sent or not, to the outbox.
func (c *call) record() {
	o := c.lane.o
	o.mu.Lock()
	defer o.mu.Unlock()
	o.batches++
	for i, signal := range c.signals {
		m := message{lane: c.lane, signal: signal, id: c.batch.Items[i].ID, batch: o.batches, meta: c.batch, err: c.errs[i]}
		if c.stored[i] || c.errs[i] == nil {
			o.sent = append(o.sent, m)
		} else if len(o.failed) < maxListed {
			o.failed = append(o.failed, m)
		}
	}
	o.notify()
}

// result returns the result of the sender.
func (c *call) result() error {
	for _, err := range c.errs {
		if err != nil {
			return &entsignal.BatchError{Errors: c.errs}
		}
	}
	return nil
}
