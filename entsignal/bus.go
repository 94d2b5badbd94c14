package entsignal

import (
	"context"

	"github.com/entsignal/signalbus/internal/handle"
	"github.com/entsignal/signalbus/internal/option"
)

// A Bus sends the pending signals of one client. The generated NewSignalBus makes
// it. Opening a client with the generated WithSignalBus binds it. All methods are
// safe for concurrent use.
type Bus struct{ core }

// core is embedded so that generated code can attach the engine.
type core = handle.Handle[engine]

// engine does the work of a bus. Package internal/engine implements it.
type engine interface {
	Flush(ctx context.Context, mode Mode, o option.Flush) (int, error)
	Pending(ctx context.Context, o option.Flush) ([]PendingCount, error)
	Failed(ctx context.Context, o option.Flush) ([]FailedSignal, error)
	CheckOrder(ctx context.Context, o option.Flush) ([]OrderCheck, error)
	Retry(ctx context.Context, name string, ids []string) (int, error)
	RetryAll(ctx context.Context, name string, o option.Flush) (int, error)
	Discard(ctx context.Context, name string, ids []string) (int, error)
	DiscardAll(ctx context.Context, name string, o option.Flush) (int, error)
	Lookup(ctx context.Context, name, id string) (FailedSignal, error)
	First(ctx context.Context, name string) (FailedSignal, error)
	Run(ctx context.Context, o option.Flush) error
	RunState() RunState
	Oldest(ctx context.Context, o option.Flush) ([]Oldest, error)
	Show(ctx context.Context, name, id string) (any, error)
	Ping(ctx context.Context) error
	AddObserver(observe func(ctx context.Context, event any)) (remove func())
	Signals() []Info
	SetAutoFlush(on bool)
	AutoFlush() bool
	Close(ctx context.Context) error
}

// Flush sends the signals that were pending when it was called. It lists them,
// waits (see [Wait]; 3 seconds by default) so that running autoflushes can finish,
// and then sends those that are still there, in bursts and in the order of their
// ids. It returns how many signals were sent and deleted.
//
// Use it to send what autoflushes left behind. For a large backlog, [Bus.FlushMany]
// is faster. If the order matters, use only [Bus.FlushOrdered].
//
// When ctx ends or the bus is closed, Flush starts no new batch. A batch whose
// sender has been called is still finished, within the time of [WithFlushTimeout].
// If signals may be left, Flush returns ctx's error or [ErrClosed].
//
// A signal type that fails does not block the others. The error joins one
// [*FlushError] per failed type. Signals that fail stay pending, and Flush tries
// the next burst. After an error that wraps [Unavailable] it stops sending that
// type. After three bursts in a row of which nothing was sent, it tries single
// signals from other places in the table. If one of them is sent, the flush
// continues where it was. If none is, it gives up the type after about a hundred
// calls of the sender. Signals that wait for their next attempt and dead signals
// (see mixin.Retry) are left out.
//
// Options: Only, Exclude, Wait, Burst.
func (b *Bus) Flush(ctx context.Context, opts ...FlushOption) (int, error) {
	return withOptions(b, "Flush", opts, func(e engine, o option.Flush) (int, error) { return e.Flush(ctx, ModeFlush, o) })
}

// FlushMany sends a backlog of any size. It walks once through each table, from the
// lowest id to the highest one at the time of the call. Any number of processes may
// run it at the same time: they share the work, and no row is sent twice. It skips
// rows that another process holds. It does not keep an order.
//
// It returns the same results as [Bus.Flush] and treats errors in the same way.
//
// Options: Only, Exclude, Workers, Burst.
func (b *Bus) FlushMany(ctx context.Context, opts ...FlushOption) (int, error) {
	return withOptions(b, "FlushMany", opts, func(e engine, o option.Flush) (int, error) { return e.Flush(ctx, ModeFlushMany, o) })
}

