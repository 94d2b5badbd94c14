package entsignal

import (
	"context"

	"github.com/entsignal/signalbus/internal/handle"
	"github.com/entsignal/signalbus/internal/option"
)

// A Bus sends the pending signals of one client. It is made by the generated
// NewSignalBus and bound by opening a client with the generated
// WithSignalBus. Its methods may be called by several goroutines.
type Bus struct{ core }

// core is promoted into a Bus for generated code, which attaches the engine.
type core = handle.Handle[engine]

// engine does the work of a bus. Package internal/engine has the only one.
type engine interface {
	Flush(ctx context.Context, mode Mode, o option.Flush) (int, error)
	Pending(ctx context.Context, o option.Flush) ([]PendingCount, error)
	Failed(ctx context.Context, o option.Flush) ([]FailedSignal, error)
	CheckOrder(ctx context.Context, o option.Flush) ([]OrderCheck, error)
	Retry(ctx context.Context, name string, ids []string) (int, error)
	RetryAll(ctx context.Context, name string) (int, error)
	Discard(ctx context.Context, name string, ids []string) (int, error)
	Signals() []Info
	SetAutoFlush(on bool)
	AutoFlush() bool
	Close(ctx context.Context) error
}

// Flush sends the signals that were pending when it was called: it lists
// them, waits (see [Wait]; 3 seconds by default) so that running autoflushes
// can finish, and sends those that are still there, in bursts, in the order
// of their ids. It returns how many signals were sent and deleted.
//
// Use it to send what autoflushes left behind. For a large backlog
// [Bus.FlushMany] is the better choice; where the order matters,
// [Bus.FlushOrdered] is the only one.
//
// When ctx ends, or the bus closes, it begins nothing else; a batch whose sender
// was called is finished first, within the time of [WithFlushTimeout], whatever
// becomes of ctx. If something may be left it returns ctx's error or [ErrClosed].
//
// A signal type that fails doesn't keep the others from being flushed; the
// error joins a [*FlushError] for each. Signals that fail stay pending and the
// next burst is tried; an error that wraps [Unavailable] ends a type. After three
// bursts in a row of which nothing was sent, single signals from other places are
// tried: if one is sent the flush goes on where it was, and if none of them is, it
// gives the type up after about a hundred calls of the sender. Signals that wait for their next
// attempt, or that are dead (see mixin.Retry), are left out. Options: Only,
// Exclude, Wait, Burst.
func (b *Bus) Flush(ctx context.Context, opts ...FlushOption) (int, error) {
	return withOptions(b, "Flush", opts, func(e engine, o option.Flush) (int, error) { return e.Flush(ctx, ModeFlush, o) })
}

// FlushMany sends a backlog of any size. It walks once through each table,
// from the lowest id to the highest that was there at the call. Any number of
// processes may do so at once: they share the work, and no row is sent twice.
// Rows that others hold are left to them. It keeps no order.
//
// It returns what [Bus.Flush] returns, and treats errors alike. Options:
// Only, Exclude, Workers, Burst.
func (b *Bus) FlushMany(ctx context.Context, opts ...FlushOption) (int, error) {
	return withOptions(b, "FlushMany", opts, func(e engine, o option.Flush) (int, error) { return e.Flush(ctx, ModeFlushMany, o) })
}

// FlushOrdered sends in the order of OrderBy, which the id always ends; it
// sends what was pending at the call, or as many signals. One FlushOrdered of a
// signal type runs at a time; another waits (see [Wait]; by default until ctx
// ends) and then returns [ErrBusy]. It stops a type at its first failure: what
// comes before the signal at fault is sent, and nothing behind it. A signal that
// waits for its next attempt, or that is dead (see mixin.Retry), stops it with
// a [*BlockedError].
//
// A transaction that is open may commit a lower id than those that are
// pending. On PostgreSQL, a signal that is sent by its id waits for such
// transactions, which stops no writer, and for at most the time of [HoldBack];
// then the signal's error is a [*HeldBackError]. Where the order is not that
// strict, the first call logs a warning with the reason; see [Bus.CheckOrder].
//
// The order holds if nothing else sends the signals of the type: turn their
// autoflush off, and don't use Flush and FlushMany on them.
//
// With [OrderKey] all this is about the signals of one key. Keys are sent side
// by side by as many [Workers] as the option says, also of several processes,
// and one that fails, or that is busy, does not block the others. Options: Only, Exclude,
// Wait, HoldBack, Workers, Burst, SkipDead.
func (b *Bus) FlushOrdered(ctx context.Context, opts ...FlushOption) (int, error) {
	return withOptions(b, "FlushOrdered", opts, func(e engine, o option.Flush) (int, error) { return e.Flush(ctx, ModeFlushOrdered, o) })
}

// Pending counts the signals that wait to be sent, those of types without a
// sender too. It has one element for each type. A row that a flush is sending
// just now counts until its deletion is committed. If a type can't be counted
// the error joins a [*FlushError] for it, and the others are returned.
// Options: Only, Exclude.
func (b *Bus) Pending(ctx context.Context, opts ...FlushOption) ([]PendingCount, error) {
	return withOptions(b, "Pending", opts, func(e engine, o option.Flush) ([]PendingCount, error) { return e.Pending(ctx, o) })
}

