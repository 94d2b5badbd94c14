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

// byKey is an ordered flush of a type with an OrderKey. It locks the order of keys
// instead of the order of the type. The locks belong to the transaction of a batch.
// So a process that dies leaves no lock behind, and several processes share the
// keys as the workers of one process do.
//
// It walks through the table by id, and reads ids and keys only. In the order of the
// ids, the rows that one step finds of a key come before those that later steps find,
// so they are sent at once, together with those of other keys. With an OrderBy, the
// first step that finds a key sends all rows of that key.
//
//	walk: ids and keys ──▶ keyQueue ──▶ keyWorkers: a batch of several keys
//	                          ▲                │ not decided     │ held by others
//	                          └────────────────┘                 ▼
//	                                              at the end: each key alone
type byKey struct {
	*task
	wait  context.Context // limits the wait for the first lock of a key
	tally *tally
	walk  keyWalk

	mu     sync.Mutex
	state  map[any]keyState // keyOpen for all others
	later  []any            // the keys that wait for others
	places *keyPlaces
}

// A keyState is why the walk passes by the rows of a key.
type keyState int

const (
	keyOpen   keyState = iota
	keyFailed          // left to the next flush
	keyLater           // another flush or transaction holds it; it comes last
)

// flushKeys sends the signals of each key in their order.
func (t *task) flushKeys(ctx, wait context.Context, order database.Order) (int, error) {
	k := &byKey{task: t, wait: wait, tally: newTally(probe.New(t.engine.probeTime())), state: make(map[any]keyState)}
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
// before. Keys that others hold come last.
func (k *byKey) send(ctx context.Context, top any) (sent int, err error) {
	if top == nil { // the flush ends with what is there now
		if top, err = k.top(ctx); err != nil || top == nil {
			return 0, err
		}
	}
	k.places = nil
	for end := false; !end && k.tally.goOn() && k.engine.stopped(ctx) == nil; {
		var page []keyRows
		if page, end, err = k.next(ctx, top); err != nil {
			return sent, err
		}
		sent += k.sendAll(ctx, page, top, noPatience())
	}
	later := make([]keyRows, len(k.later))
	for i, key := range k.later {
		later[i].key = key
	}
	k.later = nil
	sent += k.sendAll(ctx, later, top, k.wait)
	if err := k.engine.stopped(ctx); err != nil {
		return sent, err
	}
	if !k.tally.goOn() {
		return sent, errGivenUp
	}
	return sent, nil
}

// noPatience returns a context that ends a wait before it begins.
func noPatience() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// sendAll sends the rows of keys, of several at a time with Workers. A key that is
// locked is left to the end, or fails if it waited for its turn already.
func (k *byKey) sendAll(ctx context.Context, keys []keyRows, top any, patience context.Context) int {
	var (
		all  sync.WaitGroup
		q    = newKeyQueue(keys)
		sent = make([]int, k.workers())
	)
	for i := range sent {
		all.Go(func() {
			w := keyWorker{byKey: k, queue: q, top: top, patience: patience, most: maxKeys}
			sent[i] = w.run(ctx)
		})
	}
	all.Wait()
	total := 0
	for _, n := range sent {
		total += n
	}
	return total
}

// failed leaves a key to the next flush.
func (k *byKey) failed(key any, r keyResult, err error) {
	err = fmt.Errorf("key %v: %w", key, err)
	if r.busy || r.blocked && r.sent == 0 {
		k.tally.addUntried(err)
	} else {
		k.tally.add(r.sent, err)
	}
	k.set(key, keyFailed)
}

// leave leaves a key that others hold to the end.
func (k *byKey) leave(key any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state[key] = keyLater
	k.later = append(k.later, key)
}

func (k *byKey) set(key any, s keyState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s == keyOpen {
		delete(k.state, key)
		return
	}
	k.state[key] = s
}

func (k *byKey) get(key any) keyState {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state[key]
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
		first := selection{ids: slices.Clone(ids[:size]), skipDead: k.opts.SkipDead, keys: []string{lockOfKey(key)}, refused: k.tally.refused}
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

// lockOfKey returns the text by which a key is locked.
func lockOfKey(key any) string { return fmt.Sprintf("key %v", key) }