// FlushOrdered sends signals in the order of OrderBy, with the id as the last term.
// It sends as many signals as were pending at the call. Only one FlushOrdered of a
// signal type runs at a time. Another one waits (see [Wait]; by default until ctx
// ends) and then returns [ErrBusy]. A type stops at its first failure: the signals
// before the failed one are sent, and none behind it. A signal that waits for its
// next attempt, or that is dead (see mixin.Retry), stops the type with a
// [*BlockedError].
//
// An open transaction may still commit a lower id than those that are pending. On
// PostgreSQL, if the order is by id alone, FlushOrdered waits for such
// transactions. This blocks no writer. It waits for at most the time of [HoldBack],
// and then the type fails with a [*HeldBackError]. Where the order is not that
// strict, the first call logs a warning with the reason; see [Bus.CheckOrder].
//
// The order holds only if nothing else sends signals of the type. Turn off its
// autoflush, and don't use Flush or FlushMany for it.
//
// With [OrderKey], all of this applies to the signals of each key. [Workers] sets
// how many keys are sent at the same time. Several processes may share the keys. A
// key that fails or is busy does not block the others.
//
// Options: Only, Exclude, Wait, HoldBack, Workers, Burst, SkipDead.
func (b *Bus) FlushOrdered(ctx context.Context, opts ...FlushOption) (int, error) {
	return withOptions(b, "FlushOrdered", opts, func(e engine, o option.Flush) (int, error) { return e.Flush(ctx, ModeFlushOrdered, o) })
}

// Pending counts the pending signals, also those of types without a sender. The
// result has one element per type. A row that a flush is just sending counts until
// its deletion is committed. If a type can't be counted, the error joins a
// [*FlushError] for it, and the counts of the other types are returned.
//
// Options: Only, Exclude, AtMost.
func (b *Bus) Pending(ctx context.Context, opts ...FlushOption) ([]PendingCount, error) {
	return withOptions(b, "Pending", opts, func(e engine, o option.Flush) ([]PendingCount, error) { return e.Pending(ctx, o) })
}

// Failed lists the signals that failed to be sent, sorted by type and id. It covers
// only types with mixin.Retry, because failures of other types are not recorded. If
// [Only] names such a type, the error is [ErrNoRetry].
//
// Options: Only, Exclude, AtMost, After, ErrorText.
func (b *Bus) Failed(ctx context.Context, opts ...FlushOption) ([]FailedSignal, error) {
	return withOptions(b, "Failed", opts, func(e engine, o option.Flush) ([]FailedSignal, error) { return e.Failed(ctx, o) })
}

// CheckOrder asks the database for which types FlushOrdered is strict. For each of
// the others it returns the reason, which the type's first FlushOrdered logs as a
// warning too. The result has one element per type. If a type can't be checked, the
// error joins a [*FlushError] for it, and the results of the other types are
// returned.
//
// Options: Only, Exclude.
func (b *Bus) CheckOrder(ctx context.Context, opts ...FlushOption) ([]OrderCheck, error) {
	return withOptions(b, "CheckOrder", opts, func(e engine, o option.Flush) ([]OrderCheck, error) { return e.CheckOrder(ctx, o) })
}

// Retry resets failed signals of one type, waiting or dead, so that the next flush
// sends them as if they had never failed. It returns how many were reset. It
// ignores ids without a failed row. An id that is not valid for the type returns an
// [*InvalidIDError]. A type without mixin.Retry returns [ErrNoRetry].
func (b *Bus) Retry(ctx context.Context, name string, ids ...string) (int, error) {
	return b.engine().Retry(ctx, name, ids)
}

// RetryAll is like [Bus.Retry] for all failed signals of a type.
//
// Options: ErrorText.
func (b *Bus) RetryAll(ctx context.Context, name string, opts ...FlushOption) (int, error) {
	return withOptions(b, "RetryAll", opts, func(e engine, o option.Flush) (int, error) { return e.RetryAll(ctx, name, o) })
}

// Discard permanently deletes failed signals, or signals whose rows can't be
// decoded (see [DecodeError]), without sending them. It can't discard a signal that
// has not failed. If a flush is sending one of them, Discard waits for it. A signal
// that was sent meanwhile doesn't count. For a type without mixin.Retry it deletes
// only rows that can't be decoded, and returns [ErrNoRetry] for the others.
// Otherwise it works like [Bus.Retry].
func (b *Bus) Discard(ctx context.Context, name string, ids ...string) (int, error) {
	return b.engine().Discard(ctx, name, ids)
}

// DiscardAll permanently deletes all failed signals of a type without sending them.
// Rows that can't be decoded count as failed only if their failures were recorded. A
// type without mixin.Retry returns [ErrNoRetry]. Otherwise it works like
// [Bus.Discard].
//
// Options: ErrorText.
func (b *Bus) DiscardAll(ctx context.Context, name string, opts ...FlushOption) (int, error) {
	return withOptions(b, "DiscardAll", opts, func(e engine, o option.Flush) (int, error) { return e.DiscardAll(ctx, name, o) })
}

