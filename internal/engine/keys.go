package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/probe"
)

// byKey is an ordered flush of a type with an OrderKey. It locks the order of a key
// instead of the order of the type. The lock belongs to the transaction of a batch.
// So a process that dies leaves no lock behind, and several processes share the
// keys as the workers of one process do.
type byKey struct {
	*task
	wait  context.Context // limits the wait for the first lock of a key
	tally *tally

	mu      sync.Mutex
	waiting map[any]bool // keys that failed
}

// flushKeys sends the signals of each key in their order.
func (t *task) flushKeys(ctx, wait context.Context, order database.Order) (int, error) {
	k := &byKey{task: t, wait: wait, tally: newTally(probe.New(t.engine.probeTime())), waiting: make(map[any]bool)}
	n, err := t.flushInOrder(ctx, order, k.send)
	switch failed := k.tally.err(); {
	case failed == nil:
		return n, err
	case err == nil || errors.Is(err, errGivenUp):
		return n, failed
	default:
		return n, errors.Join(failed, err)
	}
}

// errGivenUp ends a flush of keys after too many failures.
var errGivenUp = errors.New("given up")

// send sends the rows of all keys with ids up to top, except for keys that failed
// before. Keys that another process is sending come last.
func (k *byKey) send(ctx context.Context, top any) (int, error) {
	keys, err := k.list(ctx, top)
	if err != nil {
		return 0, err
	}
	atOnce, cancel := context.WithCancel(ctx)
	cancel()
	sent, busy := k.each(ctx, keys, func(key any) (keyResult, error) { return k.sendKey(ctx, atOnce, key, top) })
	more, busy := k.each(ctx, busy, func(key any) (keyResult, error) { return k.sendKey(ctx, k.wait, key, top) })
	for _, key := range busy {
		k.failed(key, keyResult{busy: true}, entsignal.ErrBusy)
	}
	if err := k.engine.stopped(ctx); err != nil {
		return sent + more, err
	}
	if !k.tally.goOn() {
		return sent + more, errGivenUp
	}
	return sent + more, nil
}

// list returns the keys of the rows with ids up to top, sorted by the oldest row of
// each key.
func (k *byKey) list(ctx context.Context, top any) (keys []any, _ error) {
	seen := make(map[any]bool)
	var after any
	for {
		type page struct{ ids, keys []any }
		p, err := reading(ctx, k.task, func(ctx context.Context, drv dialect.Driver) (p page, err error) {
			p.ids, p.keys, err = k.Keys(ctx, drv, k.Columns().Oldest(after, top, listPage))
			return p, err
		})
		if err != nil {
			return nil, fmt.Errorf("list the keys: %w", err)
		}
		for _, key := range p.keys {
			if !seen[key] && !k.waiting[key] {
				seen[key] = true
				keys = append(keys, key)
			}
		}
		if len(p.ids) < listPage {
			return keys, nil
		}
		after = p.ids[len(p.ids)-1]
	}
}

// each calls send for the keys, for several at a time with Workers. It returns how
// many rows were sent, and the keys that are busy.
func (k *byKey) each(ctx context.Context, keys []any, send func(key any) (keyResult, error)) (sent int, busy []any) {
	var (
		all  sync.WaitGroup
		mu   sync.Mutex // guards what each returns, and rest
		rest = probe.NewListing(keys)
	)
	next := func() (key any, ok bool) {
		probing, _ := k.tally.probing()
		mu.Lock()
		defer mu.Unlock()
		if !probing {
			rest.Resume()
		} else if key, ok = rest.Pick(); ok {
			return key, true
		}
		if some := rest.Take(1, false); len(some) > 0 {
			return some[0], true
		}
		return nil, false
	}
	for range min(k.workers(), len(keys)) {
		all.Go(func() {
			for k.tally.goOn() && k.engine.stopped(ctx) == nil {
				key, ok := next()
				if !ok {
					return
				}
				r, err := send(key)
				mu.Lock()
				sent += r.sent
				if r.busy {
					busy = append(busy, key)
				}
				mu.Unlock()
				switch {
				case r.busy:
				case err == nil:
					k.tally.add(r.sent, nil)
				default:
					k.failed(key, r, err)
				}
			}
		})
	}
	all.Wait()
	return sent, busy
}

// failed leaves a key to the next flush.
func (k *byKey) failed(key any, r keyResult, err error) {
	err = fmt.Errorf("key %v: %w", key, err)
	if r.busy || r.blocked && r.sent == 0 {
		k.tally.addUntried(err)
	} else {
		k.tally.add(r.sent, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting[key] = true
}

// keyResult is the outcome for a key.
type keyResult struct {
	sent    int
	busy    bool // another flush has locked the order of the key
	blocked bool // its first row may not be sent now
}

// sendKey sends the rows of a key for as long as the flush continues. It lists them
// first and then claims them by their ids, so that a claim reads and locks no row
// of another key. Where rows may change their place in the order meanwhile, a claim
// takes the first rows that the key has at that time.
func (k *byKey) sendKey(ctx, patience context.Context, key, top any) (r keyResult, _ error) {
	ids, err := k.read(ctx, k.Columns().OfKey(key, top))
	if err != nil {
		return r, err
	}
	wait := lockWait{ctx: patience}
	for len(ids) > 0 && k.engine.stopped(ctx) == nil {
		size := min(k.limit(ctx), len(ids))
		if probing, _ := k.tally.probing(); probing && r.sent == 0 {
			size = 1
		}
		first := selection{ids: slices.Clone(ids[:size]), skipDead: k.opts.SkipDead, key: fmt.Sprintf("key %v", key), refused: k.tally.refused}
		if k.Columns().Movable(k.st.driver) {
			first.ids, first.pick = nil, func(_ dialect.Driver, read reader) error {
				_, err := read(func(s *sql.Selector) {
					k.Columns().OfKey(key, top)(s)
					s.Limit(size)
				})
				return err
			}
		}
		d := k.engine.newBatch(k.signalType, k.mode, first)
		n, err := k.deliverInOrder(ctx, &wait, d)
		r.sent += n
		if err != nil {
			if !errors.Is(err, budget.ErrStuck) && !d.called { // otherwise it is the sender's error
				r.busy, r.blocked = errors.Is(err, entsignal.ErrBusy), errors.As(err, new(*entsignal.BlockedError))
			}
			return r, err
		}
		ids = ids[size:]
	}
	return r, nil
}
