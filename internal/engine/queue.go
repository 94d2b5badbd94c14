package engine

import "sync"

// queue counts the signals whose commits didn't wait for them, so that they
// can't pile up behind a slow broker.
type queue struct {
	size int

	mu      sync.Mutex
	waiting int
	full    bool // from when it fills up until half of it is empty
}

func newQueue(size int) *queue { return &queue{size: size} }

// put makes room for the n signals of a commit. Without room it reports
// whether that is news. A commit that alone is more than the queue holds fits
// into an empty one.
func (q *queue) put(n int) (ok, news bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting > 0 && q.waiting+n > q.size {
		news = !q.full
		q.full = true
		return false, news
	}
	q.waiting += n
	return true, false
}

// remove undoes put when the signals are sent, or have failed.
func (q *queue) remove(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting -= n
	if q.waiting <= q.size/2 {
		q.full = false
	}
}
