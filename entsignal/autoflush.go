package entsignal

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/entsignal/signalbus/internal/foreign"
)

// Created is a signal that was recorded.
type Created struct {
	Signal string // the name of its type
	ID     any
}

// committed is called with the signals of a commit that has succeeded.
func (b *Bus) committed(ctx context.Context, created []Created) {
	if !b.AutoFlush() || len(created) == 0 {
		return
	}
	if f := b.followOf(ctx); f != nil && f.add(created) {
		return
	}
	if err := b.life.enter(); err != nil {
		b.report(context.WithoutCancel(ctx), err)
		return
	}
	if b.queue == nil {
		defer b.life.leave()
		b.autoFlush(ctx, created)
		return
	}
	ok, news := b.queue.put(len(created))
	if !ok {
		defer b.life.leave()
		if news {
			b.report(context.WithoutCancel(ctx), ErrQueueFull)
		}
		return
	}
	go func() {
		defer b.life.leave()
		defer b.queue.remove(len(created))
		b.autoFlush(ctx, created)
	}()
}

// autoFlush sends signals whose transaction was committed, and what the
// senders commit meanwhile. It never fails: what can't be sent stays pending,
// and the errors are reported. Its caller has entered the bus.
func (b *Bus) autoFlush(ctx context.Context, created []Created) {
	// The end of a request must not keep its signals from being sent.
	ctx = context.WithoutCancel(ctx)
	errs, err := foreign.Call(func() ([]error, error) { return b.autoFlushAll(ctx, created), nil })
	if err != nil {
		errs = []error{err}
	}
	for _, err := range errs {
		b.report(ctx, err)
	}
}

func (b *Bus) autoFlushAll(ctx context.Context, created []Created) (errs []error) {
	st, err := b.store()
	if err != nil {
		return []error{err}
	}
	ctx, follow := b.withFollow(withFlush(st.detach(ctx), ctx))
	if b.queue == nil { // else nobody is held up, and each batch has the time
		var cancel context.CancelFunc
		ctx, cancel = b.withWorkTime(ctx)
		defer cancel()
	}
	for ; created != nil; created = follow() {
		groups := byType(created)
		for i, group := range groups {
			if err := b.autoFlushType(ctx, st, group, len(groups)-i); err != nil {
				errs = append(errs, &FlushError{Signal: group.name, Err: err})
			}
		}
	}
	return errs
}

// autoFlushType sends the signals of one type. It leaves time for the types
// that are still to come, itself counted.
func (b *Bus) autoFlushType(ctx context.Context, st store, group typeGroup, typesLeft int) error {
	t, err := b.find(group.name)
	if err != nil {
		return err
	}
	if !t.sendable() {
		b.tellMissing(ctx, group.name)
		return nil
	}
	if ctx.Err() != nil { // each try could hold up the commit for a settle time
		return context.Cause(ctx)
	}
	if deadline, ok := ctx.Deadline(); ok { // that of the whole autoflush
		var cancel context.CancelFunc
		ctx, cancel = b.withTime(ctx, time.Until(deadline)/time.Duration(typesLeft))
		defer cancel()
	}
	fails := failures{trial: trial{single: true}} // the others of its table are none of its business
	all, err := t.storedIDs(group.ids)
	if err != nil {
		fails.add(len(all), err)
	}
	for ids := range slices.Chunk(all, autoFlushBatch) {
		n, err := b.sendShare(ctx, st, t, ids)
		t.absence.note(n)
		if n == 0 && err == nil && !t.breaker.noticed() {
			b.tellAbsence(ctx, st, t, ids)
		}
		if !fails.add(n, err) {
			break
		}
	}
	return fails.err()
}

// storedIDs returns what the database takes for the ids. One that occurs again,
// as after an upsert, is taken once.
func (t signalType) storedIDs(ids []any) (stored []any, err error) {
	stored = make([]any, 0, len(ids))
	seen := make(map[any]bool, len(ids))
	for _, id := range ids {
		v, e := t.storedID(id)
		switch key := comparableID(v); {
		case e != nil:
			err = errors.Join(err, e)
		case !seen[key]:
			seen[key] = true
			stored = append(stored, v)
		}
	}
	return stored, err
}

type typeGroup struct {
	name string
	ids  []any
}

// byType sorts signals by type, in the order in which they were created.
func byType(created []Created) []typeGroup {
	var groups []typeGroup
	index := make(map[string]int)
	for _, c := range created {
		i, ok := index[c.Signal]
		if !ok {
			i = len(groups)
			index[c.Signal] = i
			groups = append(groups, typeGroup{name: c.Signal})
		}
		groups[i].ids = append(groups[i].ids, c.ID)
	}
	return groups
}

// followKey finds the follow of a bus. A sender may well use the client of
// another bus.
type followKey struct{ bus *Bus }

// follow holds what senders committed with their own context while a flush
// ran. It is sent when that flush is done: at once would be within a claim,
// which on SQLite waits for itself.
type follow struct {
	mu      sync.Mutex
	over    bool
	created []Created
}

// followOf returns the follow of the flush of this bus whose sender ctx comes
// from, or nil.
func (b *Bus) followOf(ctx context.Context) *follow {
	f, _ := ctx.Value(followKey{b}).(*follow)
	return f
}

// withFollow returns the context of a flush, from which its senders get
// theirs, and what returns the signals that they have committed since it was
// called last. When there are none it ends: later ones don't follow anymore.
func (b *Bus) withFollow(ctx context.Context) (context.Context, func() []Created) {
	f := &follow{}
	return context.WithValue(ctx, followKey{b}, f), f.take
}

// add takes signals to be sent later. It reports false when it is too late
// for that.
func (f *follow) add(created []Created) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return false
	}
	f.created = append(f.created, created...)
	return true
}

func (f *follow) take() []Created {
	f.mu.Lock()
	defer f.mu.Unlock()
	created := f.created
	f.created, f.over = nil, len(created) == 0
	return created
}

// reportOnce reports an error that repeats with each commit.
func (b *Bus) reportOnce(ctx context.Context, err error) {
	if b.told.first(err.Error()) {
		b.report(context.WithoutCancel(ctx), err)
	}
}
