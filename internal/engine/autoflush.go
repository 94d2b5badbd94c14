package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/gather"
	"github.com/entsignal/signalbus/internal/probe"
)

// Created is a recorded signal.
type Created struct {
	Signal string // the name of its type
	ID     any
}

// committed is called with the signals of a successful commit.
func (e *Engine) committed(ctx context.Context, created []Created) {
	groups := byType(created)
	e.observeRecorded(ctx, groups)
	if groups = e.toSend(groups); len(groups) == 0 {
		return
	}
	if d := e.deferredOf(ctx); d != nil && d.add(groups) {
		return
	}
	if err := e.life.Enter(); err != nil {
		e.report(context.WithoutCancel(ctx), err)
		return
	}
	if e.queue == nil {
		defer e.life.Leave()
		e.autoFlush(ctx, groups)
		return
	}
	n := 0
	for _, group := range groups {
		n += len(group.ids)
	}
	ok, news := e.queue.put(n)
	if !ok {
		defer e.life.Leave()
		e.leavePending(namesOf(groups)...)
		if news {
			e.report(context.WithoutCancel(ctx), entsignal.ErrQueueFull)
		}
		return
	}
	go func() {
		defer e.life.Leave()
		defer e.queue.remove(n)
		e.autoFlush(ctx, groups)
	}()
}

// autoFlush sends signals whose transaction was committed, and what the senders
// commit meanwhile. It never fails: signals that can't be sent stay pending, and
// the errors are reported. The caller has entered the bus.
func (e *Engine) autoFlush(ctx context.Context, groups []typeGroup) {
	// The signals of a request must be sent even if the request's context ends.
	ctx = context.WithoutCancel(ctx)
	errs, err := foreign.Call(func() ([]error, error) { return e.autoFlushAll(ctx, groups), nil })
	if err != nil {
		errs = []error{err}
	}
	for _, err := range errs {
		e.report(ctx, err)
	}
}

func (e *Engine) autoFlushAll(ctx context.Context, groups []typeGroup) (errs []error) {
	st, err := e.store()
	if err != nil {
		return []error{err}
	}
	ctx, next := e.withDeferred(withFlush(st.detach(ctx), ctx))
	if e.queue == nil { // otherwise no commit waits, and each batch has its own time
		var cancel context.CancelFunc
		ctx, cancel = e.budget.WithWork(ctx)
		defer cancel()
	}
	for ; groups != nil; groups = next() {
		for i, group := range groups {
			if err := e.autoFlushType(ctx, st, group, len(groups)-i); err != nil {
				errs = append(errs, &entsignal.FlushError{Signal: group.name, Err: err})
			}
		}
	}
	return errs
}

// autoFlushType sends the signals of one type. It leaves time for the remaining
// types; typesLeft includes this one.
func (e *Engine) autoFlushType(ctx context.Context, st store, group typeGroup, typesLeft int) error {
	t, err := e.find(group.name)
	if err != nil {
		return err
	}
	if !t.HasSender() {
		e.logNoSender(ctx, group.name)
		e.leavePending(group.name) // another process may have one
		return nil
	}
	if ctx.Err() != nil { // each try could delay the commit by the settle time
		return context.Cause(ctx)
	}
	if deadline, ok := ctx.Deadline(); ok { // the deadline of the whole autoflush
		var cancel context.CancelFunc
		ctx, cancel = e.budget.WithPart(ctx, time.Until(deadline)/time.Duration(typesLeft))
		defer cancel()
	}
	tally := newTally(probe.NewSingle()) // an autoflush doesn't probe other rows
	all, err := t.storedIDs(group.ids)
	if err != nil {
		tally.add(len(all), err)
	}
	for ids := range slices.Chunk(all, gather.MaxBatch) {
		n, err := e.sendShare(ctx, st, t, ids)
		if n < len(ids) && t.breaker.IsOpen() {
			e.leavePending(group.name)
		}
		t.absence.note(n)
		if n == 0 && err == nil && !t.breaker.Noticed() {
			e.reportAbsence(ctx, st, t, ids)
		}
		if !tally.add(n, err) {
			break
		}
	}
	return tally.err()
}

// storedIDs returns the ids as the database stores them. An id that occurs twice,
// such as after an upsert, is returned once.
func (t *signalType) storedIDs(ids []any) (stored []any, err error) {
	stored = make([]any, 0, len(ids))
	seen := make(map[any]bool, len(ids))
	for _, id := range ids {
		v, e := t.StoredID(id)
		switch key := database.Comparable(v); {
		case e != nil:
			err = errors.Join(err, e)
		case !seen[key]:
			seen[key] = true
			stored = append(stored, v)
		}
	}
	return stored, err
}

// typeGroup is the signals of one type.
type typeGroup struct {
	name string
	ids  []any
}

// byType groups signals by type, in the order in which they were created.
func byType(created []Created) (groups []typeGroup) {
	for _, c := range created {
		groups = addGroup(groups, c.Signal, c.ID)
	}
	return groups
}

// addGroup adds signals to the group of their type.
func addGroup(groups []typeGroup, name string, ids ...any) []typeGroup {
	i := slices.IndexFunc(groups, func(g typeGroup) bool { return g.name == name })
	if i < 0 {
		i = len(groups)
		groups = append(groups, typeGroup{name: name})
	}
	groups[i].ids = append(groups[i].ids, ids...)
	return groups
}

// namesOf returns the types of the groups.
func namesOf(groups []typeGroup) []string {
	names := make([]string, len(groups))
	for i, group := range groups {
		names[i] = group.name
	}
	return names
}