// Failed lists the signals whose sending has failed, by type and id. It knows
// of the types with mixin.Retry only; the bus keeps no account of the others,
// and with Only they are [ErrNoRetry]. Options: Only, Exclude.
func (b *Bus) Failed(ctx context.Context, opts ...FlushOption) ([]FailedSignal, error) {
	return withOptions(b, "Failed", opts, func(e engine, o option.Flush) ([]FailedSignal, error) { return e.Failed(ctx, o) })
}

// CheckOrder asks the database for which signals FlushOrdered is strict, and
// why it isn't for the others. Their first FlushOrdered logs the same as a
// warning. It has one element for each type. If a type can't be checked the
// error joins a [*FlushError] for it, and the others are returned. Options:
// Only, Exclude.
func (b *Bus) CheckOrder(ctx context.Context, opts ...FlushOption) ([]OrderCheck, error) {
	return withOptions(b, "CheckOrder", opts, func(e engine, o option.Flush) ([]OrderCheck, error) { return e.CheckOrder(ctx, o) })
}

// Retry makes signals that have failed be tried again as if they never had,
// those that wait and those that are dead; the next flush sends them. It
// returns how many that are. An id that is of no row that has failed counts
// for nothing; one that can be none of the type is an [*InvalidIDError]. A type
// without mixin.Retry is [ErrNoRetry].
func (b *Bus) Retry(ctx context.Context, name string, ids ...string) (int, error) {
	return b.engine().Retry(ctx, name, ids)
}

// RetryAll is [Bus.Retry] of all signals of a type that have failed.
func (b *Bus) RetryAll(ctx context.Context, name string) (int, error) {
	return b.engine().RetryAll(ctx, name)
}

// Discard deletes signals that have failed, or whose rows can't be decoded (see
// [DecodeError]), unsent and for good. It waits for a flush that is sending one
// of them, and then leaves what was sent. In all else it is like [Bus.Retry]; a
// signal that has not failed can't be discarded. Of a type without mixin.Retry it
// deletes those that can't be decoded, and the others are [ErrNoRetry].
func (b *Bus) Discard(ctx context.Context, name string, ids ...string) (int, error) {
	return b.engine().Discard(ctx, name, ids)
}

// Signals describes the signal types of the bus, in the order of their names.
func (b *Bus) Signals() []Info { return b.engine().Signals() }

// SetAutoFlush turns the autoflush of all signals on or off. It is on at
// first. It is read at each commit; the signals of a commit that finds it off
// stay pending until a flush.
func (b *Bus) SetAutoFlush(on bool) { b.engine().SetAutoFlush(on) }

// AutoFlush reports whether commits send their signals.
func (b *Bus) AutoFlush() bool { return b.engine().AutoFlush() }

// Close makes the flushes in flight stop after the batch in hand, and waits
// for them, and for queries that were left behind on a dead network, within ctx.
// It must not be called by a sender or an error handler, for which it would wait.
// From then on commits leave their signals pending and
// flushes return [ErrClosed]. It returns ctx's error if flushes still run
// when ctx ends. Close doesn't close the client, nor what the senders use;
// close those after it.
func (b *Bus) Close(ctx context.Context) error { return b.engine().Close(ctx) }

// withOptions calls a method of the engine with the options of the method of that
// name.
func withOptions[R any](b *Bus, method string, opts []FlushOption, call func(engine, option.Flush) (R, error)) (R, error) {
	o := option.DefaultFlush()
	if err := option.ApplyUsed(&o, method, opts, option.Used(method, false)); err != nil {
		var none R
		return none, err
	}
	return call(b.engine(), o)
}

// engine returns the engine of the bus.
func (b *Bus) engine() engine {
	if e := b.Engine(); e != nil {
		return e
	}
	return unmade{}
}

// unmade is the engine of a Bus that the generated NewSignalBus didn't make: no
// client is bound to it.
type unmade struct{}

func (unmade) Flush(context.Context, Mode, option.Flush) (int, error)         { return 0, ErrUnbound }
func (unmade) Pending(context.Context, option.Flush) ([]PendingCount, error)  { return nil, ErrUnbound }
func (unmade) Failed(context.Context, option.Flush) ([]FailedSignal, error)   { return nil, ErrUnbound }
func (unmade) CheckOrder(context.Context, option.Flush) ([]OrderCheck, error) { return nil, ErrUnbound }
func (unmade) Retry(context.Context, string, []string) (int, error)           { return 0, ErrUnbound }
func (unmade) RetryAll(context.Context, string) (int, error)                  { return 0, ErrUnbound }
func (unmade) Discard(context.Context, string, []string) (int, error)         { return 0, ErrUnbound }
func (unmade) Signals() []Info                                                { return nil }
func (unmade) SetAutoFlush(bool)                                              {}
func (unmade) AutoFlush() bool                                                { return true }
func (unmade) Close(context.Context) error                                    { return nil }
