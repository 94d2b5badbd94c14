package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
)

const (
	// maxKeys is how many keys one batch may have. Each takes a lock in the database.
	maxKeys = 256
	// maxKeyBytes limits the texts of the keys of a batch, because a statement contains them.
	maxKeyBytes = 1 << 16
)

// A keyWorker sends keys of a queue, one batch at a time.
type keyWorker struct {
	*byKey
	queue    *keyQueue
	top      any
	patience context.Context // limits the wait for the lock of a key
	most     int             // how many keys the next batch may have
	behind   any             // an id before which all keys were taken
}

// run sends keys until there are no more, and returns how many rows were sent.
func (w *keyWorker) run(ctx context.Context) (sent int) {
	for w.tally.goOn() && w.engine.stopped(ctx) == nil {
		probing, _ := w.tally.probing()
		if probing {
			key, ok, err := w.probe(ctx, w.top, w.behind)
			if err != nil {
				w.tally.stop(err)
				return sent
			}
			if ok {
				sent += w.alone(ctx, key)
				continue
			}
			w.most = 1
		} else {
			w.resume()
		}
		limit := w.limit(ctx)
		group := w.queue.take(w.most, min(limit, max(1, w.queue.rows/w.workers())))
		if len(group) == 0 {
			return sent
		}
		if ids := group[len(group)-1].ids; len(ids) > 0 {
			w.behind = ids[0]
		}
		if group[0].ids == nil {
			sent += w.alone(ctx, group[0].key)
			continue
		}
		batch, rest := cut(w.open(group), limit)
		if len(batch) == 0 {
			continue
		}
		n, left := w.together(ctx, batch)
		sent += n
		if left = w.open(joined(left, rest)); len(left) > 0 {
			w.queue.back(left)
		}
	}
	return sent
}

// open returns the keys that may still be sent.
func (w *keyWorker) open(keys []keyRows) []keyRows {
	return slices.DeleteFunc(keys, func(k keyRows) bool { return w.get(k.key) != keyOpen })
}

// alone sends the rows of one key, and returns how many were sent.
func (w *keyWorker) alone(ctx context.Context, key any) int {
	r, err := w.sendKey(ctx, w.patience, key, w.top)
	switch {
	case r.busy && w.patience != w.wait:
		w.leave(key)
	case r.busy:
		w.failed(key, r, entsignal.ErrBusy)
	case err != nil:
		w.failed(key, r, err)
	default:
		w.tally.add(r.sent, nil)
		if w.get(key) == keyLater {
			w.set(key, keyOpen)
		}
	}
	return r.sent
}

// cut returns the first rows of the keys, as many as a batch may have, and the others.
func cut(group []keyRows, limit int) (batch, rest []keyRows) {
	bytes := 0
	for i, k := range group {
		bytes += len(lockOfKey(k.key))
		if limit == 0 || i > 0 && bytes > maxKeyBytes {
			return batch, append(rest, group[i:]...)
		}
		n := min(limit, len(k.ids))
		limit -= n
		batch = append(batch, keyRows{k.key, k.ids[:n]})
		if n < len(k.ids) {
			rest = append(rest, keyRows{k.key, k.ids[n:]})
		}
	}
	return batch, rest
}

// joined returns what is left of a batch and what was cut off from it. A key that is
// in both must stay one, because two workers could take the parts.
func joined(left, rest []keyRows) []keyRows {
	if len(rest) == 0 {
		return left
	}
	for i, k := range left {
		if k.key == rest[0].key {
			left[i].ids = slices.Concat(k.ids, rest[0].ids)
			return append(left, rest[1:]...)
		}
	}
	return append(left, rest...)
}