// Lookup returns what is recorded of the failures of one pending signal. If it has
// not failed, or its type has no mixin.Retry, Attempts is 0 and Error is empty. It
// doesn't decode the row. A text that is no id of the type is an [*InvalidIDError],
// and an id that no row has [ErrNoSignal].
func (b *Bus) Lookup(ctx context.Context, name, id string) (FailedSignal, error) {
	return b.engine().Lookup(ctx, name, id)
}

// First is [Bus.Lookup] for the signal that comes first in the order of FlushOrdered.
// If that one waits or is dead it blocks all others, unless the type has an
// [OrderKey]. If none is pending, the error is [ErrNoSignal].
func (b *Bus) First(ctx context.Context, name string) (FailedSignal, error) {
	return b.engine().First(ctx, name)
}

// Signals returns the signal types of the bus, sorted by name.
func (b *Bus) Signals() []Info { return b.engine().Signals() }

// SetAutoFlush turns the autoflush of all signal types on or off. It is on by
// default. Each commit checks it. While it is off, signals stay pending until a
// flush.
func (b *Bus) SetAutoFlush(on bool) { b.engine().SetAutoFlush(on) }

// AutoFlush reports whether commits send their signals.
func (b *Bus) AutoFlush() bool { return b.engine().AutoFlush() }

// Close stops running flushes after their current batches. It waits within ctx for
// them, and for queries that were abandoned on a dead network. If flushes still run
// when ctx ends, it returns ctx's error. Don't call it from a sender or an error
// handler: it would wait for itself.
//
// After Close, commits leave their signals pending and flushes return [ErrClosed].
// Close does not close the client, nor what the senders use. Close those
// afterwards.
func (b *Bus) Close(ctx context.Context) error { return b.engine().Close(ctx) }

// withOptions checks the options against those that the method uses, and runs call.
func withOptions[R any](b *Bus, method string, opts []FlushOption, call func(engine, option.Flush) (R, error)) (R, error) {
	o := option.DefaultFlush()
	if err := option.ApplyUsed(&o, method, opts, option.Used(method, false)); err != nil {
		var none R
		return none, err
	}
	return call(b.engine(), o)
}

func (b *Bus) engine() engine {
	if e := b.Engine(); e != nil {
		return e
	}
	return unmade{}
}

// unmade is the engine of a zero Bus, which was not made by the generated
// NewSignalBus.
type unmade struct{}

func (unmade) Flush(context.Context, Mode, option.Flush) (int, error)         { return 0, ErrUnbound }
func (unmade) Pending(context.Context, option.Flush) ([]PendingCount, error)  { return nil, ErrUnbound }
func (unmade) Failed(context.Context, option.Flush) ([]FailedSignal, error)   { return nil, ErrUnbound }
func (unmade) CheckOrder(context.Context, option.Flush) ([]OrderCheck, error) { return nil, ErrUnbound }
func (unmade) Retry(context.Context, string, []string) (int, error)           { return 0, ErrUnbound }
func (unmade) RetryAll(context.Context, string, option.Flush) (int, error)    { return 0, ErrUnbound }
func (unmade) Discard(context.Context, string, []string) (int, error)         { return 0, ErrUnbound }
func (unmade) DiscardAll(context.Context, string, option.Flush) (int, error)  { return 0, ErrUnbound }
func (unmade) Lookup(context.Context, string, string) (FailedSignal, error) {
	return FailedSignal{}, ErrUnbound
}
func (unmade) First(context.Context, string) (FailedSignal, error)    { return FailedSignal{}, ErrUnbound }
func (unmade) Run(context.Context, option.Flush) error                { return ErrUnbound }
func (unmade) RunState() RunState                                     { return RunState{} }
func (unmade) Oldest(context.Context, option.Flush) ([]Oldest, error) { return nil, ErrUnbound }
func (unmade) Show(context.Context, string, string) (any, error)      { return nil, ErrUnbound }
func (unmade) Ping(context.Context) error                             { return ErrUnbound }
func (unmade) AddObserver(func(context.Context, any)) func()          { return func() {} }
func (unmade) Signals() []Info                                        { return nil }
func (unmade) SetAutoFlush(bool)                                      {}
func (unmade) AutoFlush() bool                                        { return true }
func (unmade) Close(context.Context) error                            { return nil }
