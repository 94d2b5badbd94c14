package engine

import (
	"context"
	"fmt"
	"sync"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/internal/probe"
)

// keyRows are rows of a key, in their order. Without ids they are all its rows.
type keyRows struct {
	key any
	ids []any
}

// keyWalk is where a flush of keys is in the table.
type keyWalk struct {
	after any          // the highest id that was listed
	whole map[any]bool // the keys of which all rows are sent at once
}

// next returns the next rows with ids up to top, by key, except for the keys that the
// walk passes by. The keys come in the order of their first rows. It also reports
// whether these are the last ones.
func (k *byKey) next(ctx context.Context, top any) (page []keyRows, end bool, _ error) {
	type rows struct{ ids, keys []any }
	found, err := reading(ctx, k.task, func(ctx context.Context, drv dialect.Driver) (r rows, err error) {
		r.ids, r.keys, err = k.Keys(ctx, drv, k.Columns().Span(k.walk.after, top, listPage))
		return r, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list the keys: %w", err)
	}
	n := len(found.ids)
	if n == 0 {
		return nil, true, nil
	}
	k.walk.after = found.ids[n-1]
	if n == listPage {
		if _, err := k.isIndexed(ctx, n); err != nil {
			return nil, false, err
		}
	}
	if k.walk.whole == nil {
		k.walk.whole = make(map[any]bool)
	}
	index := make(map[any]int)
	for i, key := range found.keys {
		if k.get(key) != keyOpen {
			continue
		}
		if k.Columns().IsSorted() {
			if !k.walk.whole[key] {
				k.walk.whole[key] = true
				page = append(page, keyRows{key: key})
			}
			continue
		}
		at, ok := index[key]
		if !ok {
			at = len(page)
			index[key] = at
			page = append(page, keyRows{key: key})
		}
		page[at].ids = append(page[at].ids, found.ids[i])
	}
	return page, n < listPage, nil
}

// keyQueue has the keys that the workers of a flush share.
type keyQueue struct {
	mu   sync.Mutex
	left []keyRows
	rows int // that left had at first
}

func newKeyQueue(keys []keyRows) *keyQueue {
	q := &keyQueue{left: keys}
	for _, k := range keys {
		q.rows += len(k.ids)
	}
	return q
}

// take returns the next keys: at least one, at most that many, and no more than there
// are before one has that many rows in all.
func (q *keyQueue) take(keys, rows int) (some []keyRows) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, total := 0, 0
	for n < len(q.left) && n < keys && total < rows {
		total += len(q.left[n].ids)
		n++
		if total == 0 { // all rows of a key, which are not counted
			break
		}
	}
	some, q.left = q.left[:n:n], q.left[n:]
	return some
}

// back puts keys back, so that they come first.
func (q *keyQueue) back(keys []keyRows) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.left = append(keys[:len(keys):len(keys)], q.left...)
}

// keyPlaces are the places at which a flush of keys is probed.
type keyPlaces struct {
	mu     sync.Mutex // held while a place is looked up
	walk   *walk
	probed map[any]bool
}

// probe returns a key from another place in the table, or false if there is none.
func (k *byKey) probe(ctx context.Context, top any, behind any) (key any, ok bool, err error) {
	k.mu.Lock()
	p := k.places
	if p == nil {
		p = &keyPlaces{walk: &walk{columns: k.Columns(), top: top, read: k.read, last: behind}, probed: make(map[any]bool)}
		k.places = p
	}
	k.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for range probe.MaxTries {
		sel, ok, err := p.walk.probe(ctx)
		if !ok || err != nil {
			return nil, false, err
		}
		keys, err := reading(ctx, k.task, func(ctx context.Context, drv dialect.Driver) ([]any, error) {
			_, keys, err := k.Keys(ctx, drv, k.Columns().Listed(drv, sel.ids))
			return keys, err
		})
		if err != nil {
			return nil, false, fmt.Errorf("list the keys: %w", err)
		}
		for _, key := range keys {
			if !p.probed[key] && k.get(key) == keyOpen {
				p.probed[key] = true
				return key, true, nil
			}
		}
	}
	return nil, false, nil
}

// resume makes the next probe start over.
func (k *byKey) resume() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.places = nil
}