// together sends rows of several keys as one batch. It returns how many were sent, and
// what is left of keys that the batch doesn't decide about.
func (w *keyWorker) together(ctx context.Context, keys []keyRows) (sent int, left []keyRows) {
	sel := selection{skipDead: w.opts.SkipDead, refused: w.tally.refused, keyOf: make(map[any]int)}
	for i, k := range keys {
		sel.keys = append(sel.keys, lockOfKey(k.key))
		sel.ids = append(sel.ids, k.ids...)
		for _, id := range k.ids {
			sel.keyOf[database.Comparable(id)] = i
		}
	}
	d := w.engine.newBatch(w.signalType, w.mode, sel)
	patience := w.patience
	if w.st.Exclusive() { // another flush has the database, and not the key
		patience = w.wait
	}
	n, err := w.deliverInOrder(ctx, &lockWait{ctx: patience}, d)
	switch {
	case errors.Is(err, budget.ErrStuck): // d still belongs to the claim
		w.giveUp(keys, err)
		return n, nil
	case errors.Is(err, entsignal.ErrBusy) && !d.called: // otherwise it is the sender's error
		return n, w.busy(keys, d.busy)
	case len(keys) == 1:
		w.note(keys[0].key, keyResult{sent: n, blocked: !d.called && errors.As(err, new(*entsignal.BlockedError))}, err)
		return n, nil
	case errors.As(err, new(*database.NotDeletedError)), err != nil && (endsFlush(err) || w.engine.stopped(ctx) != nil):
		w.giveUp(keys, err)
		return n, nil
	}
	left, decided := w.conclude(keys, d, n, err)
	if !decided { // any of the keys may be at fault
		for _, k := range left {
			if w.tally.goOn() && w.engine.stopped(ctx) == nil {
				n += w.alone(ctx, k.key)
			}
		}
		return n, nil
	}
	return n, left
}

// note notes what became of a batch of one key.
func (w *keyWorker) note(key any, r keyResult, err error) {
	if err != nil {
		w.failed(key, r, err)
		w.most = 1
		return
	}
	w.tally.add(r.sent, nil)
	w.most = min(2*w.most, maxKeys)
}

// giveUp leaves keys to the next flush because of an error that is about all of them.
func (w *keyWorker) giveUp(keys []keyRows, err error) {
	w.failed(keys[0].key, keyResult{}, err)
	for _, k := range keys[1:] {
		w.set(k.key, keyFailed)
	}
}

// busy leaves the keys that other flushes have locked, and returns the others. On a
// database where only one claim runs at a time it is all of them.
func (w *keyWorker) busy(keys []keyRows, busy []int) (others []keyRows) {
	for i, k := range keys {
		switch {
		case w.st.Exclusive():
			w.failed(k.key, keyResult{busy: true}, entsignal.ErrBusy)
		case slices.Contains(busy, i):
			w.leave(k.key)
		default:
			others = append(others, k)
		}
	}
	return others
}

// conclude notes what became of each key of a batch of which n rows were sent. It
// returns what was not tried, and whether the batch shows anything: which keys can be
// sent, or at least one that can't.
func (w *keyWorker) conclude(keys []keyRows, d *batch, n int, err error) (left []keyRows, decided bool) {
	decided = n > 0 || err == nil
	noted := false
	for i, k := range keys {
		stay, why := d.unsent(k.ids)
		switch {
		case slices.Contains(d.held, i):
			w.leave(k.key)
		case why != nil:
			if note := (*database.NotNotedError)(nil); errors.As(err, &note) {
				why = errors.Join(why, note)
			}
			if decided = true; noted {
				w.failed(k.key, keyResult{blocked: true}, why) // the batch counts once
			} else {
				w.failed(k.key, keyResult{sent: n}, why)
			}
			noted = true
		case err != nil && d.results == nil:
			left = append(left, k)
		case len(stay) > 0:
			left = append(left, keyRows{k.key, stay})
		case d.waiting[i] != nil:
			w.failed(k.key, keyResult{blocked: true}, d.waiting[i])
		}
	}
	if !noted && decided {
		w.tally.add(n, err)
	}
	if w.most = min(2*w.most, maxKeys); err != nil {
		w.most = 1
	}
	return left, decided
}
