package entsignal

import (
	"context"
	"slices"
	"sync"
)

// Created is a signal that was recorded.
type Created struct {
	Signal string // the name of its type
	ID     any
}

// autoFlush sends signals whose transaction was committed. It never fails:
// what can't be sent stays pending, and the error is reported.
func (b *Bus) autoFlush(ctx context.Context, created []Created) {
	if ctx == nil { // the context of a Tx that was made from a mutation
		ctx = context.Background()
	}
	// The end of a request must not keep its signals from being sent.
	ctx = context.WithoutCancel(ctx)
	if err := b.life.enter(); err != nil {
		b.report(ctx, err)
		return
	}
	defer b.life.leave()
	st, err := b.store()
	if err != nil {
		b.report(ctx, err)
		return
	}
	ctx, after := b.following(ctx, st)
	defer after()
	work, cancel := context.WithTimeout(ctx, b.workTime())
	defer cancel()
	for _, group := range byType(created) {
		if err := b.autoFlushType(work, st, group); err != nil {
			b.report(ctx, &FlushError{Signal: group.name, Err: err})
		}
	}
}

// autoFlushType sends the signals of one type.
func (b *Bus) autoFlushType(ctx context.Context, st store, group typeGroup) error {
	i, err := b.find(group.name)
	if err != nil {
		return err
	}
	signal := b.signals[i]
	if !signal.sendable() {
		b.tellMissing(ctx, group.name)
		return nil
	}
	var fails failures
	for ids := range slices.Chunk(group.ids, autoFlushBatch) {
		meta := Batch{Signal: b.infos[i], Mode: ModeAutoFlush}
		n, err := b.deliver(ctx, st, signal.batch(meta, selection{ids: ids}), false)
		if !fails.add(n, err) {
			break
		}
	}
	return fails.err()
}

type typeGroup struct {
	name string
	ids  []any
}

// byType sorts signals by type, in the order in which they were created. An
// id that occurs again, as after an upsert, is taken once.
func byType(created []Created) []typeGroup {
	var groups []typeGroup
	index := make(map[string]int)
	seen := make(map[[2]string]bool, len(created))
	for _, c := range created {
		key := [2]string{c.Signal, formatID(c.ID)}
		if seen[key] {
			continue
		}
		seen[key] = true
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

type followKey struct{}

// follow holds what senders committed with their own context while a flush
// ran. It is sent when that flush is done: at once would be within a claim,
// which on SQLite waits for itself.
type follow struct {
	mu      sync.Mutex
	over    bool
	created []Created
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

// take returns what was added since the last call; when there is nothing it
// ends.
func (f *follow) take() []Created {
	f.mu.Lock()
	defer f.mu.Unlock()
	created := f.created
	f.created, f.over = nil, len(created) == 0
	return created
}

// following returns the context of a flush, from which its senders get
// theirs, and what to call when the flush is done.
func (b *Bus) following(ctx context.Context, st store) (context.Context, func()) {
	f := &follow{}
	outer := ctx
	if st.detach != nil {
		outer = st.detach(ctx)
	}
	return context.WithValue(outer, followKey{}, f), func() {
		for created := f.take(); created != nil; created = f.take() {
			b.autoFlush(outer, created)
		}
	}
}

// committed is called with the signals of a commit that has succeeded.
func (b *Bus) committed(ctx context.Context, created []Created) {
	if !b.AutoFlush() || len(created) == 0 {
		return
	}
	if ctx != nil {
		if f, ok := ctx.Value(followKey{}).(*follow); ok && f.add(created) {
			return
		}
	}
	b.autoFlush(ctx, created)
}

// reportOnce reports an error that repeats with each commit.
func (b *Bus) reportOnce(ctx context.Context, err error) {
	if !b.told.first(err.Error()) {
		return
	}
	if ctx == nil {
		ctx = context.Background()
	}
	b.report(context.WithoutCancel(ctx), err)
}
